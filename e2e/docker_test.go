package e2e

import (
	"crypto/rand"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A container is one that the test started; it is removed with the test.
type container struct {
	t    *testing.T
	Name string
}

// launch is docker run -d with a name of its own.
func launch(t *testing.T, arguments ...string) *container {
	t.Helper()
	c := &container{t, "exeunt-e2e-" + strings.ToLower(rand.Text()[:10])}
	t.Cleanup(func() {
		if t.Failed() {
			stdout, stderr := c.logs()
			t.Logf("docker logs, stdout:\n%sstderr:\n%s", stdout, stderr)
		}
		exec.Command("docker", "rm", "-f", c.Name).Run()
	})
	docker(t, append([]string{"run", "-d", "--name", c.Name, "--network", "none"}, arguments...)...)
	return c
}

// logs is what docker logs tells, whose order holds within each stream alone.
func (c *container) logs() (stdout, stderr string) {
	var streams [2]strings.Builder
	command := exec.Command("docker", "logs", c.Name)
	command.Stdout, command.Stderr = &streams[0], &streams[1]
	command.Run()
	return streams[0].String(), streams[1].String()
}

// await waits until the program has printed text.
func (c *container) await(text string) {
	c.t.Helper()
	poll(c.t, "the container prints "+text, func() bool {
		stdout, _ := c.logs()
		return strings.Contains(stdout, text)
	})
}

// stop is docker stop with its own ten seconds. It returns how long that took,
// and the exit code.
func (c *container) stop() (time.Duration, int) {
	c.t.Helper()
	began := time.Now()
	docker(c.t, "stop", c.Name)
	took := time.Since(began)
	code, err := strconv.Atoi(docker(c.t, "inspect", "--format", "{{.State.ExitCode}}", c.Name))
	if err != nil {
		c.t.Fatal(err)
	}
	return took, code
}

// ordered fails the test unless log has these texts in this order.
func ordered(t *testing.T, log string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		_, after, found := strings.Cut(log, text)
		if !found {
			t.Errorf("%q is missing, or out of order", text)
			return
		}
		log = after
	}
}

func TestDeafContainerIsGoneBeforeDockerKillsIt(t *testing.T) {
	t.Parallel()
	c := launch(t, "-e", `EXEUNT_PRE_STOP=sh -c "echo draining; sleep 1"`, example(t, debian),
		"sh", "-c", `trap "echo deaf" TERM; echo ready; while :; do sleep 1; done`)
	c.await("ready")
	took, code := c.stop()
	if code != 137 {
		t.Errorf("exit code %d, want 137, of a main that we killed", code)
	}
	// 10 s less a margin of 0.5 s, and a reserve of 1.5 s before that.
	if took < 8*time.Second || took > 9500*time.Millisecond {
		t.Errorf("docker stop took %v, want 8s to 9.5s", took)
	}
	stdout, stderr := c.logs()
	ordered(t, stdout, "ready", "deaf")
	ordered(t, stderr, "stopping", "draining", "pre-stop over", "told to stop", "killed", "stopped in")
}

// The control: what the engine does to the same program under its own init.
func TestDeafContainerOfDockerInitIsKilledByDocker(t *testing.T) {
	t.Parallel()
	c := launch(t, "--init", "--entrypoint", "sh", example(t, debian),
		"-c", `trap "echo deaf" TERM; echo ready; while :; do sleep 1; done`)
	c.await("ready")
	if took, code := c.stop(); code != 137 || took < 10*time.Second {
		t.Errorf("exit code %d after %v: the test above proves nothing any more", code, took)
	}
}

func TestStaticProgramFromScratchIsStopped(t *testing.T) {
	t.Parallel()
	image := example(t, "scratch")
	for name, arguments := range map[string][]string{
		"plain":            nil,
		"init on top":      {"--init"},
		"read-only":        {"--read-only"},
		"no capabilities":  {"--cap-drop", "ALL", "--security-opt", "no-new-privileges"},
		"unknown user":     {"--user", "12345"},
		"twenty processes": {"--pids-limit", "20"},
		"all at once": {"--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
			"--user", "12345:54321", "--pids-limit", "20"},
	} {
		t.Run(name, func(t *testing.T) {
			c := launch(t, append(arguments, image)...)
			c.await("app: serving")
			took, code := c.stop()
			if code != 0 || took > 5*time.Second {
				t.Errorf("exit code %d after %v, want the app's own, 0, at once", code, took)
			}
			stdout, stderr := c.logs()
			ordered(t, stdout, "app: serving", "app: TERM", "app: done")
			ordered(t, stderr, "stopping", "told to stop", "exited", "stopped in")
		})
	}
}

func TestGuestOfDockerExecIsToldOnceAndHasTime(t *testing.T) {
	t.Parallel()
	image := example(t, "scratch")
	dir := t.TempDir()
	polite, deaf := newWitness(t, dir, "polite"), newWitness(t, dir, "deaf")
	c := launch(t, "-v", dir+":/fifos", "-e", "EXEUNT_GRACE_PERIOD=5s", image)
	c.await("app: serving")
	docker(t, "exec", "-d", c.Name, "/app", "witness", "/fifos/polite", "1500ms")
	docker(t, "exec", "-d", c.Name, "/app", "witness", "/fifos/deaf", "deaf")
	polite.await("ready")
	deaf.await("ready")
	told := time.Now()
	if took, code := c.stop(); code != 0 || took > 6*time.Second {
		t.Errorf("exit code %d after %v, want main's own, 0, in 5s", code, took)
	}
	if took := polite.end().Sub(told); took < 1500*time.Millisecond {
		t.Errorf("the guest had %v of the 1.5s that it takes", took)
	}
	polite.told("TERM", "done")
	// 5 s less a margin of 0.25 s, and 0.3 of a reserve of 0.75 s before that.
	moment := 4525 * time.Millisecond
	if died := deaf.end().Sub(told); died < moment || died > moment+time.Second {
		t.Errorf("the deaf guest died after %v, want %v", died, moment)
	}
	deaf.told("TERM")
}
