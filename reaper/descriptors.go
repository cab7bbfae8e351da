package reaper

import (
	"os"
	"slices"
	"strconv"
	"syscall"

	"exeunt/internal/entry"
)

// A descriptor is one that a child is to have.
type descriptor struct {
	from int // ours; -1 closes it
	now  int // from, or where the child moved that out of the way
	to   int // the child's
}

// place notes which descriptors the child is to have.
func (l *launch) place(c *Command) *StartError {
	refuse := func(to int, errno syscall.Errno) *StartError {
		return &StartError{Path: c.Args[0], Op: "dup", Name: strconv.Itoa(to), Err: errno}
	}
	l.files = make([]descriptor, 0, 3+len(c.Extra))
	for i, file := range [...]*os.File{c.Stdin, c.Stdout, c.Stderr} {
		from := i
		switch {
		case file != nil:
			if from = source(file); from < 0 {
				return refuse(i, syscall.EBADF)
			}
		case entry.Closed>>i&1 != 0:
			from = -1
		}
		l.files = append(l.files, descriptor{from: from, to: i})
	}
	for to, file := range c.Extra {
		from := source(file)
		switch {
		case to < 3:
			return refuse(to, syscall.EINVAL)
		case from < 0:
			return refuse(to, syscall.EBADF)
		}
		l.files = append(l.files, descriptor{from: from, to: to})
	}
	return nil
}

// source is the descriptor of a file; -1 if it has been closed or is nil. It
// also makes the child's end of an os.Pipe blocking again.
func source(file *os.File) int {
	return int(file.Fd())
}

// notPlaced are those of the descriptors whose numbers the child has no file for.
func (l *launch) notPlaced(numbers []int) []int {
	return slices.DeleteFunc(slices.Clone(numbers), func(fd int) bool {
		return slices.ContainsFunc(l.files, func(f descriptor) bool { return f.to == fd })
	})
}

// openFiles puts the child's descriptors in place and closes what is not for it.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (l *launch) openFiles() (err syscall.Errno) {
	l.failure.step = stepDescriptors
	if err = l.makeRoom(); err != 0 {
		return err
	}
	for i := range l.files {
		from, to := l.files[i].now, l.files[i].to
		l.failure.at = uint32(to)
		switch from {
		case -1:
			syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(to), 0, 0)
		case to:
			_, _, err = syscall.RawSyscall(sysFcntl, uintptr(to), syscall.F_SETFD, 0)
		default:
			_, _, err = syscall.RawSyscall(syscall.SYS_DUP3, uintptr(from), uintptr(to), 0)
		}
		if err != 0 {
			return err
		}
	}
	for _, unwanted := range l.unwanted {
		if uintptr(unwanted) != l.report {
			syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(unwanted), 0, 0)
		}
	}
	return 0
}

// makeRoom moves what lies where something else may have to be: it goes above
// all of them.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (l *launch) makeRoom() (err syscall.Errno) {
	highest := 2
	for i := range l.files {
		highest = max(highest, l.files[i].to)
	}
	var fd uintptr
	if l.report <= uintptr(highest) {
		l.failure.at = uint32(highest)
		if fd, _, err = syscall.RawSyscall(sysFcntl, l.report, syscall.F_DUPFD_CLOEXEC, uintptr(highest+1)); err != 0 {
			return err
		}
		l.report = fd
	}
	for i := range l.files {
		from, to := l.files[i].from, l.files[i].to
		l.files[i].now = from
		if from >= 0 && from != to && from <= highest {
			l.failure.at = uint32(to)
			if fd, _, err = syscall.RawSyscall(sysFcntl, uintptr(from), syscall.F_DUPFD_CLOEXEC, uintptr(highest+1)); err != 0 {
				return err
			}
			l.files[i].now = int(fd)
		}
	}
	return 0
}
