package entry

import "unsafe"

// getrlimit is the number of getrlimit(2), ugetrlimit on 32-bit machines; 0
// where it is not known. Defined in assembly.
var getrlimit uintptr

// rlimit is what the kernel fills in: two unsigned longs.
var rlimit [2]uintptr

// rawSyscall makes a system call. Package syscall, whose initialization raises
// the limit that we are to read, cannot be imported for it.
func rawSyscall(trap, a1, a2, a3 uintptr) (r1, errno uintptr)

func init() {
	const resource = 7 // RLIMIT_NOFILE
	if getrlimit == 0 {
		return
	}
	if _, errno := rawSyscall(getrlimit, resource, uintptr(unsafe.Pointer(&rlimit)), 0); errno != 0 {
		return
	}
	for i, limit := range rlimit {
		NoFile[i] = uint64(limit)
		if limit == ^uintptr(0) { // RLIM_INFINITY, also where a long has 32 bits
			NoFile[i] = ^uint64(0)
		}
	}
}
