package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// readmeFile returns the file of README.md that begins with this title, so that
// what is run here is what is printed there.
func readmeFile(t *testing.T, title string) string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	head := "# exeunt.yaml: " + title + "\n"
	for block := range strings.SplitSeq(string(text), "```yaml\n") {
		if file, _, closed := strings.Cut(block, "```\n"); closed && strings.HasPrefix(file, head) {
			return file
		}
	}
	t.Fatalf("README.md has no file %q", head)
	return ""
}

// A crew is a space with a network and a /run of its own, in which exeunt
// runs the services of a file.
type crew struct {
	*space
	dir string // where its file and its report are, and its processes
}

// services starts exeunt with a file. The setup is a shell's, for mounts; in
// the environment DIR is the container's directory.
func services(t *testing.T, file, setup string, env []string, flags ...string) *crew {
	t.Helper()
	return servicesIn(t, t.TempDir(), options{env: env}, file, setup, flags...)
}

func servicesIn(t *testing.T, dir string, o options, file, setup string, flags ...string) *crew {
	t.Helper()
	need(t, "unshare", "ip", "mount", "nsenter")
	// Services of other users run in it.
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "exeunt.yaml")
	if err := os.WriteFile(path, []byte(file), 0o644); err != nil {
		t.Fatal(err)
	}
	own, err := filepath.Abs("testdata/services")
	if err != nil {
		t.Fatal(err)
	}
	o.dir = dir
	o.env = append([]string{
		"DIR=" + dir, "FILES=" + own,
		"PATH=" + dir + ":" + own + ":/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
	}, o.env...)
	script := "set -e; ip link set lo up; mount -t tmpfs -o mode=755 tmpfs /run\n" + setup + "\nexec \"$@\""
	argv := []string{"unshare", "--net", "sh", "-c", script, "sh", exeunt, "run", "-c", path, "--report", filepath.Join(dir, "report.json")}
	return &crew{begin(t, o, append(argv, flags...)...), dir}
}

// exec is a command in the container, as docker exec runs it.
func (c *crew) exec(argv ...string) *exec.Cmd {
	target := []string{"--target", fmt.Sprint(c.PID), "--pid", "--mount", "--net", "--wd=" + c.dir}
	return exec.Command("nsenter", append(target, argv...)...)
}

// try runs a command in the container, and returns what it printed and whether
// it succeeded.
func (c *crew) try(argv ...string) (printed string, ok bool) {
	output, err := c.exec(argv...).CombinedOutput()
	return string(output), err == nil
}

// do runs a command in the container that has to succeed.
func (c *crew) do(argv ...string) string {
	c.t.Helper()
	printed, ok := c.try(argv...)
	if !ok {
		c.t.Fatalf("%q failed: %s", argv, printed)
	}
	return printed
}

// get asks for a URL in the container's network.
func (c *crew) get(url string) string {
	// The client is not in the container: there it would be told to stop.
	client := exec.Command("nsenter", "--target", fmt.Sprint(c.PID), "--net", "curl", "-sS", "--max-time", "20", "--fail", url)
	printed, err := client.CombinedOutput()
	if err != nil {
		return fmt.Sprintf("failed: %v: %s", err, printed)
	}
	return string(printed)
}

// asking is get in the background.
func (c *crew) asking(url string) <-chan string {
	got := make(chan string, 1)
	go func() { got <- c.get(url) }()
	return got
}

// awaitStatus waits until status shows a headline or a row that begins with
// these words.
func (c *crew) awaitStatus(words ...string) {
	c.t.Helper()
	last := ""
	defer func() {
		if c.t.Failed() {
			c.t.Logf("status said: %s", last)
		}
	}()
	poll(c.t, fmt.Sprintf("status %q", words), func() bool {
		last, _ = c.try(exeunt, "status")
		for line := range strings.Lines(last) {
			if strings.HasPrefix(strings.Join(strings.Fields(line), " ")+" ", strings.Join(words, " ")+" ") {
				return true
			}
		}
		return false
	})
}

// A report is what of exeunt's report is looked at here.
type report struct {
	Code     int
	Reason   string
	Began    time.Time
	Ended    time.Time
	Services []served
	Strays   []struct {
		Name   string
		Killed bool
	}
	Hooks []struct {
		ID, Name, Err string
		Ended         time.Time
		Tries         int
	}
	Entries []struct {
		At             time.Time
		Service        string
		Message, Phase string
		Restarts       int
	}
}

// A served service is one's last life.
type served struct {
	Name, State          string
	PID, Code, Restarts  int
	Started, Told, Ended time.Time
	Killed               bool
}

// over waits for the container's end and returns its report, whose code it
// compares with the real one.
func (c *crew) over(within time.Duration) *report {
	c.t.Helper()
	code := c.wait(within)
	text, err := os.ReadFile(filepath.Join(c.dir, "report.json"))
	if err != nil {
		c.t.Fatal(err)
	}
	r := new(report)
	if err := json.Unmarshal(text, r); err != nil {
		c.t.Fatal(err)
	}
	if r.Code != code {
		c.t.Errorf("exit code %d, but the report says %d", code, r.Code)
	}
	return r
}

// service is one of the report.
func (r *report) service(t *testing.T, name string) served {
	t.Helper()
	for _, s := range r.Services {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("the report has no service %q", name)
	return served{}
}

// inOrder fails the test unless each of these times is after the one before.
func inOrder(t *testing.T, what string, times ...time.Time) {
	t.Helper()
	for i, at := range times {
		if at.IsZero() || i > 0 && at.Before(times[i-1]) {
			t.Errorf("%s: not in order: %v", what, times)
			return
		}
	}
}

// unhurt fails the test if anybody had to be killed.
func (r *report) unhurt(t *testing.T) {
	t.Helper()
	for _, s := range r.Services {
		if s.Killed || s.PID != 0 && s.State != "exited" {
			t.Errorf("%s was killed, or is still there: %+v", s.Name, s)
		}
	}
	for _, s := range r.Strays {
		if s.Killed {
			t.Errorf("%s was killed", s.Name)
		}
	}
}
