package reaper

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"exeunt/signals"
)

func write(t *testing.T, path, content string, mode os.FileMode) string {
	t.Helper()
	if err := errors.Join(os.WriteFile(path, []byte(content), mode), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
	return path
}

// elf is the header of an executable of a machine that nobody has.
const elf = "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xfe\xff\x01\x00\x00\x00"

// unstartable makes a directory of files that cannot be executed.
func unstartable(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir+"/plain", "#!/bin/sh\n", 0o644)
	write(t, dir+"/foreign", elf, 0o755)
	write(t, dir+"/nul", "text\x00\n", 0o755)
	write(t, dir+"/noloader", "#!/nope/sh\n", 0o755)
	if err := errors.Join(os.Mkdir(dir+"/dir", 0o755), os.Symlink("loop", dir+"/loop")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestStartErrorsAreToldApart(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		dir := unstartable(t)
		at := func(name string) string { return filepath.Join(dir, name) }
		closed, err := os.Open("/dev/null")
		if err != nil {
			t.Fatal(err)
		}
		_ = closed.Close()
		for name, c := range map[string]struct {
			command Command
			code    int
			op      string
			err     syscall.Errno
			says    string
		}{
			"nothing":           {Command{}, 127, "find", syscall.ENOENT, "no program is given"},
			"empty":             {Command{Args: []string{""}}, 127, "find", syscall.ENOENT, "no program is given"},
			"not in PATH":       {Command{Args: []string{"nope"}, Env: []string{"PATH=/bin:" + dir}}, 127, "find", syscall.ENOENT, `cannot start "nope": not found in PATH`},
			"missing":           {Command{Args: []string{at("nope")}}, 127, "find", syscall.ENOENT, "no such file or directory"},
			"under a file":      {Command{Args: []string{at("plain/x")}}, 127, "exec", syscall.ENOTDIR, "not a directory"},
			"no interpreter":    {Command{Args: []string{at("noloader")}}, 127, "interpret", syscall.ENOENT, at("noloader")},
			"not executable":    {Command{Args: []string{at("plain")}}, 126, "exec", syscall.EACCES, "permission denied (is it executable"},
			"only one in PATH":  {Command{Args: []string{"plain"}, Env: []string{"PATH=" + dir + ":/nope:/bin"}}, 126, "exec", syscall.EACCES, "permission denied"},
			"directory":         {Command{Args: []string{at("dir")}}, 126, "exec", syscall.EISDIR, "is a directory"},
			"directory in PATH": {Command{Args: []string{"dir"}, Env: []string{"PATH=" + dir}}, 126, "exec", syscall.EISDIR, "is a directory"},
			"loop":              {Command{Args: []string{at("loop")}}, 126, "exec", syscall.ELOOP, "too many levels"},
			"other machine":     {Command{Args: []string{at("foreign")}}, 126, "exec", syscall.ENOEXEC, "built for this architecture"},
			"other format":      {Command{Args: []string{at("nul")}}, 126, "exec", syscall.ENOEXEC, "exec format error"},
			"too long":          {Command{Args: []string{"/bin/true", strings.Repeat("x", 1<<20)}}, 126, "exec", syscall.E2BIG, "arguments and environment are too long"},
			"NUL in args":       {Command{Args: []string{"/bin/true", "a\x00b"}}, 125, "pass", syscall.EINVAL, "NUL"},
			"NUL in program":    {Command{Args: []string{"a\x00b"}}, 125, "pass", syscall.EINVAL, "NUL"},
			"NUL in env":        {Command{Args: []string{"/bin/true"}, Env: []string{"A=\x00"}}, 125, "pass", syscall.EINVAL, "NUL"},
			"NUL in dir":        {Command{Args: []string{"/bin/true"}, Dir: "/\x00"}, 125, "pass", syscall.EINVAL, "NUL"},
			"no dir":            {Command{Args: []string{"/bin/true"}, Dir: "/nope"}, 125, "chdir", syscall.ENOENT, `cannot start "/bin/true": cannot change to directory "/nope": no such file`},
			"dir is a file":     {Command{Args: []string{"/bin/true"}, Dir: at("plain")}, 125, "chdir", syscall.ENOTDIR, "not a directory"},
			"closed stdout":     {Command{Args: []string{"/bin/true"}, Stdout: closed}, 125, "dup", syscall.EBADF, "bad file descriptor"},
			"unmapped user":     {Command{Args: []string{"/bin/true"}, User: &User{UID: 7}}, 125, "setuid", syscall.EINVAL, `cannot change to user "7"`},
			"unmapped group":    {Command{Args: []string{"/bin/true"}, User: &User{GID: 7}}, 125, "setgid", syscall.EINVAL, `cannot change to group "7"`},
			"groups denied":     {Command{Args: []string{"/bin/true"}, User: &User{Groups: []uint32{7}}}, 125, "setgroups", syscall.EPERM, `cannot set the groups of user "0"`},
			"bad deathsignal":   {Command{Args: []string{"/bin/true"}, DeathSignal: 99}, 125, "prctl", syscall.EINVAL, "parent-death signal"},
		} {
			pid, err := r.Start(&c.command)
			var failed *StartError
			if !errors.As(err, &failed) || pid != 0 {
				t.Errorf("%s: %d %v", name, pid, err)
				continue
			}
			if failed.Code() != c.code || failed.Op != c.op || !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: code %d, %s, %v", name, failed.Code(), failed.Op, err)
			}
		}
		for range r.Exited(1) {
			t.Error("one that failed is left behind")
		}
		if !r.Childless() {
			t.Error("a child is left")
		}
	})
}

func TestProgramIsFoundAsExecvpFindsIt(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		one, two := t.TempDir(), t.TempDir()
		write(t, one+"/prog", "#!/bin/sh\necho one", 0o644) // may not be executed
		write(t, two+"/prog", "#!/bin/sh\necho two $0", 0o755)
		for path, want := range map[string]string{
			"PATH=" + one + ":/nope:" + two: "two " + two + "/prog",
			"PATH=/nope:":                   "two ./prog", // an empty element is the working directory
			"PATH=":                         "two ./prog",
			"PATH=" + two + "/../" + filepath.Base(two): "two " + two + "/../" + filepath.Base(two) + "/prog",
		} {
			// Of two variables the first counts, as with getenv(3).
			env := []string{path, "PATH=" + one}
			if got := output(t, r, &Command{Args: []string{"prog"}, Env: env, Dir: two}); got != want {
				t.Errorf("%s: %q, want %q", path, got, want)
			}
		}
		if got := output(t, r, &Command{Args: []string{"echo", "x"}, Env: []string{"A=b"}}); got != "x" {
			t.Errorf("without PATH: %q", got)
		}
	})
}

func TestScriptWithoutInterpreterLineRunsInAShell(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		dir := t.TempDir()
		write(t, dir+"/script", `echo "$0" "$#" "$2"`, 0o755)
		write(t, dir+"/empty", "", 0o755)
		for _, c := range []struct {
			command Command
			want    string
		}{
			{Command{Args: []string{dir + "/script", "a", "b c"}}, dir + "/script 2 b c"},
			{Command{Args: []string{"./script"}, Dir: dir}, "./script 0 "},
			{Command{Args: []string{"script"}, Env: []string{"PATH=/nope:" + dir}}, dir + "/script 0 "},
			{Command{Args: []string{dir + "/empty"}}, ""},
		} {
			if got := output(t, r, &c.command); got != c.want {
				t.Errorf("%q: %q, want %q", c.command.Args, got, c.want)
			}
		}
	})
}

func TestForkRefusedIsAnErrorAndTheRuntimeLives(t *testing.T) {
	world{uid: 54321}.in(t, func(t *testing.T, r *Reaper) {
		Prewarm(12)
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(status), "\nThreads:\t")
		threads, err := strconv.ParseUint(rest[:strings.IndexByte(rest, '\n')], 10, 64)
		if err != nil || threads < 13 {
			t.Fatalf("%d threads: %v", threads, err)
		}
		var before unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NPROC, &before); err != nil {
			t.Fatal(err)
		}
		if err := unix.Setrlimit(unix.RLIMIT_NPROC, &unix.Rlimit{Cur: threads, Max: before.Max}); err != nil {
			t.Fatal(err)
		}
		var failed *StartError
		_, err = r.Start(&Command{Args: []string{"/bin/true"}})
		if !errors.As(err, &failed) || failed.Code() != 125 || failed.Op != "fork" || !strings.Contains(err.Error(), "pids limit") {
			t.Errorf("fork was refused: %v", err)
		}
		blockThreads(t, 8)
		if err := unix.Setrlimit(unix.RLIMIT_NPROC, &before); err != nil {
			t.Fatal(err)
		}
		if status := collect(t, r, start(t, r, shell("exit 5"))); status != 5<<8 {
			t.Errorf("status %#x", uint32(status))
		}
	})
}

// blockThreads blocks n threads in system calls at the same time.
func blockThreads(t *testing.T, n int) {
	t.Helper()
	done := make(chan error)
	var pipes [][2]int
	for range n {
		var pipe [2]int
		if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		pipes = append(pipes, pipe)
		go func() {
			_, err := unix.Read(pipe[0], make([]byte, 1))
			done <- err
		}()
	}
	wait(t, "all are blocked in read(2)", func() bool {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		blocked := 0
		for _, task := range tasks {
			call, err := os.ReadFile("/proc/self/task/" + task.Name() + "/syscall")
			if err == nil && strings.HasPrefix(string(call), strconv.Itoa(unix.SYS_READ)+" ") {
				blocked++
			}
		}
		return blocked >= n
	})
	for _, pipe := range pipes {
		if _, err := unix.Write(pipe[1], []byte("x")); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestChildDiesWithItsParent(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		if os.Getenv(stageVar) != "" {
			// The parent: it tells the grandchild's number by its exit only when it
			// is the grandchild's parent no more.
			start(t, r, &Command{Args: []string{"sleep", "1000"}, DeathSignal: signals.USR1})
			os.Exit(7)
		}
		parent := start(t, r, &Command{Args: append([]string{"/proc/self/exe"}, os.Args[1:]...), Env: append(Environ(), stageVar+"=parent")})
		var seen []Status
		for !r.Childless() {
			await(t)
			for exit := range r.Exited(64) {
				if exit.PID != parent {
					seen = append(seen, exit.Status)
				} else if exit.Status != 7<<8 {
					t.Errorf("the parent ended with %#x", uint32(exit.Status))
				}
			}
		}
		if len(seen) != 1 || seen[0] != Status(signals.USR1) {
			t.Errorf("the grandchild ended with %v", seen)
		}
	})
}

func TestChildWhoseParentIsGoneAlreadyDiesAtOnce(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		l, failed := r.prepare(&Command{Args: []string{"/bin/sleep", "1000"}, DeathSignal: signals.USR1, User: &User{}})
		if failed != nil {
			t.Fatal(failed)
		}
		l.parent = 4711 // so getppid(2) says that another has adopted us
		pid, failure := l.start()
		if failure.errno != 0 {
			t.Fatal(failure)
		}
		if status := collect(t, r, pid); status != Status(signals.USR1) {
			t.Errorf("status %#x", uint32(status))
		}
	})
}

func TestNoNewPrivsIsSetOnlyIfAsked(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		for _, set := range []bool{false, true} {
			c := shell("grep NoNewPrivs /proc/self/status")
			c.NoNewPrivs = set
			want := map[bool]string{false: "NoNewPrivs:\t0", true: "NoNewPrivs:\t1"}[set]
			if got := output(t, r, c); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
	})
}
