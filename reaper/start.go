package reaper

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"exeunt/internal/entry"
)

// Start starts a child in a process group of its own and returns when its
// program runs. An error is a *StartError; nothing is left running then. It
// blocks while the kernel loads the program, with every signal of this thread
// held back. The child is a zombie until Exited has yielded it, however early
// it ends.
func (r *Reaper) Start(c *Command) (pid int, err error) {
	defer runtime.KeepAlive(c)
	l, failed := r.prepare(c)
	if failed != nil {
		return 0, failed
	}
	pid, failure := l.start()
	if failure.is(stepExec, syscall.ENOEXEC) {
		if script := candidates(c)[failure.at]; isScript(inDir(c.Dir, script)) {
			// What execvp(3) and every shell do with a file without "#!".
			if failed = l.interpret(script, c.Args); failed != nil {
				return 0, failed
			}
			pid, failure = l.start()
		}
	}
	if failure.errno != 0 {
		return 0, c.explain(failure)
	}
	r.started[pid] = struct{}{}
	r.childless = false
	return pid, nil
}

// start forks and waits for the exec.
func (l *launch) start() (int, failure) {
	pid, read, errno := l.forkWithPipe()
	if errno != 0 {
		return 0, failure{errno: uint32(errno), step: stepFork}
	}
	defer func() { _ = syscall.Close(read) }()
	var f failure
	report := unsafe.Slice((*byte)(unsafe.Pointer(&f)), unsafe.Sizeof(f))
	n, err := syscall.Read(read, report)
	for err == syscall.EINTR {
		n, err = syscall.Read(read, report)
	}
	if n != len(report) {
		return pid, failure{} // closed by exec
	}
	reap(pid)
	return 0, f
}

// forkWithPipe forks and returns the child and the pipe's end that tells
// whether it got to exec.
func (l *launch) forkWithPipe() (pid, read int, errno syscall.Errno) {
	// As in syscall.ForkExec: nobody may hold a descriptor that has not been
	// marked close-on-exec yet.
	syscall.ForkLock.Lock()
	defer syscall.ForkLock.Unlock()
	var pipe [2]int
	if err := syscall.Pipe2(pipe[:], syscall.O_CLOEXEC); err != nil {
		return 0, 0, err.(syscall.Errno)
	}
	l.report = uintptr(pipe[1])
	child, errno := l.fork()
	runtimeAfterFork()
	_ = syscall.Close(pipe[1])
	if errno != 0 {
		_ = syscall.Close(pipe[0])
		return 0, 0, errno
	}
	return int(child), pipe[0], 0
}

func (f failure) is(step step, errno syscall.Errno) bool {
	return f.step == step && f.errno == uint32(errno)
}

// prepare does everything that cannot be done between fork and exec.
func (r *Reaper) prepare(c *Command) (*launch, *StartError) {
	if len(c.Args) == 0 || c.Args[0] == "" {
		return nil, &StartError{Op: "find", Err: syscall.ENOENT}
	}
	l := &launch{
		session:    c.Session,
		terminal:   c.Terminal,
		noNewPrivs: c.NoNewPrivs,
		user:       c.User.credential(),
		death:      uintptr(c.DeathSignal),
		parent:     uintptr(os.Getpid()),
		mask:       entry.Mask,
		ignored:    entry.Ignored,
	}
	if failed := l.place(c); failed != nil {
		return nil, failed
	}
	if !c.Descriptors {
		l.unwanted = l.notPlaced(r.inherited)
	}
	if failed := l.bound(c); failed != nil {
		return nil, failed
	}
	return l, l.setStrings(c)
}

// setStrings sets what the child passes to the kernel as strings.
func (l *launch) setStrings(c *Command) *StartError {
	env, listen := c.Env, -1
	if c.Descriptors {
		env, listen = listenEnviron(c.Env)
	}
	var errs [4]error
	l.paths, errs[0] = syscall.SlicePtrFromStrings(candidates(c))
	l.paths = l.paths[:max(len(l.paths)-1, 0)] // without the nil
	l.argv, errs[1] = syscall.SlicePtrFromStrings(c.Args)
	l.envp, errs[2] = syscall.SlicePtrFromStrings(env)
	if c.Dir != "" {
		l.dir, errs[3] = syscall.BytePtrFromString(c.Dir)
	}
	for _, err := range errs {
		if err != nil {
			return &StartError{Path: c.Args[0], Op: "pass", Err: syscall.EINVAL}
		}
	}
	if listen >= 0 {
		entry := append([]byte(listenPID), make([]byte, len("4294967295")+1)...)
		l.envp[listen] = &entry[0]
		l.listenPID = entry[len(listenPID):]
	}
	return nil
}

// interpret makes the launch one of /bin/sh running script.
func (l *launch) interpret(script string, args []string) *StartError {
	paths, err := syscall.SlicePtrFromStrings([]string{"/bin/sh"})
	argv, err2 := syscall.SlicePtrFromStrings(append([]string{"/bin/sh", script}, args[1:]...))
	if err != nil || err2 != nil {
		return &StartError{Path: args[0], Op: "pass", Err: syscall.EINVAL}
	}
	l.paths, l.argv, l.failure = paths[:1], argv, failure{}
	return nil
}

// candidates are the paths to try for the program, as execvp(3) has them: an
// empty element of PATH is the working directory, no PATH is the system's.
func candidates(c *Command) []string {
	name := c.Args[0]
	if strings.Contains(name, "/") {
		return []string{name}
	}
	path := "/bin:/usr/bin"
	for _, entry := range c.Env {
		if value, ok := strings.CutPrefix(entry, "PATH="); ok {
			path = value
			break
		}
	}
	var list []string
	for dir := range strings.SplitSeq(path, ":") {
		if dir == "" {
			dir = "."
		}
		list = append(list, dir+"/"+name)
	}
	return list
}

// isScript reports whether a file that the kernel does not know how to run is
// text: bash's test, no NUL byte in the first line. The binary of another
// architecture fails it.
func isScript(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }()
	head := make([]byte, 128)
	n, _ := file.Read(head)
	line, _, _ := bytes.Cut(head[:n], []byte("\n"))
	return !bytes.HasPrefix(line, []byte("\x7fELF")) && !bytes.Contains(line, []byte{0})
}

// inDir is path as a child with the working directory dir sees it.
func inDir(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

const listenPID = "LISTEN_PID="

// listenEnviron is env for a child that takes over our sockets, and the index
// of the LISTEN_PID to be rewritten: -1 unless it named us or our parent,
// which may have launched us through a wrapper. LISTEN_PIDFDID names the same
// process by the inode of its pidfd and cannot be rewritten, only removed
// (sd_listen_fds(3)).
func listenEnviron(env []string) ([]string, int) {
	at := -1
	for i, entry := range env {
		if value, ok := strings.CutPrefix(entry, listenPID); ok {
			pid, err := strconv.Atoi(value)
			if err == nil && pid > 0 && (pid == os.Getpid() || pid == os.Getppid()) {
				at = i
			}
			break
		}
	}
	if at < 0 {
		return env, -1
	}
	env = slices.Clone(env)
	for i := len(env) - 1; i >= 0; i-- {
		if strings.HasPrefix(env[i], "LISTEN_PIDFDID=") {
			env = slices.Delete(env, i, i+1)
			if i < at {
				at--
			}
		}
	}
	return env, at
}
