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
	gather         = time.Millisecond       // deaths that come together are followed by one look
	stragglerTime  = 5 * time.Second
	kernelSent     = 0x80 // SI_KERNEL, sigaction(2)
	maxStrayReport = 1000
	maxKept        = 64 // signals kept for a service that does not exist yet
	mostNamed      = 20 // in one line of who is waited for
)

// received takes one signal: it begins the stop, repeats it, or is forwarded.
func (m *Machine) received(r Received) {
	if r.Signal == signals.CHLD {
		return
	}
	if m.plan.Console && r.Code == kernelSent && m.anyAlive() {
		return // a key of the terminal: its foreground group has got it already
	}
	if r.Forwarded {
		m.forwarded(0, m.forwarding(0, r.Signal))
		return
	}
	if !m.plan.StopOn.Has(r.Signal) {
		if len(m.services) == 1 && m.services[0].pid == 0 && m.phase == Start {
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
		m.report.By = r.By
		m.requestStop(r.Signal, r.PID)
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

// freezing would stop a process that has no handler.
var freezing = signals.SetOf(signals.TSTP, signals.TTIN, signals.TTOU)

// forward passes a signal on: to the only service, or with several to those that
// name it.
func (m *Machine) forward(sig signals.Signal) {
	for i := range m.services {
		s, p := &m.services[i], &m.plan.Services[i]
		to := m.forwarding(i, sig)
		if to == 0 || !s.alive() {
			continue
		}
		send := Send{To: s.process(), Signal: to, IfCaught: freezing.Has(to) && !m.plan.SuspendOn.Has(sig)}
		if p.KillMode == Group && !send.IfCaught && s.start == 0 {
			send.To = reaper.Group(s.pid)
		}
		m.do(send)
		m.forwarded(i, to)
	}
}

func (m *Machine) forwarded(i int, to signals.Signal) {
	m.note(Entry{Level: Debug, Message: "forwarded", Service: m.plan.Services[i].Name, Signal: to})
}

// forwarding is what service i gets for a signal, or zero.
func (m *Machine) forwarding(i int, sig signals.Signal) signals.Signal {
	to, ok := m.plan.Services[i].Signals[sig]
	if !ok && len(m.services) == 1 {
		to, ok = m.plan.Rewrites.Apply(sig)
	}
	if !ok {
		return 0
	}
	return to
}

// forwardings are the signals that forward would do nothing else with, and about
// which received has nothing to decide, whenever forwardTo says to whom.
func (m *Machine) forwardings() (as [signals.RTMAX + 1]signals.Signal) {
	if len(m.services) != 1 || m.plan.Console {
		return as
	}
	for sig := signals.Signal(1); sig <= signals.RTMAX; sig++ {
		if to := m.forwarding(0, sig); sig != signals.CHLD && !m.plan.StopOn.Has(sig) && !m.plan.SuspendOn.Has(sig) && !freezing.Has(to) {
			as[sig] = to
		}
	}
	return as
}

// forwardTo is the only service's pid, or zero, and whether its group is meant.
func (m *Machine) forwardTo() (pid int32, group bool) {
	if len(m.services) != 1 || !m.services[0].alive() || m.services[0].start != 0 {
		return 0, false
	}
	return int32(m.services[0].pid), m.plan.Services[0].KillMode == Group
}

// requestStop begins the stop that somebody asked for, by a signal or, with
// none, by an order.
func (m *Machine) requestStop(sig signals.Signal, from int32) {
	m.requested, m.signal, m.from = true, sig, from
	reason := ReasonSignal
	if sig == 0 {
		reason, sig = ReasonRequest, signals.TERM
	}
	early := !m.anyAlive() && (m.phase == Start || m.plan.Pause)
	m.stop(reason)
	grace := fmt.Sprintf("grace period %v (%s)", m.plan.Budget.Grace, m.plan.Budget.Source)
	if !m.plan.Budget.Armed {
		grace = fmt.Sprintf("grace period not set, assuming %v for hooks (%s)", m.plan.Budget.Grace, m.plan.Budget.Source)
	}
	m.note(Entry{Message: "stopping, " + grace, Signal: m.signal, From: from})
	if m.plan.Budget.Armed {
		m.do(Arm{m.schedule.Done.Add(m.schedule.Margin / 2)})
	}
	if !early {
		m.watch()
		m.enter(PreStop)
		return
	}
	if m.fixed = true; !m.plan.Pause {
		m.code = 128 + int(sig)
	}
	m.enter(Terminate)
}

// endsItself begins the stop that follows the end of service i, or of the
// last service of all.
func (m *Machine) endsItself(i int) {
	if i >= 0 {
		m.code = m.report.Services[i].Code
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
	for i := range m.services {
		s := &m.services[i]
		s.readyBy, s.aliveBy, s.restAt, s.rest = time.Time{}, time.Time{}, time.Time{}, 0
		if s.state == Backoff {
			s.state = Exited
		}
		if r := &m.report.Services[i]; r.State == Backoff {
			r.State = Exited
		}
		if m.plan.Budget.Armed && s.state == Stopping {
			s.killAt = earliest(s.killAt, m.schedule.Services)
		}
	}
}

// watch notes the ports that we listen on, while there are listeners: what has
// been sent by way of them is flushed at the end.
func (m *Machine) watch() {
	if m.watched = !m.plan.LeaveStrays; m.watched {
		m.do(Watch{})
	}
}

// flushID names the Perform that waits until what the dead have sent and
// written has got out.
const flushID ID = "flush"

func (m *Machine) flush() {
	if (m.watched || m.plan.piped()) && !m.passed(m.end) {
		m.flushing = true
		m.do(Perform{ID: flushID, By: m.end})
	} else {
		m.enter(PostStop)
	}
}

// flushed takes that nothing is on its way any more, or what still is.
func (m *Machine) flushed(err error) {
	m.flushing = false
	if err != nil {
		m.note(Entry{Level: Warn, Message: "not everything got out", Err: err.Error()})
	}
	m.enter(PostStop)
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
	case m.phase == Flush:
		m.enter(PostStop)
	case m.phase == PostStop:
		m.enter(Done)
	}
}

// advancePreStop runs the container's hooks, then each service's own, beside
// those of one that was stopping already.
func (m *Machine) advancePreStop() bool {
	if m.busy(container) || m.stage == 1 && len(m.sequences) > 0 {
		return false
	}
	if m.stage == 0 {
		m.stage = 1
		for i := range m.services {
			s := &m.services[i]
			if (s.alive() || s.pid != 0 && !m.report.Services[i].Ended.Before(m.report.Began)) && !s.toStop && !m.busy(i) {
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
	case !m.requested:
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
	case Kill, Flush:
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
		if m.services[i].alive() {
			return 128 + int(signals.KILL) // killed, and not seen to go
		}
		return m.report.Services[i].Code
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
	nothingRan := m.reason == ReasonFailure && len(m.report.Hooks) == 0 && m.find(func(s *service) bool { return s.pid != 0 }) < 0
	return m.report.StrayCount == 0 && (nothingRan || m.reason == ReasonExit && m.exitCode() == 0)
}

func (m *Machine) finish() {
	code := m.exitCode()
	if to, ok := m.plan.ExitCodes[code]; ok {
		code = to
	}
	if m.reason.asked() && m.plan.OnStopExit >= 0 {
		code = m.plan.OnStopExit
	}
	m.report.Code, m.report.Ended = code, m.now
	m.note(Entry{Level: quiet(m.uneventful()), Message: m.report.Summary(), Code: code, Took: m.now.Sub(m.report.Began)})
	m.answerWaits()
	m.announce()
	m.do(Finish{code})
}
