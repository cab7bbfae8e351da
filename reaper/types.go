package reaper

import (
	"os"
	"strconv"
	"syscall"

	"exeunt/signals"
)

// A Command is everything needed to start a child. The zero value of each
// field means "as exeunt itself got it".
type Command struct {
	// Args is the program and its arguments. A program without a slash is
	// looked up in PATH of Env, as execvp(3) does.
	Args []string
	// Env is the whole environment, in order and byte for byte.
	Env []string
	// Dir is the working directory; empty keeps ours.
	Dir string
	// User is who the child runs as; nil keeps ours.
	User *User
	// Stdin, Stdout and Stderr are the child's descriptors 0 to 2; nil is ours,
	// closed if we got it closed and can know (release builds).
	Stdin, Stdout, Stderr *os.File
	// Terminal makes the child's group the foreground group of the terminal
	// on stdin; it is ignored where stdin is no terminal.
	Terminal bool
	// Session makes the child lead a session of its own (setsid(2)), without a
	// terminal, where otherwise it leads a process group of its own.
	Session bool
	// Descriptors passes on the descriptors from 3 up that we inherited, with
	// LISTEN_PID in Env rewritten if it named us (sd_listen_fds(3)).
	Descriptors bool
	// Extra are files to be at these descriptors, from 3 up, in the child, also
	// in the place of an inherited one. Start does not close them.
	Extra map[int]*os.File
	// Limits are set with our privileges, before User; what it does not name
	// is as we got it. The last of two on one resource counts.
	Limits []Limit
	// OOMScoreAdj is what to write to /proc/self/oom_score_adj, -1000 to 1000;
	// nil keeps ours. Lowering it needs CAP_SYS_RESOURCE.
	OOMScoreAdj *int
	// Umask is the file mode creation mask, 0 to 0o777; nil keeps ours.
	Umask *int
	// NoNewPrivs sets PR_SET_NO_NEW_PRIVS in the child.
	NoNewPrivs bool
	// DeathSignal is sent to the child by the kernel when we die; zero is none.
	DeathSignal signals.Signal
}

// A User is who a child runs as. See LookupUser.
type User struct {
	UID, GID uint32
	Groups   []uint32 // supplementary groups
	Name     string   // for USER and LOGNAME
	Home     string   // for HOME
}

// A Limit bounds a resource as setrlimit(2) does, in its units: bytes,
// descriptors, seconds, for RTTIME microseconds. RLIM_INFINITY, the largest
// uint64, is no limit. Raising Hard needs CAP_SYS_RESOURCE.
type Limit struct {
	Resource   int // RLIMIT_NOFILE and so on; see LimitNames
	Soft, Hard uint64
}

// A StartError says why a child could not be started. Nothing is left running.
type StartError struct {
	Path string        // the program, as given
	Op   string        // what failed: "find", "exec", "chdir", "fork", "setuid", "limit", "oom_score_adj", "umask", …
	Name string        // what Op was done to, if not Path: a directory, a user, a descriptor, a limit and its values
	Err  syscall.Errno // why
}

// A Target is whom a signal is for. The zero Target is nobody: signalling it
// is an error. Targets are comparable.
type Target struct {
	kind  targetKind
	pid   int
	start uint64
}

type targetKind uint8

const (
	nobody targetKind = iota
	process
	group
	everyone
)

// Process is the process pid. With a start time (field 22 of /proc/PID/stat,
// as in Stray.Start) the signal is sent only if that process still has it; 0
// is for children of our own that have not been reaped, whose number cannot
// belong to anybody else.
func Process(pid int, start uint64) Target { return Target{process, pid, start} }

// Group is the process group that the child pid leads. Only for children of
// our own that have not been reaped.
func Group(pid int) Target { return Target{group, pid, 0} }

// Everyone is every process of the PID namespace but ourselves. Signalling it
// is refused with an error unless we are PID 1.
func Everyone() Target { return Target{kind: everyone} }

// String is for logs and tests: "process 12", "group 12", "everyone", "nobody".
func (t Target) String() string {
	switch t.kind {
	case process:
		return "process " + strconv.Itoa(t.pid)
	case group:
		return "group " + strconv.Itoa(t.pid)
	case everyone:
		return "everyone"
	}
	return "nobody"
}

// An Exit is one child's death, seen while the child is still a zombie.
type Exit struct {
	PID    int
	Status Status
}

// A Status is a raw wait(2) status.
type Status uint32

// Exited reports whether the child ended by exit(2).
func (s Status) Exited() bool { return s&0x7f == 0 }

// Code is the exit code of a child that Exited.
func (s Status) Code() int { return int(s>>8) & 0xff }

// Signal is the signal that killed the child, or zero.
func (s Status) Signal() signals.Signal {
	if s.Exited() {
		return 0
	}
	return signals.Signal(s & 0x7f)
}

// Shell is the code that a shell or a container runtime shows for the status:
// the exit code, or 128 plus the signal.
func (s Status) Shell() int {
	if s.Exited() {
		return s.Code()
	}
	return 128 + int(s.Signal())
}

// A Stray is a living process as /proc shows it: not a zombie, not ourselves.
type Stray struct {
	PID, Parent, Group, Session int
	Start                       uint64 // field 22 of /proc/PID/stat: tells a PID from its reuse
	Name                        string // comm, at most 15 bytes
	Stopped                     bool   // state T
	Terminal                    bool   // has a controlling terminal
	Caught, Ignored             signals.Set
	OutOfReach                  bool // we may not signal it (EPERM)
}
