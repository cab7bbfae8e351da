//go:build amd64 || arm64

package lean

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"exeunt/supervisor"
)

// cgroup makes one with a controller, of version 1 or 2, that has this file. It
// returns its folder and that of all.
func cgroup(t *testing.T, controller, file string) (folder, root string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root makes cgroups")
	}
	for _, root := range []string{"/sys/fs/cgroup/" + controller, "/sys/fs/cgroup"} {
		folder := filepath.Join(root, fmt.Sprintf("lean-test-%d", os.Getpid()))
		if err := os.Mkdir(folder, 0o700); err != nil {
			continue
		}
		t.Cleanup(func() { eventually(func() bool { return os.Remove(folder) == nil }) })
		if _, err := os.Stat(filepath.Join(folder, file)); err == nil {
			return folder, root
		}
	}
	t.Skipf("no %s controller to be had", controller)
	return "", ""
}

// limit leaves room for so many processes more.
func limit(t *testing.T, folder string, room int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "pids.current"))
	if err != nil {
		t.Fatal(err)
	}
	now := int(number(t, strings.TrimSpace(string(text)), 10))
	if err := os.WriteFile(filepath.Join(folder, "pids.max"), []byte(strconv.Itoa(now+room)), 0); err != nil {
		t.Fatal(err)
	}
}

const notice = "no room to start the ordinary program"

// At the pids limit the runtime would abort. With some room it starts.
func TestATermAtThePidsLimitEndsTheApp(t *testing.T) {
	folder, _ := cgroup(t, "pids", "pids.max")
	for room := range threads + 4 {
		for try := range 3 {
			if err := os.WriteFile(filepath.Join(folder, "pids.max"), []byte("max"), 0); err != nil {
				t.Fatal(err)
			}
			l := launch{Path: released(t), PID1: true, Cgroup: folder, Args: shell(`trap 'echo told; exit 7' TERM; sleep 1000 & echo ready; wait`)}
			p := l.start(t)
			p.says("ready")
			limit(t, folder, room)
			p.kill(syscall.SIGTERM)
			code, said := p.code(), p.stderr.String()
			if code != 7 || !strings.Contains(p.stdout.String(), "told") {
				t.Fatalf("room for %d, try %d: exit code %d, %s%s", room, try, code, p.stdout.String(), said)
			}
			if bare := strings.Contains(said, notice); bare != (room < threads) || bare == strings.Contains(said, "stopped in") {
				t.Errorf("room for %d: %s", room, said)
			}
			if !eventually(func() bool {
				left, err := os.ReadFile(filepath.Join(folder, "cgroup.procs"))
				return err == nil && len(left) == 0
			}) {
				t.Fatal("somebody is left")
			}
		}
	}
}

// At the memory limit a runtime that starts would have the app killed.
func TestATermAtTheMemoryLimitEndsTheApp(t *testing.T) {
	folder, root := cgroup(t, "memory", "memory.limit_in_bytes")
	write := func(file, text string) error {
		return os.WriteFile(filepath.Join(folder, file), []byte(text), 0)
	}
	for _, room := range []int{1 << 20, 2 << 20, 4 << 20, 20 << 20} {
		for try := range 5 {
			if err := write("memory.limit_in_bytes", "-1"); err != nil {
				t.Fatal(err)
			}
			l := launch{Path: released(t), PID1: true, Cgroup: folder, Bind: root, Args: shell(`x=$(head -c 8000000 /dev/zero | tr '\0' x)
				trap 'echo told; exit 7' TERM; sleep 1000 & echo ready; wait`)}
			p := l.start(t)
			p.says("ready")
			limited := eventually(func() bool {
				_ = write("memory.force_empty", "0") // what files can spare is not what is tried here
				text, err := os.ReadFile(filepath.Join(folder, "memory.usage_in_bytes"))
				return err == nil && write("memory.limit_in_bytes", strconv.Itoa(int(number(t, strings.TrimSpace(string(text)), 10))+room)) == nil
			})
			if !limited {
				t.Fatal("no limit can be set")
			}
			p.kill(syscall.SIGTERM)
			code, said := p.code(), p.stderr.String()
			if code != 7 || !strings.Contains(p.stdout.String(), "told") || strings.Contains(said, notice) != (room < memory) {
				t.Errorf("room for %d, try %d: exit code %d, %s%s", room, try, code, p.stdout.String(), said)
			}
		}
	}
}

// cramped is too small an address space for the runtime.
const cramped = 512 << 20

// A cue is what to send when the app has said something.
type cue struct {
	line string
	sig  syscall.Signal
}

func TestWithoutRoomItEndsWithTheAppsCode(t *testing.T) {
	for _, c := range []struct {
		name   string
		script string
		send   []cue
		code   int
		said   string
	}{
		{"exeunt", "exit 3", nil, 3, ""},
		{"exeunt", "kill -9 $$", nil, 137, ""},
		{"exeunt", "trap 'echo got' TERM USR1; trap 'exit 5' HUP; echo ready; while :; do :; done",
			[]cue{{"ready", syscall.SIGTERM}, {"got", syscall.SIGINT}, {"got", syscall.SIGTERM}, {"got", syscall.SIGTSTP}, {"got", syscall.SIGUSR1}, {"got\ngot", syscall.SIGHUP}}, 5, "got\ngot\n"},
		{"exeunt", "trap 'exit 5' TERM; echo ready; kill -STOP $$; while :; do :; done", []cue{{"ready", syscall.SIGTERM}}, 5, ""},
		{"tini", "trap 'echo got; exit 6' INT; echo ready; while :; do :; done", []cue{{"ready", syscall.SIGINT}}, 6, "got\n"},
		{"dumb-init", "trap 'exit 7' TERM; sh -c 'trap \"echo got; exit\" TERM; echo ready; while :; do :; done' & wait; wait",
			[]cue{{"ready", syscall.SIGTERM}}, 7, "got\n"},
		{"exeunt", stray + "exit 0", nil, 0, "told\n"},
		{"exeunt", stray + "exit 4", nil, 4, "told\n"},
	} {
		l := launch{Path: released(t), Name: c.name, PID1: true, Space: cramped, Args: shell(c.script), Env: []string{"UP=" + filepath.Join(t.TempDir(), "up")}}
		p := l.start(t)
		for _, cue := range c.send {
			p.says(cue.line)
			p.kill(cue.sig)
			eventually(func() bool { // it is taken, or all is over
				status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
				return !strings.Contains(string(status), "ShdPnd:") || strings.Contains(string(status), "ShdPnd:\t0000000000000000")
			})
		}
		code := p.code()
		if code != c.code || !strings.HasSuffix(p.stdout.String(), c.said) || strings.Count(p.stderr.String(), notice) != 1 {
			t.Errorf("%s %q: exit code %d\n%s\n%s", c.name, c.script, code, p.stdout.String(), p.stderr.String())
		}
	}
}

// Who is deaf is killed in time: after the program has ended by itself, or of the
// grace period.
func TestWithoutRoomTheDeafAreKilledInTime(t *testing.T) {
	deaf := strings.Replace(stray, `"echo told; exit"`, `""`, 1)
	for _, c := range []struct {
		grace, script string
		code          int
		took          time.Duration
	}{
		{"", deaf + "exit 4", 4, strayTime},
		{"3", deaf + "exit 4", 4, 3 * time.Second},
		{"9s", deaf + "exit 4", 4, strayTime},
		{"3", "trap '' TERM; echo ready; while :; do sleep 1; done", 137, 2350 * time.Millisecond},
		{"3s", deaf + "trap 'exit 6' TERM; echo ready; while :; do :; done", 6, 2665 * time.Millisecond},
	} {
		l := launch{Path: released(t), PID1: true, Space: cramped, Env: []string{"UP=" + filepath.Join(t.TempDir(), "up")}, Args: shell(c.script)}
		if c.grace != "" {
			l.Args = append([]string{"--grace-period", c.grace}, l.Args...)
		}
		p := l.start(t)
		if c.code != 4 {
			p.says("ready")
			p.kill(syscall.SIGTERM)
		}
		began := time.Now()
		if code := p.code(); code != c.code || !strings.Contains(p.stderr.String(), notice) {
			t.Errorf("%q with %q: exit code %d, %s", c.script, c.grace, code, p.stderr.String())
		}
		if took := time.Since(began); took < c.took-time.Second || took > c.took+3*time.Second {
			t.Errorf("%q with %q: it took %v", c.script, c.grace, took)
		}
	}
}

func TestTheScheduleWithoutRoomIsTheOrdinaryPrograms(t *testing.T) {
	defer func() { grace = 0 }()
	begin := time.Unix(0, 0)
	for grace = 1; grace < 10000; grace++ {
		want := supervisor.Budget{Grace: time.Duration(grace) * time.Second}.Schedule(begin)
		got := layOut(0)
		for at, moment := range map[int]time.Time{got.main: want.Services, got.everyone: want.Everyone, got.gone: want.Kill} {
			if !begin.Add(time.Duration(at)).Equal(moment) {
				t.Fatalf("of %d s: %+v, not %+v", grace, got, want)
			}
		}
	}
	if grace = 0; layOut(1) != (schedule{}) {
		t.Error("there is a schedule where no grace period is set")
	}
}

// What roomForRuntime asks for must be what the ordinary program takes.
func TestTheRoomIsWhatTheOrdinaryProgramTakes(t *testing.T) {
	l := launch{Path: ordinary(t), Args: shell("echo ready; exec sleep 1000")}
	p := l.start(t)
	p.says("ready")
	if n := number(t, field(t, p.pid, "status", "Threads"), 10); n > threads {
		t.Errorf("%d threads, not %d", n, threads)
	}
	if n := number(t, field(t, p.pid, "status", "VmPeak"), 10); n<<10 > addressSpace {
		t.Errorf("%d KiB of address space", n)
	}
	if n := number(t, field(t, p.pid, "status", "VmData"), 10); n<<10 > data {
		t.Errorf("%d KiB of data", n)
	}
	p.stop()
}
