package signals

import (
	"os"
	"os/signal"
	"syscall"

	"exeunt/internal/entry"
)

// Where entry's handler does not write to its pipe, a goroutine does, to one of
// ours. That begins here, so that an early signal waits in a channel.
func init() {
	if entry.Handlers {
		return
	}
	ends := []int{-1, -1}
	// Without a pipe no child can be started either, and nobody gets as far as
	// Next.
	_ = syscall.Pipe2(ends, syscall.O_CLOEXEC)
	entry.Pipe = [2]int32{int32(ends[0]), int32(ends[1])}

	// os/signal drops what does not fit. Of the dead one is as good as many, and
	// they must not take the room of others.
	died := make(chan os.Signal, 1)
	signal.Notify(died, syscall.SIGCHLD)
	others := make(chan os.Signal, 2*int(RTMAX))
	var list []os.Signal
	for sig := Signal(1); sig <= RTMAX; sig++ {
		switch sig {
		// URG is the runtime's own and cannot be told apart here.
		case KILL, STOP, CHLD, URG:
		default:
			list = append(list, syscall.Signal(sig))
		}
	}
	signal.Notify(others, list...)
	go record(died, others)
}

func record(died, others <-chan os.Signal) {
	for {
		select {
		case <-died:
			write(entry.Record{Signal: int32(CHLD)})
		case sig := <-others:
			// PIPE is caught so that a log reader that has gone does not end us, but
			// whether our own write raised it cannot be told here.
			if sig := sig.(syscall.Signal); sig != syscall.SIGPIPE {
				write(entry.Record{Signal: int32(sig)})
			}
		}
	}
}
