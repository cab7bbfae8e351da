package signals

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"unsafe"

	"exeunt/internal/entry"
)

// Receive begins to deliver the signals that reach this process, those since
// the program's start included. It may be called once; what arrives while the
// channel (capacity 64) is full is kept.
//
// Every signal that can be caught is delivered but CHLD, what threads of ours
// send one another (the runtime preempts itself by URG), a PIPE that our own
// write raised, and a fault of our own code. Each is delivered as often as the
// kernel has it, up to several thousand that nobody has taken; beyond these,
// and before this program's own code ran, once each, in the order of their
// numbers, and with neither sender nor code. Two that arrive at once may be
// handled by two threads and come in either order.
//
// A write to a pipe that nobody reads is EPIPE, but through os.Stdout or
// os.Stderr it ends the process all the same (os/signal, "SIGPIPE"), as PID 1
// with exit code 2: what must survive writes to the descriptor.
//
// On amd64 and arm64 that is done by a handler of our own (package entry).
// Elsewhere os/signal does it, which never delivers KILL, STOP, URG, PROF, 32,
// 33, RTMIN and PIPE, and does not tell senders.
func Receive() <-chan Received {
	received := make(chan Received, 64)
	if entry.Handlers {
		go receiveRecords(received)
	} else {
		go receiveNotified(received)
	}
	return received
}

// receiveRecords reads what entry's handler wrote, for ever. The read blocks
// its thread: unlike the poller it needs no descriptor and cannot fail.
func receiveRecords(received chan<- Received) {
	var records [64]entry.Record
	buffer := unsafe.Slice((*byte)(unsafe.Pointer(&records)), unsafe.Sizeof(records))
	for {
		receivePending(received)
		n, err := syscall.Read(entry.Pipe, buffer)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || n == 0 {
			// Somebody closed a descriptor that is not theirs. To go on without
			// signals would be to hang at the stop.
			panic(fmt.Sprintf("cannot read the signal pipe: %d bytes, %v", n, err))
		}
		for _, record := range records[:n/int(unsafe.Sizeof(entry.Record{}))] {
			if record.Signal != 0 {
				received <- fromRecord(record)
			}
		}
	}
}

// receivePending delivers what had no room in the pipe.
func receivePending(received chan<- Received) {
	pending := Set(atomic.SwapUint64(&entry.Pending, 0))
	for sig := Signal(1); pending != 0 && sig <= RTMAX; sig++ {
		if pending.Has(sig) {
			received <- Received{Signal: sig}
		}
	}
}

// fromRecord keeps the sender where si_code says that there is one.
func fromRecord(record entry.Record) Received {
	const user, queue, message, thread = 0, -1, -3, -6
	received := Received{Signal: Signal(record.Signal), Code: record.Code}
	switch record.Code {
	case user, queue, message, thread:
		received.PID, received.UID = record.PID, record.UID
	}
	return received
}
