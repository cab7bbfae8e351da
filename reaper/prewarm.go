package reaper

import (
	"runtime"
	"sync"
)

// Prewarm makes the Go runtime create n threads beyond those that are busy and
// returns when they exist. The runtime keeps them; without them it would want
// one the moment a call blocks, and abort the process where the app has used
// up the pids limit. n is the number of calls that may block at once, and a
// few more, since a thread that is about to go idle is not to be had yet; each
// costs some tens of KiB of kernel memory. Call it before the app can have used
// up the limit; it may be called from any goroutine.
func Prewarm(n int) {
	var all, done sync.WaitGroup
	all.Add(n)
	for range n {
		done.Go(func() {
			// A locked goroutine has its thread to itself even while it waits, so
			// n of them that wait for each other are n threads.
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			all.Done()
			all.Wait()
		})
	}
	done.Wait()
	// What was asked of the runtime's template thread meanwhile may still be on
	// its way, and would come when the limit is reached. It holds a P until it
	// is there, and stopping the world waits for every P. This stops it and does
	// nothing else.
	runtime.Stack(nil, true)
}
