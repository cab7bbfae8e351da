package reaper

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"exeunt/internal/entry"
	"exeunt/signals"
)

// setSignals blocks and ignores signals for this process and what it executes.
func setSignals(t *testing.T, blocked, ignored signals.Set) {
	t.Helper()
	for sig := signals.Signal(1); sig <= signals.RTMAX; sig++ {
		if ignored.Has(sig) {
			action := [8]uintptr{1} // SIG_IGN
			_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
			if errno != 0 {
				t.Fatal(errno)
			}
		}
	}
	const setMask = 2
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, setMask, uintptr(unsafe.Pointer(&blocked)), 0, 8, 0, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
}

// TestChildInheritsWhatWeGot compares signal state and closed descriptors.
// Builds without our ELF entry cannot know all of it; the same test runs in
// both:
//
//	CGO_ENABLED=0 go test -ldflags "-E exeunt/internal/entry.start" ./reaper
func TestChildInheritsWhatWeGot(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		blocked := signals.SetOf(signals.USR1, signals.TERM, signals.RTMIN, 32)
		ignored := signals.SetOf(signals.HUP, signals.PIPE, signals.USR2, signals.CHLD, signals.RTMAX)
		if os.Getenv(stageVar) == "" {
			setSignals(t, blocked, ignored)
			_ = syscall.Close(0)
		}
		again(t)
		if !entry.Known {
			blocked, ignored = 0, signals.Set(entry.Ignored)
		}
		// No shell: it changes its own mask, and its children's.
		got := output(t, r, &Command{Args: []string{"sed", "-n", "/^Sig[BIC]/p", "/proc/self/status"}})
		want := fmt.Sprintf("SigBlk:\t%016x\nSigIgn:\t%016x\nSigCgt:\t%016x", uint64(blocked), uint64(ignored), 0)
		if got != want {
			t.Errorf("with our ELF entry %v:\n%s\nwant\n%s", entry.Known, got, want)
		}
		stdin := map[bool]string{true: "", false: "/dev/null"}[entry.Known]
		if got := output(t, r, shell("readlink /proc/$$/fd/0; true")); got != stdin {
			t.Errorf("stdin is %q, want %q", got, stdin)
		}
	})
}

func TestChildInheritsLimitsUmaskAndDirectory(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		if os.Getenv(stageVar) == "" {
			syscall.Umask(0o137)
			if err := errors.Join(os.Chdir("/usr/lib"),
				unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 777, Max: 4000}),
				unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: 1 << 20, Max: 1 << 21})); err != nil {
				t.Fatal(err)
			}
		}
		again(t)
		var ours unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &ours); err != nil || ours.Cur != 3999 {
			t.Fatalf("Go has not raised our limit: %v %v", ours, err)
		}
		const script = "ulimit -Sn; ulimit -Hn; ulimit -Sc; ulimit -Hc; umask; pwd"
		if got, want := output(t, r, shell(script)), "777\n4000\n2048\n4096\n0137\n/usr/lib"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		c := shell("pwd")
		c.Dir = "/usr/bin"
		if got := output(t, r, c); got != "/usr/bin" {
			t.Errorf("in %q", got)
		}
		// Somebody sets another limit for us: it is the children's too.
		if err := unix.Prlimit(os.Getpid(), unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 100, Max: 200}, nil); err != nil {
			t.Fatal(err)
		}
		if got := output(t, r, shell("ulimit -Sn; ulimit -Hn")); got != "100\n200" {
			t.Errorf("%q after prlimit(1)", got)
		}
	})
}

func TestEnvironmentIsPassedByteForByte(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		env := []string{"B=2", "A=1", "A=other", "=odd", "without", "", "BYTES=\xff\n\t", "B=2", "LISTEN_PID=7", "LISTEN_PIDFDID=8"}
		again(t, env...)
		got := Environ()
		if len(got) < len(env) || !slices.Equal(got[:len(env)], env) {
			t.Fatalf("ours: %q", got)
		}
		got[0] = "changed"
		if Environ()[0] != "B=2" {
			t.Error("Environ is not a copy")
		}
		for _, descriptors := range []bool{false, true} {
			c := &Command{Args: []string{"/bin/cat", "/proc/self/environ"}, Env: env, Descriptors: descriptors}
			if got := output(t, r, c); got != strings.Join(env, "\x00")+"\x00" {
				t.Errorf("the child's: %q", got)
			}
		}
	})
}

// TestMain also serves as a program that prints the descriptors from 3 up that
// it was given.
func TestMain(m *testing.M) {
	if os.Args[0] == "descriptors" {
		fmt.Println(inheritedDescriptors())
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// descriptors is a command that prints what it was given.
func descriptors(t *testing.T) *Command {
	t.Helper()
	// Args[0] is both the path and the name, so a link has to have the name.
	dir := t.TempDir()
	self, err := os.Readlink("/proc/self/exe")
	if err == nil {
		err = os.Symlink(self, dir+"/descriptors")
	}
	if err != nil {
		t.Fatal(err)
	}
	return &Command{Args: []string{"descriptors"}, Env: []string{"PATH=" + dir}}
}

func TestDescriptorsArePassedOnOnlyIfAsked(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		if os.Getenv(stageVar) == "" {
			r.CloseInherited() // what the test itself was given
			for _, fd := range []int{70, 100} {
				if err := unix.Dup3(1, fd, 0); err != nil {
					t.Fatal(err)
				}
			}
		}
		again(t)
		if !slices.Contains(r.inherited, 70) || !slices.Contains(r.inherited, 100) || len(r.inherited) != 2 {
			t.Fatalf("inherited: %v", r.inherited)
		}
		for _, want := range []string{"[]", "[70 100]"} {
			c := descriptors(t)
			c.Descriptors = want != "[]"
			if got := output(t, r, c); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		// One of them may be the child's stdin all the same.
		c := shell("readlink /proc/self/fd/0 > /dev/null; readlink /proc/self/fd/70; true")
		c.Stdin = os.NewFile(70, "seventy")
		if got := output(t, r, c); got != "" {
			t.Errorf("70 is %q", got)
		}
		if err := syscall.Mount("none", "/proc", "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		if got := inheritedDescriptors(); !reflect.DeepEqual(got, []int{70, 100}) {
			t.Errorf("without /proc: %v", got)
		}
		r.CloseInherited()
		if got := inheritedDescriptors(); len(got) != 0 {
			t.Errorf("after CloseInherited: %v", got)
		}
	})
}

func TestReaderSeesTheEndOnceOurCopyIsClosed(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		if os.Getenv(stageVar) == "" {
			var pipe [2]int
			err := errors.Join(unix.Pipe2(pipe[:], unix.O_CLOEXEC), unix.Dup3(pipe[1], 50, 0), unix.Dup3(pipe[0], 0, 0))
			if err != nil {
				t.Fatal(err)
			}
		}
		again(t)
		c := shell("echo from the child >/proc/self/fd/50; exit 3")
		c.Descriptors = true
		pid := start(t, r, c)
		r.CloseInherited()
		if text, err := io.ReadAll(os.Stdin); err != nil || string(text) != "from the child\n" {
			t.Errorf("%q %v", text, err)
		}
		if status := collect(t, r, pid); status != 3<<8 {
			t.Errorf("status %#x", uint32(status))
		}
	})
}

func TestSocketsAreHandedOnUnderTheChildsNumber(t *testing.T) {
	world{below: true}.in(t, func(t *testing.T, r *Reaper) {
		const script = `echo $(($$ - LISTEN_PID)) $LISTEN_PID $LISTEN_FDS ${LISTEN_PIDFDID-none}`
		for _, c := range []struct {
			pid         string
			descriptors bool
			rewritten   bool
		}{
			{strconv.Itoa(os.Getpid()), true, true},
			{strconv.Itoa(os.Getppid()), true, true},
			{strconv.Itoa(os.Getpid()), false, false},
			{"4711", true, false},
			{"0", true, false},
			{"1x", true, false},
		} {
			command := shell(script)
			command.Descriptors = c.descriptors
			command.Env = append(Environ(), "LISTEN_PIDFDID=5", "LISTEN_PID="+c.pid, "LISTEN_FDS=2", "LISTEN_PIDFDID=6")
			if c.pid == "1x" { // no number for the shell
				command.Args[2] = `echo x $LISTEN_PID $LISTEN_FDS ${LISTEN_PIDFDID-none}`
			}
			got := strings.Fields(output(t, r, command))
			want := []string{got[0], c.pid, "2", "6"}
			if c.rewritten {
				want = []string{"0", got[1], "2", "none"}
			}
			if !slices.Equal(got, want) {
				t.Errorf("LISTEN_PID=%s: %q, want %q", c.pid, got, want)
			}
		}
	})
}

func TestListenPIDIsWrittenInDecimal(t *testing.T) {
	for _, pid := range []uint32{1, 9, 10, 99, 4711, 4194304, 1<<32 - 1} {
		l := launch{listenPID: []byte("xxxxxxxxxxx")}
		l.writeListenPID(pid)
		if got, _, ok := strings.Cut(string(l.listenPID), "\x00"); !ok || got != strconv.FormatUint(uint64(pid), 10) {
			t.Errorf("%d: %q", pid, l.listenPID)
		}
	}
}

func TestStandardDescriptorsCanBeSwapped(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		if os.Getenv(stageVar) == "" {
			for fd, name := range []string{"/tmp", "/usr", "/var"} {
				opened, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
				if err == nil {
					err = unix.Dup3(opened, fd+20, 0)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		again(t)
		// Ours become /tmp, /usr and /var, until the test has ended.
		result := make(map[string]string)
		keep, _ := unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 50)
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Dup3(int(write.Fd()), 30, 0); err != nil {
			t.Fatal(err)
		}
		_ = write.Close()
		for fd := range 3 {
			if err := unix.Dup3(fd+20, fd, 0); err != nil {
				t.Fatal(err)
			}
		}
		tmp := os.NewFile(20, "tmp")
		files := map[string][3]*os.File{
			"/tmp /usr /var": {},
			"/usr /tmp /var": {os.Stdout, os.Stdin, nil},
			"/var /var /tmp": {os.Stderr, os.Stderr, os.Stdin},
			"/usr /var /tmp": {os.Stdout, os.Stderr, os.Stdin},
			"/tmp /tmp /tmp": {tmp, tmp, tmp},
		}
		for want, f := range files {
			// Descriptor 30 has no close-on-exec and was not inherited, so it passes.
			c := shell(`echo $(readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2) > /proc/$$/fd/30`)
			c.Stdin, c.Stdout, c.Stderr = f[0], f[1], f[2]
			pid := start(t, r, c)
			line := make([]byte, 100)
			n, _ := read.Read(line)
			result[want] = strings.TrimSpace(string(line[:n]))
			collect(t, r, pid)
		}
		if err := errors.Join(unix.Dup3(keep, 1, 0), unix.Dup3(keep, 2, 0)); err != nil {
			t.Fatal(err)
		}
		for want, got := range result {
			if got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
	})
}

func TestNobodyWakesWhileNothingHappens(t *testing.T) {
	switches := func(pid int) (sum int) {
		tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		for _, task := range tasks {
			status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/status", pid, task.Name()))
			for line := range strings.Lines(string(status)) {
				if name, value, _ := strings.Cut(line, ":\t"); strings.HasSuffix(name, "ctxt_switches") {
					n, _ := strconv.Atoi(strings.TrimSpace(value))
					sum += n
				}
			}
		}
		return sum
	}
	// Longer than any poll of ours could be; at first the runtime settles down.
	quiet := func(t *testing.T, pid int) {
		before, rounds := switches(pid), 0
		wait(t, "1,500 rounds of 2 ms without a context switch", func() bool {
			if now := switches(pid); now != before {
				before, rounds = now, 0
			}
			rounds++
			return rounds == 1500
		})
	}
	world{observe: quiet}.in(t, func(t *testing.T, r *Reaper) {
		pid := start(t, r, &Command{Args: []string{"cat"}}) // until the observer has seen enough
		await(t)
		if status := collect(t, r, pid); status != 0 {
			t.Errorf("status %#x", uint32(status))
		}
	})
}
