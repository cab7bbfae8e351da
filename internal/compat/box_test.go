package compat

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var (
	ours string // folder with exeunt under each name
	cast string // testdata/cast
)

func TestMain(m *testing.M) {
	flag.Parse()
	err := flag.Set("test.parallel", "16") // most of a story is waiting
	if err == nil {
		ours, err = os.MkdirTemp("", "exeunt-compat-")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(ours)
	os.Exit(code)
}

// programs builds what stories run: exeunt as it is released (or takes
// $EXEUNT_BINARY), under each name, and the cast.
var programs = sync.OnceValue(func() error {
	// For inits that run as another user.
	if err := os.Chmod(ours, 0o755); err != nil {
		return err
	}
	cast = filepath.Join(ours, "cast")
	builds := [][]string{{"-o", cast, "./testdata/cast"}}
	exeunt := os.Getenv("EXEUNT_BINARY")
	if exeunt == "" {
		exeunt = filepath.Join(ours, "exeunt")
		release := []string{"-o", exeunt, "../.."}
		if entered() {
			release = append([]string{"-ldflags", "-E exeunt/internal/lean.start"}, release...)
		}
		builds = append(builds, release)
	}
	for _, args := range builds {
		if err := build(args...); err != nil {
			return err
		}
	}
	for _, name := range []string{"tini", "docker-init", "dumb-init", "catatonit"} {
		if err := os.Symlink(exeunt, filepath.Join(ours, name)); err != nil {
			return err
		}
	}
	return nil
})

// entered reports whether the exeunt under test has an ELF entry of its own
// (package entry), as released. EXEUNT_ENTRY=no runs the tests against an
// ordinary build.
func entered() bool {
	return (runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64") && os.Getenv("EXEUNT_ENTRY") != "no"
}

func build(args ...string) error {
	cmd := exec.Command("go", append([]string{"build"}, args...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build: %w\n%s", err, out)
	}
	return nil
}

// lack skips the test for want of something, and fails it in CI.
func lack(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// peer is the path of the real init.
func peer(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		lack(t, name+" is not installed: nothing was compared with it")
	}
	return path
}

// limit is how long anything may take that has no figure of its own.
const limit = 30 * time.Second

// A box is one init in a fresh PID namespace: PID 1 of it, or a child of PID 1.
type box struct {
	t     *testing.T
	first int // the namespace's PID 1, out here
	pid1  bool
	ours  bool     // it is us, not a peer
	dir   string   // empty, for the story
	in    *os.File // the app's stdin, or the terminal's other end
	out   *text
	err   *text

	over   chan struct{} // closed when the init is gone
	status syscall.WaitStatus
}

// A place is where an init runs.
type place struct {
	pid1   bool
	mother bool     // the init's parent is neither PID 1 nor us
	proxy  bool     // whoever started the init has made it a subreaper
	tty    bool     // a terminal that is controlling, and stdin, stdout and stderr
	deaf   bool     // stderr's reader has gone
	full   bool     // stdout and stderr are pipes that are full and not read
	set    []string // settings of the stage, such as "CLOSED=0"
	env    []string
}

// start starts argv; DIR in it is the box's folder, CAST the cast.
func start(t *testing.T, at place, argv ...string) *box {
	t.Helper()
	if os.Geteuid() != 0 {
		lack(t, "root is needed for a PID namespace")
	}
	if err := programs(); err != nil {
		t.Fatal(err)
	}
	b := &box{t: t, pid1: at.pid1, ours: filepath.Dir(argv[0]) == ours, dir: t.TempDir(), out: newText(t), err: newText(t), over: make(chan struct{})}
	argv = slices.Clone(argv)
	replace := strings.NewReplacer("DIR", b.dir, "CAST", cast).Replace
	for i, word := range argv {
		argv[i] = replace(word)
	}
	if at.mother {
		argv = append([]string{cast, "mother"}, argv...)
	}
	if at.proxy {
		argv = append([]string{cast, "proxy"}, argv...)
	}
	cmd := exec.Command(cast, append([]string{"stage"}, argv...)...)
	cmd.Env = []string{"PATH=/usr/bin:/bin:/usr/sbin:/sbin", "LANG=C", "HOME=/"}
	for _, entry := range at.env {
		cmd.Env = append(cmd.Env, replace(entry))
	}
	for _, setting := range at.set {
		cmd.Env = append(cmd.Env, "STAGE_"+replace(setting))
	}
	if !at.pid1 {
		cmd.Env = append(cmd.Env, "STAGE_PID1=no")
	}
	cmd.Dir = b.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS, Setsid: true, Pdeathsig: syscall.SIGKILL,
	}
	runtime.LockOSThread() // the namespace dies with the thread that made it
	statusReader, statusWriter := pipe(t)
	cmd.ExtraFiles = []*os.File{statusWriter}
	mine := []*os.File{statusWriter}
	mine = append(mine, b.connect(cmd, at)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b.first = cmd.Process.Pid
	for _, f := range mine {
		f.Close()
	}
	stageOver := make(chan struct{})
	go b.await(cmd, statusReader, stageOver)
	t.Cleanup(func() {
		_ = syscall.Kill(b.first, syscall.SIGKILL) // it takes the namespace with it
		<-stageOver
		b.in.Close()
	})
	return b
}

// connect gives the init its descriptors 0 to 2 and returns our copies of them.
func (b *box) connect(cmd *exec.Cmd, at place) (mine []*os.File) {
	if at.tty {
		master, terminal := openTerminal(b.t)
		b.in = master
		cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
		cmd.SysProcAttr.Setctty = true
		go b.out.follow(master)
		return []*os.File{terminal}
	}
	stdin, in := pipe(b.t)
	out, stdout := pipe(b.t)
	err, stderr := pipe(b.t)
	b.in = in
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	switch {
	case at.full:
		for _, f := range []*os.File{stdout, stderr} {
			fill(b.t, f)
		}
		b.t.Cleanup(func() { out.Close(); err.Close() })
	default:
		go b.out.follow(out)
		if at.deaf {
			err.Close()
		} else {
			go b.err.follow(err)
		}
	}
	return []*os.File{stdin, stdout, stderr}
}

// await notes the init's end.
func (b *box) await(cmd *exec.Cmd, status *os.File, stageOver chan struct{}) {
	line, _ := bufio.NewReader(status).ReadString('\n') // empty where the init is PID 1
	status.Close()
	if n, err := strconv.Atoi(strings.TrimSpace(line)); err == nil {
		b.status = syscall.WaitStatus(n)
		close(b.over)
	}
	_ = cmd.Wait() // the exit code is looked at
	if !b.gone() {
		b.status = cmd.ProcessState.Sys().(syscall.WaitStatus)
		close(b.over)
	}
	close(stageOver)
}

// ends waits for the init's end: "exit 3", or "died of 15".
func (b *box) ends() string {
	b.t.Helper()
	select {
	case <-b.over:
	case <-time.After(limit):
		b.t.Fatalf("still there after %v; it said %q and %q", limit, b.out, b.err)
	}
	if b.status.Signaled() {
		return fmt.Sprintf("died of %d", b.status.Signal())
	}
	return fmt.Sprintf("exit %d", b.status.ExitStatus())
}

// endsOrHangs is ends, or "hangs" where a peer takes so long that it is taken
// to hang for ever. We may take as long as anything else.
func (b *box) endsOrHangs() string {
	b.t.Helper()
	if b.staysFor(b.patience()) {
		return "hangs"
	}
	return b.ends()
}

// patience is how long to wait for what a peer may never do, and we do.
func (b *box) patience() time.Duration {
	if b.ours {
		return limit
	}
	return 2 * time.Second
}

// staysFor reports whether the init is still there after d.
func (b *box) staysFor(d time.Duration) bool {
	select {
	case <-b.over:
		return false
	case <-time.After(d):
		return true
	}
}

// gone reports whether the init has ended.
func (b *box) gone() bool {
	select {
	case <-b.over:
		return true
	default:
		return false
	}
}

// init is the init's PID out here. Its child must have said that it is ready.
func (b *box) init() int {
	if b.pid1 {
		return b.first
	}
	return b.only(b.first)
}

// app is the PID of the init's child out here.
func (b *box) app() int { return b.only(b.init()) }

// only is the oldest child of pid. The kernel's list is in no order, and may
// miss one while others come and go (proc_pid_task_children(5)).
func (b *box) only(pid int) (child int) {
	b.t.Helper()
	b.until("there is a child", func() bool {
		list := children(pid)
		if len(list) > 0 {
			child = slices.Min(list)
		}
		return child != 0
	})
	return child
}

func (b *box) kill(pid int, sig syscall.Signal) {
	b.t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		b.t.Fatalf("cannot send %d: %v", sig, err)
	}
}

// until polls for what the kernel does not tell.
func (b *box) until(what string, holds func() bool) {
	b.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			b.t.Fatalf("waited %v until %s; out %q, err %q", limit, what, b.out, b.err)
		}
	}
}

func children(pid int) (list []int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		content, _ := os.ReadFile(task) // a thread that has gone has none
		for word := range strings.FieldsSeq(string(content)) {
			n, _ := strconv.Atoi(word)
			list = append(list, n)
		}
	}
	return list
}

// status is a field of /proc/PID/status, empty if the process has gone.
func status(pid int, field string) string {
	content, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(content)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// pending is the set of signals that wait for a process that has them blocked.
func pending(pid int) uint64 {
	set, _ := strconv.ParseUint(status(pid, "ShdPnd"), 16, 64)
	return set
}

func has(set uint64, sig int) bool { return set&(1<<(sig-1)) != 0 }

// list writes a set of signals.
func list(set uint64) string {
	var numbers []string
	for sig := 1; sig <= 64; sig++ {
		if has(set, sig) {
			numbers = append(numbers, strconv.Itoa(sig))
		}
	}
	return "[" + strings.Join(numbers, " ") + "]"
}
