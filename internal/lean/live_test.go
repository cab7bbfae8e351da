//go:build amd64 || arm64

package lean

import (
	"bytes"
	"fmt"
	"math/bits"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// field is the value of a field of /proc/PID/FILE.
func field(t *testing.T, pid int, file, name string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB"))
		}
	}
	t.Fatalf("no %s in %s", name, file)
	return ""
}

func number(t *testing.T, text string, base int) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(text, base, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func timed(grace, script string) []string {
	return append([]string{"--grace-period", grace}, shell(script)...)
}

func shell(script string) []string { return []string{"--", "sh", "-c", script} }

func TestTheAppInheritsItsSignals(t *testing.T) {
	const always = uint64(1<<8 | 1<<18) // KILL and STOP
	for _, mask := range []uint64{0, 1 << 14, 0xf000_0000_0000_0801, everything} {
		for _, ignored := range []uint64{0, 1<<0 | 1<<12, 1 << 16, everything} {
			l := launch{Path: released(t), Args: []string{"--", "cat", "/proc/self/status"}, Mask: mask, Ignored: ignored}
			p := l.start(t)
			if code := p.code(); code != 0 {
				t.Fatalf("exit code %d: %s", code, p.stderr.String())
			}
			for _, want := range []string{fmt.Sprintf("SigBlk:\t%016x\n", mask&^always), fmt.Sprintf("SigIgn:\t%016x\n", ignored&^always)} {
				if !strings.Contains(p.stdout.String(), want) {
					t.Errorf("mask %x, ignored %x: no %q in\n%s", mask, ignored, want, p.stdout.String())
				}
			}
		}
	}
}

func TestOnePageOrTwoAndOneThread(t *testing.T) {
	l := launch{Path: released(t), PID1: true, Env: []string{"EXEUNT_GRACE_PERIOD=9"}, Args: timed("30s", `
		for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do (true &); done
		while grep -qs "^State:.Z" /proc/[0-9]*/status; do :; done
		echo reaped; exec sleep 1000`)}
	p := l.start(t)
	p.says("reaped")
	if dirty := number(t, field(t, p.pid, "smaps_rollup", "Private_Dirty"), 10); dirty > 32 {
		t.Errorf("%d KiB private and dirty", dirty)
	}
	if threads := field(t, p.pid, "status", "Threads"); threads != "1" {
		t.Errorf("%s threads", threads)
	}
	switches := func() string {
		return field(t, p.pid, "status", "voluntary_ctxt_switches") + " and " + field(t, p.pid, "status", "nonvoluntary_ctxt_switches")
	}
	before := switches()
	if !eventually(func() bool { // it is done with the dead
		<-time.After(100 * time.Millisecond)
		last := before
		before = switches()
		return last == before
	}) {
		t.Fatal("it does not come to rest")
	}
	<-time.After(2 * time.Second)
	if after := switches(); before != after {
		t.Errorf("it woke up: %s before, %s after", before, after)
	}
}

func TestAnAppThatEndsWellTakesNothingWithIt(t *testing.T) {
	for _, pid1 := range []bool{true, false} {
		for try := range 500 {
			cmd := exec.Command(released(t), "--", "true")
			cmd.SysProcAttr = &syscall.SysProcAttr{}
			if pid1 && os.Getuid() == 0 {
				cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID
			}
			overdue := time.AfterFunc(deadline, func() { _ = cmd.Process.Kill() })
			text, err := cmd.CombinedOutput()
			overdue.Stop()
			if err != nil || len(text) > 0 {
				t.Fatalf("try %d, PID 1 %v: %v %s", try, pid1, err, text)
			}
		}
	}
}

// A TERM at 0 to 5 ms after exec reaches the app, but for those before the
// first instruction, which the kernel does not deliver to PID 1: those are
// counted. Once the mask shows that ours has run, none may be lost.
func TestAnEarlyTermEndsTheApp(t *testing.T) {
	const (
		tries = 200
		term  = 1 << (15 - 1)
	)
	dropped := 0
	for try := range tries {
		l := launch{Path: released(t), PID1: true, Args: []string{"--", "sleep", "1000"}}
		p := l.start(t)
		<-time.After(time.Duration(try*try) * 5 * time.Millisecond / (tries * tries))
		safe := (number(t, field(t, p.pid, "status", "SigBlk"), 16)|number(t, field(t, p.pid, "status", "SigCgt"), 16))&term != 0
		p.kill(syscall.SIGTERM)
		patience := 3 * time.Second
		if dropped >= 10 && !safe {
			patience = 100 * time.Millisecond // a busy machine: it is early more often
		}
		select {
		case err := <-p.ended:
			p.ended <- err
		case <-time.After(patience):
			if dropped++; safe {
				t.Errorf("try %d: a TERM is lost that was blocked or caught", try)
			}
			p.kill(syscall.SIGTERM)
		}
		if code := p.code(); code != 143 {
			t.Errorf("try %d: exit code %d: %s", try, code, p.stderr.String())
		}
	}
	t.Logf("%d of %d dropped", dropped, tries)
}

// A TERM more is a repeat, also while the runtime starts, whose own handler
// would end us with 2.
func TestASecondTermIsARepeat(t *testing.T) {
	const tries = 200
	for try := range tries {
		l := launch{Path: released(t), PID1: true, Args: shell(`trap 'sleep 0.02; exit 7' TERM; echo ready; while :; do sleep 0.01; done`)}
		p := l.start(t)
		p.says("ready")
		p.kill(syscall.SIGTERM)
		<-time.After(time.Duration(try) * 3 * time.Millisecond / tries)
		p.kill(syscall.SIGTERM)
		if code := p.code(); code != 7 {
			t.Errorf("try %d: exit code %d: %s", try, code, p.stderr.String())
		}
	}
}

func TestAStormIsSurvived(t *testing.T) {
	for range 10 {
		l := launch{Path: released(t), PID1: true, Args: shell(`trap 'exit 7' TERM
			echo ready; n=0; while [ $n -lt 3000 ]; do (true & true &); n=$((n+1)); done; sleep 1000 & wait`)}
		p := l.start(t)
		p.says("ready")
		<-time.After(20 * time.Millisecond)
		p.kill(syscall.SIGTERM)
		if code := p.code(); code != 7 {
			t.Fatalf("exit code %d: %s", code, p.stderr.String())
		}
	}
}

// Signals that an app has blocked are pending, where /proc shows them.
func TestEverySignalIsForwardedAsInTheOrdinaryBuild(t *testing.T) {
	got := map[string]uint64{}
	for name, build := range builds {
		l := launch{Path: build(t), Args: shell(`echo $$; exec sleep 1000`), Mask: everything}
		p := l.start(t)
		p.says("\n")
		app := int(number(t, strings.TrimSpace(p.stdout.String()), 10))
		pending := func() uint64 { return number(t, field(t, app, "status", "ShdPnd"), 16) }
		// CONT removes what stops, which is not sent anyway.
		sent := uint64(0)
		for sig := 1; sig <= 64; sig++ {
			const never = 1<<8 | 1<<16 | 1<<18 | freezing | stopping
			if uint64(never)>>(sig-1)&1 == 0 {
				p.kill(syscall.Signal(sig))
				sent |= 1 << (sig - 1)
			}
		}
		if !eventually(func() bool { return bits.OnesCount64(pending()) == bits.OnesCount64(sent) }) {
			t.Errorf("%s: %x arrived of %x", name, pending(), sent)
		}
		got[name] = pending()
		if name == "released" && !p.lean() {
			t.Error("something was to be decided")
		}
		_ = syscall.Kill(app, syscall.SIGKILL)
		if code := p.code(); code != 137 {
			t.Errorf("%s: exit code %d", name, code)
		}
	}
	if got["released"] != got["ordinary"] {
		t.Errorf("forwarded %x, ordinary %x", got["released"], got["ordinary"])
	}
}

// changing is what differs from run to run: times, PIDs, the lines of phases that
// took no time.
var changing = regexp.MustCompile(`"(time|took_ms|pid|from)":("[^"]*"|\d*),?|\d+(\.\d+)?m?s\b|pid \d+|.*"\S+ over"}\n`)

// stray leaves a process in a session of its own, which takes TERM.
const stray = `setsid sh -c 'trap "echo told; exit" TERM; echo up >"$UP"; while :; do :; done' & while ! [ -s "$UP" ]; do :; done; `

// Both builds must say and return the same.
func TestBothBuildsEndAlike(t *testing.T) {
	scripts := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := scripts + "/" + name
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	bare := file("bare", "exit $1\n", 0o755)
	lost := file("lost", "#!/no/such/interpreter\n", 0o755)
	plain := file("plain", "x", 0o644)
	long := strings.Repeat("x", 300)
	for _, words := range [][]string{
		shell("read pid name state parent group session rest </proc/self/stat; [ $session = $pid ] && exit 30; [ $group = $pid ] && exit 31"),
		shell("exit 3"), shell("exit 255"), shell("kill -9 $$"), shell("kill -37 $$"), shell("exit 0"),
		{"nosuch"}, {"./nosuch"}, {plain}, {"/etc"}, {plain + "/x"}, {lost}, {bare, "9"}, {bare, "0"}, {long}, {"/" + long},
		{""}, {"--", ""}, {"--"}, {},
		shell(stray + "exit 0"), shell(stray + "exit 4"), shell(stray + "kill -TERM $PPID; while :; do :; done"),
		shell("kill -TERM $PPID; while :; do :; done"), shell("trap 'echo got; exit 5' TERM INT; kill -INT $PPID; while :; do :; done"),
		timed("20", "kill -TERM $PPID; while :; do :; done"), timed("2s", "trap '' TERM; kill -TERM $PPID; while :; do sleep 1; done"),
		timed("20", "exit 3"), timed("20", stray+"exit 0"), timed("0", "exit 0"), timed("1x", "exit 0"), {"--grace-period", "20"},
		{"--grace-period=20", "sh", "-c", "echo $EXEUNT_GRACE_PERIOD; kill -TERM $PPID; while :; do :; done"},
		shell("kill -USR1 $PPID; while :; do :; done"), shell("trap 'exit 8' HUP; kill -SEGV $PPID; kill -HUP $PPID; while :; do :; done"),
	} {
		for _, name := range []string{"exeunt", "tini", "dumb-init", "catatonit"} {
			args := slices.Clone(words)
			if name == "exeunt" || name == "dumb-init" {
				for i := range args { // they pass SEGV on, and what follows might overtake it
					args[i] = strings.Replace(args[i], "kill -SEGV $PPID; kill -HUP $PPID", "kill -SEGV $PPID", 1)
				}
			}
			for _, pid1 := range []bool{true, false} {
				said := map[string]string{}
				for build, path := range builds {
					l := launch{Path: path(t), Name: name, Args: args, PID1: pid1, Env: []string{"UP=" + filepath.Join(t.TempDir(), "up")}}
					if len(words) > 0 && words[0] != "--" {
						l.Env = append(l.Env, "PATH=/"+long+"::/usr/bin:/bin")
					}
					p := l.start(t)
					code := p.code()
					text := changing.ReplaceAllString(p.stdout.String()+p.stderr.String(), "")
					said[build] = fmt.Sprintf("exit code %d\n%s", code, text)
				}
				if said["released"] != said["ordinary"] {
					t.Errorf("%s %q, PID 1 %v: %s\nordinary: %s", name, args, pid1, said["released"], said["ordinary"])
				}
			}
		}
	}
}

func TestWhatCouldFreezeTheAppIsNotPassedOn(t *testing.T) {
	for name, build := range builds {
		l := launch{Path: build(t), Args: shell(`kill -TSTP $PPID; kill -TTIN $PPID; kill -TTOU $PPID; trap 'exit 6' USR1; kill -USR1 $PPID; while :; do :; done`)}
		if code := l.start(t).code(); code != 6 {
			t.Errorf("%s: exit code %d", name, code)
		}
	}
}

func TestClosedDescriptorsStayClosed(t *testing.T) {
	for closed := range 8 {
		l := launch{Path: released(t), Args: shell(`c=0; for i in 0 1 2 3 4 5; do [ -e /proc/$$/fd/$i ] && c=$((c + (1 << i))); done; exit $c`)}
		for fd := range 3 {
			if closed>>fd&1 != 0 {
				l.Closed = append(l.Closed, fd)
			}
		}
		p := l.start(t)
		// The shell takes descriptor 10, if any, for its own.
		if code := p.code(); code != 7&^closed {
			t.Errorf("%b closed: %b open, %s", closed, code, p.stderr.String())
		}
	}
}

func TestWhatTheAppClosesIsClosed(t *testing.T) {
	reading, writing, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reading.Close()
	l := launch{Path: released(t), Args: shell(`echo given >&4; exec 4>&-; exec sleep 1000`), extra: writing}
	p := l.start(t)
	writing.Close()
	reading.SetReadDeadline(time.Now().Add(deadline))
	var text bytes.Buffer
	if _, err := text.ReadFrom(reading); err != nil || text.String() != "given\n" {
		t.Errorf("%q, %v", text.String(), err)
	}
	if !p.lean() {
		t.Error("something was to be decided")
	}
	p.stop()
}

func TestNestedItPassesOn(t *testing.T) {
	l := launch{Path: released(t), PID1: true, Args: []string{"--", released(t), "--", released(t), "--", "sh", "-c", `trap 'echo told; exit 5' TERM; echo ready; while :; do sleep 0.01; done`}}
	p := l.start(t)
	p.says("ready")
	p.kill(syscall.SIGTERM)
	if code := p.code(); code != 5 || strings.Count(p.stdout.String(), "told") != 1 {
		t.Errorf("exit code %d, %s", code, p.stdout.String())
	}
}

func TestTheTerminalIsTheApps(t *testing.T) {
	for name, build := range builds {
		terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			t.Skip(err)
		}
		defer terminal.Close()
		n, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPTN)
		if err == nil {
			err = unix.IoctlSetPointerInt(int(terminal.Fd()), unix.TIOCSPTLCK, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
		stdin, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			t.Fatal(err)
		}
		l := launch{Path: build(t), Args: shell(`trap 'echo interrupted' INT; trap 'exit 9' QUIT; echo $$; while :; do read line; done`), stdin: stdin}
		p := l.start(t)
		stdin.Close()
		p.says("\n")
		app := int(number(t, strings.TrimSpace(p.stdout.String()), 10))
		if group, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPGRP); err != nil || group != app {
			t.Errorf("%s: foreground group %d, %v, the app's is %d", name, group, err, app)
		}
		_, _ = terminal.Write([]byte("\x03"))
		p.says("interrupted")
		_, _ = terminal.Write([]byte("\x1a")) // Ctrl-Z
		state := func() string { return field(t, app, "status", "State") }
		if !eventually(func() bool { return strings.HasPrefix(state(), "T") }) {
			t.Errorf("%s: %s after Ctrl-Z", name, state())
		}
		p.kill(syscall.SIGCONT)
		if !eventually(func() bool { return !strings.HasPrefix(state(), "T") }) {
			t.Errorf("%s: %s after CONT", name, state())
		}
		if name == "released" && !p.lean() {
			t.Error("something was to be decided")
		}
		_, _ = terminal.Write([]byte("\x1c"))
		if code := p.code(); code != 9 || strings.Count(p.stdout.String(), "interrupted") != 1 {
			t.Errorf("%s: exit code %d, %s", name, code, p.stdout.String())
		}
	}
}
