//go:build amd64 || arm64

package lean

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// A personality is the init as which we behave: package compat has the whole
// of it, and what is here must not differ.
type personality uint8

const (
	exeunt personality = iota
	tini
	dumbInit
	catatonit
)

// A text is a NUL-terminated string of the kernel's.
type text = unsafe.Pointer

// A start is all that the child needs, and who we are.
var (
	as   personality
	argv unsafe.Pointer // of the program
	envp unsafe.Pointer
	path unsafe.Pointer // the value of PATH, or nil

	// grace is the grace period in seconds, 0 if none is set. It decides nothing
	// before the stop.
	grace int
)

// plain reads the command line and the environment that are on the stack as
// execve(2) laid them out, and reports whether they ask for nothing but to run
// a program. It may say no where yes were right, never the reverse.
//
//go:nosplit
func plain(stack unsafe.Pointer) bool {
	argc := *(*uintptr)(stack)
	args := unsafe.Add(stack, word)
	if argc < 2 || !named(at(args, 0)) {
		return false
	}
	first := 1 + gracePeriod(args)
	switch next := at(args, first); {
	case next == nil:
		return false
	case is(next, "--"):
		first++
	case *(*byte)(next) == '-', asVerb(next), takesAway(args):
		return false
	}
	if first >= argc || *(*byte)(at(args, first)) == 0 {
		return false
	}
	argv, envp = unsafe.Add(args, first*word), unsafe.Add(args, (argc+1)*word)
	return environment() && !(as == exeunt && configured())
}

// gracePeriod reads the flag, if it is the first word and its value is one that
// we read, and returns how many words it is.
//
//go:nosplit
func gracePeriod(args unsafe.Pointer) uintptr {
	const flag = "--grace-period"
	if as != exeunt || !begins(at(args, 1), flag) {
		return 0
	}
	value, words := unsafe.Add(at(args, 1), len(flag)), uintptr(1)
	switch *(*byte)(value) {
	case '=':
		value = unsafe.Add(value, 1)
	case 0:
		value, words = at(args, 2), 2
	default:
		return 0
	}
	if grace = seconds(value); grace == 0 {
		return 0
	}
	return words
}

// seconds reads a duration such as 30 or 30s. It is 0 for all that is not so
// plain, that is 0, or that might be too long (hooks.ParseDuration).
//
//go:nosplit
func seconds(value text) (n int) {
	for digits := 0; value != nil; digits, value = digits+1, unsafe.Add(value, 1) {
		switch c := *(*byte)(value); {
		case c-'0' < 10 && digits < 4:
			n = n*10 + int(c-'0')
		case digits > 0 && (c == 0 || is(value, "s")):
			return n
		default:
			return 0
		}
	}
	return 0
}

// configured reports whether there is a file of services, or may be, that is
// read without being named (config.DefaultFile).
//
//go:nosplit
func configured() bool {
	at, file := unix.AT_FDCWD, "/etc/exeunt.yaml\x00"
	return call(unix.SYS_FACCESSAT, uintptr(at), uintptr(unsafe.Pointer(unsafe.StringData(file))), unix.F_OK, 0, 0, 0) != -int(unix.ENOENT)
}

// named finds out by which name we were started (compat.Named).
//
//go:nosplit
func named(arg0 text) bool {
	name := arg0
	for p := arg0; *(*byte)(p) != 0; p = unsafe.Add(p, 1) {
		if *(*byte)(p) == '/' {
			name = unsafe.Add(p, 1)
		}
	}
	switch {
	case is(name, "tini"), is(name, "tini-static"), is(name, "docker-init"):
		as = tini
	case is(name, "dumb-init"):
		as = dumbInit
	case is(name, "catatonit"):
		as = catatonit
	}
	return *(*byte)(name) != 0
}

// asVerb reports whether a first word may mean something other than a program.
//
//go:nosplit
func asVerb(arg text) bool {
	return as == exeunt && (is(arg, "run") || is(arg, "rehearse") || is(arg, "version") || is(arg, "help") ||
		is(arg, "check") || is(arg, "timeline") || is(arg, "status") || is(arg, "start") || is(arg, "stop") ||
		is(arg, "restart") || is(arg, "signal") || is(arg, "reload") || is(arg, "prestop") || is(arg, "probe") ||
		is(arg, "copy") || is(arg, "convert"))
}

// takesAway reports whether one of the program's own words may be taken from
// it, as tini and catatonit do with "--" (package compat, unpermuted).
//
//go:nosplit
func takesAway(args unsafe.Pointer) bool {
	if as != tini && as != catatonit {
		return false
	}
	for i := uintptr(1); at(args, i) != nil; i++ {
		if is(at(args, i), "--") {
			return true
		}
	}
	return false
}

// environment looks for variables that decide something, and for PATH, of which
// the first counts, as for getenv(3). A grace period is not for the program to
// see: its variable is moved to the front, where the ordinary program finds it.
//
//go:nosplit
func environment() bool {
	const variable = "EXEUNT_GRACE_PERIOD="
	ours := none
	for i := uintptr(0); at(envp, i) != nil; i++ {
		entry := at(envp, i)
		switch *(*byte)(entry) {
		case 'P':
			if path == nil && begins(entry, "PATH=") {
				path = unsafe.Add(entry, len("PATH="))
			}
		case 'E':
			if !begins(entry, "EXEUNT_") {
				continue
			}
			if as != exeunt || ours != none || !begins(entry, variable) {
				return false
			}
			n := seconds(unsafe.Add(entry, len(variable)))
			if n == 0 {
				return false
			}
			if grace == 0 { // the flag goes first
				grace = n
			}
			ours = i
		case 'L':
			if begins(entry, "LISTEN_PID=") { // it is to be rewritten
				return false
			}
		case 'T', 'D', 'C':
			if as != exeunt && (begins(entry, "TINI_KILL_PROCESS_GROUP") || begins(entry, "TINI_VERBOSITY") ||
				begins(entry, "DUMB_INIT_") || begins(entry, "CATATONIT_")) {
				return false
			}
		}
	}
	if ours != none {
		entry := at(envp, ours)
		for ; ours > 0; ours-- {
			*slot(envp, ours) = at(envp, ours-1)
		}
		*slot(envp, 0) = entry
		envp = unsafe.Add(envp, word)
	}
	return true
}

const none = ^uintptr(0) // no index

const word = unsafe.Sizeof(uintptr(0))

// slot is where an element of a list of pointers is, at the element.
//
//go:nosplit
func slot(list unsafe.Pointer, i uintptr) *text { return (*text)(unsafe.Add(list, i*word)) }

//go:nosplit
func at(list unsafe.Pointer, i uintptr) text { return *slot(list, i) }

//go:nosplit
func begins(s text, with string) bool {
	for i := 0; i < len(with); i++ {
		if *(*byte)(unsafe.Add(s, i)) != with[i] {
			return false
		}
	}
	return true
}

//go:nosplit
func is(s text, want string) bool {
	return begins(s, want) && *(*byte)(unsafe.Add(s, len(want))) == 0
}
