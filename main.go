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

	"exeunt/internal/compat"
	"exeunt/internal/config"
	"exeunt/internal/convert"
	"exeunt/internal/entry"
	"exeunt/internal/platform"
	"exeunt/internal/rehearse"
	"exeunt/reaper"
	"exeunt/signals"

	"golang.org/x/sys/unix"
)

// version is set by release builds: -ldflags "-X main.version=v1.2.3".
var version = "dev"

// failure is the exit code of whatever is our own mistake or misfortune.
const failure = 125

// parent is who started us, before it can have gone.
var parent = os.Getppid()

func init() {
	// Children are forked by the main thread, which lives as long as we do: their
	// parent-death signal comes when the thread that forked them ends.
	runtime.LockOSThread()
}

func main() {
	rehearse.Enter()
	os.Exit(start(os.Args[1:], reaper.Environ()))
}

// start does what the command line says and returns the exit code.
func start(args, env []string) (code int) {
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
		return probe(inv)
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
	case config.Convert:
		text, err := convert.File(inv.From)
		if err != nil {
			return fail(err)
		}
		say(1, text)
		return 0
	case config.Rehearse:
		return rehearse.Run(rehearse.Options{
			Args: inv.RunArgs, Env: env, Plan: inv.Plan, After: inv.After, Report: inv.Report,
			Signals: signals.Receive(), Log: os.Stderr,
		})
	}
	if inv.Verb.Asks() {
		return ask(inv)
	}
	return run(inv)
}

// parse reads the command line as that of the init by whose name we were started.
func parse(args, env []string, host config.Host) (*config.Invocation, error) {
	if personality, ok := compat.Named(os.Args[0]); ok {
		return personality.Parse(args, env, host)
	}
	host.Config = config.DefaultFile
	return config.Parse(args, env, host)
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
