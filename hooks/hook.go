// Package hooks holds the things that are tried once and succeed or fail
// before or after the services run: what a hook is and how its short form on
// the command line is read. The supervisor carries them out.
package hooks

import (
	"time"

	"exeunt/signals"
)

// A Hook is one entry of a pre_start, post_start, pre_stop or post_stop list.
// Exactly one of Command, Sleep and Signal is set.
type Hook struct {
	// Name is how logs and the report call it; Parse derives it from the action.
	Name string

	Command []string       // run this program; no shell
	Sleep   time.Duration  // wait this long
	Signal  signals.Signal // send this to the service

	// Timeout bounds one attempt, or with Interval all of them; 0 is the
	// plan's default. It is always clipped to the budget.
	Timeout time.Duration
	// Interval repeats a failed command after this time until it succeeds or
	// the timeout is over; 0 tries once.
	Interval  time.Duration
	OnFailure OnFailure

	User       string   // user[:group] for Command; empty keeps ours
	WorkingDir string   // for Command
	Env        []string // added for Command, KEY=VALUE
}

// OnFailure is what a failed hook does to the run.
type OnFailure uint8

// The zero value depends on the list: abort on start, continue on stop.
const (
	Default OnFailure = iota
	Continue
	Abort
)
