package signals

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// role names what a copy of the test binary is to do instead of testing.
const role = "EXEUNT_TEST_ROLE"

// deadline is when a child that has not answered has failed.
const deadline = 20 * time.Second

func init() {
	if os.Getenv(role) != "" {
		runtime.LockOSThread() // the main thread, which takes the signals
	}
}

func TestMain(m *testing.M) {
	if name := os.Getenv(role); name != "" {
		play, ok := roles[name]
		if !ok {
			panic("no role " + name)
		}
		play()
		os.Exit(0)
	}
	code := m.Run()
	for _, dir := range builds {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// A child is a copy of the test binary playing a role. Its standard output is
// read line by line, its standard input ends when the test does.
type child struct {
	t     *testing.T
	cmd   *exec.Cmd
	out   *os.File
	lines *bufio.Reader
	in    *os.File
	done  chan struct{} // closed when it has been waited for
}

// start starts binary (empty: this test binary) in a role, as PID 1 of a fresh
// namespace or not. The child is killed at the end of the test.
func start(t *testing.T, binary, name string, pid1 bool) *child {
	t.Helper()
	if binary == "" {
		binary = os.Args[0]
	}
	out, outw, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	inr, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary)
	cmd.Env = append(os.Environ(), role+"="+name)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = inr, outw, os.Stderr
	if pid1 {
		cmd.SysProcAttr = namespace()
	}
	err = cmd.Start()
	inr.Close()
	outw.Close()
	if err != nil {
		out.Close()
		in.Close()
		if pid1 && (errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOSPC)) {
			t.Skipf("no PID namespace to be had: %v", err)
		}
		t.Fatal(err)
	}
	c := &child{t, cmd, out, bufio.NewReader(out), in, make(chan struct{})}
	out.SetReadDeadline(time.Now().Add(deadline))
	go func() {
		cmd.Wait()
		close(c.done)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-c.done
		out.Close()
		in.Close()
	})
	return c
}

// namespace is a fresh PID namespace, in a user namespace where we are not root.
func namespace() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	if os.Getuid() != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}}
	}
	return attr
}

// line is the child's next line. It fails the test if there is none in time.
func (c *child) line() string {
	c.t.Helper()
	line, err := c.lines.ReadString('\n')
	if err != nil {
		c.t.Fatalf("%s: read %q, then %v", c.cmd.Env[len(c.cmd.Env)-1], line, err)
	}
	return strings.TrimSuffix(line, "\n")
}

// expect fails the test unless the child's next line is want.
func (c *child) expect(want string) {
	c.t.Helper()
	if got := c.line(); got != want {
		c.t.Fatalf("%s: got %q, want %q", c.cmd.Env[len(c.cmd.Env)-1], got, want)
	}
}

// kill sends sig to the child by kill(2).
func (c *child) kill(sig Signal) {
	c.t.Helper()
	if err := syscall.Kill(c.cmd.Process.Pid, syscall.Signal(sig)); err != nil {
		c.t.Fatalf("kill %v: %v", sig, err)
	}
}

// state is what the exit of the child was, or the test fails.
func (c *child) state() *os.ProcessState {
	c.t.Helper()
	select {
	case <-c.done:
		return c.cmd.ProcessState
	case <-time.After(deadline):
		c.t.Fatal("the child does not end")
		return nil
	}
}

// queue sends sig by sigqueue(3).
func queue(pid int, sig Signal) error {
	const siQueue = -1
	var info [128]byte // siginfo_t
	sender := 12
	if strconv.IntSize == 64 {
		sender = 16
	}
	for at, value := range map[int]int32{8: siQueue, sender: int32(os.Getpid()), sender + 4: int32(os.Getuid())} {
		binary.NativeEndian.PutUint32(info[at:], uint32(value))
	}
	_, _, errno := unix.Syscall(unix.SYS_RT_SIGQUEUEINFO, uintptr(pid), uintptr(sig), uintptr(unsafe.Pointer(&info)))
	if errno != 0 {
		return errno
	}
	return nil
}

// masks are what /proc/PID/status tells of a process's signals.
type masks struct{ Blocked, Ignored, Caught Set }

func status(pid int) (m masks, err error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":\t")
		field, ok := map[string]*Set{"SigBlk": &m.Blocked, "SigIgn": &m.Ignored, "SigCgt": &m.Caught}[name]
		if !ok {
			continue
		}
		set, err := strconv.ParseUint(value, 16, 64)
		if err != nil {
			return m, err
		}
		*field = Set(set)
	}
	return m, err
}

// released is this test binary as a release is built: static, with our own
// ELF entry. plain is the same without the entry.
var (
	released = build("-E exeunt/internal/entry.start")
	plain    = build("")
	builds   []string // their directories
)

func build(ldflags string) func(t *testing.T) string {
	made := sync.OnceValues(func() (string, error) {
		dir, err := os.MkdirTemp("", "signals")
		if err != nil {
			return "", err
		}
		file := filepath.Join(dir, "signals.test")
		cmd := exec.Command("go", "test", "-c", "-o", file, "-ldflags", ldflags, ".")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		text, err := cmd.CombinedOutput()
		if err != nil {
			os.RemoveAll(dir)
			return "", fmt.Errorf("%w: %s", err, text)
		}
		builds = append(builds, dir)
		return file, nil
	})
	return func(t *testing.T) string {
		t.Helper()
		if _, err := exec.LookPath("go"); err != nil {
			t.Skip("no go command to build with")
		}
		file, err := made()
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
}
