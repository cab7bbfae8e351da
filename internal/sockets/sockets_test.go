package sockets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// everyone are the states in which a request may be under way.
var everyone = In(Established, SynReceived, CloseWait)

// find is Find in a form to compare: "state remote unread inode?" in order.
func find(t *testing.T, table *Table, q Query) []string {
	t.Helper()
	found, err := table.Find(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, s := range found {
		lines = append(lines, fmt.Sprintf("%d %v unread=%d unsent=%d orphan=%v uid=%d",
			s.State, s.Remote, s.Unread, s.Unsent, s.Inode == 0, s.UID))
	}
	slices.Sort(lines)
	return lines
}

func TestTheServersSideOfEachConnectionIsFoundOnce(t *testing.T) {
	l, p := listen(t, "[::]:0")
	_, other := listen(t, "127.0.0.1:0")
	dial(t, "tcp", port(other))
	four, six, half := dial(t, "tcp4", port(p)), dial(t, "tcp6", fmt.Sprintf("[::1]:%d", p)), dial(t, "tcp4", port(p))
	accepted := map[string]net.Conn{}
	for range 3 {
		conn := accept(t, l)
		accepted[conn.RemoteAddr().String()] = conn
	}
	for _, conn := range []net.Conn{six, half} {
		if _, err := conn.Write([]byte("request")); err != nil {
			t.Fatal(err)
		}
	}
	if err := half.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	backlog := dial(t, "tcp4", port(p)) // nobody accepts it
	if _, err := backlog.Write([]byte("GET / HTTP/1.1")); err != nil {
		t.Fatal(err)
	}
	uid := os.Getuid()
	want := []string{
		fmt.Sprintf("1 %v unread=0 unsent=0 orphan=false uid=%d", four.LocalAddr(), uid),
		fmt.Sprintf("1 %v unread=14 unsent=0 orphan=true uid=%d", backlog.LocalAddr(), uid),
		fmt.Sprintf("1 %v unread=7 unsent=0 orphan=false uid=%d", six.LocalAddr(), uid),
		// The end of the client's half is one more, for the kernel.
		fmt.Sprintf("8 %v unread=8 unsent=0 orphan=false uid=%d", half.LocalAddr(), uid),
	}
	slices.Sort(want)
	bothWays(t, func(t *testing.T, table *Table) {
		var got []string
		eventually(t, fmt.Sprint(want), func() bool {
			got = find(t, table, Query{States: everyone, Ports: []uint16{p}})
			return slices.Equal(got, want) || len(got) > len(want)
		})
		if !slices.Equal(got, want) {
			t.Errorf("found %q, want %q", got, want)
		}
		waiting, err := table.Find(t.Context(), Query{States: In(Listen), Ports: []uint16{p}})
		if err != nil || len(waiting) != 1 || waiting[0].Unread != 1 || waiting[0].Remote.Port() != 0 {
			t.Errorf("the listener is %+v, %v, want one connection in its backlog", waiting, err)
		}
	})
	accepted[half.LocalAddr().String()].Close() // the client's FIN is there: LAST_ACK, then nothing
	accepted[four.LocalAddr().String()].Close() // FIN_WAIT2: nobody works for it
	bothWays(t, func(t *testing.T, table *Table) {
		eventually(t, "two are left", func() bool {
			return len(find(t, table, Query{States: everyone, Ports: []uint16{p}})) == 2
		})
	})
}

func TestPortsAreChosenByTheKernel(t *testing.T) {
	inSpace(t, func(t *testing.T) {
		var ports []uint16
		for range 40 {
			l, p := listen(t, "127.0.0.1:0")
			dial(t, "tcp", l.Addr().String())
			ports = append(ports, p)
		}
		for _, asked := range [][]uint16{ports[:1], ports[7:8], ports[20:], {1}, append([]uint16{1, 65535}, ports[:39]...)} {
			want := len(slices.DeleteFunc(slices.Clone(asked), func(p uint16) bool { return !slices.Contains(ports, p) }))
			bothWays(t, func(t *testing.T, table *Table) {
				if got := find(t, table, Query{States: In(Established), Ports: asked}); len(got) != want {
					t.Errorf("asked for %d: found %d, want %d", asked, len(got), want)
				}
			})
			d, err := openDiag()
			if err != nil {
				t.Fatal(err)
			}
			defer d.close()
			told := 0
			request := make([]byte, requestSize)
			request[0], request[1] = unix.AF_INET, unix.IPPROTO_TCP
			copy(request[4:8], nativeStates(In(Established)))
			request = appendAttribute(request, requestBytecode, bytecode(asked))
			if err := d.dump(t.Context(), request, func([]byte) { told++ }); err != nil || told != want {
				t.Errorf("asked for %d: the kernel told of %d, %v, want %d", asked, told, err, want)
			}
		}
		bothWays(t, func(t *testing.T, table *Table) {
			if got := find(t, table, Query{States: In(Established)}); len(got) != 80 {
				t.Errorf("found %d ends, want 80", len(got))
			}
		})
	})
}

func TestFiveThousandConnectionsAreCounted(t *testing.T) {
	const clients = 5000
	inSpace(t, func(t *testing.T) {
		p := crowd(t, clients)
		stop := make(chan bool)
		defer close(stop)
		go churn(t, stop)
		bothWays(t, func(t *testing.T, table *Table) {
			begun := time.Now()
			if got := find(t, table, Query{States: everyone, Ports: []uint16{p}, Timed: true}); len(got) != clients {
				t.Errorf("found %d, want %d", len(got), clients)
			}
			t.Logf("took %v", time.Since(begun))
		})
	})
}

// crowd connects that many clients and accepts them.
func crowd(t testing.TB, clients int) (port uint16) {
	t.Helper()
	l, port := listen(t, "127.0.0.1:0")
	for range clients {
		dial(t, "tcp", l.Addr().String())
		accept(t, l)
	}
	return port
}

// churn makes other connections come and go, at most 5,000 of them.
func churn(t *testing.T, stop <-chan bool) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Error(err)
		return
	}
	defer l.Close()
	for range 5000 {
		select {
		case <-stop:
			return
		default:
		}
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Error(err)
			return
		}
		client.Close()
		if server, err := l.Accept(); err == nil {
			server.Close()
		}
	}
}

func TestWhoSpokeLastIsKnown(t *testing.T) {
	l, p := listen(t, "127.0.0.1:0")
	client := dial(t, "tcp", port(p))
	server := accept(t, l)
	table := Open(nil)
	defer table.Close()
	look := func() Socket {
		t.Helper()
		found, err := table.Find(t.Context(), Query{States: everyone, Ports: []uint16{p}, Timed: true})
		if err != nil || len(found) != 1 || !found[0].Timed {
			t.Fatalf("found %+v, %v, want one with times", found, err)
		}
		return found[0]
	}
	if s := look(); s.Heard || s.Spoken || s.Sent != s.Received {
		t.Errorf("nobody has spoken: %+v", s)
	}
	say(t, client, server)
	if s := look(); !s.Heard || s.Spoken {
		t.Errorf("the client has spoken: %+v", s)
	}
	tick(t) // the kernel's clock has moved on
	say(t, server, client)
	if s := look(); !s.Heard || !s.Spoken || s.Sent >= s.Received {
		t.Errorf("we answered: %+v", s)
	}
	tick(t)
	say(t, client, server)
	if s := look(); s.Received >= s.Sent {
		t.Errorf("the client has spoken again: %+v", s)
	}
}

// say writes one byte and reads it at the other end.
func say(t *testing.T, from, to net.Conn) {
	t.Helper()
	if _, err := from.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := to.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

func tick(t *testing.T) {
	t.Helper()
	begun := time.Now()
	eventually(t, "time goes on", func() bool { return time.Since(begun) > 25*time.Millisecond })
}

func TestConnectionsToUnixSocketsAreCounted(t *testing.T) {
	paths := []string{filepath.Join(t.TempDir(), "a b"), "@exeunt-" + fmt.Sprint(os.Getpid()), "/nobody/listens/here"}
	var listeners []net.Listener
	for _, path := range paths[:2] {
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		listeners = append(listeners, l)
		for range 3 {
			dial(t, "unix", path)
		}
		accept(t, l)
	}
	bothWays(t, func(t *testing.T, table *Table) {
		if got, err := table.Connected(t.Context(), paths); err != nil || !slices.Equal(got, []int{3, 3, 0}) {
			t.Errorf("counted %v, %v, want three each: one accepted and two that wait", got, err)
		}
	})
	accept(t, listeners[0]).Close()
	bothWays(t, func(t *testing.T, table *Table) {
		eventually(t, "one less", func() bool {
			got, err := table.Connected(t.Context(), paths)
			return err == nil && slices.Equal(got, []int{2, 3, 0})
		})
	})
}

func TestEachEndOfAConnectionIsToldOnce(t *testing.T) {
	l, p := listen(t, "[::]:0")
	_, other := listen(t, "127.0.0.1:0")
	table := Open(nil)
	defer table.Close()
	if ended, lost := table.Ended([]uint16{p}); ended != nil || lost {
		t.Fatalf("before Watch: %v, %v", ended, lost)
	}
	table.Watch()
	dial(t, "tcp", port(other)).Close()
	want := map[netip.AddrPort]bool{}
	for range 3 {
		client := dial(t, "tcp4", port(p))
		want[netip.MustParseAddrPort(client.LocalAddr().String())] = true
		server := accept(t, l)
		client.Close()
		server.Close()
	}
	got := map[netip.AddrPort]bool{}
	eventually(t, "three ends", func() bool {
		ended, lost := table.Ended([]uint16{p})
		for _, s := range ended {
			if got[s.Remote] || lost {
				t.Errorf("%v was told twice, or some were lost", s.Remote)
			}
			got[s.Remote] = true
		}
		return len(got) >= 3
	})
	if !reflect.DeepEqual(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
}

func TestAnswersOfTheDeadThatAreNotThereYetAreFound(t *testing.T) {
	l, p := listen(t, "127.0.0.1:0")
	small := func(_, _ string, c syscall.RawConn) (err error) {
		bad := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096) })
		return errors.Join(bad, err)
	}
	client, err := (&net.Dialer{Control: small}).Dial("tcp", port(p))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server := accept(t, l)
	raw, err := server.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	sent := 0
	_ = raw.Write(func(fd uintptr) bool { // until the kernel takes no more, which is more than the client's buffer
		for piece := make([]byte, 64<<10); ; {
			n, err := unix.Write(int(fd), piece)
			if err != nil {
				return true
			}
			sent += n
		}
	})
	server.Close()
	leaving := Query{States: In(FinWait1, Closing, LastAck), Ports: []uint16{p}}
	bothWays(t, func(t *testing.T, table *Table) {
		found, err := table.Find(t.Context(), leaving)
		if err != nil || len(found) != 1 || found[0].Unsent == 0 || found[0].Inode != 0 {
			t.Errorf("of %d bytes: %+v, %v", sent, found, err)
		}
	})
	if n, err := io.Copy(io.Discard, client); err != nil || n != int64(sent) {
		t.Fatalf("read %d of %d, %v", n, sent, err)
	}
	bothWays(t, func(t *testing.T, table *Table) {
		eventually(t, "all is there", func() bool { return len(find(t, table, leaving)) == 0 })
	})
}

func TestMoreEndsThanTheKernelKeepsAreCalledLost(t *testing.T) {
	const clients = 50
	l, p := listen(t, "127.0.0.1:0")
	small, large := Open(nil), Open(nil)
	for _, table := range []*Table{small, large} {
		defer table.Close()
		table.Watch()
	}
	if err := unix.SetsockoptInt(small.ends.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1); err != nil {
		t.Fatal(err)
	}
	for range clients {
		client := dial(t, "tcp", port(p))
		accept(t, l).Close()
		client.Close()
	}
	n := 0
	eventually(t, "all ends are told", func() bool {
		ended, lost := large.Ended([]uint16{p})
		n += len(ended)
		return n == clients && !lost
	})
	if ended, lost := small.Ended([]uint16{p}); !lost {
		t.Errorf("told of %d of %d, and no loss", len(ended), clients)
	}
	if _, lost := small.Ended([]uint16{p}); lost {
		t.Error("a loss is told twice")
	}
}

func TestListenersOfProcessesAreFound(t *testing.T) {
	inSpace(t, func(t *testing.T) {
		_, p := listen(t, "127.0.0.1:0")
		_, q := listen(t, "[::]:0")
		child := exec.Command("/bin/sh", "-c", "echo; read line")
		stdin, _ := child.StdinPipe()
		stdout, _ := child.StdoutPipe()
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { stdin.Close(); _ = child.Wait() }()
		if _, err := stdout.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		want := []uint16{min(p, q), max(p, q)}
		bothWays(t, func(t *testing.T, table *Table) {
			for _, c := range []struct {
				processes []int
				want      []uint16
			}{{[]int{child.Process.Pid, os.Getpid()}, want}, {[]int{child.Process.Pid}, nil}, {[]int{1 << 30}, nil}, {nil, nil}} {
				if got, err := table.Listeners(t.Context(), c.processes); err != nil || !slices.Equal(got, c.want) {
					t.Errorf("of %v: %v, %v, want %v", c.processes, got, err, c.want)
				}
			}
		})
	})
}

const lookerVar = "SOCKETS_TEST_LOOK_AT"

func TestListenersOfAnotherUserAreFoundByTheUser(t *testing.T) {
	if at := os.Getenv(lookerVar); at != "" {
		var pid int
		fmt.Sscan(at, &pid)
		table := Open(nil)
		ports, err := table.Listeners(t.Context(), []int{pid})
		fmt.Println("found", ports, err)
		return
	}
	if os.Getuid() != 0 {
		t.Skip("needs root, to be another user")
	}
	_, p := listen(t, "127.0.0.1:0") // root's
	looker := filepath.Join("/tmp", fmt.Sprintf("sockets-test-%d", os.Getpid()))
	self, err := os.ReadFile(os.Args[0])
	if err == nil {
		err = os.WriteFile(looker, self, 0o755) // the build's folder may be root's alone
	}
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(looker)
	run := func(uid uint32, processes int) string {
		cmd := exec.Command(looker, "-test.run=^"+t.Name()+"$")
		cmd.Env, cmd.Dir = []string{lookerVar + "=" + fmt.Sprint(processes)}, "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}, Pdeathsig: syscall.SIGKILL}
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		line, _, _ := strings.Cut(string(out), "\n")
		return line
	}
	if got := run(65534, os.Getpid()); !slices.Contains(strings.FieldsFunc(got, func(r rune) bool { return r < '0' || r > '9' }), fmt.Sprint(p)) {
		t.Errorf("nobody %s of root, want %d among them", got, p)
	}
	_, other := listen(t, "127.0.0.1:0")
	if got := run(65534, 1<<30); strings.Contains(got, fmt.Sprint(other)) {
		t.Errorf("of a process that has gone: %s", got)
	}
}

func TestRefusedNetlinkIsToldOnceAndProcIsRead(t *testing.T) {
	l, p := listen(t, "127.0.0.1:0")
	dial(t, "tcp", l.Addr().String())
	var notes []string
	table := Open(func(line string) { notes = append(notes, line) })
	defer table.Close()
	real := table.diag.fd
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0) // no socket at all
	if err != nil {
		t.Fatal(err)
	}
	table.diag.fd = null
	defer unix.Close(real)
	for range 2 {
		if got := find(t, table, Query{States: everyone, Ports: []uint16{p}}); len(got) != 1 {
			t.Errorf("found %q, want one", got)
		}
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "reading /proc/net/tcp") || !strings.Contains(notes[0], "socket") {
		t.Errorf("notes are %q, want one with the reason", notes)
	}
}

func TestNeitherNetlinkNorProcIsAnError(t *testing.T) {
	table := OpenProc(nil)
	table.proc = t.TempDir()
	if found, err := table.Find(t.Context(), Query{States: everyone}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("found %v, %v", found, err)
	}
	if counts, err := table.Connected(t.Context(), []string{"/a"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("counted %v, %v", counts, err)
	}
}

func TestAnEndedContextEndsTheLook(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	bothWays(t, func(t *testing.T, table *Table) {
		if _, err := table.Find(ctx, Query{States: everyone}); !errors.Is(err, context.Canceled) {
			t.Errorf("Find: %v", err)
		}
		if _, err := table.Connected(ctx, []string{"/a"}); !errors.Is(err, context.Canceled) {
			t.Errorf("Connected: %v", err)
		}
	})
}
