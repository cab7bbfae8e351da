package rehearse

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"exeunt/reaper"
	"exeunt/signals"
	"exeunt/supervisor"
)

// The test binary is three programs: the tests, a driver that calls Run in a
// process of its own, and in the place of `exeunt run` an init that plays the
// story its command names.
func TestMain(m *testing.M) {
	Enter()
	switch {
	case len(os.Args) > 1 && os.Args[1] == "run":
		os.Exit(play(os.Args[2:]))
	case os.Getenv("REHEARSE_DRIVER") != "":
		os.Exit(drive())
	case len(os.Args) > 1 && os.Args[1] == "sit":
		for range signals.Receive() {
		}
	}
	os.Exit(m.Run())
}

const deadline = 30 * time.Second

func drive() int {
	received := signals.Receive()
	if os.Getenv("REHEARSE_DRIVER") == "without" {
		// The limit is this user namespace's own.
		if err := os.WriteFile("/proc/sys/user/max_pid_namespaces", []byte("0"), 0); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return Failure
		}
	}
	after, _ := time.ParseDuration(os.Args[1])
	grace, _ := time.ParseDuration(os.Args[2])
	return Run(Options{
		Args: append([]string{"--flag", "--"}, os.Args[3:]...), Env: without(os.Environ(), "REHEARSE_DRIVER"),
		Plan:  &supervisor.Plan{Budget: supervisor.Budget{Grace: grace}, Services: []supervisor.Service{service("first", "other"), service("main", os.Args[3])}},
		After: after, Signals: received, Log: os.Stderr,
	})
}

func service(name, program string) supervisor.Service {
	return supervisor.Service{Name: name, Command: reaper.Command{Args: []string{"/bin/" + program}}}
}

// play is an init for the tests: it says what it sees, and does as told.
func play(args []string) int {
	term := signals.Receive()
	story := args[2]
	self, _ := os.Readlink("/proc/self")
	third, _ := os.Readlink("/proc/self/fd/3")
	_, marked := os.LookupEnv(marker)
	caps := "?"
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "CapPrm:\t"); ok {
			caps = strings.TrimSpace(value)
		}
	}
	fmt.Printf("args=%q pid=%d proc=%s third=%v marked=%v caps=%s uid=%d\n",
		args, os.Getpid(), self, strings.HasPrefix(third, "pipe:"), marked, caps, os.Getuid())
	r := supervisor.Report{Reason: supervisor.ReasonSignal, Code: 143}
	switch story {
	case "early":
		r.Reason, r.Code = supervisor.ReasonExit, 7
		write(r)
		return 7
	case "deaf", "orphan":
		sit := exec.Command("/proc/self/exe", "sit")
		sit.Stdout = os.Stdout
		sit.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := sit.Start(); err != nil {
			fmt.Println(err)
			return Failure
		}
		fmt.Println("ready")
		for story == "deaf" {
			<-term
			fmt.Println("told")
		}
	case "silent":
		fmt.Println("ready")
		<-term
		return 143
	default:
		fmt.Println("ready")
	}
	r.Began = time.Now()
	<-term
	r.Ended = r.Began.Add(1500 * time.Millisecond)
	if story == "kill" {
		r.Code = 137
		r.Services = []supervisor.ServiceReport{{Name: "fine", PID: 5}, {Name: "main", PID: 2, Killed: true, Code: 137}}
		r.Strays = []supervisor.StrayReport{{Name: "told", PID: 3}, {Name: "kid", PID: 4, Killed: true}}
		r.Hooks = []supervisor.HookReport{{Name: "drain", Killed: true}, {Name: "fine"}}
	}
	write(r)
	return r.Code
}

func write(r supervisor.Report) {
	text, err := json.Marshal(r)
	if err == nil {
		err = os.WriteFile(os.Getenv("EXEUNT_REPORT"), text, 0o600)
	}
	if err != nil {
		fmt.Println(err)
	}
}

// A run is a driver under way.
type run struct {
	*exec.Cmd
	out  *bufio.Reader // the app's
	log  bytes.Buffer  // rehearse's own lines
	tmp  string
	seen string
}

func start(t *testing.T, attr *syscall.SysProcAttr, mode string, args ...string) *run {
	t.Helper()
	// Not below t.TempDir, which other users cannot enter.
	tmp, err := os.MkdirTemp("", "rehearse-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(tmp) })
	r := &run{Cmd: exec.Command("/proc/self/exe", args...), tmp: tmp}
	r.Args[0] = os.Args[0]
	r.Env = append(os.Environ(), "REHEARSE_DRIVER="+mode, "TMPDIR="+r.tmp)
	r.SysProcAttr = attr
	if attr != nil && attr.Credential != nil {
		if err := os.Chown(r.tmp, int(attr.Credential.Uid), -1); err != nil {
			t.Fatal(err)
		}
	}
	r.Stderr = &r.log
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Stdout, r.out = out, bufio.NewReader(in)
	if err := in.SetReadDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	out.Close()
	t.Cleanup(func() { in.Close(); _ = r.Process.Kill(); _ = r.Wait() })
	return r
}

// until reads the app's output up to a line; it fails where that does not come.
func (r *run) until(t *testing.T, line string) {
	t.Helper()
	for {
		text, err := r.out.ReadString('\n')
		r.seen += text
		if text == line+"\n" {
			return
		}
		if err != nil {
			_ = r.Wait()
			t.Fatalf("no line %q: %v, %v\n%s\n%s", line, err, r.ProcessState, r.seen, r.log.String())
		}
	}
}

// end waits until nobody holds the app's output any more and returns the
// driver's exit code.
func (r *run) end(t *testing.T) int {
	t.Helper()
	rest, err := io.ReadAll(r.out)
	r.seen += string(rest)
	if err != nil {
		t.Fatalf("somebody was left: %v\n%s", err, r.seen)
	}
	_ = r.Wait()
	return r.ProcessState.ExitCode()
}

func (r *run) mustSay(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(r.log.String(), w) {
			t.Errorf("the log lacks %q:\n%s", w, r.log.String())
		}
	}
}

// needNamespaces skips where the kernel gives us none.
func needNamespaces(t *testing.T) {
	t.Helper()
	r := start(t, nil, "with", "0s", "1s", "early")
	r.end(t)
	if strings.Contains(r.log.String(), "no PID namespace") {
		t.Skip("no PID namespaces here")
	}
}

func TestAppRunsAsPID1OfAFreshNamespaceWithItsOwnProc(t *testing.T) {
	needNamespaces(t)
	r := start(t, nil, "with", "1h", "10s", "obey", "-x")
	r.until(t, "ready")
	_ = r.Process.Signal(syscall.SIGTERM)
	if code := r.end(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if want := `args=["--flag" "--" "obey" "-x"] pid=1 proc=1 third=false marked=false`; !strings.Contains(r.seen, want) {
		t.Errorf("the init saw\n%swant %s", r.seen, want)
	}
	r.mustSay(t, "rehearse: stopped in 1.5s of 10s: nobody was killed; the container would have exited with 143\n")
	if left, _ := filepath.Glob(r.tmp + "/*"); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestTermIsSentAfterTheTimeGiven(t *testing.T) {
	needNamespaces(t)
	began := time.Now()
	r := start(t, nil, "with", "1s", "10s", "obey")
	if code := r.end(t); code != 0 {
		t.Errorf("exit code %d, want 0\n%s", code, r.log.String())
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("over after %v, before TERM was due", took)
	}
}

func TestSomebodyWithoutRootGetsNamespacesAndNoCapabilities(t *testing.T) {
	needNamespaces(t)
	if os.Getuid() != 0 {
		t.Skip("already without root")
	}
	r := start(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}, "with", "1h", "10s", "obey")
	r.until(t, "ready")
	_ = r.Process.Signal(syscall.SIGTERM)
	code := r.end(t)
	if strings.Contains(r.log.String(), "no PID namespace") {
		t.Skip("no user namespaces here")
	}
	if code != 0 || !strings.Contains(r.seen, "pid=1 proc=1 third=false marked=false caps=0000000000000000 uid=65534\n") {
		t.Errorf("exit code %d, the init saw\n%s", code, r.seen)
	}
}

func TestSummaryNamesEverybodyWhoWasKilled(t *testing.T) {
	needNamespaces(t)
	r := start(t, nil, "with", "1h", "10s", "kill")
	r.until(t, "ready")
	_ = r.Process.Signal(syscall.SIGTERM)
	if code := r.end(t); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	r.mustSay(t, "stopped in 1.5s of 10s: killed main (kill, pid 2), kid (pid 4), hook drain; the container would have exited with 137\n")
}

func TestAppThatEndsByItselfGivesItsCode(t *testing.T) {
	r := start(t, nil, "with", "1h", "10s", "early")
	if code := r.end(t); code != 7 {
		t.Errorf("exit code %d, want 7", code)
	}
	r.mustSay(t, "the app ended by itself", "before it was told to stop; the container would have exited with 7\n")
}

func TestPlatformKillsWhatOutlivesTheGracePeriod(t *testing.T) {
	needNamespaces(t)
	r := start(t, nil, "with", "1h", "1s", "deaf")
	r.until(t, "ready")
	_ = r.Process.Signal(syscall.SIGTERM)
	r.until(t, "told")
	if code := r.end(t); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	r.mustSay(t, "the platform would have killed the container after 1s, with exe (pid ", "still alive; exit code 137\n")
}

func TestSecondInterruptKills(t *testing.T) {
	needNamespaces(t)
	r := start(t, nil, "with", "1h", "1h", "deaf")
	r.until(t, "ready")
	_ = r.Process.Signal(syscall.SIGWINCH)
	_ = r.Process.Signal(syscall.SIGINT)
	r.until(t, "told")
	_ = r.Process.Signal(syscall.SIGINT)
	if code := r.end(t); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	r.mustSay(t, "killed on a second signal, with exe (pid ")
}

func TestNobodyIsLeftWhenRehearseDies(t *testing.T) {
	needNamespaces(t)
	r := start(t, nil, "with", "1h", "1h", "deaf")
	r.until(t, "ready")
	_ = r.Process.Kill()
	r.end(t) // reads until the last holder of the output has gone
}

func TestMissingReportIsAFailure(t *testing.T) {
	needNamespaces(t)
	r := start(t, nil, "with", "1h", "10s", "silent")
	r.until(t, "ready")
	_ = r.Process.Signal(syscall.SIGTERM)
	if code := r.end(t); code != Failure {
		t.Errorf("exit code %d, want %d", code, Failure)
	}
	r.mustSay(t, "no word from exeunt", "exited with 143\n")
}

func TestMissingTempDirIsAFailure(t *testing.T) {
	r := start(t, nil, "with", "0s", "1s", "early")
	r.end(t)
	gone := filepath.Join(r.tmp, "gone")
	t.Setenv("TMPDIR", gone)
	var log bytes.Buffer
	if code := Run(Options{Args: []string{"--", "early"}, Log: &log}); code != Failure {
		t.Errorf("exit code %d, want %d", code, Failure)
	}
	if !strings.Contains(log.String(), "rehearse: cannot make a file for the report: ") {
		t.Errorf("the log is %q", log.String())
	}
}

// alone is a user namespace in which PID namespaces can be forbidden.
func alone() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
}

func TestWithoutPIDNamespacesExeuntIsASubreaperAndSaysSo(t *testing.T) {
	needNamespaces(t)
	r := start(t, alone(), "without", "1h", "10s", "orphan")
	r.until(t, "ready")
	_ = r.Process.Signal(syscall.SIGTERM)
	// The orphan would hold the output for ever.
	if code := r.end(t); code != 0 {
		t.Errorf("exit code %d, want 0\n%s", code, r.log.String())
	}
	if n := strings.Count(r.log.String(), "\n"); n != 2 {
		t.Errorf("%d lines, want 2:\n%s", n, r.log.String())
	}
	r.mustSay(t, "rehearse: no PID namespace here (", "): exeunt is a subreaper, not PID 1\n", "nobody was killed")
	if strings.Contains(r.seen, "pid=1 ") {
		t.Errorf("PID 1 after all: %s", r.seen)
	}
}

func TestWithoutPIDNamespacesASecondInterruptLeavesNobody(t *testing.T) {
	needNamespaces(t)
	r := start(t, alone(), "without", "1h", "1h", "deaf")
	r.until(t, "ready")
	_ = r.Process.Signal(syscall.SIGINT)
	r.until(t, "told")
	_ = r.Process.Signal(syscall.SIGINT)
	if code := r.end(t); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	r.mustSay(t, "killed on a second signal, with exe (pid ")
}
