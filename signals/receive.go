package signals

import (
	"fmt"
	"math/bits"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"exeunt/internal/entry"

	"golang.org/x/sys/unix"
)

// Next waits until a signal that reaches this process can be told, those since
// the program's start included, or until until (zero: for ever; in the past:
// not at all), or until Wake. dead reports that somebody may have died since it
// was last told (CHLD, which is told in no other way); r is the signal, or zero
// for none. It is for one goroutine at a time and blocks its thread; on the
// main thread, which takes the signals, no other thread has to be woken.
//
// Every signal that can be caught is told but what threads of ours send one
// another (the runtime preempts itself by URG), a PIPE that our own write
// raised, and a fault of our own code. Each is told as often as the kernel has
// it, up to several thousand that nobody has taken; beyond these, and before
// this program's own code ran, once each, in the order of their numbers, and
// with neither sender nor code. Two that arrive at once may be handled by two
// threads and come in either order; the dead come before what came with them.
//
// A write to a pipe that nobody reads is EPIPE, but through os.Stdout or
// os.Stderr it ends the process all the same (os/signal, "SIGPIPE"), as PID 1
// with exit code 2: what must survive writes to the descriptor.
//
// On amd64 and arm64 that is done by a handler of our own (package entry).
// Elsewhere os/signal does it, which never tells KILL, STOP, URG, PROF, 32,
// 33, RTMIN and PIPE, and no senders.
func Next(until time.Time) (dead bool, r Received) { return arrived.next(until) }

// Remind has the next call of Next tell that somebody may have died, as though
// CHLD had come. For the goroutine that calls Next.
func Remind() { arrived.dead = true }

// Wake makes Next return, the one that waits or else the next one. Any
// goroutine may call it.
func Wake() { write(entry.Record{}) }

// Receive is Next on a goroutine of its own, for who waits for other things
// too, without the dead: a channel of capacity 64. It may be called once, and
// not beside Next.
func Receive() <-chan Received {
	received := make(chan Received, 64)
	go func() {
		for {
			if _, r := Next(time.Time{}); r.Signal != 0 {
				received <- r
			}
		}
	}()
	return received
}

// An inbox is what has come and has not been told.
type inbox struct {
	dead    bool
	pending Set // had no room in the pipe
	records []entry.Record
	buffer  [64]entry.Record

	// Of CHLD: how often it came, never long after the one before, and when.
	burst int
	last  time.Time
}

var arrived inbox

func (in *inbox) next(until time.Time) (dead bool, r Received) {
	if in.pending == 0 && len(in.records) == 0 {
		in.fill(until)
	}
	dead, in.dead = in.dead, false
	return dead, in.take()
}

// take is the first of what has come, or zero.
func (in *inbox) take() (r Received) {
	switch {
	case in.pending != 0:
		r.Signal = Signal(bits.TrailingZeros64(uint64(in.pending)) + 1)
		in.pending &^= SetOf(r.Signal)
	case len(in.records) > 0:
		r = fromRecord(&in.records[0])
		in.records = in.records[1:]
	}
	return r
}

// fill gets what the handler has for us, and waits until it has something.
func (in *inbox) fill(until time.Time) {
	in.pending = Set(atomic.SwapUint64(&entry.Pending, 0))
	reminded := in.dead
	in.dead = in.dead || in.pending.Has(CHLD)
	if in.pending &^= SetOf(CHLD); in.pending != 0 {
		return
	}
	if in.dead {
		until = past
	}
	if in.read(until); in.dead && !reminded && len(in.records) == 0 && in.storms() {
		in.nap(until)
	}
}

// read reads the pipe if something is in it by until.
func (in *inbox) read(until time.Time) {
	const size = unsafe.Sizeof(entry.Record{})
	if !until.IsZero() && !readable(until) {
		return
	}
	n, err := syscall.Read(int(entry.Pipe[0]), unsafe.Slice((*byte)(unsafe.Pointer(&in.buffer)), len(in.buffer)*int(size)))
	if err != nil || n == 0 {
		// Somebody closed a descriptor that is not theirs. To go on without
		// signals would be to hang at the stop.
		panic(fmt.Sprintf("cannot read the signal pipe: %d bytes, %v", n, err))
	}
	in.records = in.buffer[:0]
	for _, record := range in.buffer[:n/int(size)] {
		switch Signal(record.Signal) {
		case 0: // only to wake us
		case CHLD:
			in.dead = true
		default:
			in.records = append(in.records, record)
		}
	}
}

// past is before every deadline.
var past = time.Unix(1, 0)

// readable waits until the pipe can be read, or until until.
func readable(until time.Time) bool {
	fds := [1]unix.PollFd{{Fd: entry.Pipe[0], Events: unix.POLLIN}}
	for {
		left := time.Until(until)
		timeout := unix.NsecToTimespec(int64(max(left, 0)))
		n, err := unix.Ppoll(fds[:], &timeout, nil)
		if n > 0 || left <= 0 && err == nil {
			return n > 0
		}
	}
}

// In a storm, when many die at once, one look a millisecond takes them all for a
// third of the cost. It is known by its pace.
const (
	stormSize = 4
	stormNap  = time.Millisecond
)

// storms notes that CHLD has come, and reports whether that is a storm.
func (in *inbox) storms() bool {
	now := time.Now()
	if now.Sub(in.last) > 2*stormNap {
		in.burst = 0
	}
	in.last = now
	in.burst++
	return in.burst >= stormSize
}

// nap lets the dead gather, at most until until; a signal ends it. Meanwhile
// CHLD is at its default, which is to do nothing, not even to interrupt us;
// children become zombies all the same.
func (in *inbox) nap(until time.Time) {
	var byDefault, caught [8]uintptr // struct sigaction, whatever its layout
	setCHLD(&byDefault, &caught)
	end := in.last.Add(stormNap)
	if !until.IsZero() && until.Before(end) {
		end = until
	}
	in.read(end)
	setCHLD(&caught, nil)
	in.last = time.Now()
}

func setCHLD(install, before *[8]uintptr) {
	syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(CHLD), uintptr(unsafe.Pointer(install)), uintptr(unsafe.Pointer(before)), 8, 0, 0)
}

// write puts a record into the pipe. If that is full, whoever reads it will not
// have to wait.
func write(record entry.Record) {
	const size = unsafe.Sizeof(record)
	_, _ = syscall.Write(int(entry.Pipe[1]), unsafe.Slice((*byte)(unsafe.Pointer(&record)), size))
}

// fromRecord keeps the sender where si_code says that there is one.
func fromRecord(record *entry.Record) Received {
	const user, queue, message, thread = 0, -1, -3, -6
	received := Received{Signal: Signal(record.Signal), Code: record.Code}
	switch record.Code {
	case user, queue, message, thread:
		received.PID, received.UID = record.PID, record.UID
	}
	return received
}
