package reaper

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"exeunt/internal/entry"
)

const infinity = unix.RLIM_INFINITY & (1<<64 - 1)

// limitLabels are how /proc/PID/limits calls what ulimits of Compose name.
var limitLabels = map[string]string{
	"cpu": "Max cpu time", "fsize": "Max file size", "data": "Max data size", "stack": "Max stack size",
	"core": "Max core file size", "rss": "Max resident set", "nproc": "Max processes", "nofile": "Max open files",
	"memlock": "Max locked memory", "as": "Max address space", "locks": "Max file locks", "sigpending": "Max pending signals",
	"msgqueue": "Max msgqueue size", "nice": "Max nice priority", "rtprio": "Max realtime priority", "rttime": "Max realtime timeout",
}

// limitsOf are the soft and hard limits in the text of a limits file, by label.
func limitsOf(text string) map[string][2]string {
	limits := make(map[string][2]string)
	for line := range strings.Lines(text) {
		if len(line) > 26 {
			if fields := strings.Fields(line[26:]); len(fields) >= 2 {
				limits[strings.TrimSpace(line[:26])] = [2]string{fields[0], fields[1]}
			}
		}
	}
	return limits
}

func shown(limit uint64) string {
	if limit == infinity {
		return "unlimited"
	}
	return strconv.FormatUint(limit, 10)
}

// ourLimits are our own, and what is to come back to a test as unchanged.
func ourLimits(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/limits")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestEveryLimitIsSetByItsNameInTheChildAlone(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		before := ourLimits(t)
		names := LimitNames()
		if len(names) != len(limitLabels) {
			t.Errorf("%d names, want %d", len(names), len(limitLabels))
		}
		c := &Command{Args: []string{"cat", "/proc/self/limits"}}
		changed := 0
		for name := range limitLabels {
			resource := slices.Index(names, name)
			var now unix.Rlimit
			if err := unix.Getrlimit(resource, &now); err != nil {
				t.Fatalf("%s is %d: %v", name, resource, err)
			}
			limit := Limit{resource, now.Max, now.Max} // of 0 or 1, which leave no choice
			if now.Max > 1 {
				limit.Hard = min(now.Max, 1<<40) - 1
				limit.Soft = limit.Hard - limit.Hard/4
				changed++
			}
			c.Limits = append(c.Limits, limit)
		}
		if changed < 10 {
			t.Errorf("only %d limits could be lowered", changed)
		}
		got := limitsOf(output(t, r, c))
		for _, limit := range c.Limits {
			label := limitLabels[names[limit.Resource]]
			if want := [2]string{shown(limit.Soft), shown(limit.Hard)}; got[label] != want {
				t.Errorf("%s: %v, want %v", label, got[label], want)
			}
		}
		if after := ourLimits(t); after != before {
			t.Errorf("ours were\n%s\nand are\n%s", before, after)
		}
	})
}

func TestExplicitLimitOnFilesTakesThePlaceOfTheInheritedOne(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		if os.Getenv(stageVar) == "" {
			if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 777, Max: 4000}); err != nil {
				t.Fatal(err)
			}
		}
		again(t)
		for _, c := range []struct {
			want   string
			limits []Limit
		}{
			{"777\n4000", nil},
			{"777\n4000", []Limit{{unix.RLIMIT_CORE, 0, 0}}},
			{"100\n200", []Limit{{unix.RLIMIT_CORE, 0, 0}, {unix.RLIMIT_NOFILE, 100, 200}}},
			{"3999\n4000", []Limit{{unix.RLIMIT_NOFILE, 3999, 4000}}}, // what ours has been raised to
			{"300\n400", []Limit{{unix.RLIMIT_NOFILE, 100, 500}, {unix.RLIMIT_NOFILE, 300, 400}}},
		} {
			command := shell("ulimit -Sn; ulimit -Hn")
			command.Limits = c.limits
			if got := output(t, r, command); got != c.want {
				t.Errorf("%v: %q, want %q", c.limits, got, c.want)
			}
		}
		var ours unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &ours); err != nil || ours.Cur != 3999 || ours.Max != 4000 {
			t.Errorf("ours: %v %v", ours, err)
		}
	})
}

// privileged skips a test where root is not all that it is on a machine.
func privileged(t *testing.T) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "\nCapEff:\t")
	line, _, _ := strings.Cut(rest, "\n")
	caps, err := strconv.ParseUint(line, 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	if caps>>unix.CAP_SYS_RESOURCE&1 == 0 {
		t.Skip("needs CAP_SYS_RESOURCE")
	}
}

func TestLimitsAndScoreAreSetWithOurPrivilegesForAnotherUser(t *testing.T) {
	world{root: true}.in(t, func(t *testing.T, r *Reaper) {
		privileged(t)
		if os.Getenv(stageVar) == "" {
			if err := errors.Join(unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 50, Max: 100}),
				unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})); err != nil {
				t.Fatal(err)
			}
		}
		again(t)
		c := shell("id -u; ulimit -Sn; ulimit -Hn; ulimit -Sc; ulimit -Hc; umask; cat /proc/self/oom_score_adj")
		c.User = &User{UID: 54321, GID: 54321}
		c.Limits = []Limit{{unix.RLIMIT_NOFILE, 2000, 3000}, {unix.RLIMIT_CORE, infinity, infinity}}
		c.OOMScoreAdj, c.Umask = new(-500), new(0o077)
		if got, want := output(t, r, c), "54321\n2000\n3000\nunlimited\nunlimited\n0077\n-500"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

func TestLimitOnProcessesThatIsReachedIsNotTheProgramsFault(t *testing.T) {
	world{root: true}.in(t, func(t *testing.T, r *Reaper) {
		nobody := &User{UID: 54322, GID: 54322}
		start(t, r, &Command{Args: []string{"sleep", "1000"}, User: nobody})
		c := shell("exit 0")
		c.User, c.Limits = nobody, []Limit{{unix.RLIMIT_NPROC, 0, 0}}
		_, err := r.Start(c)
		var failed *StartError
		if !errors.As(err, &failed) || failed.Code() != 125 || failed.Err != syscall.EAGAIN || !strings.Contains(err.Error(), "ulimit -u") {
			t.Errorf("%v", err)
		}
		c.Limits = []Limit{{unix.RLIMIT_NPROC, 5, 5}}
		if status := collect(t, r, start(t, r, c)); status != 0 {
			t.Errorf("status %#x", uint32(status))
		}
	})
}

func TestUmaskIsTheChildsAlone(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		syscall.Umask(0o027)
		for want, mask := range map[string]*int{"0027": nil, "0000": new(0), "0002": new(0o002), "0777": new(0o777)} {
			c := shell("umask")
			c.Umask = mask
			if got := output(t, r, c); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		if ours := syscall.Umask(0o027); ours != 0o027 {
			t.Errorf("ours is %#o", ours)
		}
	})
}

func score(t *testing.T, pid string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/" + pid + "/oom_score_adj")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// The child shares our memory when it writes, and the kernel has a mind to give
// all who share one the same score.
func TestOOMScoreIsTheChildsAlone(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		before := score(t, "self")
		if before == "731" || before == "1000" {
			t.Fatalf("ours is %s already", before)
		}
		first := ready(t, r, "echo ready; exec sleep 1000")
		for want, adj := range map[string]*int{before: nil, "731": new(731), "1000": new(1000)} {
			c := shell("exec cat /proc/$$/oom_score_adj") // by another name than self
			c.OOMScoreAdj = adj
			if got := output(t, r, c); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		for _, pid := range []string{"self", "thread-self", strconv.Itoa(first)} {
			if after := score(t, pid); after != before {
				t.Errorf("that of %s was %s, is %s", pid, before, after)
			}
		}
	})
}

func TestOOMScoreLeavesAClosedDescriptorClosed(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		entry.Closed = 1
		c := shell("readlink /proc/$$/fd/0; cat /proc/$$/oom_score_adj")
		c.OOMScoreAdj = new(732)
		if got := output(t, r, c); got != "732" {
			t.Errorf("%q", got)
		}
	})
}

func TestOOMScoreWithoutProcSaysSo(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		if err := syscall.Mount("none", "/proc", "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		c := shell("exit 0")
		c.OOMScoreAdj = new(100)
		_, err := r.Start(c)
		var failed *StartError
		want := `cannot start "sh": cannot set oom_score_adj to "100": no such file or directory (/proc is not mounted, or is another PID namespace's)`
		if !errors.As(err, &failed) || failed.Code() != 125 || !errors.Is(err, fs.ErrNotExist) || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
		if c.OOMScoreAdj = nil; collect(t, r, start(t, r, c)) != 0 {
			t.Error("the same without a score does not run")
		}
	})
}

func TestUnlawfulBoundsAreRefusedByName(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		var files unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
			t.Fatal(err)
		}
		const low, middle = 10, 20
		for says, c := range map[string]struct {
			bounds Command
			op     string
			name   string
			err    syscall.Errno
		}{
			`limit "nofile": operation not permitted (raising`: {
				Command{Limits: []Limit{{unix.RLIMIT_CORE, 0, 0}, {unix.RLIMIT_NOFILE, low, files.Max + 1}}}, "limit", "nofile", syscall.EPERM},
			`limit "core": invalid argument (is the soft`: {
				Command{Limits: []Limit{{unix.RLIMIT_NOFILE, low, middle}, {unix.RLIMIT_CORE, middle, low}}}, "limit", "core", syscall.EINVAL},
			`limit "99": invalid argument`:                             {Command{Limits: []Limit{{99, 0, 0}}}, "limit", "99", syscall.EINVAL},
			`limit "-1": invalid argument`:                             {Command{Limits: []Limit{{-1, 0, 0}}}, "limit", "-1", syscall.EINVAL},
			`umask 01000 is not between 0 and 0777`:                    {Command{Umask: new(0o1000)}, "umask", "01000", syscall.EINVAL},
			`umask -01 is not between 0 and 0777`:                      {Command{Umask: new(-1)}, "umask", "-01", syscall.EINVAL},
			`oom_score_adj to "1001": invalid argument (it goes from`:  {Command{OOMScoreAdj: new(1001)}, "oom_score_adj", "1001", syscall.EINVAL},
			`oom_score_adj to "-1000": permission denied (lowering it`: {Command{OOMScoreAdj: new(-1000)}, "oom_score_adj", "-1000", syscall.EACCES},
		} {
			c.bounds.Args = []string{"/bin/true"}
			_, err := r.Start(&c.bounds)
			var failed *StartError
			if !errors.As(err, &failed) {
				t.Errorf("%s: %v", says, err)
				continue
			}
			want := StartError{Path: "/bin/true", Op: c.op, Name: c.name, Err: c.err}
			if *failed != want || failed.Code() != 125 || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v", says, fmt.Sprintf("%#v %v", failed, err))
			}
		}
		for range r.Exited(1) {
			t.Error("one that failed is left behind")
		}
	})
}
