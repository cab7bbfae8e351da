package control

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"exeunt/supervisor"
)

// must opens a socket, and closes it when the test is over.
func must(t *testing.T, path string) *door {
	t.Helper()
	d, err := listenUnix(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	return d
}

func TestSocketIsNobodyElsesWhateverTheMask(t *testing.T) {
	for _, mask := range []int{0, 0o022, 0o077} {
		was := unix.Umask(mask)
		d := must(t, filepath.Join(t.TempDir(), "c.sock"))
		now := unix.Umask(was)
		if info, err := os.Lstat(d.path); err != nil || info.Mode() != os.ModeSocket|0o600 {
			t.Errorf("mask %#o: %v, %v", mask, info.Mode(), err)
		}
		if now != mask {
			t.Errorf("the mask went from %#o to %#o", mask, now)
		}
	}
	d, err := listenHTTP("unix:" + filepath.Join(t.TempDir(), "h.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	if info, err := os.Lstat(d.path); err != nil || info.Mode() != os.ModeSocket|0o666 {
		t.Errorf("for everyone: %v, %v", info.Mode(), err)
	}
}

func TestOnlyASocketThatNobodyListensOnIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.sock")
	live := must(t, path)
	if _, err := listenUnix(path, 0o600); err == nil || !strings.Contains(err.Error(), "somebody listens there already") {
		t.Fatalf("a live one: %v", err)
	}
	if _, err := net.Dial("unix", path); err != nil {
		t.Fatalf("the live one is not there any more: %v", err)
	}
	// Its listener dies without taking it away.
	_ = unix.Close(live.fd)
	live.fd = -1
	next := must(t, path)
	if _, err := net.Dial("unix", path); err != nil {
		t.Fatalf("a stale one is not replaced: %v", err)
	}
	// Who has lost it leaves it to who has it now.
	live.close()
	if _, err := net.Dial("unix", path); err != nil {
		t.Fatalf("the socket of another is taken away: %v", err)
	}
	next.close()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("it stays when it is closed: %v", err)
	}
}

func TestWhatIsNoSocketStays(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	stale := must(t, filepath.Join(dir, "stale"))
	_ = unix.Close(stale.fd)
	stale.fd = -1
	if err := os.Symlink(stale.path, link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		file: "something else has that name", link: "something else has that name", dir: "something else has that name",
		filepath.Join(dir, "no", "c.sock"): "no such file or directory", filepath.Join(file, "c.sock"): "not a directory",
		filepath.Join(dir, strings.Repeat("x", longestPath)): "longer than 107 bytes",
	} {
		if _, err := listenUnix(path, 0o600); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	if text, err := os.ReadFile(file); string(text) != "mine" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

func TestNothingIsOpenedThatNobodyAskedFor(t *testing.T) {
	one := &supervisor.Plan{Services: []supervisor.Service{{Name: "main"}}}
	for control, plan := range map[string]*supervisor.Plan{"": one, Off: plan()} {
		if s, err := Open(Options{Control: control, Plan: plan}); s != nil || err != nil {
			t.Errorf("%q: %v, %v", control, s, err)
		}
	}
}

func TestWhatIsAskedForByNameHasToBeHad(t *testing.T) {
	held, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	dir := t.TempDir()
	live := must(t, filepath.Join(dir, "live"))
	for _, o := range []Options{
		{Control: live.path}, {Control: "/nonesuch/c.sock"}, {HTTP: held.Addr().String()}, {HTTP: "unix:" + live.path}, {HTTP: "192.0.2.1:80"},
		{Control: filepath.Join(dir, "c.sock"), HTTP: held.Addr().String()},
	} {
		o.Plan = &supervisor.Plan{}
		s, err := Open(o)
		if err == nil || s != nil || !strings.HasPrefix(err.Error(), "cannot listen on ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v, %v", o, s, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%v stay behind, %v", left, err)
	}
}

// own are the namespaces of a container, as far as it concerns the socket.
func own() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	return attr
}

// container runs a server in a mount namespace of its own. Where there are none
// the test is skipped, unless there have to be some.
func container(t *testing.T, more ...string) *staged {
	t.Helper()
	probe := exec.Command("/bin/true")
	probe.SysProcAttr = own()
	if err := probe.Run(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return raise(t, Auto, own(), more...)
}

func TestContainersOfOnePodDoNotCollide(t *testing.T) {
	// Both have the machine's /dev/shm, and nothing else.
	var pair [2]*staged
	for i := range pair {
		pair[i] = container(t, "CONTROL_TEST_READONLY=/run /tmp", fmt.Sprintf("CONTROL_TEST_NAME=service%d", i))
		if !strings.HasPrefix(pair[i].lines[0], "serves: /dev/shm/exeunt-") {
			t.Errorf("%q", pair[i].lines)
		}
	}
	if pair[0].lines[0] == pair[1].lines[0] {
		t.Errorf("both: %s", pair[0].lines[0])
	}
	for i := range pair {
		if got := pair[i].ask(); !strings.Contains(got, fmt.Sprintf("service%d", i)) || !strings.Contains(got, "code: 0") {
			t.Errorf("in container %d: %s", i, got)
		}
	}
	for i := range pair {
		_ = pair[i].in.Close()
		_ = pair[i].cmd.Wait()
		path := strings.TrimPrefix(pair[i].lines[0], "serves: ")
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("%s stays behind: %v", path, err)
		}
	}
}

func TestFirstWritableFolderIsTaken(t *testing.T) {
	for readOnly, want := range map[string]string{"": "/run/", "/run": "/dev/shm/", "/run /dev/shm": "/tmp/"} {
		s := container(t, "CONTROL_TEST_READONLY="+readOnly, "CONTROL_TEST_NAME=web")
		if len(s.lines) != 2 || !strings.HasPrefix(s.lines[0], "serves: "+want+"exeunt-") {
			t.Errorf("with %q read-only: %q", readOnly, s.lines)
		}
		if got := s.ask(); !strings.Contains(got, "web") || !strings.Contains(got, "code: 0") {
			t.Errorf("with %q read-only: %s", readOnly, got)
		}
	}
}

func TestWithoutProcTheRootTellsWhoWeAre(t *testing.T) {
	// It is everybody's here, and not as in containers; others may be at it, too.
	eventually(t, func() error {
		s := container(t, "CONTROL_TEST_NOPROC=1", "CONTROL_TEST_NAME=web")
		if got := s.ask(); !strings.Contains(got, "web") || !strings.Contains(got, "code: 0") {
			return fmt.Errorf("%q, %s", s.lines, got)
		}
		return nil
	})
}

func TestWithoutAPlaceTheRunGoesOn(t *testing.T) {
	s := container(t, "CONTROL_TEST_READONLY=/run /dev/shm /tmp")
	if len(s.lines) != 2 || !strings.HasPrefix(s.lines[0], `note: no control socket: cannot listen on "/run/`) || strings.Count(s.lines[0], "read-only file system") != 3 {
		t.Errorf("%q", s.lines)
	}
	if got := s.ask(); !strings.Contains(got, "exeunt: nobody to ask here") || !strings.Contains(got, "code: 1") {
		t.Error(got)
	}
}

func TestServesAsNobody(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to become somebody else")
	}
	s := container(t, "CONTROL_TEST_READONLY=/run", "CONTROL_TEST_NAME=web", "CONTROL_TEST_NOBODY=1")
	if !strings.HasPrefix(s.lines[0], "serves: /dev/shm/exeunt-") {
		t.Errorf("%q", s.lines)
	}
	if got := s.ask(); !strings.Contains(got, "web") || !strings.Contains(got, "code: 0") {
		t.Error(got)
	}
}
