package signals

import (
	"os"
	"os/signal"
	"syscall"

	"exeunt/internal/entry"
)

// notified is filled from package init on, so that an early signal waits in
// it. os/signal drops what does not fit; twice the signals there are is room.
// It stays nil where entry's handler does the work.
var notified chan os.Signal

func init() {
	if entry.Handlers {
		return
	}
	notified = make(chan os.Signal, 2*int(RTMAX))
	var list []os.Signal
	for sig := Signal(1); sig <= RTMAX; sig++ {
		switch sig {
		// URG is the runtime's own and cannot be told apart here.
		case KILL, STOP, CHLD, URG:
		default:
			list = append(list, syscall.Signal(sig))
		}
	}
	signal.Notify(notified, list...)
}

func receiveNotified(received chan<- Received) {
	for sig := range notified {
		// PIPE is caught so that a log reader that has gone does not end us, but
		// whether our own write raised it cannot be told here.
		if sig := sig.(syscall.Signal); sig != syscall.SIGPIPE {
			received <- Received{Signal: Signal(sig)}
		}
	}
}
