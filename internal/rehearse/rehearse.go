// Package rehearse starts an app under exeunt as a container would, stops it,
// and tells what the container would have ended with and who would have been
// killed. It needs neither Docker nor root.
//
// It is an ordinary program beside the init it starts: that one behaves in
// there exactly as it does in a container, and what happened is learnt from
// its own report.
package rehearse

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"exeunt/signals"
	"exeunt/supervisor"
)

// Failure is the exit code of a rehearsal that could not take place.
const Failure = 125

// Options is one rehearsal.
type Options struct {
	Args []string // what `exeunt run` gets: its flags and the command
	Env  []string // what exeunt gets, our own variables included
	// Plan is what exeunt will make of Args and Env: its services name who was
	// killed, and when its grace period is over the platform kills the container.
	Plan *supervisor.Plan

	After time.Duration // from start to TERM; negative is 0
	// Report is the file that Args or Env name for the report; empty has one
	// made, and removed afterwards.
	Report string

	// Signals is what reaches this process (see signals.Receive): the first of
	// TERM, INT, QUIT and HUP begins the stop, the next one kills. Nil is none.
	Signals <-chan signals.Received
	// Log takes rehearse's own lines. The app and exeunt write to our
	// descriptors 1 and 2.
	Log io.Writer
}

// Run rehearses and returns the exit code: 0 if nobody was killed or lost, 1 if
// somebody was, the app's own if it ended before the stop began, Failure if
// there was no rehearsal. main calls it, once, and it blocks until everything
// it started is gone.
func Run(o Options) (code int) {
	// The kernel ties the child's life to that of the thread that forks it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if o.Report == "" {
		dir, err := os.MkdirTemp("", "exeunt-rehearse-")
		if err != nil {
			fmt.Fprintf(o.Log, "rehearse: cannot make a file for the report: %v\n", err)
			return Failure
		}
		defer os.RemoveAll(dir)
		o.Report = filepath.Join(dir, "report.json")
		o.Env = append(without(o.Env, "EXEUNT_REPORT"), "EXEUNT_REPORT="+o.Report)
	}
	// A report of an earlier run would be taken for this one's.
	if err := os.Remove(o.Report); err != nil && !os.IsNotExist(err) {
		fmt.Fprintf(o.Log, "rehearse: cannot replace the report: %v\n", err)
		return Failure
	}
	s, err := raise(o)
	if err != nil {
		fmt.Fprintf(o.Log, "rehearse: %v\n", err)
		return Failure
	}
	v := s.play(o)
	v.read(o.Report)
	fmt.Fprintf(o.Log, "rehearse: %v\n", v)
	return v.exitCode()
}

// play stops the app when it is time and returns once the stage is empty.
func (s *stage) play(o Options) verdict {
	grace := o.Plan.Budget.Grace
	v := verdict{began: time.Now(), plan: o.Plan}
	due := time.After(max(o.After, 0))
	var platform <-chan time.Time // kills what is left at the end of the grace period
	stop := func() {
		v.stopped = time.Now()
		platform = time.After(max(grace, time.Second)) // 0 is KILL now: exeunt's to do
		due = nil
		// ESRCH cannot be: the child is not reaped before s.ended is read.
		_ = syscall.Kill(s.pid, syscall.SIGTERM)
	}
	for {
		select {
		case <-s.ended:
			v.ended = time.Now()
			v.status = s.strike()
			return v
		case <-due:
			stop()
		case <-platform:
			v.overdue = true
			v.lost = s.kill()
		case r := <-o.Signals:
			switch {
			case !ends.Has(r.Signal):
			case v.stopped.IsZero():
				stop()
			default:
				v.impatient = true
				v.lost = s.kill()
				platform = nil
			}
		}
	}
}

var ends = signals.SetOf(signals.TERM, signals.INT, signals.QUIT, signals.HUP)
