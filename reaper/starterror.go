package reaper

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// What a step's failure is called in StartError.Op, and in words.
var steps = [...]struct{ op, words string }{
	stepFork:        {"fork", "cannot fork"},
	stepGroup:       {"setpgid", "cannot make a process group"},
	stepTerminal:    {"tcsetpgrp", "cannot give it the terminal"},
	stepOOMScore:    {"oom_score_adj", "cannot set oom_score_adj to"},
	stepLimit:       {"limit", "cannot set the limit"},
	stepNoNewPrivs:  {"no_new_privs", "cannot set no_new_privs"},
	stepSetgroups:   {"setgroups", "cannot set the groups of user"},
	stepSetgid:      {"setgid", "cannot change to group"},
	stepSetuid:      {"setuid", "cannot change to user"},
	stepChdir:       {"chdir", "cannot change to directory"},
	stepDeathSignal: {"prctl", "cannot set the parent-death signal"},
	stepDescriptors: {"dup", "cannot set up descriptor"},
	stepExec:        {"exec", "cannot execute it"},
}

// explain makes a StartError of what the child reported, and looks for what
// the errno alone does not tell.
func (c *Command) explain(f failure) *StartError {
	e := &StartError{Path: c.Args[0], Op: steps[f.step].op, Err: syscall.Errno(f.errno)}
	switch f.step {
	case stepChdir:
		e.Name = c.Dir
	case stepSetgid:
		e.Name = strconv.FormatUint(uint64(c.User.GID), 10)
	case stepSetgroups, stepSetuid:
		e.Name = strconv.FormatUint(uint64(c.User.UID), 10)
	case stepOOMScore:
		e.Name = strconv.Itoa(*c.OOMScoreAdj)
	case stepLimit:
		e.Name = c.Limits[f.at].name()
	case stepDescriptors:
		e.Name = strconv.FormatUint(uint64(f.at), 10)
	case stepExec:
		c.explainExec(e, candidates(c), int(f.at))
	}
	return e
}

func (c *Command) explainExec(e *StartError, paths []string, at int) {
	switch e.Err {
	case syscall.ENOENT:
		e.Op = "find"
		for _, path := range paths {
			// ENOENT of a file that is there is its interpreter's, or its loader's.
			if info, err := os.Stat(inDir(c.Dir, path)); err == nil && info.Mode().IsRegular() {
				e.Op, e.Name = "interpret", path
				return
			}
		}
	case syscall.EACCES:
		if info, err := os.Stat(inDir(c.Dir, paths[at])); err == nil && info.IsDir() {
			e.Err = syscall.EISDIR
		}
	}
}

// Code is the exit code that a shell, env(1) and timeout(1) give such an
// error: 127 where the program or its interpreter was not found, 126 where it
// was found but cannot be executed, else 125.
func (e *StartError) Code() int {
	switch e.Op {
	case "find", "interpret":
		return 127
	case "exec":
		switch e.Err {
		case syscall.ENOENT, syscall.ENOTDIR:
			return 127
		case syscall.EAGAIN, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE:
			return 125 // nothing is wrong with the program
		}
		return 126
	}
	return 125
}

// Unwrap returns the errno.
func (e *StartError) Unwrap() error { return e.Err }

// Error is one line: what could not be done, why, and where we know it, what to do.
func (e *StartError) Error() string {
	return fmt.Sprintf("cannot start %q: %s", e.Path, e.reason())
}

func (e *StartError) reason() string {
	switch e.Op {
	case "find":
		switch {
		case e.Path == "":
			return "no program is given"
		case strings.Contains(e.Path, "/"):
			return e.Err.Error()
		}
		return "not found in PATH"
	case "interpret":
		return fmt.Sprintf("the interpreter or loader that %q asks for does not exist (look at its first line, or link it statically)", e.Name)
	case "pass":
		return "an argument, variable or directory has a NUL byte in it"
	case "umask":
		return fmt.Sprintf("the umask %s is not between 0 and 0777", e.Name)
	case "exec":
		return e.Err.Error() + e.hint()
	}
	words := e.Op
	for _, step := range steps {
		if step.op == e.Op {
			words = step.words
		}
	}
	if e.Name != "" {
		words += " " + strconv.Quote(e.Name)
	}
	return words + ": " + e.Err.Error() + e.hint()
}

// hint is what to do about it, or nothing.
func (e *StartError) hint() string {
	switch e.Err {
	case syscall.EAGAIN:
		return " (a limit on processes is reached: the container's pids limit, or ulimit -u)"
	case syscall.EMFILE, syscall.ENFILE:
		return " (a limit on open files is reached: ulimit -n)"
	case syscall.ENOEXEC:
		return " (is it built for this architecture?)"
	case syscall.E2BIG:
		return " (arguments and environment are too long)"
	}
	switch {
	case e.Op == "exec" && e.Err == syscall.EACCES:
		return " (is it executable, for this user, on a file system not mounted noexec?)"
	case e.Op == "dup" && e.Err == syscall.EINVAL:
		return " (an extra one is 3 or more, and below ulimit -n)"
	case e.Op == "limit" && e.Err == syscall.EPERM:
		return " (raising a hard limit needs CAP_SYS_RESOURCE; nofile ends at fs.nr_open)"
	case e.Op == "limit" && e.Err == syscall.EINVAL:
		return " (is the soft limit above the hard one?)"
	case e.Op == "oom_score_adj" && e.Err == syscall.EACCES:
		return " (lowering it needs CAP_SYS_RESOURCE)"
	case e.Op == "oom_score_adj" && e.Err == syscall.EINVAL:
		return " (it goes from -1000 to 1000)"
	case e.Op == "oom_score_adj" && e.Err == syscall.ENOENT:
		return " (/proc is not mounted, or is another PID namespace's)"
	}
	return ""
}
