//go:build amd64 || arm64

package lean

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// deadline ends every wait. It is far beyond what anything takes.
const deadline = 30 * time.Second

// stageVariable tells a copy of the test binary to set the stage for exeunt and
// to become it.
const stageVariable = "LEAN_STAGE"

// dir holds the two builds.
var dir string

func TestMain(m *testing.M) {
	if text := os.Getenv(stageVariable); text != "" {
		var r launch
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			panic(err)
		}
		r.become()
	}
	os.Exit(inDirectory(m))
}

func inDirectory(m *testing.M) int {
	var err error
	if dir, err = os.MkdirTemp("", "lean"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	return m.Run()
}

// released is exeunt as it is released, ordinary the same without the lean start.
var (
	released = build("released", "-s -w -E exeunt/internal/lean.start")
	ordinary = build("ordinary", "-s -w -E exeunt/internal/entry.start")
	builds   = map[string]func(*testing.T) string{"released": released, "ordinary": ordinary}
)

func build(name, ldflags string) func(*testing.T) string {
	made := sync.OnceValues(func() (string, error) {
		path := filepath.Join(dir, name)
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", ldflags, "-o", path, "exeunt")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%w: %s", err, text)
		}
		file, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer file.Close()
		return path, file.Sync() // pages not yet written would count as dirty
	})
	return func(t *testing.T) string {
		t.Helper()
		if _, err := exec.LookPath("go"); err != nil {
			t.Skip("no go command to build with")
		}
		path, err := made()
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
}

// A launch is an init to be started.
type launch struct {
	Path    string
	Args    []string // what follows argv[0]
	Name    string   // argv[0]; empty is exeunt
	Env     []string // besides PATH
	PID1    bool
	Mask    uint64 // signals blocked
	Ignored uint64
	Closed  []int  // descriptors
	Space   uint64 // RLIMIT_AS
	Cgroup  string // its folder
	Bind    string // where the cgroup is to be seen

	stdin *os.File // a terminal, which becomes the controlling one
	extra *os.File // descriptor 4
}

// become sets the stage and becomes the init.
func (r *launch) become() {
	must := func(err error) {
		if err != nil {
			panic(fmt.Sprintf("cannot set the stage: %v", err))
		}
	}
	runtime.LockOSThread()
	unix.CloseOnExec(3)
	if r.PID1 {
		must(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
		must(unix.Mount("proc", "/proc", "proc", 0, ""))
	}
	if r.Cgroup != "" {
		must(os.WriteFile(filepath.Join(r.Cgroup, "cgroup.procs"), []byte("0"), 0o600))
		if r.Bind != "" {
			must(unix.Mount(r.Cgroup, r.Bind, "", unix.MS_BIND, ""))
		}
	}
	argv0, err := syscall.BytePtrFromString(r.Path)
	must(err)
	if r.Name == "" {
		r.Name = "exeunt"
	}
	argv, err := syscall.SlicePtrFromStrings(append([]string{r.Name}, r.Args...))
	must(err)
	envp, err := syscall.SlicePtrFromStrings(append(r.Env, "PATH=/usr/local/bin:/usr/bin:/bin"))
	must(err)
	for sig := uintptr(1); sig <= 64; sig++ {
		action := [4]uintptr{uintptr(r.Ignored >> (sig - 1) & 1)}
		unix.RawSyscall6(unix.SYS_RT_SIGACTION, sig, uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
	}
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&r.Mask)), 0, 8, 0, 0)
	for _, fd := range r.Closed {
		unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
	}
	if r.Space != 0 {
		limit := unix.Rlimit{Cur: r.Space, Max: r.Space}
		unix.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_AS, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	}
	_, _, errno := unix.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(argv0)), uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envp[0])))
	panic(errno)
}

// A process is a launch that went well: its init has been executed.
type process struct {
	t              *testing.T
	pid            int
	cmd            *exec.Cmd
	ended          chan error
	stdout, stderr output
}

// start launches it. It is killed at the end of the test.
func (r launch) start(t *testing.T) *process {
	t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	executed, inherited, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer executed.Close()
	p := &process{t: t, cmd: exec.Command(os.Args[0]), ended: make(chan error, 1)}
	p.cmd.Env = []string{stageVariable + "=" + string(text)}
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	p.cmd.ExtraFiles = []*os.File{inherited}
	if r.extra != nil {
		p.cmd.ExtraFiles = append(p.cmd.ExtraFiles, r.extra)
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if r.stdin != nil {
		p.cmd.Stdin, p.cmd.SysProcAttr.Setctty = r.stdin, true
	}
	if r.PID1 {
		p.cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID | syscall.CLONE_NEWNS
		if os.Getuid() != 0 {
			p.cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
			p.cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
			p.cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
		}
	}
	if err := p.cmd.Start(); err != nil {
		inherited.Close()
		if errors.Is(err, syscall.EPERM) && os.Getenv("CI") == "" {
			t.Skipf("no PID namespace to be had: %v", err)
		}
		t.Fatal(err)
	}
	inherited.Close()
	p.pid = p.cmd.Process.Pid
	go func() { p.ended <- p.cmd.Wait() }()
	t.Cleanup(func() { p.kill(syscall.SIGKILL) })
	executed.SetReadDeadline(time.Now().Add(deadline))
	if n, err := executed.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrClosed) && err.Error() != "EOF" {
		p.kill(syscall.SIGKILL)
		t.Fatalf("not executed: %v", err)
	}
	return p
}

// kill signals the init, unless it has been collected.
func (p *process) kill(sig syscall.Signal) { _ = p.cmd.Process.Signal(sig) }

// stop ends an init that is not PID 1, and so does not take its app with it when
// it is killed.
func (p *process) stop() {
	p.kill(syscall.SIGTERM)
	p.code()
}

// code waits for the end of the init and returns its exit code, 128+n for a
// signal.
func (p *process) code() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(deadline):
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
		p.kill(syscall.SIGKILL)
		p.t.Fatalf("%s does not end\n%s\n%s\n%s", p.cmd.Env, p.stdout.String(), p.stderr.String(), status)
	}
	status := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// says waits until the app has written the text.
func (p *process) says(text string) {
	p.t.Helper()
	if !eventually(func() bool { return strings.Contains(p.stdout.String(), text) }) {
		p.kill(syscall.SIGKILL)
		p.t.Fatalf("%q was not said\n%s\n%s", text, p.stdout.String(), p.stderr.String())
	}
}

// eventually waits for the condition.
func eventually(condition func() bool) bool {
	end := time.After(deadline)
	for tick := time.NewTicker(time.Millisecond); ; {
		if condition() {
			return true
		}
		select {
		case <-end:
			return false
		case <-tick.C:
		}
	}
}

// lean reports whether the process still runs without the runtime.
func (p *process) lean() bool {
	threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.pid))
	return len(threads) == 1
}

// An output is what a process has written so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
