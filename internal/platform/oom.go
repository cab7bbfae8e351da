package platform

import (
	"os"
	"slices"
	"strconv"
	"strings"
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
	paths, _ := os.ReadFile(root + "/proc/self/cgroup")
	mounts, _ := os.ReadFile(root + "/proc/self/mountinfo")
	v1, v2 := memoryPaths(string(paths))
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
	for line := range strings.Lines(string(mounts)) {
		before, after, _ := strings.Cut(line, " - ")
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
	for _, name := range [...]string{"/memory.events", "/memory.oom_control"} {
		text, _ := os.ReadFile(folder + name)
		for line := range strings.Lines(string(text)) {
			if number, found := strings.CutPrefix(line, "oom_kill "); found {
				kills, err := strconv.Atoi(strings.TrimSpace(number))
				return kills, err == nil
			}
		}
	}
	return 0, false
}
