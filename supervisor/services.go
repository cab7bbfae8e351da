package supervisor

import (
	"fmt"
	"time"

	"exeunt/reaper"
	"exeunt/signals"
)

// exitFailure is what we exit with when something of our own failed, as
// timeout(1) and docker run do.
const exitFailure = 125

// shells are the programs that run a trap only when their foreground child
// has ended, and that ignore TERM when interactive.
var shells = []string{"sh", "dash", "bash", "ash", "busybox"}

func (m *Machine) anyAlive() bool {
	return m.find((*service).alive) >= 0
}

// reaped takes one death: a service's, a hook's, or an orphan's.
func (m *Machine) reaped(x Reaped) {
	for i := range m.services {
		if s := &m.services[i]; s.pid == x.PID && s.alive() {
			m.ended(i, x.Status, x.OOM)
			return
		}
	}
	if !m.hookReaped(x) {
		m.report.Reaped++
		switch {
		case x.OOM:
			m.note(Entry{Level: Warn, Message: "an orphan " + describe(x.Status, false, true), PID: x.PID, Code: x.Status.Shell()})
		case m.plan.WarnReaped:
			m.note(Entry{Level: Warn, Message: "reaped an orphan", PID: x.PID, Code: x.Status.Shell()})
		}
	}
}

// mayHaveKilled reports whether a KILL that ended pid can be ours. In the stop
// groups are killed as a whole, and then everyone.
func (m *Machine) mayHaveKilled(pid int) bool {
	for i := range m.services {
		if s := &m.services[i]; s.pid == pid && s.alive() {
			return s.state == Killed
		}
	}
	return m.phase >= Stop
}

// quiet is Debug for what nobody needs to read.
func quiet(q bool) Level {
	if q {
		return Debug
	}
	return Info
}

func describe(status reaper.Status, killed, oom bool) string {
	switch {
	case oom:
		return fmt.Sprintf("ended by signal %v: out of memory", status.Signal())
	case killed:
		return "killed at its deadline"
	case status.Exited():
		return fmt.Sprintf("exited with code %d", status.Code())
	}
	return fmt.Sprintf("ended by signal %v", status.Signal())
}

// advanceStop tells the services whose dependents have gone.
func (m *Machine) advanceStop() bool {
	for i := range m.services {
		if s := &m.services[i]; (s.state == Starting || s.state == Ready) && !m.hasDependents(i) {
			m.tell(i)
			return true
		}
	}
	if !m.anyAlive() {
		m.enter(Terminate)
		return true
	}
	return false
}

func (m *Machine) hasDependents(i int) bool {
	for j := range m.services {
		if m.services[j].alive() && m.needs(j, i) {
			return true
		}
	}
	return false
}

// tell sends a service its stop signal and sets what follows if it stays. The
// time until the schedule's KILL is shared with those that go after it.
func (m *Machine) tell(i int) {
	s, p := &m.services[i], &m.plan.Services[i]
	assumed := m.now.Add(max(m.schedule.Services.Sub(m.now), 0) / time.Duration(s.depth))
	if m.plan.Budget.Armed {
		s.killAt = assumed
	}
	if p.StopGrace > 0 {
		s.killAt = earliest(s.killAt, m.now.Add(p.StopGrace))
	}
	if p.KillMode == Cascade {
		limit := earliest(s.killAt, assumed)
		s.groupAt = m.now.Add(limit.Sub(m.now) * 2 / 3)
	}
	if m.passed(s.killAt) {
		m.kill(i)
		return
	}
	m.say(i)
	switch p.KillMode { // a stopped process must be continued to hear it
	case Group:
		m.look() // who joins the group from now on has not been told
	default:
		m.lookWithin(0)
	}
}

func (m *Machine) say(i int) {
	m.services[i].state = Stopping
	m.report.Services[i].State, m.report.Services[i].Told = Stopping, m.now
	m.rung(i)
}

// tellLeft tells the services that phase 2 did not come to, since one that
// depends on them could not be got rid of.
func (m *Machine) tellLeft() {
	for i := range m.services {
		if s := &m.services[i]; s.state == Starting || s.state == Ready {
			m.say(i)
		}
	}
}

// killLeft kills every service and every hook that is left.
func (m *Machine) killLeft() {
	for i := range m.services {
		if s := &m.services[i]; s.alive() && s.state != Killed {
			m.kill(i)
		}
	}
	for i := range m.leaving {
		m.killLeaver(i)
	}
}

// rung sends the ladder's next signal.
func (m *Machine) rung(i int) {
	s, p := &m.services[i], &m.plan.Services[i]
	sig := m.stopSignal(i)
	s.rungAt = time.Time{}
	if s.rung < len(p.StopSignal) {
		sig = p.StopSignal[s.rung].Signal
		if s.rung+1 < len(p.StopSignal) {
			s.rungAt = m.now.Add(p.StopSignal[s.rung].For)
		}
	}
	s.rung++
	to := s.process()
	if p.KillMode == Group && s.start == 0 {
		to = reaper.Group(s.pid)
		m.toldGroups = append(m.toldGroups, s.pid) // each caller looks who is in it
	}
	m.report.Services[i].Signal = sig
	m.note(Entry{Message: "told to stop", Service: p.Name, PID: s.pid, Signal: sig})
	m.do(Send{To: to, Signal: sig})
}

// stopSignal is the first rung, else the rewrite of what was received, else TERM.
func (m *Machine) stopSignal(i int) signals.Signal {
	if ladder := m.plan.Services[i].StopSignal; len(ladder) > 0 {
		return ladder[0].Signal
	}
	if to := m.plan.Services[i].Signals[m.signal]; to != 0 {
		return to
	}
	if m.signal != 0 {
		if to, ok := m.plan.Rewrites.Apply(m.signal); ok && (to != m.signal || m.plan.AsReceived) {
			return to
		}
	}
	return signals.TERM
}

func (m *Machine) kill(i int) {
	s, p := &m.services[i], &m.plan.Services[i]
	s.state, s.killAt, s.rungAt, s.groupAt = Killed, time.Time{}, time.Time{}, time.Time{}
	to := s.process()
	if p.KillMode == Group && s.start == 0 {
		to = reaper.Group(s.pid)
	}
	m.report.Services[i].State, m.report.Services[i].Killed = Killed, true
	m.note(Entry{Level: Warn, Message: "still running, killed", Service: p.Name, PID: s.pid, Signal: signals.KILL})
	m.do(Send{To: to, Signal: signals.KILL})
}

// dueServices climbs ladders, applies the shell rule, and kills.
func (m *Machine) dueServices() {
	for i := range m.services {
		s := &m.services[i]
		if m.passed(s.killAt) {
			m.kill(i)
			continue
		}
		if m.passed(s.rungAt) {
			m.rung(i)
			if m.plan.Services[i].KillMode == Group {
				m.look()
			}
		}
		if m.passed(s.groupAt) {
			s.groupAt, s.asShell = time.Time{}, true
			m.look()
		}
	}
}
