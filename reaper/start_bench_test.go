package reaper

import (
	"runtime"
	"sync"
	"testing"
)

// A process has one reaper, and a benchmark is called several times.
var ours = sync.OnceValues(New)

// BenchmarkStart is a plain child from Start to its end; most of it is the
// kernel's and the dynamic loader's.
func BenchmarkStart(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r, err := ours()
	if err != nil {
		b.Fatal(err)
	}
	c := &Command{Args: []string{"/bin/true"}, Env: Environ()}
	for b.Loop() {
		pid, err := r.Start(c)
		if err != nil {
			b.Fatal(err)
		}
		reap(pid)
		delete(r.started, pid)
	}
}
