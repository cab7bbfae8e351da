package supervisor

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"

	"exeunt/hooks"
	"exeunt/reaper"
	"exeunt/signals"
)

// epoch is when every test's time begins.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// A process of the fake world. Nobody does anything by himself: who obeys, who
// is deaf and who ends by himself is what the tests choose (world.die).
type process struct {
	pid, group int
	parent     int // in this world; else it is ours, or nobody's here
	name       string
	id         ID   // what was spawned; empty for a stray
	service    int  // index, or -1
	ours       bool // its death is ours to collect; else it just vanishes
	alive      bool // else a zombie
	gone       bool // collected or vanished
	status     reaper.Status
	oom        bool // the kernel killed it
	hookGroup  bool // was born into the group of a hook

	stopped, terminal, outOfReach bool
	caught, ignored               signals.Set

	// What happened to it, for the invariants.
	told   int // stop signals received
	toldAt time.Time
	killed bool
	// killedWithGroup: as one of the group of a hook or service.
	killedWithGroup bool
	seen            bool // by a survey of the Terminate phase
	seenBefore      bool // by any survey
	replaced        bool // it has named another as the main process of its service
}

// A world is a machine, the processes it rules, and what must hold of them. It
// checks every action as it is carried out; see invariants_test.go.
type world struct {
	m     *Machine
	now   time.Time
	procs []process
	ask   Action // the question that is to be answered before anything else
	blind bool   // no /proc

	performing []Perform // hooks that have not answered
	late       Perform   // that was cancelled, and may answer all the same
	pids       int       // given so far

	fallen bool // the machine was told that it has no children

	// For the invariants.
	phase    Phase
	stopAt   time.Time // the stop began; zero is not yet
	asked    time.Time // the first stop signal; zero is none
	asSignal signals.Signal
	early    bool      // it came when no service existed, in the start
	ownEnd   bool      // the stop began without a stop signal
	ints     int       // INT received
	termAt   time.Time // Terminate began
	finished int
	orders   map[int]Asked // that were given
	answered map[int]bool
	standing Standing
	code     int
	refused  bool // a service could not be started
	broken   []string
	entries  []Entry // of the last Step
	actions  []Action
}

func newWorld(p *Plan) *world { return &world{m: New(p), now: epoch, pids: 9} }

func (w *world) breach(format string, args ...any) {
	w.broken = append(w.broken, fmt.Sprintf("%.3fs, phase %v: ", w.now.Sub(epoch).Seconds(), w.m.phase)+fmt.Sprintf(format, args...))
}

// step gives the machine an event and carries out what it says, but for the
// question, which stays in w.ask.
func (w *world) step(ev Event) {
	w.ask = nil
	before := w.m.phase
	if r, ok := ev.(Received); ok {
		w.checkForwarding(r)
	}
	w.actions = w.m.Step(w.now, ev)
	w.entries = append(w.entries[:0:0], w.m.fresh...)
	w.m.fresh = nil
	w.observe(before, ev)
	for _, a := range w.actions {
		switch a := a.(type) {
		case Spawn:
			w.question(a)
			w.checkSpawn(a.ID)
		case Survey:
			w.question(a)
		case Perform:
			if a.ID != flushID {
				w.checkSpawn(a.ID)
			} else if w.m.phase != Flush {
				w.breach("flushed")
			}
			w.performing = append(w.performing, a)
		case Cancel:
			w.cancel(a.ID)
		case Send:
			w.send(a)
		case Answer:
			w.checkAnswer(a)
		case Announce:
			if a.Standing == w.standing || w.standing == Falling {
				w.breach("announced %v after %v", a.Standing, w.standing)
			}
			w.standing = a.Standing
		case Finish:
			w.finish(a.Code)
		}
	}
	w.check()
}

func (w *world) question(a Action) {
	if w.ask != nil {
		w.breach("two questions in one step: %v and %v", w.ask, a)
	}
	w.ask = a
}

// spawn answers a Spawn with a new process.
func (w *world) spawn(id ID) {
	w.pids++
	p := process{pid: w.pids, group: w.pids, id: id, service: w.m.index(string(id)), ours: true, alive: true}
	p.name = string(id)
	w.procs = append(w.procs, p)
	w.fallen = false
	w.step(Spawned{id, p.pid})
}

func (w *world) refuse(id ID, errno syscall.Errno) {
	if w.m.index(string(id)) >= 0 {
		w.refused = true
		w.step(NotSpawned{id, &reaper.StartError{Path: string(id), Op: "exec", Err: errno}})
		return
	}
	w.step(NotSpawned{id, errors.New("cannot start it")})
}

// survey answers a Survey.
func (w *world) survey() {
	if w.blind {
		w.step(Surveyed{Blind: true})
		return
	}
	var list []reaper.Stray
	for i := range w.procs {
		p := &w.procs[i]
		if !p.alive {
			continue
		}
		parent := 1
		if q := w.find(p.parent); q != nil && q.alive {
			parent = q.pid
		}
		p.seen, p.seenBefore = p.seen || w.m.phase == Terminate, true
		list = append(list, reaper.Stray{PID: p.pid, Parent: parent, Group: p.group, Session: p.group, Start: uint64(p.pid), Name: p.name,
			Stopped: p.stopped, Terminal: p.terminal, Caught: p.caught, Ignored: p.ignored, OutOfReach: p.outOfReach})
	}
	w.step(Surveyed{Strays: list})
}

func (w *world) tick(at time.Time) {
	if at.After(w.now) {
		w.now = at
	}
	w.step(Ticked{})
}

func (w *world) receive(sig signals.Signal, from, code int32) {
	w.step(Received{Received: signals.Received{Signal: sig, PID: from, Code: code}})
}

// order gives an order.
func (w *world) order(a Asked) {
	w.orders = maps.Clone(w.orders)
	if w.orders == nil {
		w.orders = map[int]Asked{}
	}
	w.orders[a.Token] = a
	w.step(a)
}

// find is the process that has this number and has not been collected.
func (w *world) find(pid int) *process {
	i := slices.IndexFunc(w.procs, func(p process) bool { return p.pid == pid && !p.gone })
	if i < 0 {
		return nil
	}
	return &w.procs[i]
}

// die makes a living process a zombie, or lets it vanish where it is not ours.
func (w *world) die(pid int, status reaper.Status) {
	p := w.find(pid)
	p.alive, p.status, p.gone = false, status, !p.ours
}

// reap shows a zombie to the machine and buries it, and says so if nobody is left.
func (w *world) reap(pid int) {
	w.step(Reaped{reaper.Exit{PID: pid, Status: w.find(pid).status}, w.find(pid).oom})
	w.find(pid).gone = true
}

// childless tells the machine, once, that it has no children left.
func (w *world) childless() bool {
	if w.fallen || slices.ContainsFunc(w.procs, func(p process) bool { return p.ours && !p.gone }) {
		return false
	}
	w.fallen = true
	w.step(Childless{})
	return true
}

func (w *world) zombie() (pid int, ok bool) {
	for i := range w.procs {
		if p := &w.procs[i]; !p.alive && !p.gone {
			return p.pid, true
		}
	}
	return 0, false
}

// targets are the processes that a signal reaches.
func (w *world) targets(to reaper.Target) (list []*process) {
	everyone := to == reaper.Everyone()
	if everyone && !w.m.plan.PID1 {
		w.breach("everyone is signalled, and we are not PID 1")
	}
	for i := range w.procs {
		p := &w.procs[i]
		if p.gone {
			continue
		}
		switch to {
		case reaper.Process(p.pid, 0):
			if !p.ours || p.id == "" {
				w.breach("%v is signalled without its start time", to)
			}
			return []*process{p}
		case reaper.Process(p.pid, uint64(p.pid)):
			return []*process{p}
		case reaper.Group(p.pid):
			for j := range w.procs {
				if q := &w.procs[j]; q.group == p.pid && !q.gone {
					list = append(list, q)
				}
			}
			return list
		}
		if everyone {
			list = append(list, p)
		}
	}
	if !everyone {
		w.breach("%v is signalled, which was collected before or never was", to)
	}
	return list
}

// send carries out a Send.
func (w *world) send(a Send) {
	for _, p := range w.targets(a.To) {
		switch {
		case !p.alive || p.outOfReach:
		case a.Signal == signals.KILL:
			w.checkKill(p)
			p.killedWithGroup = p.killedWithGroup || !p.killed && a.To == reaper.Group(p.group)
			p.killed = true
		case a.Signal == signals.CONT:
			p.stopped = false
		case a.Signal == signals.USR1 || a.Signal == signals.USR2:
			// forwarded, or a hook's
		case w.stopAt.IsZero() && p.service >= 0 && !w.m.plan.StopOn.Has(a.Signal):
			// forwarded, or a reload
		case a.Signal == signals.HUP:
			if !p.terminal || p.told == 0 {
				w.breach("HUP to %q, which is no interactive shell that was told", p.name)
			}
		default:
			w.checkTold(p)
			if p.told++; p.told == 1 {
				p.toldAt = w.now
			}
		}
	}
}

// perform answers the nth hook that is being performed.
func (w *world) perform(n int, err error) {
	p := w.performing[n]
	w.performing = slices.Delete(w.performing, n, n+1)
	w.step(Performed{p.ID, p.Try, err})
}

func (w *world) cancel(id ID) {
	n := slices.IndexFunc(w.performing, func(p Perform) bool { return p.ID == id })
	if n < 0 {
		w.breach("%s is cancelled, which is not being performed", id)
		return
	}
	w.late = w.performing[n]
	w.performing = slices.Delete(w.performing, n, n+1)
}

// answer gives the one answer that a world without surprises has, and reports
// whether there was a question.
func (w *world) answer() bool {
	switch a := w.ask.(type) {
	case Spawn:
		w.spawn(a.ID)
	case Survey:
		w.survey()
	default:
		return false
	}
	return true
}

// remote is a hook that is performed.
func remote(name string) hooks.Hook {
	return hooks.Hook{Name: name, TCP: &hooks.TCP{Addr: "192.0.2.1:80"}}
}

// command is a hook that runs a program of that name.
func command(name string) hooks.Hook { return hooks.Hook{Name: name, Command: []string{name}} }

func (w *world) String() string {
	var b strings.Builder
	for i := range w.procs {
		p := &w.procs[i]
		fmt.Fprintf(&b, " %d %q", p.pid, p.name)
		switch {
		case p.gone:
			b.WriteString(" gone")
		case !p.alive:
			b.WriteString(" zombie")
		}
	}
	return b.String()
}
