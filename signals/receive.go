package signals

import (
	"fmt"
	"math"
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
// What f says of a signal that it waited for is done at once, before it is told;
// f may be nil.
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
func Next(until time.Time, f *Forwarding) (dead bool, r Received) { return arrived.next(until, f) }

// A Forwarding is what is done with signals about which nothing has to be decided.
// The zero Forwarding does nothing.
type Forwarding struct {
	// PID is to get them: a child of this process that has not been reaped, and is
	// not reaped before Next returns. Up to 1: nobody.
	PID int32
	// Group sends them to the process group that PID leads.
	Group bool
	// As is what is sent, by the signal that has come; 0: nothing, and no other
	// until Next is called anew, so that they keep their order.
	As [RTMAX + 1]Signal
}

// first sends the first of n records on, as far as f says what, and returns how
// many. One that cannot be sent is the caller's.
//
//go:nosplit
func (f *Forwarding) first(n uintptr, records *[64]entry.Record) (sent int) {
	if f == nil || f.PID <= 1 {
		return 0
	}
	to := uintptr(f.PID)
	if f.Group {
		to = -to
	}
	for i := range records {
		sig := uint32(records[i].Signal)
		if uintptr(i) >= n || sig > uint32(RTMAX) || f.As[sig] == 0 {
			return i
		}
		if _, _, errno := syscall.RawSyscall(unix.SYS_KILL, to, uintptr(f.As[sig]), 0); errno != 0 {
			return i
		}
	}
	return len(records)
}

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
			if _, r := Next(time.Time{}, nil); r.Signal != 0 {
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
	sent    int // of records, the first so many have been forwarded

	// Of CHLD: how often it came, never long after the one before, and when.
	burst int
	last  time.Time

	// What the kernel fills in.
	buffer  [64]entry.Record
	poll    unix.PollFd
	timeout unix.Timespec
	event   unix.EpollEvent

	epoll int // 0: none yet
}

// arrived does not move, unlike what is on a stack.
var arrived inbox

func (in *inbox) next(until time.Time, f *Forwarding) (dead bool, r Received) {
	if in.pending == 0 && len(in.records) == 0 {
		in.fill(until, f)
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
		r.Forwarded = in.sent > 0
		in.records, in.sent = in.records[1:], max(in.sent-1, 0)
	}
	return r
}

// fill gets what the handler has for us, and waits until it has something.
func (in *inbox) fill(until time.Time, f *Forwarding) {
	in.pending = Set(atomic.SwapUint64(&entry.Pending, 0))
	reminded := in.dead
	in.dead = in.dead || in.pending.Has(CHLD)
	if in.pending &^= SetOf(CHLD); in.pending != 0 {
		return
	}
	switch storming := in.burst >= stormSize && time.Since(in.last) < 2*stormNap; {
	case in.dead:
		if in.wait(past) {
			in.read(false, nil)
		}
	case storming && in.wait(in.soon(2*stormNap, until)):
		in.read(false, nil)
	case until.IsZero():
		in.read(true, f)
	case time.Until(until) <= 0:
		if in.wait(until) {
			in.read(false, nil)
		}
	case in.sleep(until):
		in.read(false, nil)
	}
	if in.dead && !reminded && len(in.records) == 0 && in.storms() {
		in.nap(until)
	}
}

// wait returns when the pipe can be read, with true, or at until, which is soon.
func (in *inbox) wait(until time.Time) bool {
	for {
		left := max(time.Until(until), 0)
		in.poll, in.timeout = unix.PollFd{Fd: entry.Pipe[0], Events: unix.POLLIN}, unix.NsecToTimespec(int64(left))
		n, _, errno := syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&in.poll)), 1, uintptr(unsafe.Pointer(&in.timeout)), 0, 0, 0)
		if errno == 0 && (n > 0 || left == 0) {
			return n > 0
		}
	}
}

// sleep is wait for long. A poll would not do: when a frozen container (docker
// pause, freezer of cgroups(7)) goes on, the kernel restarts it with the time that
// was left before. epoll_wait(2) is never restarted (signal(7)).
func (in *inbox) sleep(until time.Time) bool {
	if in.epoll == 0 && !in.open() {
		return in.wait(until)
	}
	for {
		left := max(time.Until(until), 0)
		timeout := min((left+time.Millisecond-1)/time.Millisecond, math.MaxInt32)
		n, _, errno := blocking(unix.SYS_EPOLL_PWAIT, uintptr(in.epoll), uintptr(unsafe.Pointer(&in.event)), 1, uintptr(timeout), 0, 0)
		if errno == 0 && (n > 0 || left == 0) {
			return n > 0
		}
	}
}

// open has the pipe watched; false where no descriptor is left for that.
func (in *inbox) open() bool {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return false
	}
	in.event.Events = unix.EPOLLIN
	if err := unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, int(entry.Pipe[0]), &in.event); err != nil {
		_ = unix.Close(fd)
		return false
	}
	in.epoll = fd
	return true
}

// read reads the pipe, and waits until it can, for long where that is said.
func (in *inbox) read(long bool, f *Forwarding) {
	n, errno := in.receive(long, f)
	if errno == syscall.EINTR {
		n, errno = 0, 0 // the caller comes again
	} else if errno != 0 || n == 0 {
		// Somebody closed a descriptor that is not theirs. To go on without
		// signals would be to hang at the stop.
		panic(fmt.Sprintf("cannot read the signal pipe: %d bytes, %v", n, errno))
	}
	in.records = in.buffer[:0]
	for _, record := range in.buffer[:n/recordSize] {
		switch Signal(record.Signal) {
		case 0: // only to wake us
		case CHLD:
			in.dead = true
		default:
			in.records = append(in.records, record)
		}
	}
}

const recordSize = unsafe.Sizeof(entry.Record{})

// receive reads into the buffer, and forwards. After a long wait that comes before
// the runtime is told of its end: it would begin by waking another thread of its
// own, which takes longer than all the rest.
//
//go:nosplit
func (in *inbox) receive(long bool, f *Forwarding) (n uintptr, errno syscall.Errno) {
	if long {
		entersyscallblock()
	}
	n, _, errno = syscall.RawSyscall(unix.SYS_READ, uintptr(entry.Pipe[0]), uintptr(unsafe.Pointer(&in.buffer)), unsafe.Sizeof(in.buffer))
	if in.sent = 0; errno == 0 {
		in.sent = f.first(n/recordSize, &in.buffer)
	}
	if long {
		exitsyscall()
	}
	return n, errno
}

// In a storm, when many die at once, one look a millisecond takes them all. It is
// known by its pace.
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
	if in.wait(in.soon(stormNap, until)) {
		in.read(false, nil)
	}
	setCHLD(&caught, nil)
	in.last = time.Now()
}

// soon is so long after the last CHLD, or until if that is sooner.
func (in *inbox) soon(after time.Duration, until time.Time) time.Time {
	if end := in.last.Add(after); until.IsZero() || end.Before(until) {
		return end
	}
	return until
}

func setCHLD(install, before *[8]uintptr) {
	syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(CHLD), uintptr(unsafe.Pointer(install)), uintptr(unsafe.Pointer(before)), 8, 0, 0)
}

// past is before every deadline.
var past = time.Unix(1, 0)

// blocking makes a system call that may block for long: the processor is free for
// other goroutines at once. By way of syscall.Syscall6 the runtime would only see
// that some milliseconds later, and look a dozen times until then, after each
// signal. A short wait is a raw call: nothing else in the process has to wake up
// for it.
//
//go:nosplit
func blocking(trap, a1, a2, a3, a4, a5, a6 uintptr) (r1, r2 uintptr, errno syscall.Errno) {
	entersyscallblock()
	r1, r2, errno = syscall.RawSyscall6(trap, a1, a2, a3, a4, a5, a6)
	exitsyscall()
	return r1, r2, errno
}

//go:linkname entersyscallblock runtime.entersyscallblock
func entersyscallblock()

//go:linkname exitsyscall runtime.exitsyscall
func exitsyscall()

// write puts a record into the pipe. If that is full, whoever reads it will not
// have to wait.
func write(record entry.Record) {
	_, _ = syscall.Write(int(entry.Pipe[1]), unsafe.Slice((*byte)(unsafe.Pointer(&record)), recordSize))
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
