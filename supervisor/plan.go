package supervisor

import (
	"time"

	"exeunt/hooks"
	"exeunt/reaper"
	"exeunt/signals"
)

// A Plan is all that is decided before the first fork. It is not changed
// afterwards, and a Machine may be made from it more than once.
type Plan struct {
	Services []Service // in the order of the file; dependencies come first

	PreStart, PostStart, PreStop, PostStop []hooks.Hook

	Budget      Budget
	HookTimeout time.Duration // of a hook that names none; 0 is 5 s
	// Straggler is how long everyone else may live once the last service has
	// ended by itself; negative is the default, the smaller of 5 s and the
	// grace period; 0 kills them at once.
	Straggler time.Duration

	StopOn   signals.Set      // what begins the stop, as received
	Rewrites signals.Rewrites // what is forwarded instead

	// AsReceived passes stop signals on as other inits do: without a rewrite or
	// a ladder the services are sent the one received, and each repeat of it;
	// repeats neither hurry nor kill.
	AsReceived bool
	// SuspendOn are signals at which we stop ourselves (SIGSTOP) once they have
	// been forwarded, for the job control of a shell that started us. As PID 1
	// we cannot be stopped: the kernel ignores it.
	SuspendOn signals.Set
	// Pause runs without services until a stop signal, and then ends with 0.
	Pause bool
	// LeaveStrays leaves everyone else alone when the last service has gone: as
	// PID 1 the kernel kills them when we exit, else they live on.
	LeaveStrays bool
	// WarnReaped says of each orphan that it was reaped.
	WarnReaped bool
	// DeathSignal is sent to us by the kernel when our parent dies; zero is none.
	DeathSignal signals.Signal

	StartCodes StartCodes
	ExitCodes  map[int]int // exit code of the run to the one we exit with
	OnStopExit int         // exit code after a requested stop; negative keeps the run's

	// PID1 tells whether we are PID 1 of our namespace: then everyone in it is
	// ours to end. Otherwise our descendants are.
	PID1 bool
	// Console tells that the terminal's foreground group is the service, so that
	// the kernel has already given it what the terminal's keys sent us.
	Console bool
}

// StartCodes are the exit codes of a run whose service could not be started.
// The zero StartCodes are 127, 126 and 125.
type StartCodes struct {
	NotFound, NotExecutable, Other int
}

func (c StartCodes) of(err *reaper.StartError) int {
	code := err.Code()
	switch {
	case c == StartCodes{}:
		return code
	case code == 127:
		return c.NotFound
	case code == 126:
		return c.NotExecutable
	}
	return c.Other
}

// A Service is a process that the plan names.
type Service struct {
	Name    string
	Command reaper.Command

	// StopSignal is the ladder of signals sent in phase 2; empty sends the
	// rewrite of the signal that began the stop, else TERM.
	StopSignal []Rung
	StopGrace  time.Duration // from stop signal to KILL; 0 is the schedule's
	KillMode   KillMode

	DependsOn        []string // names of services that must be up first and go last
	Essential        bool     // its end is the container's
	SuccessExitCodes []int    // besides 0

	PreStart, PostStart, PreStop, PostStop []hooks.Hook
}

// A Rung is one step of a stop signal's ladder: the signal, and how long it
// has until the next one. The last rung's time is up to the schedule.
type Rung struct {
	Signal signals.Signal
	For    time.Duration
}

// KillMode is who is told in phase 2.
type KillMode uint8

// The zero KillMode is Cascade.
const (
	Cascade KillMode = iota // main first, then what is left of its group
	Group                   // the whole group at once
	Main                    // main alone; the others wait for phase 3
)
