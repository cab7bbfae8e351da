package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// poll calls done until it is true, and fails the test if it never is.
func poll(t *testing.T, what string, done func() bool) {
	t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	deadline := time.After(bound)
	for !done() {
		select {
		case <-look.C:
		case <-deadline:
			t.Fatalf("%s: not within %v", what, bound)
		}
	}
}

// childOf waits for the only child of pid and returns its number.
func childOf(t *testing.T, pid int) int {
	t.Helper()
	child := 0
	poll(t, fmt.Sprintf("a child of %d", pid), func() bool {
		lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
		for _, list := range lists {
			text, _ := os.ReadFile(list)
			if fields := strings.Fields(string(text)); len(fields) == 1 {
				child, _ = strconv.Atoi(fields[0])
			}
		}
		return child != 0 && executed(pid, child)
	})
	return child
}

// executed reports whether a child has become its own program. Before that it is
// suspended in its parent's memory, and whoever stops it stops both.
func executed(parent, child int) bool {
	old, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", parent))
	now, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", child))
	return err == nil && now != old
}

// stat returns the fields of /proc/PID/stat from the state on, which is the
// third: proc(5) counts from 1 and so do we.
func stat(pid int) (fields []string, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, false
	}
	// The name may hold anything, parentheses too.
	return strings.Fields("pid name " + string(text[strings.LastIndexByte(string(text), ')')+1:])), true
}

// awaitState waits until the process is in one of these states.
func awaitState(t *testing.T, pid int, states string) {
	t.Helper()
	poll(t, fmt.Sprintf("state %s of %d", states, pid), func() bool {
		fields, ok := stat(pid)
		return ok && strings.Contains(states, fields[2])
	})
}

// ticks returns the processor time that a process has used, in hundredths of a
// second (USER_HZ, the same on every architecture of ours).
func ticks(t *testing.T, pid int) int {
	t.Helper()
	fields, ok := stat(pid)
	if !ok {
		t.Fatalf("process %d is gone", pid)
	}
	user, _ := strconv.Atoi(fields[13])
	system, _ := strconv.Atoi(fields[14])
	return user + system
}

// switches returns how often the threads of a process have been scheduled.
func switches(t *testing.T, pid int) int {
	t.Helper()
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if len(threads) == 0 {
		t.Fatalf("process %d is gone", pid)
	}
	sum := 0
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(text), "\n") {
			if key, value, _ := strings.Cut(line, ":"); strings.HasSuffix(key, "_ctxt_switches") {
				n, err := strconv.Atoi(strings.TrimSpace(value))
				if err != nil {
					t.Fatal(err)
				}
				sum += n
			}
		}
	}
	return sum
}
