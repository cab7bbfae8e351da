package platform

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// OOMKills is how many processes of our memory cgroup the kernel has killed
// since that was made, because memory had run out; own tells that it was made
// for this container, so that it began with none. Which processes they were is
// not told, and with memory.oom.group set we are one of them. It is 0 where the
// number can't be found, and costs some 0.1 ms.
//
// Sources: cgroups(7), proc_pid_mountinfo(5), and the kernel's
// Documentation/admin-guide cgroup-v2.rst (memory.events) and
// cgroup-v1/memory.rst (memory.oom_control).
func OOMKills() (kills int, own bool) { return oomKills("") }

func oomKills(root string) (kills int, own bool) {
	for _, c := range memoryCgroups(root) {
		if kills, ok := counted(root + c.folder); ok {
			return kills, c.own
		}
	}
	return 0, false
}

// A cgroup is where one may be seen.
type cgroup struct {
	folder string
	own    bool // nothing above it is mounted
}

// memoryCgroups are the places to look into, the likeliest first: by /proc,
// else where container runtimes mount them.
func memoryCgroups(root string) (list []cgroup) {
	var buffer [8 << 10]byte
	v1, v2 := memoryPaths(string(read(root+"/proc/self/cgroup", buffer[:])))
	var guesses []cgroup
	add := func(top, mountpoint, path string) {
		rest, below := strings.CutPrefix(path, strings.TrimSuffix(top, "/")+"/")
		switch {
		case top == path:
			list = append(list, cgroup{mountpoint, true})
		case below:
			list = append(list, cgroup{mountpoint + "/" + rest, false})
		default: // it shows another cgroup namespace's part: perhaps where we are
			guesses = append(guesses, cgroup{mountpoint, false})
		}
	}
	for line, rest := nextLine(read(root+"/proc/self/mountinfo", buffer[:])); line != nil; line, rest = nextLine(rest) {
		if !bytes.Contains(line, []byte(" - cgroup")) {
			continue
		}
		before, after, _ := strings.Cut(string(line), " - ")
		mount, kind := strings.Fields(before), strings.Fields(after)
		if len(mount) < 5 || len(kind) < 3 {
			continue
		}
		switch {
		case kind[0] == "cgroup" && v1 != "" && slices.Contains(strings.Split(kind[2], ","), "memory"):
			add(mount[3], mount[4], v1)
		case kind[0] == "cgroup2" && v1 == "" && v2 != "":
			add(mount[3], mount[4], v2)
		}
	}
	return append(append(list, guesses...), cgroup{folder: "/sys/fs/cgroup"}, cgroup{folder: "/sys/fs/cgroup/memory"})
}

// memoryPaths are our paths in the hierarchies that may count memory, from
// lines such as "4:memory:/docker/1f" (version 1) and "0::/docker/1f" (2). With
// both, version 1 has it.
func memoryPaths(lines string) (v1, v2 string) {
	for line := range strings.Lines(lines) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		switch {
		case len(parts) < 3:
		case slices.Contains(strings.Split(parts[1], ","), "memory"):
			v1 = parts[2]
		case parts[0] == "0" && parts[1] == "":
			v2 = parts[2]
		}
	}
	return v1, v2
}

// counted reads the counter of a cgroup, which is in one of two files.
func counted(folder string) (kills int, ok bool) {
	var buffer [512]byte
	for _, name := range [...]string{"/memory.events", "/memory.oom_control"} {
		for line, rest := nextLine(read(folder+name, buffer[:])); line != nil; line, rest = nextLine(rest) {
			if number, found := bytes.CutPrefix(line, []byte("oom_kill ")); found {
				kills, err := strconv.Atoi(string(bytes.TrimSpace(number)))
				return kills, err == nil
			}
		}
	}
	return 0, false
}

// nextLine is what bytes.Lines gives, whose text must be on the heap; nil is the
// end.
func nextLine(text []byte) (line, rest []byte) {
	if i := bytes.IndexByte(text, '\n'); i >= 0 {
		return text[:i+1], text[i+1:]
	}
	if len(text) == 0 {
		return nil, nil
	}
	return text, nil
}

// read reads a file of the kernel's whole, into the buffer where that is large
// enough: this is done beside the start of the app, and os.ReadFile leaves 70 KiB
// of memory in use. It is empty where it can't be read.
func read(path string, buffer []byte) []byte {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = unix.Close(fd) }()
	for n := 0; ; {
		switch m, err := unix.Read(fd, buffer[n:]); {
		case err == unix.EINTR:
		case err != nil:
			return nil
		case m == 0:
			return buffer[:n]
		default:
			if n += m; n == len(buffer) {
				buffer = append(buffer, make([]byte, len(buffer))...)
			}
		}
	}
}
