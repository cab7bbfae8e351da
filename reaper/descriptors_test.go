package reaper

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// folder opens a directory, which a child can tell by its name.
func folder(t *testing.T, name string) *os.File {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// folderAt puts a directory at a number of ours, not to be inherited. It stays
// there: the file is not closed when it is forgotten.
func folderAt(t *testing.T, fd int, name string) *os.File {
	t.Helper()
	opened, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		err = errors.Join(unix.Dup3(opened, fd, unix.O_CLOEXEC), unix.Close(opened))
	}
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), name)
	t.Cleanup(func() { _ = file.Close() })
	return file
}

// names prints what is at the descriptors; a "-" where there is nothing.
func names(descriptors string) *Command {
	return shell(`for fd in ` + descriptors + `; do readlink /proc/$$/fd/$fd || echo -; done | xargs`)
}

func TestExtraFilesAreAtTheirNumbersAndNoOthers(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		r.CloseInherited() // what the test itself was given
		for want, extra := range map[string]map[int]*os.File{
			"[]":        nil,
			"[3]":       {3: folder(t, "/usr")},
			"[4 9]":     {9: folder(t, "/usr"), 4: folder(t, "/var")},
			"[300 301]": {300: os.Stderr, 301: os.Stderr},
		} {
			c := descriptors(t)
			c.Extra = extra
			if got := output(t, r, c); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
	})
}

func TestExtraFilesMayLieInEachOthersWay(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		usr, tmp, own := folderAt(t, 50, "/usr"), folderAt(t, 51, "/tmp"), folderAt(t, 52, "/var")
		folderAt(t, 0, "/etc")
		for _, c := range []struct {
			want  string
			stdin *os.File
			extra map[int]*os.File
		}{
			{"/etc /tmp /usr /var", nil, map[int]*os.File{50: tmp, 51: usr, 52: own}},
			{"/etc /tmp /tmp /usr", nil, map[int]*os.File{50: tmp, 51: tmp, 52: usr}},
			{"/tmp /etc /usr -", tmp, map[int]*os.File{50: os.Stdin, 51: usr}},
			{"/usr - /usr /tmp", usr, map[int]*os.File{51: usr, 52: tmp}},
		} {
			command := names("0 50 51 52")
			command.Stdin, command.Extra = c.stdin, c.extra
			if got := output(t, r, command); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		}
		for _, file := range []*os.File{usr, tmp, own} {
			var stat unix.Stat_t
			flags, err := unix.FcntlInt(file.Fd(), unix.F_GETFD, 0)
			if err != nil || flags&unix.FD_CLOEXEC == 0 || unix.Fstat(int(file.Fd()), &stat) != nil {
				t.Errorf("our own %s has changed: %v", file.Name(), err)
			}
		}
	})
}

func TestExtraFileTakesThePlaceOfAnInheritedOne(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		if os.Getenv(stageVar) == "" {
			r.CloseInherited()
			for _, fd := range []int{70, 71} {
				if err := unix.Dup3(1, fd, 0); err != nil {
					t.Fatal(err)
				}
			}
		}
		again(t)
		extra := map[int]*os.File{70: folder(t, "/usr"), 72: folder(t, "/tmp")}
		for want, all := range map[string]bool{"[70 72]": false, "[70 71 72]": true} {
			c := descriptors(t)
			c.Descriptors, c.Extra = all, extra
			if got := output(t, r, c); got != want {
				t.Errorf("%s, want %s", got, want)
			}
			c = names("70 72")
			c.Descriptors, c.Extra = all, extra
			if got := output(t, r, c); got != "/usr /tmp" {
				t.Errorf("with the inherited ones %v: %s", all, got)
			}
		}
		// An inherited one can be moved, into the place of another.
		extra = map[int]*os.File{71: os.NewFile(70, "seventy")}
		for want, all := range map[string]bool{"[71]": false, "[70 71]": true} {
			c := descriptors(t)
			c.Descriptors, c.Extra = all, extra
			if got := output(t, r, c); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
	})
}

// The pipe by which the child reports is at one of these numbers.
func TestFailureIsToldAlsoWhenExtraFilesTakeEveryNumber(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		c := names("3 20 63")
		c.Extra = make(map[int]*os.File)
		for fd := 3; fd < 64; fd++ {
			c.Extra[fd] = os.Stdin
		}
		c.Extra[20] = folder(t, "/usr")
		c.Stdin = folder(t, "/var")
		folderAt(t, 0, "/tmp")
		if got := output(t, r, c); got != "/tmp /usr /tmp" {
			t.Errorf("%s", got)
		}
		c.Args, c.Stdout = []string{"/nope"}, nil
		_, err := r.Start(c)
		var failed *StartError
		if !errors.As(err, &failed) || failed.Op != "find" {
			t.Errorf("%v", err)
		}
	})
}

// The child changes the launch in our memory, and this one forks twice.
func TestScriptWithoutInterpreterLineGetsItsFilesToo(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		script := write(t, t.TempDir()+"/script", `for fd in 0 50 51; do readlink /proc/$$/fd/$fd; done | xargs`, 0o755)
		folderAt(t, 0, "/var")
		usr, tmp := folderAt(t, 50, "/usr"), folderAt(t, 51, "/tmp")
		c := &Command{Args: []string{script}, Stdin: usr, Extra: map[int]*os.File{50: tmp, 51: os.Stdin}}
		if got := output(t, r, c); got != "/usr /tmp /var" {
			t.Errorf("%s", got)
		}
	})
}

// As s6 has it: a newline on the descriptor means ready.
func TestServiceSaysOnAnExtraFileThatItIsReady(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		c := shell("echo >&3; exec 3>&-; exec sleep 1000")
		c.Extra = map[int]*os.File{3: write}
		start(t, r, c)
		_ = write.Close()
		if text, err := io.ReadAll(read); err != nil || string(text) != "\n" {
			t.Errorf("%q %v", text, err)
		}
	})
}

func TestLimitOnFilesIsNotInTheWayOfExtraOnes(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		r.CloseInherited()
		c := descriptors(t)
		c.Limits = []Limit{{unix.RLIMIT_NOFILE, 4, 4}}
		c.OOMScoreAdj = new(500)
		c.Extra = map[int]*os.File{40: folder(t, "/usr"), 41: os.Stderr}
		c.Stdin = os.Stderr // to be moved out of the way
		if got := output(t, r, c); got != "[40 41]" {
			t.Errorf("%s", got)
		}
	})
}

func TestImpossibleExtraFilesAreRefusedByNumber(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		var files unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
			t.Fatal(err)
		}
		closed := folder(t, "/")
		_ = closed.Close()
		above := int(files.Max)
		for _, c := range []struct {
			extra map[int]*os.File
			at    int
			err   syscall.Errno
		}{
			{map[int]*os.File{2: os.Stderr}, 2, syscall.EINVAL},
			{map[int]*os.File{-1: os.Stderr, 5: os.Stderr}, -1, syscall.EINVAL},
			{map[int]*os.File{3: nil}, 3, syscall.EBADF},
			{map[int]*os.File{3: os.Stderr, 4: closed}, 4, syscall.EBADF},
			{map[int]*os.File{3: os.Stderr, 5: os.NewFile(999, "never opened"), 6: os.Stderr}, 5, syscall.EBADF},
			{map[int]*os.File{3: os.Stderr, above: folder(t, "/")}, above, syscall.EINVAL},
		} {
			_, err := r.Start(&Command{Args: []string{"/bin/true"}, Extra: c.extra})
			var failed *StartError
			if !errors.As(err, &failed) || *failed != (StartError{"/bin/true", "dup", fmt.Sprint(c.at), c.err}) || failed.Code() != 125 {
				t.Errorf("%v: %v", c.extra, err)
			} else if !strings.Contains(err.Error(), fmt.Sprintf(`cannot set up descriptor "%d": `, c.at)) || (c.err == syscall.EINVAL) != strings.Contains(err.Error(), "3 or more") {
				t.Errorf("%v", err)
			}
		}
		for range r.Exited(1) {
			t.Error("one that failed is left behind")
		}
	})
}
