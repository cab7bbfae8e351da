package rehearse

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"exeunt/reaper"
)

// await closes ended when the child pid has died, and leaves it a zombie, so
// that its number can be signalled until the loop has taken note.
func await(pid int, ended chan<- struct{}) {
	defer close(ended)
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}

// collect buries the child pid, waiting for its death.
func collect(pid int) reaper.Status {
	var status syscall.WaitStatus
	for {
		if _, err := syscall.Wait4(pid, &status, 0, nil); err != syscall.EINTR {
			return reaper.Status(status)
		}
	}
}

// kill ends everyone on the stage and returns who lost their life, exeunt not
// counted. s.ended closes soon afterwards.
func (s *stage) kill() []actor {
	lost := below(s.pid)
	_ = syscall.Kill(s.pid, syscall.SIGKILL)
	return lost
}

// strike collects exeunt, which has ended, and sees that the stage is empty.
func (s *stage) strike() reaper.Status {
	status := collect(s.pid)
	if s.pid1 {
		return status // its namespace went with it
	}
	// Each one killed hands its children to us, so ours are enough to look at,
	// and a number cannot be another's while we have not collected it.
	for {
		found := false
		for _, a := range children(os.Getpid()) {
			if !s.spared[a.pid] {
				found = true
				_ = syscall.Kill(a.pid, syscall.SIGKILL)
				collect(a.pid)
			}
		}
		if !found {
			return status
		}
	}
}

// An actor is a process as /proc shows it from outside of the stage.
type actor struct {
	pid, parent int
	name        string
}

func (a actor) String() string { return fmt.Sprintf("%s (pid %d out here)", a.name, a.pid) }

// below is all descendants of pid that live. Without /proc there are none.
func below(pid int) []actor {
	all := everyone()
	found := []actor{{pid: pid}}
	for i := 0; i < len(found); i++ {
		for _, a := range all {
			if a.parent == found[i].pid {
				found = append(found, a)
			}
		}
	}
	return found[1:]
}

func children(pid int) []actor {
	var found []actor
	for _, a := range everyone() {
		if a.parent == pid {
			found = append(found, a)
		}
	}
	return found
}

// everyone is who lives, from proc_pid_stat(5): "7 (name) S 1 …".
func everyone() []actor {
	names, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []actor
	for _, entry := range names {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + entry.Name() + "/stat")
		if err != nil {
			continue // it has gone
		}
		open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
		fields := bytes.Fields(stat[end+1:])
		if open < 0 || end < open || len(fields) < 2 || fields[0][0] == 'Z' || fields[0][0] == 'X' {
			continue
		}
		parent, _ := strconv.Atoi(string(fields[1]))
		found = append(found, actor{pid, parent, string(stat[open+1 : end])})
	}
	return found
}
