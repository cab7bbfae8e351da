package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// limited is used as: limited MIB COMMAND... It runs COMMAND in a memory cgroup
// of its own, below that which it is in, and returns its exit code.
func limited(args []string) int {
	if len(args) < 2 {
		return fail(errors.New("bad use"))
	}
	mebibytes, err := strconv.Atoi(args[0])
	if err != nil {
		return fail(err)
	}
	above, limit, err := memoryCgroup()
	if err != nil {
		return fail(err)
	}
	cgroup := filepath.Join(above, fmt.Sprintf("limited-%d", os.Getpid()))
	if err := os.Mkdir(cgroup, 0o755); err != nil {
		return fail(err)
	}
	defer remove(cgroup)
	if err := os.WriteFile(filepath.Join(cgroup, limit), []byte(strconv.Itoa(mebibytes<<20)), 0); err != nil {
		return fail(err)
	}
	// A thread at a time could stay behind: the process moves as a whole.
	self := []byte(strconv.Itoa(os.Getpid()))
	if err := os.WriteFile(filepath.Join(cgroup, "cgroup.procs"), self, 0); err != nil {
		return fail(err)
	}
	cmd := exec.Command(args[1], args[2:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	err = cmd.Run()
	if back := os.WriteFile(filepath.Join(above, "cgroup.procs"), self, 0); back != nil {
		return fail(back)
	}
	if cmd.ProcessState == nil {
		return fail(err)
	}
	return cmd.ProcessState.ExitCode()
}

// memoryCgroup is the folder of the cgroup that we are in and the file that
// limits one below it.
func memoryCgroup() (folder, limit string, err error) {
	paths, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", "", err
	}
	for line := range strings.Lines(string(paths)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(parts) == 3 && parts[1] == "memory":
			return "/sys/fs/cgroup/memory" + parts[2], "memory.limit_in_bytes", nil
		case len(parts) == 3 && parts[0] == "0":
			folder, limit = "/sys/fs/cgroup"+parts[2], "memory.max"
		}
	}
	if folder == "" {
		return "", "", errors.New("no cgroup counts our memory")
	}
	return folder, limit, nil
}

// remove waits for the last of the cgroup to have gone.
func remove(cgroup string) {
	deadline := time.After(5 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for os.Remove(cgroup) != nil {
		select {
		case <-deadline:
			fmt.Fprintf(os.Stderr, "limited: cannot remove %q\n", cgroup)
			return
		case <-tick.C:
		}
	}
}

// hungry takes memory, 256 MiB at most, and keeps it.
func hungry([]string) int {
	var kept [][]byte
	for range 256 {
		piece := make([]byte, 1<<20)
		for i := 0; i < len(piece); i += 4096 {
			piece[i] = 1
		}
		kept = append(kept, piece)
	}
	return fail(fmt.Errorf("had all of %d MiB", len(kept)))
}
