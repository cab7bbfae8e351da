package supervisor

import (
	"time"

	"exeunt/reaper"
	"exeunt/signals"
)

// A Machine decides what happens next. It is a value without clock, kernel or
// goroutine: Step takes an event and the time, and returns what to do.
//
// The answer to a Spawn or a Survey must be the next event, before any other;
// a Step asks for one thing at most. Only one goroutine may use a Machine.
type Machine struct {
	plan  *Plan
	now   time.Time // of the Step under way
	phase Phase
	began time.Time // of the phase
	end   time.Time // when the phase is over at the latest; zero is never

	services  []service
	before    []ServiceReport  // of each one's life before the last, for status
	sequences []sequence       // lists of hooks under way
	leaving   []leaver         // hooks that were told to leave
	remnants  []remnant        // of hooks that were told to leave
	kept      []signals.Signal // forwarded once the service exists
	stage     int              // how far the phase has come with its lists of hooks

	asked      bool      // a Spawn or Survey is unanswered
	heard      bool      // what had come before this Step: something may be started
	startAt    time.Time // something is to be started, once that is so
	schedule   Schedule
	reason     Reason // empty: nothing ends yet
	requested  bool   // by a stop signal
	signal     signals.Signal
	from       int32
	code       int  // of a failure, or of a stop before the service existed
	fixed      bool // code is what we exit with
	interrupts int

	standing Standing
	waits    []wait // orders that have not been answered
	watched  bool   // the ports that we listen on are known
	flushing bool   // an answer is due

	surveyAt   time.Time     // look again; zero is never
	lateAt     time.Time     // nobody is left to his parent any longer
	noticeAt   time.Time     // say who is waited for
	groups     []int         // of those whose leader has been reaped since the last survey
	toldGroups []int         // groups told as a whole since the last survey
	told       map[stray]int // strays that were told, to their report
	alive      []reaper.Stray
	childless  bool
	blind      bool // /proc can't tell who is alive
	toldAll    bool // TERM went to everyone, since /proc can't tell

	out    []Action
	fresh  []Entry // of this Step, for the log
	report Report
}

// A stray is one process, told from a later one with the same number.
type stray struct {
	pid   int
	start uint64
}

// A service is what the machine knows of one service of the plan.
type service struct {
	state State
	pid   int
	group int    // its own and its children's, as far as they have not left it
	depth int    // services below it in the longest chain of dependencies, itself included
	below []bool // which services those are, in all chains; nil is none
	life
	stopping

	status    reaper.Status // of its last end
	completed bool          // its last run ended well
	tidy      bool          // its post-stop hooks have run since it ended
	held      bool          // stopped by an order, until another
	restarts  int           // in all
	row       int           // one after the other
	againAt   time.Time     // it starts again
	nextAt    time.Time     // its timetable's next run is due
	due       bool          // its timetable's time has come
	rest      int           // a group that has to go before it starts again
	restAt    time.Time     // what is left of that is killed
}

// A life is what is known of a service from its start to its end.
type life struct {
	started   bool      // its pre-start hooks have begun
	born      int       // whom it was started as
	start     uint64    // of a main process that it named itself; 0 is a child of ours
	heir      int       // the process that it named as its main, to be looked for
	missed    int       // surveys that did not show such a process
	readyBy   time.Time // the start has failed
	failures  int       // of its probe, in a row
	unhealthy bool
	watchdog  time.Duration
	aliveBy   time.Time // the watchdog's time is over
	reloading bool
	text      string // STATUS=
}

// A stopping is what is known of a service that is to stop.
type stopping struct {
	toStop  bool // by an order, its health, or its timetable, while the others run
	again   bool // and is then to be started
	failed  bool // and has then failed, whatever its code
	final   bool // and has then ended for good
	rung    int
	rungAt  time.Time // the ladder's next signal
	groupAt time.Time // the shell rule
	killAt  time.Time
	asShell bool // the next survey applies the shell rule
}

func (s *service) alive() bool { return s.state >= Starting && s.state < Exited }

// process is whom a signal to the service is for.
func (s *service) process() reaper.Target { return reaper.Process(s.pid, s.start) }

// New returns a machine for the plan, which must not be changed any more.
func New(p *Plan) *Machine {
	m := &Machine{plan: p, services: make([]service, len(p.Services)), before: make([]ServiceReport, len(p.Services)), told: map[stray]int{}}
	for i := range m.services {
		m.depth(i)
		m.report.Services = append(m.report.Services, ServiceReport{Name: p.Services[i].Name})
	}
	r := &m.report // lists that stay empty are [] in JSON
	r.Phases, r.Hooks, r.Strays, r.Entries = []PhaseReport{}, []HookReport{}, []StrayReport{}, []Entry{}
	m.report.Grace, m.report.Armed, m.report.Source = Milliseconds(p.Budget.Grace), p.Budget.Armed, p.Budget.Source
	return m
}

// find is the first service that is so, or -1.
func (m *Machine) find(is func(s *service) bool) int {
	for i := range m.services {
		if is(&m.services[i]) {
			return i
		}
	}
	return -1
}

func (m *Machine) index(name string) int {
	for i := range m.plan.Services {
		if m.plan.Services[i].Name == name {
			return i
		}
	}
	return -1
}

// Step takes one event that happened at now and returns what to do about it.
// It starts no goroutine, takes no lock, reads no clock, makes no system call.
func (m *Machine) Step(now time.Time, ev Event) []Action {
	m.now, m.out, m.heard, m.startAt = now, nil, m.hasHeard(ev), time.Time{}
	if m.phase == Done {
		return nil
	}
	switch ev := ev.(type) {
	case Booted:
		m.began, m.noticeAt = now, now.Add(noticeEvery)
		m.timetables()
		m.begin("pre_start", container)
	case Spawned:
		m.asked, m.childless = false, false
		m.spawned(ev)
	case NotSpawned:
		m.asked = false
		m.notSpawned(ev)
	case Surveyed:
		m.asked = false
		m.surveyed(ev)
	case Reaped:
		m.reaped(ev)
	case Childless:
		m.childless = true
		if m.phase == Terminate || m.phase == Kill {
			m.look()
		}
	case Performed:
		m.performed(ev)
	case Remarked:
		m.remarked(ev)
	case Received:
		m.received(ev)
	case Notified:
		m.notified(ev)
	case Asked:
		m.ordered(ev)
	case Ticked:
	}
	m.due()
	for m.phase != Done && !m.asked && m.startAt.IsZero() && m.advance() {
	}
	m.dueLook() // once all are told
	m.answerWaits()
	m.announce()
	return m.out
}

// Deadline reports when Step must be called with Ticked if nothing happens
// before. Every time is a field of the state it belongs to.
func (m *Machine) Deadline() (at time.Time, ok bool) {
	at = earliest(m.end, m.startAt, m.surveyAt, m.lateAt, m.noticeAt)
	for i := range m.sequences {
		t := &m.sequences[i].try
		at = earliest(at, t.wakeAt, t.by, t.killAt)
	}
	for i := range m.leaving {
		at = earliest(at, m.leaving[i].killAt)
	}
	for i := range m.remnants {
		at = earliest(at, m.remnants[i].killAt)
	}
	for i := range m.services {
		s := &m.services[i]
		at = earliest(at, s.rungAt, s.groupAt, s.killAt, s.readyBy, s.aliveBy, s.restAt)
		if m.phase <= Run {
			at = earliest(at, s.againAt)
		}
		if m.phase <= Run && !s.nextAt.IsZero() {
			at = earliest(at, s.nextAt, m.now.Add(clockEvery))
		}
	}
	return at, !at.IsZero() && m.phase != Done
}

// earliest returns the first of the times in time; a zero time is never.
func earliest(times ...time.Time) (first time.Time) {
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// Phase is how far the run has come.
func (m *Machine) Phase() Phase { return m.phase }

// Report is the run so far. The caller must not change it, and it is valid
// until the next Step.
func (m *Machine) Report() *Report { return &m.report }

func (m *Machine) do(a Action) { m.out = append(m.out, a) }

func (m *Machine) ask(a Action) {
	m.asked = true
	m.do(a)
}

// hasHeard reports whether all that had come has been heard before ev. Where the
// service runs already it is not to be kept waiting for its Spawn.
func (m *Machine) hasHeard(ev Event) bool {
	return ev == Event(Ticked{}) || m.plan.Adopted && ev == Event(Booted{})
}

// startOrWait reports whether this Step may ask for a start. Else Ticked, which is
// due at once, is to: what has come is heard before, or a stop signal would wait
// for the last start of a crowd.
func (m *Machine) startOrWait() bool {
	if !m.heard {
		m.startAt = m.now
	}
	return m.heard
}

// passed reports whether t has come.
func (m *Machine) passed(t time.Time) bool { return !t.IsZero() && !m.now.Before(t) }

// enter is the only place that changes the phase: it sets its end and takes
// its first actions. Whatever is still under way of the last phase is cut.
func (m *Machine) enter(p Phase) {
	m.cutHooks(p)
	if m.flushing {
		m.flushing = false
		m.do(Cancel{flushID})
	}
	m.closePhase()
	m.phase, m.stage, m.began, m.end, m.lateAt = p, 0, m.now, time.Time{}, time.Time{}
	if p >= Terminate {
		m.surveyAt = time.Time{} // before, somebody's end may be told by a look alone
	}
	switch p {
	case Run:
		m.noticeAt = time.Time{}
	case PreStop:
		m.end = m.schedule.PreStop
		m.clipHooks()
		m.begin("pre_stop", container)
	case Stop:
		if m.plan.Budget.Armed {
			m.end = m.schedule.Services
		}
	case Terminate:
		m.lateSchedule()
		m.end = m.schedule.Everyone
		m.lateAt = m.now.Add(m.end.Sub(m.now) * 2 / 3)
		m.do(Arm{m.schedule.Done.Add(m.schedule.Margin / 2)})
		m.tellLeft()
		if m.plan.LeaveStrays {
			m.enter(PostStop)
		} else {
			m.look()
		}
	case Kill:
		m.end = m.schedule.Kill
		m.killLeft()
		m.look()
	case Flush:
		m.end = m.schedule.Kill
		m.flush()
	case PostStop:
		m.end = m.schedule.Done
		for i := range m.services {
			if !m.services[i].tidy {
				m.begin("post_stop", i)
			}
		}
	case Done:
		m.finish()
	}
}

// advance takes the phase on where it has nothing to wait for, and reports
// whether it did anything.
func (m *Machine) advance() bool {
	if m.advanceHooks() {
		return true
	}
	switch m.phase {
	case Start:
		return m.advanceStart()
	case Run:
		return m.advanceServices()
	case PreStop:
		return m.advancePreStop()
	case Stop:
		return m.advanceStop()
	case PostStop:
		return m.advancePostStop()
	}
	return false
}

// due does what the time has come for.
func (m *Machine) due() {
	m.dueHooks()
	m.dueServices()
	m.dueLives()
	if m.passed(m.noticeAt) {
		m.noticeAt = m.now.Add(noticeEvery)
		m.notice()
	}
	if m.passed(m.lateAt) {
		m.lateAt = time.Time{}
		m.look()
	}
	m.dueLook()
	if !m.passed(m.end) {
		return
	}
	switch m.phase {
	case PreStop:
		m.enter(Stop)
	case Stop:
		m.enter(Terminate)
	case Terminate:
		m.enter(Kill)
	case Kill:
		m.enter(Flush)
	case Flush:
		m.enter(PostStop)
	case PostStop:
		m.enter(Done)
	}
}
