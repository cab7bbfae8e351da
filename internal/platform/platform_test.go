package platform

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestDockerIsKnownByItsFile(t *testing.T) {
	root := t.TempDir() + "/"
	if got := detect(root); got != (Platform{Grace: 10 * time.Second}) {
		t.Errorf("without the file: %+v", got)
	}
	if err := os.WriteFile(filepath.Join(root, ".dockerenv"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := detect(root); got != (Platform{Name: "docker", Grace: 10 * time.Second}) {
		t.Errorf("with the file: %+v", got)
	}
}

func TestTerminalTellsAPtyFromAPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if Terminal(int(r.Fd())) || Terminal(-1) {
		t.Error("a pipe or no descriptor at all passes for a terminal")
	}
	pty, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no pty here: %v", err)
	}
	defer unix.Close(pty)
	if !Terminal(pty) {
		t.Error("a pty does not pass for a terminal")
	}
}
