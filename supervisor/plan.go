package supervisor

import (
	"fmt"
	"slices"
	"time"

	"exeunt/hooks"
	"exeunt/reaper"
	"exeunt/signals"
)

// A Plan is all that is decided before the first fork. It is not changed
// afterwards, and a Machine may be made from it more than once.
type Plan struct {
	Services []Service // in the order of the file; no cycle of dependencies
	Disabled []string  // services of the file that are left out
	Adopted  bool      // the only service runs already, or ran: its Spawn starts nothing
	// Managed tells that the services come from a file: readiness is told to
	// whoever started us, and the control socket is opened.
	Managed bool
	Seed    uint64 // spreads the restarts

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

// A Service is a process that the plan names: one that runs until it is told to
// stop, or with Oneshot or a Timetable one whose runs end by themselves.
type Service struct {
	Name string
	// Of is the service of the file that this one is a replica or a spare of;
	// empty is none. Orders and dependencies that name it mean all of them.
	Of string
	// Spare tells that it is kept for runs of Of that overlap: it is started
	// by that one's Timetable, and is not seen before.
	Spare   bool
	Command reaper.Command
	Oneshot bool // runs to its end once

	// StopSignal is the ladder of signals sent in phase 2; empty sends the
	// rewrite of the signal that began the stop, else TERM.
	StopSignal []Rung
	StopGrace  time.Duration // from stop signal to KILL; 0 is the schedule's
	KillMode   KillMode
	// Signals are the signals that it is forwarded, to what it is sent instead;
	// 0 sends none. Nil forwards all to the only service, and to one of several
	// none.
	Signals      map[signals.Signal]signals.Signal
	ReloadSignal signals.Signal // what a reload sends; zero is HUP

	DependsOn []Dependency // comes after those, and goes before them
	Health    *Health      // how it is known to be ready; nil is at once
	// StartTimeout is from its start to being ready; a start that takes longer
	// has failed. 0 waits for ever.
	StartTimeout time.Duration
	Restart      Restart
	Timetable    Timetable // when it runs; nil is once, at the start
	Overlap      Overlap   // what a run does that is due while the last one goes on

	Essential        bool  // its end is the container's
	SuccessExitCodes []int // besides 0

	PreStart, PostStart, PreStop, PostStop []hooks.Hook

	Stdout, Stderr Stream
}

// A Dependency is a service that must have come so far before another starts.
type Dependency struct {
	On    string // its Name or Of
	Until Condition
}

// A Condition is how far a dependency must have come: Compose's words.
type Condition uint8

// The conditions. The zero Condition is Started.
const (
	Started   Condition = iota // service_started
	Healthy                    // service_healthy
	Completed                  // service_completed_successfully
)

// A Health is how a service is known to be ready and well. Exactly one of Probe
// (a command, http or tcp hook), Notify and FD is set.
type Health struct {
	Probe  *hooks.Hook // tried again and again; its Timeout bounds one try
	Notify bool        // sd_notify(3): READY=1
	FD     int         // a newline on this descriptor, as s6's notification-fd

	Interval      time.Duration // from one probe's end to the next, once ready
	StartInterval time.Duration // the same until then
	StartPeriod   time.Duration // failures in so much of the start do not count
	Retries       int           // failures in a row that make it unhealthy; 0 is 3
	// Watchdog is how often a service with Notify says WATCHDOG=1 at the least;
	// 0 does not ask for it.
	Watchdog    time.Duration
	OnUnhealthy OnUnhealthy
}

// OnUnhealthy is what becomes of a service that is unhealthy.
type OnUnhealthy uint8

// The zero OnUnhealthy is Tolerate.
const (
	Tolerate         OnUnhealthy = iota // "none": only say so
	RestartUnhealthy                    // stop it and start it again, whatever Restart says
	StopUnhealthy                       // stop it: it has ended for good, and failed
)

// A Restart says when a service that ended is started again. The zero Restart
// is never.
type Restart struct {
	When RestartWhen
	Max  int // restarts in a row; 0 is no limit
	// Delay is before the first restart in a row; it doubles with each, up to
	// MaxDelay, and is spread by a tenth so that many do not come at once. A
	// row ends when the service has run for MaxDelay, but 10 s at the least.
	Delay, MaxDelay time.Duration
}

// RestartWhen is after which ends a service is started again.
type RestartWhen uint8

// The zero RestartWhen is Never.
const (
	Never     RestartWhen = iota
	OnFailure             // a code that is none of its successes, or a signal
	Always
)

// A Timetable says when a service runs next. Next must be pure: the same time
// gives the same answer. The zero Time is never again.
type Timetable interface {
	Next(after time.Time) time.Time
}

// Overlap is what a scheduled run does while the one before it goes on.
type Overlap uint8

// The zero Overlap is Forbid.
const (
	Forbid  Overlap = iota // it is left out
	Allow                  // it runs beside it, as one of the plan's spares
	Replace                // it runs when the one before it has been stopped
)

// A Stream is where a service's output goes. The zero Stream is inherited.
type Stream struct {
	Mode StreamMode
	Path string // for ToFile
}

// A StreamMode is what is done with a stream.
type StreamMode uint8

// The zero StreamMode is Inherit.
const (
	Inherit StreamMode = iota // our own descriptor
	Prefix                    // ours, each line with the service's name, or as JSON where the log is
	Null                      // nowhere
	ToFile                    // appended to Path
)

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

// piped reports whether output of services comes by way of us.
func (p *Plan) piped() bool {
	for i := range p.Services {
		if s := &p.Services[i]; s.Stdout.Mode == Prefix || s.Stderr.Mode == Prefix {
			return true
		}
	}
	return false
}

// named reports whether name means service i: it is its own, or that of the
// service of the file that it belongs to.
func (p *Plan) named(i int, name string) bool {
	return p.Services[i].Name == name || p.Services[i].Of == name
}

// Lacks says that no service has that name, or why; empty is that one has.
func (p *Plan) Lacks(name string) string {
	for i := range p.Services {
		if p.named(i, name) {
			return ""
		}
	}
	if slices.Contains(p.Disabled, name) {
		return fmt.Sprintf("%q is disabled in the file (enabled: false, or no replicas)", name)
	}
	return fmt.Sprintf("no service %q", name)
}

// dependsOn reports whether service i depends on service j.
func (p *Plan) dependsOn(i, j int) bool {
	for k := range p.Services[i].DependsOn {
		if p.named(j, p.Services[i].DependsOn[k].On) {
			return i != j
		}
	}
	return false
}
