package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A witness is the reader of a FIFO that a process writes to as long as it
// lives; see testdata/app. It tells what happened to that process, and when.
type witness struct {
	*transcript
	FIFO string
	gone chan struct{} // closed at the process's death
	died time.Time
}

// newWitness makes the FIFO dir/name.
func newWitness(t *testing.T, dir, name string) *witness {
	t.Helper()
	w := &witness{transcript: newTranscript(t), FIFO: filepath.Join(dir, name), gone: make(chan struct{})}
	if err := syscall.Mkfifo(w.FIFO, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(w.FIFO, 0o666); err != nil { // whatever the umask and the app's user
		t.Fatal(err)
	}
	opened := make(chan struct{})
	go func() {
		defer close(w.gone)
		pipe, err := os.Open(w.FIFO) // blocks until the process has opened it too
		close(opened)
		if err != nil {
			return
		}
		w.follow(pipe)
		w.died = time.Now()
	}()
	t.Cleanup(func() {
		select {
		case <-opened:
		default: // nobody came: let the goroutine go
			if pipe, err := os.OpenFile(w.FIFO, os.O_RDWR|syscall.O_NONBLOCK, 0); err == nil {
				<-opened
				pipe.Close()
			}
		}
		<-w.gone
		if t.Failed() {
			t.Logf("witness %s wrote: %q", name, strings.Split(w.String(), "\n"))
		}
	})
	return w
}

// end waits for the process's death and returns when it was.
func (w *witness) end() time.Time {
	w.t.Helper()
	select {
	case <-w.gone:
	case <-time.After(bound):
		w.t.Fatalf("%s is still alive after %v", w.FIFO, bound)
	}
	return w.died
}

// has tells whether it was sent this.
func (w *witness) has(sent string) bool {
	return slices.Contains(strings.Split(w.String(), "\n"), sent)
}

// told fails the test unless the process was sent these and no others.
func (w *witness) told(want ...string) {
	w.t.Helper()
	var got []string
	for _, line := range strings.Split(strings.TrimSpace(w.String()), "\n") {
		if !strings.HasPrefix(line, "ready") {
			got = append(got, line)
		}
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		w.t.Errorf("%s saw %q, want %q", filepath.Base(w.FIFO), got, want)
	}
}
