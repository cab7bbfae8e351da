package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestTenThatLeaveAtOnceAreGoneAtOnce(t *testing.T) {
	t.Parallel()
	file := "grace_period: 10s\nservices:\n"
	for i := range 10 {
		file += fmt.Sprintf("  s%d: {command: sleep 1000, success_exit_codes: [143]}\n", i)
	}
	c := services(t, file, "", nil)
	c.awaitStatus("ready")
	told := c.send(syscall.SIGTERM)
	r := c.over(bound)
	c.took(told, 0, 4*time.Second) // nobody waits for anything: see bench for figures
	r.unhurt(t)
	if r.Code != 0 {
		t.Errorf("exit code %d", r.Code)
	}
}

func TestThreeThatNeedFourSecondsNeedThemTogether(t *testing.T) {
	t.Parallel()
	file := "grace_period: 30s\nservices:\n"
	for i := range 3 {
		file += fmt.Sprintf("  s%d: {command: sh -c 'trap \"sleep 4; exit 0\" TERM; echo up; while :; do sleep 0.05; done'}\n", i)
	}
	c := services(t, file, "", nil)
	c.Out.awaitCount("up", 3)
	told := c.send(syscall.SIGTERM)
	r := c.over(bound)
	c.took(told, 4*time.Second, 8*time.Second) // one after the other is 12
	r.unhurt(t)
	if r.Code != 0 {
		t.Errorf("exit code %d", r.Code)
	}
}

// pids are the numbers of a container's services, inside.
func (c *crew) pids() map[string]int {
	c.t.Helper()
	var now struct {
		Services []struct {
			Name string
			PID  int
		}
	}
	if err := json.Unmarshal([]byte(c.do(exeunt, "status", "--json")), &now); err != nil {
		c.t.Fatal(err)
	}
	pids := map[string]int{}
	for _, s := range now.Services {
		pids[s.Name] = s.PID
	}
	return pids
}

func TestKilledServiceStartsAgainAfterItsDelay(t *testing.T) {
	t.Parallel()
	c := services(t, `
grace_period: 10s
services:
  other: {command: sleep 1000, success_exit_codes: [143]}
  web: {command: sleep 1000, restart: always, restart_delay: 1s, success_exit_codes: [143]}
`, "", nil, "--log-level", "debug", "--log", "json")
	c.awaitStatus("ready")
	before := c.pids()
	if before["web"] <= 1 { // the group of whoever asks, or PID 1
		t.Fatalf("no process of web in %v", before)
	}
	c.do("kill", "-KILL", fmt.Sprint(before["web"]))
	c.Out.await("starts again in 1")
	c.awaitStatus("web ready")
	if after := c.pids(); after["web"] == before["web"] || after["other"] != before["other"] {
		t.Errorf("the processes were %v and are %v", before, after)
	}
	c.send(syscall.SIGTERM)
	r := c.over(bound)
	var ended, again time.Time
	for _, e := range r.Entries {
		switch {
		case e.Service == "web" && strings.HasPrefix(e.Message, "starts again in"):
			ended = e.At
		case e.Service == "web" && e.Message == "started" && e.Restarts == 1:
			again = e.At
		}
	}
	// The delay has a tenth of jitter.
	if took := again.Sub(ended); took < time.Second || took > 10*time.Second {
		t.Errorf("started again after %v, want about 1s", took)
	}
}

// A service that fails at once is tried less and less often, and trying costs
// next to nothing.
func TestCrashLoopBacksOffAndIsCheap(t *testing.T) {
	t.Parallel()
	c := services(t, `
grace_period: 10s
services:
  web: {command: sleep 1000, success_exit_codes: [143]}
  loop: {command: sh -c 'exit 9', restart: always, restart_delay: 100ms, restart_max_delay: 800ms, essential: false}
`, "", nil, "--log-level", "debug", "--log", "json")
	c.Out.awaitCount("starts again in", 2)
	before := ticks(t, c.PID)
	c.Out.awaitCount("starts again in", 7)
	spent := ticks(t, c.PID) - before
	if spent > 25 { // hundredths of a second, for five restarts in some 3 s
		t.Errorf("five restarts cost exeunt %d0 ms of processor time", spent)
	}
	poll(t, "the crash loop in status", func() bool {
		row := c.do(exeunt, "status", "loop")
		return strings.Contains(row, "  backoff  ") && strings.Contains(row, "  9, ") && strings.Contains(row, "starts in")
	})
	c.send(syscall.SIGTERM)
	r := c.over(bound)
	want := []time.Duration{100, 200, 400, 800, 800, 800} // milliseconds, and up to a tenth more
	var delay time.Duration
	var from time.Time
	n := 0
	for _, e := range r.Entries {
		said, ok := strings.CutPrefix(e.Message, "starts again in ")
		switch {
		case e.Service != "loop" || n == len(want):
		case ok:
			delay, _ = time.ParseDuration(said)
			from = e.At
			if least := want[n] * time.Millisecond; delay < least || delay > least*11/10 {
				t.Errorf("start %d is to wait %v, want %v", n+1, delay, least)
			}
		case e.Message == "started" && e.Restarts > 0:
			if gap := e.At.Sub(from); gap < delay-time.Millisecond {
				t.Errorf("start %d comes after %v, want %v", n+1, gap, delay)
			}
			n++
		}
	}
	if n < len(want) {
		t.Errorf("the report has %d restarts, want %d", n, len(want))
	}
}

// memory returns what a process has of a line of /proc/PID/FILE, in KiB.
func memory(t *testing.T, pid int, file, line string) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(text)) {
		if fields := strings.Fields(l); len(fields) > 1 && fields[0] == line+":" {
			n, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("%s of %d has no %s", file, pid, line)
	return 0
}

// crowd are 200 services. Each needs all of the ten before: there are more ways
// through them than could ever be counted.
func crowd(rest string) string {
	var file strings.Builder
	file.WriteString("grace_period: 60s\nservices:\n")
	for i := range 200 {
		needs := ""
		for j := i/10*10 - 10; j >= 0 && j < i/10*10; j++ {
			needs += fmt.Sprintf("s%d,", j)
		}
		fmt.Fprintf(&file, "  s%d: {command: sh -c 'echo out-%d.; echo err-%d. >&2; exec sleep 1000', success_exit_codes: [143], depends_on: [%s]%s}\n", i, i, i, needs, rest)
	}
	return file.String()
}

func TestTwoHundredServices(t *testing.T) {
	t.Parallel()
	for name, rest := range map[string]string{"each with two prefixed streams": "", "with our own streams": ", stdout: inherit, stderr: inherit"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := services(t, crowd(rest), "", nil)
			c.awaitStatus("ready")
			c.Out.awaitCount("out-", 200)
			c.Out.awaitCount("err-", 200)
			// Of the binary's pages, 7 MiB at the start, most have been given back.
			own, file, threads := memory(t, c.PID, "status", "RssAnon"), memory(t, c.PID, "status", "RssFile"), memory(t, c.PID, "status", "Threads")
			t.Logf("%d KiB of its own, %d KiB of the binary, %d threads", own, file, threads)
			if own > 12<<10 || file > 5<<10 || threads > 16 {
				t.Errorf("exeunt has %d KiB of its own, %d KiB of the binary and %d threads", own, file, threads)
			}
			c.send(syscall.SIGTERM)
			r := c.over(60 * time.Second)
			r.unhurt(t)
			if r.Code != 0 || len(r.Strays) != 0 || len(r.Services) != 200 {
				t.Errorf("exit code %d, %d strays, %d services", r.Code, len(r.Strays), len(r.Services))
			}
			printed := c.Out.String()
			for i := range 200 {
				for _, line := range []string{fmt.Sprintf("out-%d.\n", i), fmt.Sprintf("err-%d.\n", i)} {
					if strings.Count(printed, line) != 1 {
						t.Errorf("%q is not there once", line)
					}
				}
			}
		})
	}
}
