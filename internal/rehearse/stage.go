package rehearse

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"exeunt/reaper"
)

// A stage is where the app plays: an exeunt of its own and all below it.
type stage struct {
	pid   int // exeunt, our child
	pid1  bool
	ended <-chan struct{} // closed when exeunt has ended; it is a zombie until strike
	// spared are the children that we had before, as a program that a shell
	// has become by exec may. Not PID 1 only.
	spared map[int]bool
}

// marker is the variable that tells the binary, started anew, to set the stage
// and become `exeunt run`. Its value says whether it is in a user namespace.
const marker = "EXEUNT_REHEARSAL"

// A kind of stage is the namespaces that it has.
type kind struct {
	flags uintptr
	value string // of marker; empty needs no preparation
}

// kinds is in order of likeness to a container. A user namespace is what lets
// somebody without CAP_SYS_ADMIN make the others.
var kinds = []kind{
	{syscall.CLONE_NEWPID | syscall.CLONE_NEWNS, "own"},
	{syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER, "user"},
	{},
}

// raise starts exeunt on the best stage that can be had.
func raise(o Options) (*stage, error) {
	var refused error
	spared := make(map[int]bool)
	for _, k := range kinds {
		if k.flags == 0 {
			fmt.Fprintf(o.Log, "rehearse: no PID namespace here (%v): exeunt is a subreaper, not PID 1\n", refused)
			// What exeunt leaves when we have to kill it comes to us.
			if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
				return nil, fmt.Errorf("cannot become a subreaper: %v", err)
			}
			for _, a := range children(os.Getpid()) {
				spared[a.pid] = true
			}
		}
		pid, err := k.fork(o)
		if err == nil {
			ended := make(chan struct{})
			go await(pid, ended)
			return &stage{pid: pid, pid1: k.flags != 0, ended: ended, spared: spared}, nil
		}
		refused = err
	}
	return nil, fmt.Errorf("cannot start exeunt: %v", refused)
}

// fork starts exeunt on a stage of kind k and returns when it is exeunt, or
// why it could not be. The caller is locked to its thread.
func (k kind) fork(o Options) (pid int, err error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	attr := &syscall.ProcAttr{
		Env:   o.Env,
		Files: []uintptr{null.Fd(), 1, 2},
		Sys: &syscall.SysProcAttr{
			Cloneflags: k.flags,
			// As in a container, and so that a Ctrl-C meant for us is not theirs.
			Setsid: true,
			// With PID 1 goes its namespace. Without one KILL would leave the app
			// behind, so exeunt is to stop it.
			Pdeathsig: syscall.SIGTERM,
		},
	}
	if k.flags != 0 {
		attr.Sys.Pdeathsig = syscall.SIGKILL
		attr.Env = append(o.Env[:len(o.Env):len(o.Env)], marker+"="+k.value)
		attr.Files = append(attr.Files, w.Fd())
	}
	if k.flags&syscall.CLONE_NEWUSER != 0 {
		// The app keeps its ids. For anyone but root the capabilities of a new
		// user namespace end at exec, so the one that mounts needs is made ambient.
		attr.Sys.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
		attr.Sys.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
		attr.Sys.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN}
	}
	argv := append([]string{os.Args[0], "run"}, o.Args...)
	// A container begins with nothing blocked, whatever this thread has.
	var none, ours unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &none, &ours); err != nil {
		return 0, err
	}
	pid, err = syscall.ForkExec("/proc/self/exe", argv, attr)
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &ours, nil) // cannot fail where the first did not
	w.Close()
	if err != nil {
		return 0, err
	}
	// The other end is closed by exec: nothing to read means that exeunt runs.
	if said, _ := io.ReadAll(r); len(said) > 0 {
		collect(pid)
		return 0, errors.New(string(said))
	}
	return pid, nil
}

// Enter is called first thing in main. In an ordinary process it does nothing.
// In one that Run has started it makes the stage, becomes `exeunt run` and does
// not return.
func Enter() {
	value, ok := os.LookupEnv(marker)
	if !ok {
		return
	}
	runtime.LockOSThread() // capabilities are the thread's that calls exec
	const tell = 3         // the pipe to Run
	syscall.CloseOnExec(tell)
	err := furnish(value == "user")
	if err == nil {
		err = syscall.Exec("/proc/self/exe", os.Args, without(reaper.Environ(), marker))
	}
	_, _ = syscall.Write(tell, []byte(err.Error()))
	os.Exit(Failure)
}

// furnish gives a fresh PID namespace the /proc that belongs to it, and gives
// up the capabilities that this took.
func furnish(user bool) error {
	if os.Getpid() != 1 {
		return errors.New("not PID 1")
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mounts cannot be made private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("cannot mount /proc: %w", err)
	}
	if !user {
		return nil
	}
	none := [2]unix.CapUserData{}
	if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0]); err != nil {
		return fmt.Errorf("cannot drop capabilities: %w", err)
	}
	return nil
}

func without(env []string, name string) []string {
	kept := make([]string, 0, len(env))
	for _, v := range env {
		if !strings.HasPrefix(v, name+"=") {
			kept = append(kept, v)
		}
	}
	return kept
}
