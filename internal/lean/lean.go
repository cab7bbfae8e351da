// Package lean runs a plain command line without the Go runtime: it starts the
// program, forwards signals and reaps, in one thread and some pages, until
// something has to be decided. Then the runtime is started in the same process
// and the ordinary program goes on, with the program running that it would
// otherwise start. As long as nothing happens, nobody pays for the runtime: it
// takes eight times as long to start as all of this, and most of a megabyte.
//
// It is there only in a build that asks for it (amd64 and arm64, CGO_ENABLED=0):
//
//	go build -ldflags "-E exeunt/internal/lean.start"
//
// In any other build the linker leaves it out.
//
// Plain is "exeunt [--] COMMAND", and the same under the name of another init,
// without a variable that decides something, and without an option but for a
// grace period in seconds, which decides nothing before the stop; see plain.
// To be decided are a stop signal, one that could freeze the program or that
// the kernel itself sent, an end with a code other than 0, an end with others
// still alive, and whatever is unexpected.
//
// # Code that runs before the runtime
//
// No allocation, map, interface, defer, closure or panic; every function nosplit,
// on the stack that the kernel made; system calls from assembly. What the kernel
// is to fill in and what outlives a function is in package variables.
package lean

// Main is the PID of the program, child of this process, if it was started
// here; 0 if not. Read only.
var Main int

// Ended reports whether Main has ended and has been reaped, with Status, as
// wait(2) has it. Read only.
var Ended bool

// Unlimited reports that nothing was started here and that no limit of processes
// was in sight. False is not known. Read only.
var Unlimited bool

// Status is Main's, if Ended.
var Status uint32
