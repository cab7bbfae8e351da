package compat

import (
	"path/filepath"
	"strings"

	"exeunt/internal/config"
	"exeunt/signals"
	"exeunt/supervisor"
)

// A Personality is another init, as which we behave. Its value is that init's
// name.
type Personality string

// The personalities. Docker's docker-init is tini.
const (
	Tini      Personality = "tini"
	DumbInit  Personality = "dumb-init"
	Catatonit Personality = "catatonit"
)

// Named is the personality of a program that was started as argv0, by the name
// of the file; ok is false for all other names, exeunt's own among them.
func Named(argv0 string) (p Personality, ok bool) {
	switch filepath.Base(argv0) {
	case "tini", "tini-static", "docker-init":
		return Tini, true
	case "dumb-init":
		return DumbInit, true
	case "catatonit":
		return Catatonit, true
	}
	return "", false
}

// An Ending is a command line that ends before anything is started: a usage or
// version text that was asked for, or a mistake. The streams and the code are
// the other init's, the words are ours.
type Ending struct {
	Stdout, Stderr string // whole lines
	Code           int
}

// Error is the first line of what the ending says.
func (e *Ending) Error() string {
	line, _, _ := strings.Cut(e.Stderr+e.Stdout, "\n")
	return line
}

// wrong is the Ending of a mistake on the command line: all three inits have
// exit code 1 for it.
func wrong(name Personality, problem, usage string) *Ending {
	return &Ending{Stderr: string(name) + ": " + problem + "\n" + usage, Code: 1}
}

// A request is what a command line and the variables of another init ask for.
// Nil and zero is what was not asked.
type request struct {
	program    []string
	group      bool // signals are for the main process's group
	session    bool // the main process gets a session of its own
	pause      bool // no program: wait for a stop signal
	warnReaped bool
	level      *supervisor.Level
	death      signals.Signal            // sent to us when our parent dies
	success    []int                     // exit codes that become 0
	rewrites   map[signals.Signal]string // what a signal becomes, as Rewrites.Add reads it
	defaults   map[signals.Signal]string // the same, of signals that rewrites does not name
	suspendOn  signals.Set
	codes      supervisor.StartCodes
}

// Parse reads the other init's command line, without its name, and its
// variables into a plan. Every EXEUNT_ variable works as well: where both
// decide one thing, the other init's flag goes first, then our variable, then
// the other init's default. An error that is an *Ending is to be carried out,
// any other is a bad variable of ours.
func (p Personality) Parse(args, env []string, host config.Host) (*config.Invocation, error) {
	parse := map[Personality]func([]string, environment) (*request, error){
		Tini: parseTini, DumbInit: parseDumbInit, Catatonit: parseCatatonit,
	}[p]
	want, err := parse(args, env)
	if err != nil {
		return nil, err
	}
	program := want.program
	if want.pause {
		program = []string{string(p)} // stands for none: config knows no run without
	}
	inv, err := config.Parse(append([]string{"--"}, program...), env, host)
	if err != nil {
		return nil, err
	}
	// A terminal stays with the session that has it: to take it into another one
	// would send HUP to whoever holds it (TIOCNOTTY, ioctl_tty(2)).
	inv.Plan.Services[0].Command.Session = want.session && !host.Terminal
	return inv, want.apply(inv, env)
}

// apply puts what was asked for into the invocation.
func (r *request) apply(inv *config.Invocation, env environment) error {
	plan, main := inv.Plan, &inv.Plan.Services[0]
	plan.AsReceived = true
	plan.WarnReaped, plan.DeathSignal = r.warnReaped, r.death
	plan.StartCodes, plan.SuspendOn = r.codes, r.suspendOn
	plan.LeaveStrays = plan.Straggler == 0
	if !env.gives("EXEUNT_KILL_MODE") {
		main.KillMode = supervisor.Main
		if r.group {
			main.KillMode = supervisor.Group
		}
	}
	switch {
	case r.level != nil:
		inv.Level = *r.level
	case !env.gives("EXEUNT_LOG_LEVEL"):
		inv.Level = max(inv.Level, supervisor.Warn)
	}
	if len(r.success) > 0 && plan.ExitCodes == nil {
		plan.ExitCodes = map[int]int{}
	}
	for _, code := range r.success {
		plan.ExitCodes[code] = 0
	}
	if err := r.rewrite(plan, env); err != nil {
		return err
	}
	if r.pause {
		plan.Pause, plan.Services = true, nil
	}
	return nil
}

// rewrite sets what signals become. A stop signal that is dropped begins no
// stop, unless EXEUNT_STOP_ON names it.
func (r *request) rewrite(plan *supervisor.Plan, env environment) error {
	if len(r.rewrites) > 0 || !env.gives("EXEUNT_REWRITE") {
		plan.Rewrites = signals.Rewrites{}
		for sig := signals.Signal(1); sig <= signals.RTMAX; sig++ {
			to, given := r.rewrites[sig]
			if !given {
				to = r.defaults[sig]
			}
			if to == "" {
				continue
			}
			if err := plan.Rewrites.Add(sig.String() + ":" + to); err != nil {
				return err
			}
		}
	}
	if env.gives("EXEUNT_STOP_ON") {
		return nil
	}
	var stopOn signals.Set
	for sig := signals.Signal(1); sig <= signals.RTMAX; sig++ {
		if _, kept := plan.Rewrites.Apply(sig); kept && plan.StopOn.Has(sig) {
			stopOn = stopOn.With(sig)
		}
	}
	plan.StopOn = stopOn
	return nil
}

// An environment is KEY=VALUE entries, of which the first counts, as for
// getenv(3).
type environment []string

func (e environment) lookup(name string) (value string, ok bool) {
	for _, entry := range e {
		if key, value, ok := strings.Cut(entry, "="); ok && key == name {
			return value, true
		}
	}
	return "", false
}

// gives reports whether a variable of ours decides something; an empty one is
// as good as none.
func (e environment) gives(name string) bool {
	value, _ := e.lookup(name)
	return value != ""
}

// all says the same of several signals.
func all(to string, list ...signals.Signal) map[signals.Signal]string {
	m := make(map[signals.Signal]string, len(list))
	for _, sig := range list {
		m[sig] = to
	}
	return m
}

// The signals that the kernel raises when a program is at fault: tini and
// catatonit leave them to themselves and do not pass them on.
var faults = []signals.Signal{4, 5, 6, 7, 8, signals.SEGV, 31} // ILL TRAP ABRT BUS FPE SEGV SYS
