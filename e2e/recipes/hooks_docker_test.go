package recipes

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// docker runs the docker command and returns what it printed.
func docker(t *testing.T, arguments ...string) string {
	t.Helper()
	output, err := exec.Command("docker", arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %q: %v\n%s", arguments, err, output)
	}
	return strings.TrimSpace(string(output))
}

// patience is how long a busy engine may take for anything.
const patience = 2 * time.Minute

const scratchImage = "exeunt-e2e-recipes:scratch"

// makeImage makes an image of two files, exeunt and part.
var makeImage = sync.OnceValue(func() error {
	part, err := buildPart()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "exeunt-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	build := exec.Command("sh", "-ec", `
		cp "$1" exeunt
		cp "$2" part
		printf 'FROM scratch\nCOPY exeunt part /\nLABEL exeunt-e2e-recipes=\nENTRYPOINT ["/exeunt"]\n' >Dockerfile
		docker build --quiet --force-rm --network none --tag "$3" .
		# What the tag was before can go.
		docker image prune --force --filter label=exeunt-e2e-recipes`,
		"sh", exeunt, part, scratchImage)
	build.Dir = dir
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot make the image: %w\n%s", err, output)
	}
	return nil
})

func fromScratch(t *testing.T) (image string) {
	t.Helper()
	need(t, "docker")
	if err := makeImage(); err != nil {
		t.Fatal(err)
	}
	return scratchImage
}

// A container is one that the test started; it is removed with the test.
type container struct {
	t    *testing.T
	Name string
	Out  *transcript // what docker logs tells
}

// launch is docker run -d, with no network but loopback.
func launch(t *testing.T, arguments ...string) *container {
	t.Helper()
	c := &container{t, "exeunt-recipe-" + strings.ToLower(rand.Text()[:10]), newTranscript(t)}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s of %q printed:\n%s", c.Name, arguments, c.Out)
		}
		exec.Command("docker", "rm", "-f", c.Name).Run()
	})
	docker(t, append([]string{"run", "-d", "--name", c.Name, "--network", "none"}, arguments...)...)
	output := c.Out.pipe()
	follow := exec.Command("docker", "logs", "--follow", c.Name)
	follow.Stdout, follow.Stderr = output, output
	err := follow.Start()
	output.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		follow.Process.Kill()
		follow.Wait()
	})
	return c
}

// logs is all that the container has printed, once it has ended.
func (c *container) logs() string {
	c.t.Helper()
	select {
	case <-c.Out.ended:
	case <-time.After(patience):
		c.t.Fatal("the container's log does not end")
	}
	return c.Out.String()
}

// wait waits for the container's end and returns its exit code.
func (c *container) wait() int {
	c.t.Helper()
	waiting := exec.Command("docker", "wait", c.Name)
	stop := time.AfterFunc(patience, func() { waiting.Process.Kill() })
	defer stop.Stop()
	output, err := waiting.Output()
	if err != nil {
		c.t.Fatalf("docker wait: %v", err)
	}
	code, err := strconv.Atoi(strings.TrimSpace(string(output)))
	if err != nil {
		c.t.Fatal(err)
	}
	return code
}

// bare is what a container may be denied. Docker's seccomp profile is on unless
// it is turned off.
var bare = []string{"--read-only", "--user", "65534:65534", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"}

func TestEveryKindOfHookRunsFromScratch(t *testing.T) {
	t.Parallel()
	image := fromScratch(t)
	if options := docker(t, "info", "--format", "{{.SecurityOptions}}"); !strings.Contains(options, "name=seccomp,profile=default") {
		t.Fatalf("the engine's security options are %s: its default seccomp profile is not on", options)
	}
	dir := folder(t)
	if err := os.Chmod(dir, 0o777); err != nil { // for nobody's report
		t.Fatal(err)
	}
	hooks := []string{
		"--pre-start", "/part say before",
		"--post-start", "sleep:50ms",
		"--post-start", "/part say started",
		"--pre-stop", "POST http://127.0.0.1:8080/deregister",
		"--pre-stop", "tcp://127.0.0.1:8080",
		"--pre-stop", "sleep:200ms",
		"--pre-stop", "signal:USR1",
		"--pre-stop", "drain:8080",
		"--pre-stop", "drain",
		"--pre-stop", "/exeunt probe http://127.0.0.1:8080/",
		"--post-stop", "/part say after",
	}
	c := launch(t, append(append(append(bare, "-v", dir+":/out", image, "--grace-period", "10s", "--report", "/out/report"), hooks...),
		"--", "/part", "web", "127.0.0.1:8080")...)
	c.Out.await("web: serving", 1)
	c.Out.await("started\"", 1)
	docker(t, "stop", "-t", "10", c.Name)
	if code := c.wait(); code != 0 {
		t.Errorf("exit code %d, want the app's own, 0", code)
	}
	r := readReport(t, filepath.Join(dir, "report"))
	if len(r.Hooks) != len(hooks)/2 {
		t.Errorf("%d hooks ran, want %d", len(r.Hooks), len(hooks)/2)
	}
	for _, hook := range r.Hooks {
		if hook.Err != "" || hook.Skipped {
			t.Errorf("hook %q failed or was skipped: %s", hook.Name, hook.Err)
		}
	}
	log := c.logs()
	for _, text := range []string{"before", "web: POST /deregister", "web: USR1", "web: TERM", "web: done", "after"} {
		if !strings.Contains(log, text) {
			t.Errorf("%q is missing in the log", text)
		}
	}
}

// The control: what a kubelet would run in such a container as its preStop hook.
func TestNoCommandOfAPreStopHookRunsFromScratch(t *testing.T) {
	t.Parallel()
	c := launch(t, append(bare, "--entrypoint", "/part", fromScratch(t), "web", "127.0.0.1:8080")...)
	c.Out.await("web: serving", 1)
	for _, hook := range [][]string{{"sh", "-c", "true"}, {"sleep", "1"}, {"curl", "http://127.0.0.1:8080/"}} {
		if exec.Command("docker", append([]string{"exec", c.Name}, hook...)...).Run() == nil {
			t.Errorf("%q runs: the test above proves nothing any more", hook)
		}
	}
}

func TestHookOutputIsInTheContainersLog(t *testing.T) {
	t.Parallel()
	c := launch(t, append(bare, fromScratch(t), "--log", "console", "--grace-period", "10s",
		"--pre-stop", "/part say deregistered at last", "--", "/part", "web", "127.0.0.1:8080")...)
	c.Out.await("web: serving", 1)
	// The control: what exec prints, as a kubelet's hook does, is in no log.
	if said := docker(t, "exec", c.Name, "/part", "say", "heard by nobody"); said != "heard by nobody" {
		t.Fatalf("exec said %q", said)
	}
	docker(t, "stop", c.Name)
	log := c.logs()
	if !strings.Contains(log, "/part say deregistered at last | deregistered at last") {
		t.Error("the hook's output is not in the log under its name")
	}
	if strings.Contains(log, "heard by nobody") {
		t.Error("what docker exec prints is in the log: the test proves nothing any more")
	}
}

// pause freezes the container until that time, and returns when it went on.
func (c *container) pause(until time.Time) time.Time {
	c.t.Helper()
	docker(c.t, "pause", c.Name)
	<-time.After(time.Until(until))
	awake := time.Now()
	docker(c.t, "unpause", c.Name)
	return awake
}

// A pause stops the container and not the clock: what was to end meanwhile ends
// when the container goes on, nothing runs twice, and the deadline stays.
func TestPauseInMidStopCostsNoMoreThanItself(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	// The hook is long, since the engine takes its time until it has paused it.
	c := launch(t, "-v", dir+":/out", fromScratch(t), "--grace-period", "40s", "--hook-timeout", "20s", "--report", "/out/report",
		"--pre-stop", "/part say hooking", "--pre-stop", "sleep:8s", "--", "/part", "web", "127.0.0.1:8080")
	c.Out.await("web: serving", 1)
	docker(t, "kill", "--signal", "TERM", c.Name)
	c.Out.await("hooking\"", 1)
	awake := c.pause(time.Now().Add(9 * time.Second))
	if code := c.wait(); code != 0 {
		t.Errorf("exit code %d, want the app's own, 0", code)
	}
	r := readReport(t, filepath.Join(dir, "report"))
	if len(r.Hooks) != 2 || r.Hooks[1].Err != "" || r.Hooks[1].Ended.Before(awake) || r.Hooks[1].Ended.Sub(awake) > 2*time.Second {
		t.Errorf("the hooks were not over in the pause, and done after it, at %v: %+v", awake, r.Hooks)
	}
	if took := r.Ended.Sub(r.Hooks[1].Ended); took > 2*time.Second {
		t.Errorf("the stop took %v more after the pause", took)
	}
	for _, text := range []string{`"hooking"`, "web: TERM", "web: done", "stopped in "} {
		if n := strings.Count(c.logs(), text); n != 1 {
			t.Errorf("%q is in the log %d times, want once", text, n)
		}
	}
}

func TestPauseBeyondTheDeadlineEndsTheContainerAtOnce(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	// Main, which is deaf, would be killed after 9.6 s.
	c := launch(t, "-v", dir+":/out", fromScratch(t), "--grace-period", "12s", "--report", "/out/report", "--pre-stop", "/part say hooking", "--",
		"/part", "sidecar", "127.0.0.1:8080", "/")
	c.Out.await("sidecar: serving", 1)
	docker(t, "kill", "--signal", "TERM", c.Name)
	c.Out.await("hooking\"", 1)
	awake := c.pause(time.Now().Add(13 * time.Second))
	if code := c.wait(); code != 137 {
		t.Errorf("exit code %d, want that of a main that was killed, 137", code)
	}
	if took := parseReport(t, filepath.Join(dir, "report")).Ended.Sub(awake); took < 0 || took > 2*time.Second {
		t.Errorf("the stop was over %v after the pause", took)
	}
	inOrder(t, c.logs(), "still running, killed", "stopped in ")
}

func TestOutOfMemoryIsSaidInTheSummary(t *testing.T) {
	t.Parallel()
	image := fromScratch(t)
	limit := []string{"--memory", "64m", "--memory-swap", "64m"}
	c := launch(t, append(limit, image, "--", "/part", "hungry")...)
	if code := c.wait(); code != 128+int(syscall.SIGKILL) {
		t.Errorf("exit code %d, want that of a main that was killed, 137", code)
	}
	if log := c.logs(); !strings.Contains(log, "main") || !strings.Contains(log, "(exit 137, out of memory)") {
		t.Error("the summary does not say that memory had run out")
	}
	// The control: docker's own init ends with the same code, and not a word.
	plain := launch(t, append(limit, "--init", "--entrypoint", "/part", image, "hungry")...)
	if code := plain.wait(); code != 128+int(syscall.SIGKILL) {
		t.Errorf("docker-init's exit code is %d, want 137", code)
	}
	if log := plain.logs(); log != "" {
		t.Errorf("docker-init says %q: is it the end of our advantage?", log)
	}
}
