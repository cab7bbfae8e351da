package supervisor

import (
	"time"

	"exeunt/signals"
)

// An Inbox is the real Inputs: the signals that reach this process, with them the
// dead, and what other goroutines put in. Make it with NewInbox, once.
type Inbox struct {
	events chan Event
}

// NewInbox makes an empty inbox. From its first Next on the signals are its own.
func NewInbox() *Inbox {
	return &Inbox{events: make(chan Event, 64)}
}

// Put gives the loop an event. Any goroutine but the loop's may call it; it blocks
// while 64 wait, and for ever if the run is over by then.
func (b *Inbox) Put(ev Event) {
	b.events <- ev
	signals.Wake()
}

// Next implements Inputs. The goroutine must be locked to the main thread, which
// takes the signals.
func (b *Inbox) Next(until time.Time, f *signals.Forwarding) (in Input) {
	select {
	case in.Event = <-b.events:
		until = time.Unix(0, 1) // it has waited long enough
	default:
	}
	in.Dead, in.Signal = signals.Next(until, f)
	return in
}
