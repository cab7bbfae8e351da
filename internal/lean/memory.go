//go:build amd64 || arm64

package lean

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// memory is what the ordinary program needs for a stop, measured as 2.5 to 3.4
// MiB, kernel memory included, and as much again.
const memory = 7 << 20

var content [4096]byte

// memoryLeft reports whether the container's memory limit leaves room for the
// ordinary program, what the kernel can reclaim of files included. To try would
// be to have the app killed, and with memory.oom.group everyone. Where the limit
// cannot be read there is room.
//
//go:nosplit
func memoryLeft() bool {
	limit, used := quantity("/sys/fs/cgroup/memory.max\x00", ""), quantity("/sys/fs/cgroup/memory.current\x00", "")
	stat, inactive, active := "/sys/fs/cgroup/memory.stat\x00", "inactive_file ", "active_file "
	if used < 0 { // version 1
		limit = quantity("/sys/fs/cgroup/memory/memory.limit_in_bytes\x00", "")
		used = quantity("/sys/fs/cgroup/memory/memory.usage_in_bytes\x00", "")
		stat, inactive, active = "/sys/fs/cgroup/memory/memory.stat\x00", "total_inactive_file ", "total_active_file "
	}
	if limit < 0 || used < 0 {
		return true
	}
	if limit-used >= memory {
		return true // stat may take the kernel some ten milliseconds
	}
	return limit-used+max(quantity(stat, inactive), 0)+max(quantity(stat, active), 0) >= memory
}

// absent is the quantity in a file that cannot be read.
const absent = -2

// quantity is the number that follows the key in the first line of the file that
// begins with it; -1 if none does, and absent.
//
//go:nosplit
func quantity(path, key string) int {
	if load(path) < 0 {
		return absent
	}
	p := unsafe.Pointer(&content)
	for !begins(p, key) {
		for *(*byte)(p) != '\n' {
			if *(*byte)(p) == 0 {
				return -1
			}
			p = unsafe.Add(p, 1)
		}
		p = unsafe.Add(p, 1)
	}
	q := -1
	for p = unsafe.Add(p, len(key)); *(*byte)(p)-'0' < 10; p = unsafe.Add(p, 1) {
		q = max(q, 0)*10 + int(*(*byte)(p)-'0')
	}
	return q
}

// load reads the file's beginning into content, and a 0 behind it. It returns
// how much that is, or less than 0.
//
//go:nosplit
func load(path string) int {
	at := unix.AT_FDCWD
	fd := call(unix.SYS_OPENAT, uintptr(at), uintptr(unsafe.Pointer(unsafe.StringData(path))), unix.O_RDONLY|unix.O_CLOEXEC, 0, 0, 0)
	if fd < 0 {
		return fd
	}
	n := call(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&content)), unsafe.Sizeof(content)-1, 0, 0, 0)
	call(unix.SYS_CLOSE, uintptr(fd), 0, 0, 0, 0, 0)
	*(*byte)(unsafe.Add(unsafe.Pointer(&content), max(n, 0))) = 0
	return n
}
