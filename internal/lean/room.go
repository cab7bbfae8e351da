//go:build amd64 || arm64

package lean

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// What the ordinary program takes until the app is its own, measured: 8 threads
// more, with 1 to 64 processors; 1,236 to 1,300 MiB of address space, most of it
// reserved and never used; 76 MiB that count as data. And some more.
const (
	threads      = 10
	leastThreads = 9 // before the app exists: that it gets no process is told by the ordinary program
	addressSpace = 1536 << 20
	data         = 160 << 20
)

// gate is what the threads on trial wait for.
var gate uint32

// thread makes a thread that waits until gate is not 0, and ends. It returns
// its number, or a negative errno. Defined in assembly.
func thread() int

// roomForRuntime reports whether the runtime can start. It aborts the process
// where it gets no thread or no memory, and the app may have used up its pids
// limit (pids.max, RLIMIT_NPROC), its memory or its address space. Where the app
// takes the threads' room in the moment between, the runtime tries for 0.2 s more
// (runtime.newosproc).
//
//go:nosplit
func roomForRuntime() bool {
	if call(unix.SYS_PIPE2, uintptr(unsafe.Pointer(&pipe)), unix.O_CLOEXEC, 0, 0, 0, 0) != 0 {
		return false // entry's pipe for signals
	}
	call(unix.SYS_CLOSE, uintptr(pipe[0]), 0, 0, 0, 0, 0)
	call(unix.SYS_CLOSE, uintptr(pipe[1]), 0, 0, 0, 0, 0)
	return roomForThreads(threads) && memoryLeft() && fits(addressSpace, unix.PROT_NONE) && fits(data, unix.PROT_READ|unix.PROT_WRITE)
}

// limited reports whether a limit of processes is in sight. Before the app runs
// only a tight one can matter, and to try for room at every start would cost a
// tenth of it.
//
//go:nosplit
func limited() bool {
	// It does not hold for root.
	if call(unix.SYS_GETEUID, 0, 0, 0, 0, 0, 0) != 0 &&
		(call(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NPROC, 0, uintptr(unsafe.Pointer(&processes)), 0, 0) != 0 || processes[0] != unlimited) {
		return true
	}
	most := quantity("/sys/fs/cgroup/pids.max\x00", "")
	if most == absent { // version 1
		most = quantity("/sys/fs/cgroup/pids/pids.max\x00", "")
	}
	if most == absent { // the root of all is mounted there, or nothing
		return !inRoot()
	}
	return most >= 0
}

// inRoot reports whether we seem to be in the cgroup that all others are in, which
// has no limit. In a cgroup namespace every cgroup seems so.
//
//go:nosplit
func inRoot() bool {
	n := load("/proc/self/cgroup\x00")
	for p := unsafe.Pointer(&content); n > 0; p, n = unsafe.Add(p, 1), n-1 {
		for _, key := range [...]string{"0::/", "pids:/"} { // version 2, version 1
			if begins(p, key) && *(*byte)(unsafe.Add(p, len(key))) > '\n' {
				return false
			}
		}
	}
	return n == 0
}

const unlimited = ^uint64(0)

var processes [2]uint64 // a limit, soft and hard

// roomForThreads tries to make so many threads.
//
//go:nosplit
func roomForThreads(wanted int) bool {
	n := 0
	for n < wanted && thread() > 0 {
		n++
	}
	gate = 1
	call(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&gate)), futexWake, threads, 0, 0, 0)
	return n == wanted
}

const futexWake = 128 | 1 // private

//go:nosplit
func fits(size, protection uintptr) bool {
	p := call(unix.SYS_MMAP, 0, size, protection, unix.MAP_PRIVATE|unix.MAP_ANON, ^uintptr(0), 0)
	if p < 0 && p > -4096 {
		return false
	}
	call(unix.SYS_MUNMAP, uintptr(p), size, 0, 0, 0, 0)
	return true
}

const refusal = "exeunt: cannot start: no room for its threads: raise the limit of processes, 10 is the least\n"

// refuse ends with the code of our own failures. Nothing has been started.
//
//go:nosplit
func refuse() {
	call(unix.SYS_WRITE, 2, uintptr(unsafe.Pointer(unsafe.StringData(refusal))), uintptr(len(refusal)), 0, 0, 0)
	exit(125)
}
