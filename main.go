// Exeunt is the program that a container starts as PID 1: it runs the app,
// reaps zombies, forwards signals, runs hooks, and when the stop begins it gets
// every process out, in order, inside the grace period. See README.md.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"exeunt/internal/compat"
	"exeunt/internal/config"
	"exeunt/internal/control"
	"exeunt/internal/entry"
	"exeunt/internal/lean"
	"exeunt/internal/output"
	"exeunt/internal/platform"
	"exeunt/internal/rehearse"
	"exeunt/reaper"
	"exeunt/signals"
	"exeunt/supervisor"

	"golang.org/x/sys/unix"
)

// version is set by release builds: -ldflags "-X main.version=v1.2.3".
var version = "dev"

// failure is the exit code of whatever is our own mistake or misfortune.
const failure = 125

// parent is who started us, before it can have gone.
var parent = os.Getppid()

// flushTime is what the last lines of the log get to be read in. A reader that
// takes longer has stopped reading; it must not cost the margin of a short
// grace period.
const flushTime = 100 * time.Millisecond

// The runtime starts a thread whenever it has work for a processor and none is
// idle, and aborts where the app has used up the pids limit. So there are few
// processors, and enough idle threads before the app exists: one for each
// processor, and one for the writer of the log, which may block.
const (
	processors = 2
	idle       = 4
)

func init() {
	// Children are forked by the main thread, which lives as long as we do: their
	// parent-death signal comes when the thread that forked them ends.
	runtime.LockOSThread()
}

func main() {
	rehearse.Enter()
	received := signals.Receive()
	os.Exit(start(os.Args[1:], reaper.Environ(), received))
}

// start does what the command line says and returns the exit code.
func start(args, env []string, received <-chan signals.Received) (code int) {
	where := platform.Detect(env)
	host := config.Host{
		PID1: os.Getpid() == 1, Terminal: platform.Terminal(0), Ignored: signals.Set(entry.Ignored),
		Platform: where.Name, Grace: where.Grace, GraceVariable: where.Variable,
	}
	inv, err := parse(args, env, host)
	var ending *compat.Ending
	if errors.As(err, &ending) {
		say(1, ending.Stdout)
		say(2, ending.Stderr)
		return ending.Code
	}
	if err != nil {
		return fail(err)
	}
	switch inv.Verb {
	case config.Help:
		say(1, inv.Text)
		return 0
	case config.Version:
		say(1, describe()+"\n")
		return 0
	case config.Probe:
		return probe(inv, received)
	case config.Check:
		say(1, inv.Text)
		for _, line := range inv.Unfit {
			complain(errors.New(line))
		}
		return min(len(inv.Unfit), 1)
	case config.Copy:
		if err := platform.Copy(inv.Dest); err != nil {
			return fail(err)
		}
		return 0
	case config.Rehearse:
		return rehearse.Run(rehearse.Options{
			Args: inv.RunArgs, Program: inv.Plan.Services[0].Command.Args[0], Env: env,
			After: inv.After, Grace: inv.Plan.Budget.Grace, Report: inv.Report,
			Signals: received, Log: os.Stderr,
		})
	}
	if inv.Verb.Asks() {
		return ask(inv, received)
	}
	return run(inv, received)
}

// parse reads the command line as that of the init by whose name we were started.
func parse(args, env []string, host config.Host) (*config.Invocation, error) {
	if personality, ok := compat.Named(os.Args[0]); ok {
		return personality.Parse(args, env, host)
	}
	host.Config = config.DefaultFile
	return config.Parse(args, env, host)
}

// run carries the plan out.
func run(inv *config.Invocation, received <-chan signals.Received) (code int) {
	if runtime.GOMAXPROCS(0) > processors {
		runtime.GOMAXPROCS(processors)
	}
	children, err := reaper.New()
	if err != nil {
		return fail(err)
	}
	if err := platform.DieWith(parent, inv.Plan.DeathSignal); err != nil {
		return fail(err)
	}
	if lean.Main != 0 && lean.Ended {
		children.Mourn(reaper.Exit{PID: lean.Main, Status: reaper.Status(lean.Status)})
	} else if lean.Main != 0 {
		children.Adopt(lean.Main)
	}
	log := newLog(inv)
	for _, warning := range inv.Warnings {
		log.Note(supervisor.Entry{At: time.Now(), Level: supervisor.Warn, Message: warning})
	}
	machine := supervisor.New(inv.Plan)
	events := make(chan supervisor.Event, 64)
	kernel := &supervisor.System{
		Plan: inv.Plan, Reaper: children, Env: inv.Env, Output: log.Capture, Log: log.Note,
		Events: events, Adopted: lean.Main, OOMKills: platform.OOMKills,
	}
	server, err := control.Open(control.Options{
		Control: inv.Control, HTTP: inv.HTTP, Plan: inv.Plan, Events: events, Sender: kernel.Sender, Note: log.Note,
	})
	if err != nil {
		return fail(err)
	}
	threads := idle
	if server != nil {
		defer server.Close()
		kernel.Answers, kernel.Standing = server.Answer, server.Stand
		threads++
	}
	reaper.Prewarm(threads)
	code = supervisor.Drive(machine, kernel, supervisor.Inputs{Dead: children.Woken(), Signals: received, Events: events})
	report := machine.Report()
	if inv.Report != "" {
		if err := output.Save(inv.Report, report); err != nil {
			log.Note(supervisor.Entry{At: time.Now(), Level: supervisor.Error, Message: err.Error(), Phase: supervisor.Done})
		}
	}
	if abnormal(report) {
		output.LastWords(output.TerminationLog, report.Summary())
	}
	log.Close(time.Now().Add(flushTime))
	return code
}

// abnormal tells an end that somebody will ask about: a crash, a failed start,
// or a service that had to be killed.
func abnormal(r *supervisor.Report) bool {
	for _, service := range r.Services {
		if service.Killed {
			return true
		}
	}
	return r.Reason != supervisor.ReasonSignal && r.Code != 0
}

// newLog is the log that the command line asks for.
func newLog(inv *config.Invocation) *output.Log {
	const stderr = 2
	terminal := platform.Terminal(stderr)
	console := inv.Log == "console" || inv.Log == "auto" && terminal
	color := terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return output.New(stderr, console, color, inv.Level)
}

// fail says why nothing was started, a line for each reason.
func fail(err error) int {
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range all.Unwrap() {
			complain(err)
		}
		return failure
	}
	complain(err)
	return failure
}

// complain writes an error as one line.
func complain(err error) {
	say(2, "exeunt: "+strings.ReplaceAll(err.Error(), "\n", " ")+"\n")
}

// say writes to standard output or error by the system call: a broken pipe
// there would make os.File end us with a code of the runtime's.
func say(fd int, text string) {
	_, _ = unix.Write(fd, []byte(text)) // nobody reads: nobody to tell
}

// describe is the version, and what it was built with and from.
func describe() string {
	commit := "unknown"
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range build.Settings {
			if setting.Key == "vcs.revision" {
				commit = setting.Value[:min(len(setting.Value), 12)]
			}
		}
	}
	return fmt.Sprintf("exeunt %s (%s, commit %s)", version, runtime.Version(), commit)
}
