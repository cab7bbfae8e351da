package supervisor

import (
	"fmt"
	"iter"
	"slices"
	"time"

	"exeunt/reaper"
	"exeunt/signals"
)

// A Kernel carries out what the machine decided. System is the real one; tests
// bring worlds of their own. All of it is called from the one goroutine that
// runs Drive, and none of it may block.
type Kernel interface {
	// Spawn starts what id names; env is added for a hook.
	Spawn(id ID, env []string) (pid int, err error)
	// Perform begins to try the hook that id names, with env added; Performed
	// comes by way of Inputs. Cancel ends that.
	Perform(id ID, try int, by time.Time, env []string)
	Cancel(id ID)
	Signal(to reaper.Target, sig signals.Signal, ifCaught bool) error
	// Exited yields at most limit dead children; each is a zombie until its
	// body returns. Where it stops at the limit Inputs tells of the dead again. See
	// reaper.Reaper.
	Exited(limit int) iter.Seq[reaper.Exit]
	Childless() bool
	// OOM reports whether memory has run out once more than it has reported: the
	// reason of a KILL that nobody is known to have sent.
	OOM() bool
	// Sender is who sent a signal, in words; empty where the kernel does not tell.
	Sender(r signals.Received) string
	// Strays is everyone alive that is ours to end, or an error where /proc
	// can't tell.
	Strays() ([]reaper.Stray, error)
	// Suspend stops this process (SIGSTOP); it returns when it is continued.
	Suspend()
	// Arm sets the watchdog: the process is not to outlive at. A later call
	// replaces an earlier one.
	Arm(at time.Time)
	// Answer answers an Asked, with how things are.
	Answer(token int, err string, now Snapshot)
	// Announce tells others how the run as a whole stands.
	Announce(s Standing)
	// Watch notes the ports that we listen on, without waiting for it.
	Watch()
	// Note takes each entry of the report as it is made.
	Note(e Entry)
}

// Inputs is what wakes the loop. Inbox is the real one; tests bring channels.
type Inputs interface {
	// Next waits until something has come, or until until (zero: for ever), and
	// returns it. It may return nothing, sooner. What f says of a signal it may do
	// itself (signals.Next). Only the loop calls it.
	Next(until time.Time, f *signals.Forwarding) Input
}

// An Input is what has come: any of the three.
type Input struct {
	Dead   bool             // somebody may have died; told again until Exited stopped below its limit
	Signal signals.Received // of the zero Signal: none
	Event  Event            // Performed, Remarked; nil: none
}

// exitsAtOnce bounds the deaths taken in one turn of the loop, so that a fork
// storm cannot starve signals and deadlines.
const exitsAtOnce = 64

// Drive runs the machine until it has finished and returns the exit code. It
// is the only goroutine that touches the machine and the children, and must be
// locked to the main thread where the kernel is the real one. A panic in the
// machine does not end the run: what is left of it is driven by bare.
func Drive(m *Machine, k Kernel, in Inputs) (code int) {
	d := driver{m: m, k: k, in: in, forwarding: signals.Forwarding{As: m.forwardings()}}
	defer func() {
		if p := recover(); p != nil {
			k.Note(Entry{At: time.Now(), Level: Error, Message: "panic in the supervisor, going on without hooks", Err: fmt.Sprint(p)})
			code = d.bare()
		}
	}()
	d.step(Booted{})
	for !d.done {
		d.turn()
	}
	return d.code
}

// A driver is one run of Drive.
type driver struct {
	m         *Machine
	k         Kernel
	in        Inputs
	first     int   // the first service's pid, of its last life, for bare
	main      int   // which service that is
	mains     []int // the pids of services that have not been reaped, for bare
	status    reaper.Status
	childless bool // the machine has been told
	// What needs no decision, for the inputs.
	forwarding signals.Forwarding
	done       bool
	code       int
}

// turn waits for something and takes it. The dead come first, so that nothing
// below acts on them; they are bounded, and everything else has its place in the
// same turn, or a fork storm would keep signals and deadlines waiting for ever.
func (d *driver) turn() {
	until, _ := d.m.Deadline()
	d.forwarding.PID, d.forwarding.Group = d.m.forwardTo()
	in := d.in.Next(until, &d.forwarding)
	if in.Dead {
		d.reap()
	}
	if in.Signal.Signal != 0 {
		d.receive(in.Signal)
	}
	d.step(in.Event)
	if at, ok := d.m.Deadline(); ok && !time.Now().Before(at) {
		d.step(Ticked{Busy: in.Signal.Signal != 0})
	}
}

// receive takes a signal. Who sent it is asked where it may begin the stop.
func (d *driver) receive(r signals.Received) {
	ev := Received{Received: r}
	if d.m.reason == "" && d.m.plan.StopOn.Has(r.Signal) {
		ev.By = d.k.Sender(r)
	}
	d.step(ev)
}

// reap takes the dead, each while its number is still its own.
func (d *driver) reap() {
	for x := range d.k.Exited(exitsAtOnce) {
		d.childless = false
		d.bury(x)
		d.step(Reaped{x, x.Status.Signal() == signals.KILL && !d.m.mayHaveKilled(x.PID) && d.k.OOM()})
		if d.done {
			return
		}
	}
	if gone := d.k.Childless(); gone && !d.childless {
		d.childless = true
		d.step(Childless{})
	}
}

// bury keeps for bare who of the services lives.
func (d *driver) bury(x reaper.Exit) {
	if i := slices.Index(d.mains, x.PID); i >= 0 {
		d.mains = slices.Delete(d.mains, i, i+1)
		if x.PID == d.first {
			d.status = x.Status
		}
	}
}

// step feeds one event to the machine and carries out what it says. The answer
// to a question is fed before anything else happens.
func (d *driver) step(ev Event) {
	for ev != nil && !d.done {
		now := time.Now()
		actions := d.m.Step(now, ev)
		ev = nil
		for _, e := range d.m.fresh {
			d.k.Note(e)
		}
		d.m.fresh = d.m.fresh[:0]
		for _, a := range actions {
			if answer := d.carryOut(a, now); answer != nil {
				ev = answer
			}
		}
	}
}

func (d *driver) carryOut(a Action, now time.Time) (answer Event) {
	switch a := a.(type) {
	case Spawn:
		d.childless = false
		pid, err := d.k.Spawn(a.ID, d.m.Environment(a.ID, now))
		if err != nil {
			return NotSpawned{a.ID, err}
		}
		if i := d.m.index(string(a.ID)); i >= 0 {
			if d.mains = append(d.mains, pid); d.first == 0 || d.main == i {
				d.first, d.main = pid, i
			}
		}
		return Spawned{a.ID, pid}
	case Survey:
		strays, err := d.k.Strays()
		return Surveyed{Strays: strays, Blind: err != nil}
	case Send:
		if err := d.k.Signal(a.To, a.Signal, a.IfCaught); err != nil {
			d.k.Note(Entry{At: now, Level: Warn, Phase: d.m.phase, Message: "cannot signal " + a.To.String(), Signal: a.Signal, Err: err.Error()})
		}
	case Perform:
		d.k.Perform(a.ID, a.Try, a.By, d.m.Environment(a.ID, now))
	case Cancel:
		d.k.Cancel(a.ID)
	case Suspend:
		d.k.Suspend()
	case Arm:
		d.k.Arm(a.At)
	case Answer:
		d.k.Answer(a.Token, a.Err, d.m.Snapshot())
	case Announce:
		d.k.Announce(a.Standing)
	case Watch:
		d.k.Watch()
	case Finish:
		d.done, d.code = true, a.Code
	}
	return nil
}

// bare is what is left when the machine is broken: forward, tell, reap, kill at
// the end of the grace period, and exit with main's code. It decides nothing
// that the machine has state for.
func (d *driver) bare() int {
	p, schedule := d.m.plan, d.m.schedule
	stopping, told, killed := d.m.reason != "", false, false
	var end time.Time // of everyone's time, and then of ours
	for d.first != 0 {
		for x := range d.k.Exited(exitsAtOnce) {
			d.bury(x)
		}
		if d.k.Childless() {
			return d.status.Shell()
		}
		if stopping && !told {
			told = true
			d.tell(signals.TERM)
		}
		// As in the machine: a grace period that nobody set kills no service.
		if end.IsZero() && (len(d.mains) == 0 || stopping && p.Budget.Armed) {
			if stopping = true; schedule.Begin.IsZero() || !p.Budget.Armed {
				schedule = p.Budget.Schedule(time.Now())
			}
			end = schedule.Everyone
			d.k.Arm(schedule.Done.Add(schedule.Margin / 2))
		}
		if sig := d.in.Next(end, nil).Signal.Signal; sig != 0 {
			if stopping = stopping || p.StopOn.Has(sig); !stopping {
				d.tell(sig)
			}
		}
		if end.IsZero() || time.Now().Before(end) {
			continue
		}
		if killed {
			return d.codeLeft()
		}
		killed = true
		d.tell(signals.KILL)
		if p.PID1 {
			_ = d.k.Signal(reaper.Everyone(), signals.KILL, false) // nobody left is no error
		}
		end = schedule.Done
	}
	return exitFailure // nothing was started
}

// tell sends a signal to the services that live.
func (d *driver) tell(sig signals.Signal) {
	for _, pid := range d.mains {
		_ = d.k.Signal(reaper.Process(pid, 0), sig, false) // gone or out of reach: nothing to be done
	}
}

// codeLeft is main's code at the end of our time: KILL's if it was not seen to go.
func (d *driver) codeLeft() int {
	if slices.Contains(d.mains, d.first) {
		return 128 + int(signals.KILL)
	}
	return d.status.Shell()
}
