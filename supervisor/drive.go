package supervisor

import (
	"iter"
	"time"

	"exeunt/reaper"
	"exeunt/signals"
)

// A Kernel carries out what the machine decided. The real one is made of a
// reaper.Reaper; tests bring worlds of their own. All of it is called from the
// one goroutine that runs Drive, and none of it may block.
type Kernel interface {
	// Spawn starts what id names; env is added for a hook.
	Spawn(id ID, env []string) (pid int, err error)
	Signal(to reaper.Target, sig signals.Signal, ifCaught bool) error
	// Exited yields at most limit dead children; each is a zombie until its
	// body returns. See reaper.Reaper.
	Exited(limit int) iter.Seq[reaper.Exit]
	Childless() bool
	// Strays is everyone alive that is ours to end, or an error where /proc
	// can't tell.
	Strays() ([]reaper.Stray, error)
	// Arm sets the watchdog: from then on the process is not to outlive at.
	Arm(at time.Time)
	// Note takes each entry of the report as it is made. It must not block.
	Note(e Entry)
}

// Inputs is what wakes the loop.
type Inputs struct {
	Dead    <-chan struct{}         // somebody died; capacity 1
	Signals <-chan signals.Received // see signals.Receive
}
