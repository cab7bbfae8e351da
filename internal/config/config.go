// Package config reads the command line, the environment and the file into a
// plan: all that is decided before the first fork. Nothing is started here, and
// every mistake is one line that says where it is and what to do about it.
//
// The file is YAML, read in three steps: parse makes nodes of it, with their
// places, aliases written out and variables replaced; tables of keys (object)
// read the nodes, and are what the schema is written from; a cast makes services
// of what was read, and tells what does not go together.
package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"exeunt/hooks"
	"exeunt/signals"
	"exeunt/supervisor"
)

// A Verb is what exeunt is asked to do.
type Verb string

// The verbs. Run is the default.
const (
	Run      Verb = "run"      // run the program
	Rehearse Verb = "rehearse" // start it, stop it, show what happened
	Check    Verb = "check"    // say what would be done, and whether it fits
	Probe    Verb = "probe"    // try a hook once
	Copy     Verb = "copy"     // put our own binary somewhere
	Convert  Verb = "convert"  // write another supervisor's file as ours
	Version  Verb = "version"
	Help     Verb = "help"

	// Those that ask a running container, or give it an order: see Asks.
	status  Verb = "status"
	start   Verb = "start"
	stop    Verb = "stop"
	restart Verb = "restart"
	signal  Verb = "signal"
	reload  Verb = "reload"
	preStop Verb = "prestop"
)

// DefaultFile is read where no file is named, if there is one.
const DefaultFile = "/etc/exeunt.yaml"

// A Host is what the caller has found out about where we run.
type Host struct {
	PID1     bool          // we are PID 1 of our namespace
	Terminal bool          // stdin is a terminal
	Platform string        // its name, empty if not known
	Grace    time.Duration // its grace period
	// GraceVariable is the platform's own variable that says Grace, as good as
	// ours; empty means that Grace is its default, a guess.
	GraceVariable string
	Ignored       signals.Set // signals that we were given ignored
	// Config is the file that is read where none is named, if there is one;
	// empty looks for none.
	Config string
}

// An Invocation is one command line, read and found to be good.
type Invocation struct {
	Verb Verb
	Text string // what Help and Check print

	Unfit []string // Check: why it is not all right, a line each

	Plan     *supervisor.Plan // for Run, Rehearse and Check
	Env      []string         // what hooks get: ours, less our variables
	Warnings []string         // what can't be as it was asked for, a line each

	Log    string           // "auto", "json" or "console"
	Level  supervisor.Level // of the least line that is shown
	Report string           // write the report there; empty is nowhere

	After   time.Duration // Rehearse: stop that long after the start
	RunArgs []string      // Rehearse: the arguments of the run that is rehearsed

	Probe hooks.Hook // Probe: what to try, and its Timeout
	Dest  string     // Copy: where to
	From  string     // Convert: the file or folder to read

	Control string // the control socket: "auto", "off", its path, or empty if nobody said
	HTTP    string // where probes and metrics are served; empty is nowhere

	// What a verb that asks a running container asks for.
	Order       supervisor.Order
	Services    []string
	Signal      signals.Signal // of AskSignal
	JSON, Watch bool           // how AskStatus shows it
}

// defaultStop is what begins the stop unless --stop-on says otherwise: TERM and
// INT of container platforms and terminals, RTMIN+3 of systemd-nspawn and
// Podman's systemd mode, PWR of LXC.
var defaultStop = signals.SetOf(signals.TERM, signals.INT, signals.RTMIN+3, signals.PWR)

// stopOn is defaultStop, less an INT that we were given ignored: that is what a
// shell gives "exeunt app &" in a script, whose Ctrl-C is for others.
func (h Host) stopOn() signals.Set {
	if h.Ignored.Has(signals.INT) {
		return defaultStop &^ signals.SetOf(signals.INT)
	}
	return defaultStop
}

// Parse reads the arguments, without our own name, the environment, whose
// entries named EXEUNT_… are flags in another form and are kept from the app,
// and the file. A flag goes before its variable, that before the file. An error
// is one line that names the flag or variable at fault and what it could have
// been; that of a file has an Unwrap of one error for each line that is wrong.
func Parse(args, env []string, host Host) (*Invocation, error) {
	line := split(args)
	inv, err := line.parse(env, host)
	if err != nil && line.verb == Check {
		return &Invocation{Verb: Check, Unfit: linesOf(err)}, nil
	}
	return inv, err
}

// linesOf are the lines of an error.
func linesOf(err error) (lines []string) {
	several, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []string{err.Error()}
	}
	for _, err := range several.Unwrap() {
		lines = append(lines, err.Error())
	}
	return lines
}

func (l line) parse(env []string, host Host) (*Invocation, error) {
	if l.verb == Version {
		return &Invocation{Verb: Version}, nil
	}
	ours, rest := partition(env)
	f := quick(l.flags, ours)
	if f == nil || l.verb == Help {
		p := newParser()
		if l.verb != Help {
			if err := p.parse(l.flags, ours); err != nil {
				return nil, err
			}
		}
		if l.verb == Help || p.flags.Help {
			text, err := p.usage()
			return &Invocation{Verb: Help, Text: text}, err
		}
		f = p.flags
	}
	if err := l.misplaced(); err != nil {
		return nil, err
	}
	r := &reader{lookup: func(name string) (string, bool) { return find(env, name) }}
	switch {
	case l.verb == Probe:
		return l.probe(f, rest)
	case l.verb == Copy:
		return l.copying()
	case l.verb == Convert:
		return l.converting()
	case l.verb.Asks():
		return l.asking(f, r, host)
	case f.Schema:
		return &Invocation{Verb: Check, Text: writeSchema()}, nil
	}
	doc, err := f.document(r, host)
	switch {
	case err != nil:
		return nil, err
	case len(l.program) == 0 && doc == nil:
		return nil, errors.New(`no command given: write "exeunt -- COMMAND [ARG...]", or try "exeunt help"`)
	}
	return f.invocation(l, rest, host, r, doc)
}

// A line is a command line in its parts.
type line struct {
	verb    Verb
	flags   []option
	words   []string // the verb's own
	program []string
}

// An option is a flag as it was given: "--name=value", or "--name" alone.
type option struct {
	name, value string
	valued      bool
}

func (o option) String() string {
	if o.valued {
		return o.name + "=" + o.value
	}
	return o.name
}

// split cuts a command line into verb, flags and program. "--" always begins
// the program; without it the first word does, unless it is the verb; what
// follows the program's name is the program's own, flags included. The words of
// a verb that runs no program are the verb's, and flags may follow them.
func split(args []string) line {
	l := line{verb: Run}
	named := false // the verb has been named
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			l.program = args[i+1:]
			return l
		case len(arg) > 1 && arg[0] == '-':
			o := option{name: arg}
			o.name, o.value, o.valued = strings.Cut(arg, "=")
			if o.name == "-c" {
				o.name = "--config"
			}
			if !o.valued && takesValue(arg) && i+1 < len(args) && args[i+1] != "--" {
				i++
				o.value, o.valued = args[i], true
			}
			l.flags = append(l.flags, o)
		case !named && isVerb(arg):
			l.verb, named = Verb(arg), true
		case l.verb.ownWords():
			l.words = append(l.words, arg)
		default:
			l.program = args[i:]
			return l
		}
	}
	return l
}

func isVerb(word string) bool {
	switch Verb(word) {
	case Run, Rehearse, Check, Probe, Copy, Convert, Version, Help:
		return true
	}
	return Verb(word).Asks()
}

// A variable is one entry of the environment that is ours.
type variable struct{ name, value string }

const prefix = "EXEUNT_"

// partition takes our variables out of the environment; the rest stays in its
// order and byte for byte. Of two entries with one name the first counts, as
// for getenv(3), and an empty one is as good as none.
func partition(env []string) (ours []variable, rest []string) {
	rest = make([]string, 0, len(env))
	seen := ""
	for _, entry := range env {
		name, value, ok := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, prefix) {
			rest = append(rest, entry)
			continue
		}
		if ok && value != "" && !forHooks(name) && !strings.Contains(seen, name+"=") {
			ours = append(ours, variable{name, value})
		}
		seen += name + "="
	}
	return ours, rest
}

// forHooks tells the variables that we give to hooks: in the environment of an
// exeunt that a hook starts they are nobody's mistake.
func forHooks(name string) bool {
	switch strings.TrimPrefix(name, prefix) {
	case "REASON", "SIGNAL", "SERVICE", "MAIN_PID", "DEADLINE", "REMAINING_MS", "EXIT_CODE":
		return true
	}
	return false
}

// invocation builds the plan from flags and file that have been read.
func (f *flags) invocation(l line, env []string, host Host, r *reader, doc *file) (*Invocation, error) {
	cast, err := f.assemble(r, doc, l.program, env)
	if err != nil {
		return nil, err
	}
	terminal := or(f.TTY, toApp) == toApp
	cast.terminal = terminal && host.Terminal
	services := cast.build()
	if err := r.err(); err != nil {
		return nil, err
	}
	rewrites, err := signals.ParseRewrites(f.Rewrite...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.sources["rewrite"], err)
	}
	codes, err := f.exitCodes()
	if err != nil {
		return nil, err
	}
	plan := &supervisor.Plan{
		Services: services,
		Managed:  doc != nil && len(doc.services) > 0,
		PreStart: list(f.PreStart), PostStart: list(f.PostStart),
		PreStop: list(f.PreStop), PostStop: list(f.PostStop),
		Budget:      f.budget(host),
		HookTimeout: or(f.HookTimeout, duration{}).Duration,
		Straggler:   or(f.StragglerTimeout, duration{-1}).Duration,
		StopOn:      or(f.StopOn, stopOn{host.stopOn()}).Set,
		Rewrites:    rewrites,
		ExitCodes:   codes,
		OnStopExit:  int(or(f.OnStopExit, -1)),
		PID1:        host.PID1,
	}
	if len(services) == 0 {
		return nil, fmt.Errorf("%s: nothing to run: no service is enabled, and no command given", r.name)
	}
	for _, s := range cast.services {
		if !s.runs() {
			plan.Disabled = append(plan.Disabled, s.name)
		}
	}
	for i := range plan.Services {
		one := &plan.Services[i].Command
		one.Terminal = one.Descriptors && terminal
		plan.Console = plan.Console || one.Terminal && host.Terminal
	}
	inv := &Invocation{
		Verb: l.verb, Plan: plan, Env: env, Warnings: append(r.lines(r.warnings), f.unfit(plan, false)...),
		Log: string(or(f.Log, "auto")), Level: f.level(), Report: string(or(f.Report, "")),
		Control: string(or(f.Control, "")), HTTP: string(or(f.HTTP, "")),
		After: or(f.After, duration{time.Second}).Duration, RunArgs: l.rehearsed(),
	}
	if l.verb == Check {
		inv.Text, inv.Unfit = outlook(plan, r.lines(r.warnings)), f.unfit(plan, true)
	}
	return inv, nil
}

// rehearsed is the command line without what belongs to the rehearsal alone.
func (l line) rehearsed() []string {
	var args []string
	for _, o := range l.flags {
		if o.name != "--after" {
			args = append(args, o.String())
		}
	}
	if len(l.program) == 0 {
		return args
	}
	return append(append(args, "--"), l.program...)
}

// or is what p points to, or otherwise where it points to nothing.
func or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
