package recipes

import (
	"bytes"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// A transcript is what a space prints, while it does.
type transcript struct {
	t       *testing.T
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed and replaced at each change
	ended   chan struct{} // closed when nothing more can come
}

func newTranscript(t *testing.T) *transcript {
	return &transcript{t: t, changed: make(chan struct{}), ended: make(chan struct{})}
}

// pipe returns a descriptor whose text is added. The caller closes its copy.
func (o *transcript) pipe() *os.File {
	o.t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		o.t.Fatal(err)
	}
	go func() {
		defer r.Close()
		defer close(o.ended)
		chunk := make([]byte, 4096)
		for err == nil {
			var n int
			n, err = r.Read(chunk)
			o.mu.Lock()
			o.text.Write(chunk[:n])
			close(o.changed)
			o.changed = make(chan struct{})
			o.mu.Unlock()
		}
	}()
	return w
}

func (o *transcript) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// await waits until text has been printed n times.
func (o *transcript) await(text string, n int) {
	o.t.Helper()
	deadline := time.After(bound)
	for {
		o.mu.Lock()
		printed, changed := strings.Count(o.text.String(), text), o.changed
		o.mu.Unlock()
		if printed >= n {
			return
		}
		select {
		case <-changed:
		case <-o.ended:
			if printed = strings.Count(o.String(), text); printed < n {
				o.t.Fatalf("%q printed %d times and no more, want %d", text, printed, n)
			}
			return
		case <-deadline:
			o.t.Fatalf("%q printed %d times in %v, want %d", text, printed, bound, n)
		}
	}
}
