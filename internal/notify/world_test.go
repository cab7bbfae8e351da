package notify

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"exeunt/supervisor"
)

const (
	worldVar   = "NOTIFY_TEST_WORLD" // set inside a world
	clientVar  = "NOTIFY_TEST_CLIENT"
	uidVar     = "AS"    // whom a client becomes first
	groupVar   = "GROUP" // it leads a group of its own
	worldTime  = 60 * time.Second
	worldBegun = "the world has begun"
	patience   = 20 * time.Second
)

// TestMain is a service's process if it is told to be one.
func TestMain(m *testing.M) {
	if os.Getenv(clientVar) != "" {
		if err := client(os.Args[1], os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "client:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// client says what it is told to and prints a line when it has.
func client(how string, words []string) error {
	if uid, err := strconv.Atoi(os.Getenv(uidVar)); err == nil {
		if err := syscall.Setuid(uid); err != nil {
			return err
		}
	}
	if os.Getenv(groupVar) != "" {
		if err := syscall.Setpgid(0, 0); err != nil {
			return err
		}
	}
	switch how {
	case "say": // and exit
	case "stay":
	case "orphan": // say it when there is no family left
		for tick := time.NewTicker(time.Millisecond); os.Getppid() != 1; {
			<-tick.C
		}
	case "flood":
		return flood(words[0])
	default:
		return errors.New(how)
	}
	for _, word := range words {
		if err := speak(os.Getenv(Variable), word); err != nil {
			return err
		}
	}
	fmt.Println("said")
	if how != "say" {
		unix.Pause() // until the world ends, or somebody kills us
	}
	return nil
}

// speak sends a datagram as a service does: it waits where the queue is full.
func speak(address, text string, files ...int) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var rights []byte
	if len(files) > 0 {
		rights = unix.UnixRights(files...)
	}
	return unix.Sendmsg(fd, []byte(text), rights, &unix.SockaddrUnix{Name: address}, 0)
}

// flood says a number of things as fast as it can, READY=1 once on the way.
func flood(count string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: os.Getenv(Variable)}); err != nil {
		return err
	}
	for i := range n {
		text := fmt.Sprintf("STATUS=%d\nWATCHDOG=1", i+1)
		if i == n/3 {
			text = "READY=1"
		}
		if _, err := unix.Write(fd, []byte(text)); err != nil {
			return err
		}
	}
	fmt.Println("said")
	unix.Pause()
	return nil
}

// inWorld runs the body with the test binary as PID 1 of a fresh PID namespace,
// in which everything ends with it. Observe, if any, is called outside with each
// line that the body has printed for it.
func inWorld(t *testing.T, root bool, observe func(line string), body func(t *testing.T)) {
	t.Helper()
	if os.Getenv(worldVar) != "" {
		const private = unix.MS_REC | unix.MS_PRIVATE
		if err := errors.Join(unix.Mount("none", "/", "", private, ""), unix.Mount("proc", "/proc", "proc", 0, "")); err != nil {
			t.Fatal(err)
		}
		fmt.Println(worldBegun)
		body(t)
		return
	}
	if root && os.Geteuid() != 0 {
		t.Skip("needs root to change users")
	}
	ctx, cancel := context.WithTimeout(t.Context(), worldTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout="+worldTime.String())
	cmd.Env = append(os.Environ(), worldVar+"=inside", "GORACE=atexit_sleep_ms=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	if !root {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
		if os.Getenv("CI") != "" {
			t.Fatalf("no namespaces here: %v", err)
		}
		t.Skipf("no namespaces here: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	var output strings.Builder
	for in := bufio.NewScanner(stdout); in.Scan(); {
		fmt.Fprintln(&output, in.Text())
		if line, ok := strings.CutPrefix(in.Text(), "observe "); ok {
			observe(line)
		}
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(output.String(), worldBegun) {
		t.Fatalf("in its world: %v\n%s", err, output.String())
	}
	if strings.Contains(output.String(), "--- SKIP") {
		t.Skip(output.String())
	}
}

// A said is one delivery.
type said struct {
	service string
	pid     int
	supervisor.Notice
}

// A listener is a Receiver and what it has told.
type listener struct {
	*Receiver
	t       *testing.T
	said    chan said
	remarks chan string
}

func newListener(t *testing.T) *listener {
	l := &listener{t: t, said: make(chan said, 10_000), remarks: make(chan string, 10_000)}
	l.Receiver = New(
		func(service string, pid int, n supervisor.Notice) { l.said <- said{service, pid, n} },
		func(service, text string) { l.remarks <- service + ": " + text })
	t.Cleanup(l.Close)
	return l
}

// socket makes a socket or fails.
func (l *listener) socket(service string, uid uint32) string {
	l.t.Helper()
	address, err := l.Socket(service, uid)
	if err != nil {
		l.t.Fatal(err)
	}
	return address
}

// own is the socket of a service whose main process is this one.
func (l *listener) own(service string) string {
	l.t.Helper()
	address := l.socket(service, 0)
	l.Main(service, os.Getpid())
	return address
}

// speak says something as this process.
func (l *listener) speak(address, text string, files ...int) {
	l.t.Helper()
	if err := speak(address, text, files...); err != nil {
		l.t.Fatal(err)
	}
}

// next is the next delivery.
func (l *listener) next() said {
	l.t.Helper()
	return receive(l.t, l.said, "nothing is delivered")
}

// expect is that this is the next delivery.
func (l *listener) expect(service string, pid int, n supervisor.Notice) {
	l.t.Helper()
	if got, want := l.next(), (said{service, pid, n}); got != want {
		l.t.Fatalf("got  %+v\nwant %+v", got, want)
	}
}

// remark is the next remark.
func (l *listener) remark() string {
	l.t.Helper()
	return receive(l.t, l.remarks, "nothing is remarked")
}

func receive[T any](t *testing.T, from <-chan T, failure string) (got T) {
	t.Helper()
	select {
	case got = <-from:
	case <-time.After(patience):
		t.Fatal(failure)
	}
	return got
}

// silent is that nothing but what was asked for has been delivered or remarked.
func (l *listener) silent() {
	l.t.Helper()
	select {
	case got := <-l.said:
		l.t.Errorf("delivered as well: %+v", got)
	case got := <-l.remarks:
		l.t.Errorf("remarked as well: %q", got)
	default:
	}
}

// A process is a service's, a shell with its script. Of that "$0" is client.
type process struct {
	*exec.Cmd
	t   *testing.T
	out *bufio.Reader
}

// start starts a shell in a process group of its own, as the reaper does.
func start(t *testing.T, address, script string) *process {
	t.Helper()
	return startAs(t, &syscall.SysProcAttr{Setpgid: true}, address, script)
}

func startAs(t *testing.T, attr *syscall.SysProcAttr, address, script string) *process {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.Command("/bin/sh", "-c", script, program), t: t}
	p.Env = append(os.Environ(), clientVar+"=1", Variable+"="+address)
	p.SysProcAttr = attr
	p.Stderr = os.Stderr
	stdout, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(stdout)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-p.Process.Pid, syscall.SIGKILL) // it has not been waited for: the group is its own
		_ = p.Wait()
	})
	return p
}

// pid is the main process.
func (p *process) pid() int { return p.Process.Pid }

// line is what the service prints next.
func (p *process) line() string {
	p.t.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil {
		p.t.Fatalf("%q and then %v", line, err)
	}
	return strings.TrimSuffix(line, "\n")
}

// expect is that the service prints this line next.
func (p *process) expect(line string) {
	p.t.Helper()
	if got := p.line(); got != line {
		p.t.Fatalf("printed %q, want %q", got, line)
	}
}

// wait polls for what the kernel has no event for.
func wait(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// descriptors is how many we have open.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// threads is how many we have.
func threads(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
