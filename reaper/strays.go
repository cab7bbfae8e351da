package reaper

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"exeunt/signals"
)

// Strays is everyone alive that is ours to end, children and services
// included: as PID 1 every process of the PID namespace but ourselves, those
// that were put into it from outside too; otherwise our descendants. It is an
// error where /proc is not mounted or is another namespace's. It reads two
// files a process and blocks for some 20 µs each.
func (r *Reaper) Strays() ([]Stray, error) {
	self := os.Getpid()
	link, err := os.Readlink("/proc/self")
	if err != nil {
		return nil, fmt.Errorf("cannot list processes: %w", err)
	}
	if link != strconv.Itoa(self) {
		return nil, errors.New("cannot list processes: /proc is another namespace's")
	}
	var list []Stray
	if r.pid1 {
		list, err = everyProcess(self)
	} else {
		list, err = descendants(self)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list processes: %w", err)
	}
	return withMasks(list), nil
}

// withMasks completes the strays and drops those that have gone.
func withMasks(list []Stray) []Stray {
	buffer := make([]byte, 4096)
	kept := list[:0]
	for _, stray := range list {
		var err error
		if stray.Caught, stray.Ignored, err = readMasks(stray.PID, buffer); err != nil {
			continue
		}
		stray.OutOfReach = syscall.Kill(stray.PID, 0) == syscall.EPERM
		kept = append(kept, stray)
	}
	return kept
}

// everyProcess reads the stat file of each process that /proc shows and that
// is alive, but not ours.
func everyProcess(self int) ([]Stray, error) {
	pids, err := numbers("/proc")
	if err != nil {
		return nil, err
	}
	buffer := make([]byte, 1024)
	var list []Stray
	for _, pid := range pids {
		if pid == self {
			continue
		}
		if stat, err := readStat(pid, buffer); err == nil && stat.alive {
			list = append(list, stat.Stray)
		}
	}
	return list, nil
}

// numbers are the names in a directory of /proc that are numbers. It does
// without package os, whose first file starts the runtime's poller, which costs
// 0.1 ms and wakes idle threads from then on.
func numbers(path string) (list []int, err error) {
	dir, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer func() { _ = unix.Close(dir) }()
	var buffer [4096]byte
	for {
		n, err := unix.ReadDirent(dir, buffer[:])
		if err != nil {
			return nil, &os.PathError{Op: "read", Path: path, Err: err}
		}
		if n == 0 {
			return list, nil
		}
		_, _, names := unix.ParseDirent(buffer[:n], -1, nil)
		for _, name := range names {
			if number, err := strconv.Atoi(name); err == nil {
				list = append(list, number)
			}
		}
	}
}

// maxPasses bounds descendants against a tree that forks without end; who is
// missed is found by the next survey.
const maxPasses = 8

// descendants finds everyone below self by parent. A process that is handed to
// a new parent, or forks, while /proc is read can be missed, so it reads again
// until a pass finds nobody new.
func descendants(self int) ([]Stray, error) {
	found := make(map[int]Stray)
	for range maxPasses {
		every, err := everyProcess(self)
		if err != nil {
			return nil, err
		}
		children := make(map[int][]Stray)
		for _, stray := range every {
			children[stray.Parent] = append(children[stray.Parent], stray)
		}
		fresh := false
		for queue := []int{self}; len(queue) > 0; queue = queue[1:] {
			for _, stray := range children[queue[0]] {
				old, known := found[stray.PID]
				fresh = fresh || !known || old.Start != stray.Start
				found[stray.PID] = stray
				queue = append(queue, stray.PID)
			}
		}
		if !fresh {
			break
		}
	}
	list := make([]Stray, 0, len(found))
	for _, stray := range found {
		list = append(list, stray)
	}
	return list, nil
}

// A stat is what /proc/PID/stat tells (proc_pid_stat(5)).
type stat struct {
	Stray
	alive bool
}

// readStat reads /proc/PID/stat; ESRCH if there is no such process. The buffer
// is for reuse and may be nil.
func readStat(pid int, buffer []byte) (stat, error) {
	text, err := readProc(pid, "/stat", buffer)
	if err != nil {
		return stat{}, err
	}
	s, ok := parseStat(text)
	if !ok {
		return stat{}, fmt.Errorf("cannot read /proc/%d/stat: %q", pid, text)
	}
	s.PID = pid
	return s, nil
}

// parseStat parses the text after the last ")": a name may hold any byte.
func parseStat(text []byte) (s stat, ok bool) {
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return s, false
	}
	s.Name = string(text[open+1 : end])
	var state byte
	threads, field := 0, 2
	ok = true
	for word := range bytes.FieldsSeq(text[end+1:]) {
		if field++; field == 3 {
			state = word[0]
			continue
		}
		number, err := strconv.ParseUint(string(bytes.TrimPrefix(word, []byte("-"))), 10, 64)
		if ok = ok && err == nil; field == 22 {
			s.Start = number
			break
		}
		switch field {
		case 4:
			s.Parent = int(number)
		case 5:
			s.Group = int(number)
		case 6:
			s.Session = int(number)
		case 7:
			s.Terminal = number != 0
		case 20:
			threads = int(number)
		}
	}
	s.Stopped = state == 'T'
	// A process whose first thread has ended shows as a zombie while others run.
	s.alive = state != 'X' && state != 'x' && (state != 'Z' || threads > 1)
	return s, ok && field == 22
}

// readMasks reads which signals a process catches and ignores.
func readMasks(pid int, buffer []byte) (caught, ignored signals.Set, err error) {
	text, err := readProc(pid, "/status", buffer)
	if err != nil {
		return 0, 0, err
	}
	for _, mask := range []struct {
		key string
		set *signals.Set
	}{{"\nSigIgn:\t", &ignored}, {"\nSigCgt:\t", &caught}} {
		_, rest, ok := bytes.Cut(text, []byte(mask.key))
		line, _, _ := bytes.Cut(rest, []byte("\n"))
		bits, err := strconv.ParseUint(string(line), 16, 64)
		if !ok || err != nil {
			return 0, 0, fmt.Errorf("cannot read /proc/%d/status: no %q", pid, mask.key[1:])
		}
		*mask.set = signals.Set(bits)
	}
	return caught, ignored, nil
}

// readProc reads a file of a process whole; ESRCH if there is no such process.
func readProc(pid int, name string, buffer []byte) ([]byte, error) {
	path := "/proc/" + strconv.Itoa(pid) + name
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err == syscall.ENOENT {
		if _, err := os.Stat("/proc/self/stat"); err != nil {
			return nil, errors.New("no /proc")
		}
		return nil, syscall.ESRCH
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer func() { _ = syscall.Close(fd) }()
	if len(buffer) == 0 {
		buffer = make([]byte, 4096)
	}
	n := 0
	for {
		m, err := syscall.Read(fd, buffer[n:])
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return nil, err // ESRCH when it went after the open
		case m == 0:
			return buffer[:n], nil
		}
		if n += max(m, 0); n < len(buffer) && m > 0 {
			return buffer[:n], nil // the kernel makes these files whole: what is not all fills the buffer
		} else if n == len(buffer) {
			buffer = append(buffer, make([]byte, len(buffer))...)
		}
	}
}
