package supervisor

import (
	"fmt"
	"slices"
	"time"

	"exeunt/reaper"
	"exeunt/signals"
)

const (
	noticeEvery    = 10 * time.Second
	surveyEvery    = 20 * time.Millisecond
	surveyEach     = 200 * time.Microsecond // more for each process alive: a look at a thousand costs some 20 ms
	stragglerTime  = 5 * time.Second
	kernelSent     = 0x80 // SI_KERNEL, sigaction(2)
	maxStrayReport = 1000
	maxKept        = 64 // signals kept for a service that does not exist yet
)

// received takes one signal: it begins the stop, repeats it, or is forwarded.
func (m *Machine) received(r Received) {
	if r.Signal == signals.CHLD {
		return
	}
	if m.plan.Console && r.Code == kernelSent && m.anyAlive() {
		return // a key of the terminal: its foreground group has got it already
	}
	if !m.plan.StopOn.Has(r.Signal) {
		if len(m.services) == 1 && m.services[0].state < Ready {
			if len(m.kept) < maxKept {
				m.kept = append(m.kept, r.Signal)
			}
			return
		}
		m.forward(r.Signal)
		if m.plan.SuspendOn.Has(r.Signal) {
			m.do(Suspend{})
		}
		return
	}
	if r.Signal == signals.INT && !m.plan.AsReceived {
		m.interrupts++
	}
	switch {
	case m.reason == "":
		m.requestStop(r)
	case m.plan.AsReceived && m.phase == Stop && len(m.services) == 1 && len(m.plan.Services[0].StopSignal) == 0:
		m.forward(r.Signal)
	case m.interrupts == 2 && m.phase != Kill:
		m.hurry()
	case m.interrupts == 3:
		m.note(Entry{Level: Warn, Message: "third INT, killing everyone", Signal: r.Signal})
		m.killAll()
	case !m.requested:
		m.requested = true
		m.clipSchedule()
		fallthrough
	default:
		m.note(Entry{Message: "already stopping", Signal: r.Signal, From: r.PID, Left: m.left()})
	}
}

// left is the time to our own deadline, or 0 where there is none.
func (m *Machine) left() time.Duration {
	if !m.plan.Budget.Armed {
		return 0
	}
	return max(m.schedule.Done.Sub(m.now), 0)
}

// forward passes a signal on to the only service. With several services none
// is told, until they can name the signals they want.
func (m *Machine) forward(sig signals.Signal) {
	to, ok := m.plan.Rewrites.Apply(sig)
	if !ok || len(m.services) != 1 || !m.services[0].alive() {
		return
	}
	frozen := signals.SetOf(signals.TSTP, signals.TTIN, signals.TTOU) // would stop a process that has no handler
	send := Send{To: reaper.Process(m.services[0].pid, 0), Signal: to, IfCaught: frozen.Has(to) && !m.plan.SuspendOn.Has(sig)}
	if m.plan.Services[0].KillMode == Group && !send.IfCaught {
		send.To = reaper.Group(m.services[0].pid)
	}
	m.do(send)
	m.note(Entry{Level: Debug, Message: "forwarded", Service: m.plan.Services[0].Name, Signal: to})
}

// requestStop begins the stop that somebody asked for.
func (m *Machine) requestStop(r Received) {
	m.requested, m.signal, m.from, m.report.By = true, r.Signal, r.PID, r.By
	m.stop(ReasonSignal)
	grace := fmt.Sprintf("grace period %v (%s)", m.plan.Budget.Grace, m.plan.Budget.Source)
	if !m.plan.Budget.Armed {
		grace = fmt.Sprintf("grace period not set, assuming %v for hooks (%s)", m.plan.Budget.Grace, m.plan.Budget.Source)
	}
	m.note(Entry{Message: "stopping, " + grace, Signal: r.Signal, From: r.PID})
	if m.plan.Budget.Armed {
		m.do(Arm{m.schedule.Done.Add(m.schedule.Margin / 2)})
	}
	if m.anyAlive() {
		m.enter(PreStop)
		return
	}
	if m.fixed = true; !m.plan.Pause {
		m.code = 128 + int(r.Signal)
	}
	m.enter(Terminate)
}

// endsItself begins the stop that follows the end of service i, or of the
// last service of all.
func (m *Machine) endsItself(i int) {
	if i >= 0 {
		m.code = m.services[i].status.Shell()
	}
	m.fixed = true
	m.stop(ReasonExit)
	m.enter(Stop)
}

// fail begins the stop that follows a failed start.
func (m *Machine) fail(code int, why string) {
	m.code, m.fixed = code, true
	m.stop(ReasonFailure)
	m.note(Entry{Level: Error, Message: "cannot start", Err: why, Code: code})
	m.enter(Stop)
}

func (m *Machine) stop(reason Reason) {
	m.reason = reason
	m.schedule = m.plan.Budget.Schedule(m.now)
	m.noticeAt = m.now.Add(noticeEvery)
	m.report.Reason, m.report.Signal, m.report.From, m.report.Began = reason, m.signal, m.from, m.now
}

// hurry skips the hooks.
func (m *Machine) hurry() {
	m.note(Entry{Level: Warn, Message: "second INT, hooks are skipped"})
	switch m.phase {
	case PreStop:
		m.enter(Stop)
	case PostStop:
		m.enter(Done)
	}
}

// killAll ends it now.
func (m *Machine) killAll() {
	if m.phase < Terminate {
		m.lateSchedule()
	}
	switch {
	case m.phase < Kill:
		m.enter(Kill)
	case m.phase == PostStop:
		m.enter(Done)
	}
}

// advancePreStop runs the container's hooks, then each service's own.
func (m *Machine) advancePreStop() bool {
	if len(m.sequences) > 0 {
		return false
	}
	if m.stage == 0 {
		m.stage = 1
		for i := range m.services {
			if m.services[i].pid != 0 {
				m.begin("pre_stop", i)
			}
		}
		return true
	}
	m.enter(Stop)
	return true
}

// advancePostStop runs each service's hooks, then the container's.
func (m *Machine) advancePostStop() bool {
	if len(m.sequences) > 0 {
		return false
	}
	if m.stage == 0 {
		m.stage = 1
		m.begin("post_stop", container)
		return true
	}
	m.enter(Done)
	return true
}

// lateSchedule moves the rest of the schedule where it does not bind: after
// services that nobody may kill, and when nobody asked for the stop.
func (m *Machine) lateSchedule() {
	var late time.Duration
	switch {
	case m.reason != ReasonSignal && !m.requested:
		late = m.now.Add(m.straggler()).Sub(m.schedule.Everyone)
	case !m.plan.Budget.Armed:
		late = max(m.now.Sub(m.schedule.Services), m.now.Add(m.straggler()).Sub(m.schedule.Everyone), 0)
	default:
		return
	}
	m.schedule.Everyone = m.schedule.Everyone.Add(late)
	m.schedule.Kill = m.schedule.Kill.Add(late)
	if late > 0 {
		m.schedule.Done = m.schedule.Done.Add(late)
	}
}

func (m *Machine) straggler() time.Duration {
	if m.plan.Straggler >= 0 {
		return m.plan.Straggler
	}
	return min(stragglerTime, m.plan.Budget.Grace)
}

// clipSchedule brings a stop that began by itself under the grace period of a
// stop signal that came later.
func (m *Machine) clipSchedule() {
	if !m.plan.Budget.Armed {
		return
	}
	n, s := m.plan.Budget.Schedule(m.now), &m.schedule
	s.Services, s.Everyone = earliest(s.Services, n.Services), earliest(s.Everyone, n.Everyone)
	s.Kill, s.Done = earliest(s.Kill, n.Kill), earliest(s.Done, n.Done)
	switch m.phase {
	case Stop:
		m.end = s.Services
		for i := range m.services {
			if m.services[i].state == Stopping {
				m.services[i].killAt = earliest(m.services[i].killAt, s.Services)
			}
		}
	case Terminate:
		m.end = s.Everyone
	case Kill:
		m.end = s.Kill
	case PostStop:
		m.end = s.Done
		m.clipHooks()
	}
	m.do(Arm{s.Done.Add(s.Margin / 2)})
}

// exitCode is the run's code, before what the plan maps it to.
func (m *Machine) exitCode() int {
	if m.fixed {
		return m.code
	}
	code := func(i int) int {
		s := &m.services[i]
		switch {
		case s.state == Exited && s.pid != 0:
			return s.status.Shell()
		case s.pid != 0:
			return 128 + int(signals.KILL) // killed, and not seen to go
		}
		return 0
	}
	if i := m.index("main"); i >= 0 {
		return code(i)
	}
	for i := range m.services {
		p := &m.plan.Services[i]
		if c := code(i); p.Essential && c != 0 && !slices.Contains(p.SuccessExitCodes, c) {
			return c
		}
	}
	return 0
}

// uneventful reports whether there is nothing more to tell of the stop: nothing was
// started, of which there is a line already, or the app ended
// well and left nobody.
func (m *Machine) uneventful() bool {
	nothingRan := m.reason == ReasonFailure && len(m.report.Hooks) == 0 && !slices.ContainsFunc(m.services, func(s service) bool { return s.pid != 0 })
	return m.report.StrayCount == 0 && (nothingRan || m.reason == ReasonExit && m.exitCode() == 0)
}

func (m *Machine) finish() {
	code := m.exitCode()
	if to, ok := m.plan.ExitCodes[code]; ok {
		code = to
	}
	if m.requested && m.reason == ReasonSignal && m.plan.OnStopExit >= 0 {
		code = m.plan.OnStopExit
	}
	m.report.Code, m.report.Ended = code, m.now
	m.note(Entry{Level: quiet(m.uneventful()), Message: m.report.Summary(), Code: code, Took: m.now.Sub(m.report.Began)})
	m.do(Finish{code})
}
