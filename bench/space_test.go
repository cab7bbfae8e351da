package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The least Go program is an init, by itself and inside exeunt.
func TestTheLeastGoProgramEndsWithTheAppsCode(t *testing.T) {
	limits, err := buildLimits(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range limits {
		sp := into(t, s, 10*time.Second, "/bin/sh", "-c", "kill -TERM $$")
		if e, ok := sp.wait(sp.deadline); !ok || e.status.ExitStatus() != 128+15 {
			t.Errorf("%s: ended %v with %v", s.name, ok, e.status)
		}
	}
}

func TestMain(m *testing.M) { os.Exit(withProbe(m)) }

func withProbe(m *testing.M) int {
	dir, err := os.MkdirTemp("", "exeunt-bench-test-")
	if err == nil {
		defer os.RemoveAll(dir)
		probe, err = buildProbe(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

var nobody = subject{name: bare}

// into enters a space, or skips where namespaces are refused.
func into(t *testing.T, s subject, limit time.Duration, command ...string) *space {
	t.Helper()
	sp, err := enter(s, limit, command...)
	if errors.Is(err, unix.EPERM) && os.Getenv("CI") == "" {
		t.Skip("no PID namespaces here: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sp.close)
	return sp
}

func TestRecordsAreInOrderAndBetweenOurOwnTimes(t *testing.T) {
	before := now()
	sp := into(t, nobody, 10*time.Second, probe, "app")
	records, err := sp.readN(2)
	if err != nil {
		t.Fatal(err)
	}
	sp.release()
	e, ok := sp.wait(sp.deadline)
	if !ok || e.status != 0 {
		t.Fatalf("the app did not leave when released: %+v", e)
	}
	last := sp.rest()
	if len(last) != 1 {
		t.Fatalf("%d records at the end, want 1", len(last))
	}
	if b, a, x := records[0].at, records[1].at, last[0].at; !(before < b && b < a && a < x && x < e.at) {
		t.Errorf("out of order: ours %d, exec %d, first instruction %d, exit %d, ours %d", before, b, a, x, e.at)
	}
	if e.cpu < time.Duration(records[0].value) || records[0].value == 0 {
		t.Errorf("CPU %v in all, %v of it before the exec", e.cpu, time.Duration(records[0].value))
	}
}

func TestWaitingEndsAtItsDeadlineAndClosingKills(t *testing.T) {
	sp := into(t, nobody, 100*time.Millisecond, probe, "pause")
	begin := now()
	if _, ok := sp.wait(begin.add(time.Hour)); ok {
		t.Fatal("a pausing app ended by itself")
	}
	if took := now().since(begin); took > 5*time.Second {
		t.Errorf("the limit of 100 ms took %v", took)
	}
	sp.close()
	if err := unix.Kill(sp.pid, 0); !errors.Is(err, unix.ESRCH) {
		t.Errorf("PID 1 of the closed space is still there: %v", err)
	}
}

func TestBrokenSubjectIsNamedWithWhatItSaid(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	broken := subject{name: "broken", command: []string{sh, "-c", "echo no such option >&2; exit 3"}}
	sp := into(t, broken, 10*time.Second, probe, "app")
	_, err = sp.readN(2)
	if err == nil || !strings.Contains(err.Error(), "broken") || !strings.Contains(err.Error(), "no such option") {
		t.Errorf("the error is %v", err)
	}
}

func TestSpaceSeesOnlyItself(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	sp := into(t, nobody, 10*time.Second, sh, "-c", `set -- /proc/[0-9]*; test $$ = 1 && test "$*" = /proc/1`)
	if e, ok := sp.wait(sp.deadline); !ok || e.status != 0 {
		t.Errorf("not PID 1, or others are seen in /proc: %v", sp.failed("failed"))
	}
}

// tini is a peer that every Debian has, for what needs an init.
func tini(t *testing.T) subject {
	path, err := exec.LookPath("tini")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return subject{name: "tini", command: []string{path, "--"}}
}

func TestStormEndsWhenItsLastOrphanWasReaped(t *testing.T) {
	sp := into(t, tini(t), time.Minute, probe, "storm", "500")
	before := sp.cpu()
	records, err := sp.readN(3)
	if err != nil {
		t.Fatal(err)
	}
	if peak := records[2].value; peak < 1 || peak > 500 {
		t.Errorf("%d zombies at once of 500", peak)
	}
	if sp.cpu() <= before {
		t.Error("500 orphans were reaped in no time")
	}
	children, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(sp.pid), "task", fmt.Sprint(sp.pid), "children"))
	if err != nil {
		t.Skip("this kernel lists no children: ", err)
	}
	if n := len(strings.Fields(string(children))); n != 1 {
		t.Errorf("%d children are left, want the app alone", n)
	}
}

func TestDeafAndWellBehavedAreWhatTheySay(t *testing.T) {
	// As PID 1 the head of the tree can be told apart: its own TERM ends it,
	// and the kernel kills the rest.
	sp := into(t, nobody, 10*time.Second, probe, "tree", "3", "2")
	if _, err := sp.readN(2); err != nil {
		t.Fatal(err)
	}
	caught, deaf := 0, 0
	kids, err := filepath.Glob(fmt.Sprintf("/proc/%d/root/proc/[0-9]*/status", sp.pid))
	if err != nil || len(kids) != 6 {
		t.Fatalf("%d processes in the space, want 6: %v", len(kids), err)
	}
	for _, path := range kids {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		const term = "0000000000004000"
		switch s := string(text); {
		case strings.Contains(s, "SigCgt:\t"+term):
			caught++
		case strings.Contains(s, "SigIgn:\t"+term):
			deaf++
		}
	}
	if caught != 4 || deaf != 2 {
		t.Errorf("%d catch TERM and %d ignore it, want 4 and 2", caught, deaf)
	}
	if err := sp.signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if e, ok := sp.wait(sp.deadline); !ok || e.status != 0 {
		t.Errorf("the head did not leave on TERM: %+v", e)
	}
	if n := len(sp.rest()); n != 1 {
		t.Errorf("%d handlers ran, want the head's alone", n)
	}
}

func TestEarlyTermIsClassified(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ script, want string }{
		{`trap 'exit 143' TERM; echo ready >&2; while :; do sleep 0.01; done`, "early-ended"},
		{`trap 'exit 2' TERM; echo ready >&2; while :; do sleep 0.01; done`, "early-exit2"},
		{`trap 'trap "exit 143" TERM' TERM; echo ready >&2; while :; do sleep 0.01; done`, "early-dropped"},
		{`trap '' TERM; echo ready >&2; while :; do sleep 0.01; done`, "early-hung"},
		{`trap 'exit 7' TERM; echo ready >&2; while :; do sleep 0.01; done`, ""},
	} {
		sp := into(t, nobody, 20*time.Second, sh, "-c", c.script)
		if !eventually(func() bool { return strings.Contains(sp.failed("").Error(), "ready") }) {
			t.Fatalf("%s: never ready", c.script)
		}
		if err := sp.signal(unix.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if got, err := sp.fate(); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v, want %q", c.script, got, err, c.want)
		}
		sp.close()
	}
}

// eventually polls for at most ten seconds.
func eventually(cond func() bool) bool {
	for deadline := now().add(10 * time.Second); now() < deadline; sleepUntil(now().add(time.Millisecond)) {
		if cond() {
			return true
		}
	}
	return false
}

func TestSubjectThatForwardsNothingIsLeftOutAndTheOthersAreMeasured(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	mute := subject{name: "mute", command: []string{sh, "-c", `trap '' USR1; "$@" & wait`, "sh"}}
	into(t, nobody, time.Second, probe, "quit").close()
	got := signalling.run(1, []subject{nobody, mute})
	if err := got.failures["mute"]; err == nil || len(got.failures) != 1 {
		t.Errorf("failures: %v", got.failures)
	}
	if v := got.readings["signal-p50"]; len(v[bare]) != 1 || len(v["mute"]) != 0 {
		t.Errorf("readings: %v", v)
	}
}
