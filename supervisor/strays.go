package supervisor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"exeunt/reaper"
	"exeunt/signals"
)

// look asks who is alive, unless an answer is due anyway.
func (m *Machine) look() {
	if m.asked {
		m.surveyAt = m.now // at the next Step
		return
	}
	m.surveyAt = time.Time{}
	m.ask(Survey{})
}

// surveyed takes who is alive and tells those whose turn it is.
func (m *Machine) surveyed(ev Surveyed) {
	m.blind = ev.Blind
	if ev.Blind {
		m.groups, m.toldGroups = nil, nil
		m.remnants = nil
		m.surveyedBlind()
		return
	}
	m.alive = m.alive[:0]
	for _, p := range ev.Strays {
		if p.OutOfReach {
			m.outOfReach(p)
		} else {
			m.alive = append(m.alive, p)
		}
	}
	m.succeed()
	m.shellRule()
	m.collect()
	told := make(map[stray]int, len(m.alive))
	for _, p := range m.alive {
		m.meet(p, told)
	}
	m.told, m.groups, m.toldGroups = told, nil, nil
	m.forgetStrays()
	m.forgetRemnants()
	m.rests()
	m.missing()
	switch {
	case m.phase != Terminate && m.phase != Kill:
	case len(m.alive) == 0 && !m.deathDue(ev.Strays):
		m.enter(Flush)
	default:
		if m.phase == Kill && m.plan.PID1 && len(m.alive) > 0 {
			m.do(Send{To: reaper.Everyone(), Signal: signals.KILL})
		}
		m.surveyAt = m.now.Add(m.surveyPause())
	}
}

// lookWithin looks who is alive once more, no later than that; with 0 at the end
// of this Step. From Terminate on a new phase does it in its own time.
func (m *Machine) lookWithin(d time.Duration) {
	m.surveyAt = earliest(m.surveyAt, m.now.Add(d))
}

// dueLook looks if it is time.
func (m *Machine) dueLook() {
	if m.passed(m.surveyAt) {
		m.surveyAt = time.Time{}
		m.look()
	}
}

// surveyPause is until the next look where one follows the other.
func (m *Machine) surveyPause() time.Duration {
	return max(surveyEvery, time.Duration(len(m.alive))*surveyEach)
}

// forgetStrays takes those out of the report who were told between two lives of
// a service and have gone: what is in it is to be of the stop.
func (m *Machine) forgetStrays() {
	if m.reason != "" || m.report.StrayCount == 0 {
		return
	}
	left := []StrayReport{}
	for _, p := range m.alive {
		if place, ok := m.told[stray{p.PID, p.Start}]; ok && place >= 0 {
			m.told[stray{p.PID, p.Start}] = len(left)
			left = append(left, m.report.Strays[place])
		}
	}
	m.report.Strays, m.report.StrayCount = left, len(left)
}

// deathDue reports whether a service is a zombie that has not been reaped: its
// exit code is still to come.
func (m *Machine) deathDue(alive []reaper.Stray) bool {
	return m.find(func(s *service) bool {
		return s.alive() && !slices.ContainsFunc(alive, func(p reaper.Stray) bool { return p.PID == s.pid })
	}) >= 0
}

// meet does with one living process what the phase asks for: continues a
// stopped one that was told, tells it, kills it.
func (m *Machine) meet(p reaper.Stray, told map[stray]int) {
	key := stray{p.PID, p.Start}
	to := reaper.Process(p.PID, p.Start)
	report, known := m.told[key]
	if known {
		told[key] = report
	}
	if i := m.serviceOf(p.PID); i >= 0 {
		known = m.services[i].state >= Stopping
	} else if !known && slices.Contains(m.toldGroups, p.Group) {
		known, told[key] = true, unreported
	}
	switch {
	case m.killRemnant(p, told):
	case m.phase == Kill:
		if !known {
			told[key] = m.reportStray(p, 0)
		}
		m.killStray(p, told, key)
	case known:
		if p.Stopped {
			m.do(Send{To: to, Signal: signals.CONT})
		}
	case m.phase == Terminate || m.phase <= Stop && (slices.Contains(m.groups, p.Group) || m.hasRest(p.Group)):
		if !m.leftToParent(p) {
			told[key] = m.tellStray(p)
		}
	}
}

// leftToParent reports whether p is not told yet, since its parent has been or
// is, and may need it: a pool is ended by its master, which waits for what its
// children are at. That is over at two thirds of the time. A shell would wait
// for the end of p, so does one whose group is told for that.
func (m *Machine) leftToParent(p reaper.Stray) bool {
	if m.phase == Terminate && m.lateAt.IsZero() || m.leads(p.Group) >= 0 {
		return false
	}
	if i := m.find(func(s *service) bool { return s.rest != 0 && s.rest == p.Group }); i >= 0 {
		if late := m.services[i].restAt.Add(-either(m.plan.Services[i].StopGrace, restTime) / 3); m.passed(late) || m.services[i].restAt.IsZero() {
			return false
		}
	}
	return slices.ContainsFunc(m.alive, func(q reaper.Stray) bool { return q.PID == p.Parent && !slices.Contains(shells, q.Name) })
}

func (m *Machine) killStray(p reaper.Stray, told map[stray]int, key stray) {
	i, ok := told[key]
	if ok && i == unreported && !slices.ContainsFunc(m.leaving, func(l leaver) bool { return l.pid == p.PID }) {
		i = m.reportStray(p, 0)
		told[key] = i
	}
	if ok && i >= 0 && !m.report.Strays[i].Killed {
		m.report.Strays[i].Killed = true
		level := Warn
		if i >= strayLines {
			level = Debug // the summary counts them
		}
		m.note(Entry{Level: level, Message: fmt.Sprintf("still running, killed %q", p.Name), PID: p.PID, Signal: signals.KILL})
	}
	if !m.plan.PID1 { // else everyone is, in one call
		m.do(Send{To: reaper.Process(p.PID, p.Start), Signal: signals.KILL})
	}
}

// serviceOf is the living service whose main process pid is, or -1.
func (m *Machine) serviceOf(pid int) int {
	return m.find(func(s *service) bool { return s.alive() && s.pid == pid })
}

// leads is the living service whose group that is, or -1.
func (m *Machine) leads(group int) int {
	return m.find(func(s *service) bool { return s.alive() && s.group == group })
}

// tellStray sends p the stop signal of its service if it catches that, else
// TERM; an interactive shell, which ignores TERM, gets HUP as well.
func (m *Machine) tellStray(p reaper.Stray) int {
	to, sig := reaper.Process(p.PID, p.Start), signals.TERM
	if i := m.serviceNear(p); i >= 0 && p.Caught.Has(m.stopSignal(i)) {
		sig = m.stopSignal(i)
	}
	m.do(Send{To: to, Signal: sig})
	if p.Terminal && p.Ignored.Has(signals.TERM) && slices.Contains(shells, p.Name) {
		m.do(Send{To: to, Signal: signals.HUP})
	}
	if p.Stopped {
		m.do(Send{To: to, Signal: signals.CONT})
	}
	m.note(Entry{Level: quiet(m.report.StrayCount >= strayLines), Message: fmt.Sprintf("told %q to stop", p.Name), PID: p.PID, Signal: sig})
	return m.reportStray(p, sig)
}

// serviceNear is the service that p belongs to as far as can be told: by its
// group or session, else the only one there is.
func (m *Machine) serviceNear(p reaper.Stray) int {
	if len(m.services) == 1 {
		return 0
	}
	return m.find(func(s *service) bool {
		return s.pid != 0 && (s.group == p.Group || s.group == p.Session)
	})
}

// strayLines is how many strays get a line each in the log at its usual level:
// a tree of a thousand is not to drown it.
const strayLines = 20

// Places in the report of a process that has none.
const (
	unreported = -1 // it was told with its group
	unlisted   = -2 // the report is full
)

// reportStray adds p to the report and returns its place, unlisted where the
// report is full.
func (m *Machine) reportStray(p reaper.Stray, sig signals.Signal) int {
	m.report.StrayCount++
	if len(m.report.Strays) == maxStrayReport {
		return unlisted
	}
	r := StrayReport{PID: p.PID, Name: p.Name, Signal: sig}
	if sig != 0 {
		r.Told = m.now
	}
	m.report.Strays = append(m.report.Strays, r)
	return len(m.report.Strays) - 1
}

// outOfReach names, once, a process that we may not signal and do not wait for.
func (m *Machine) outOfReach(p reaper.Stray) {
	if m.phase != Terminate || slices.ContainsFunc(m.report.Strays, func(r StrayReport) bool { return r.OutOfReach && r.PID == p.PID }) {
		return
	}
	if i := m.reportStray(p, 0); i >= 0 {
		m.report.Strays[i].OutOfReach = true
	}
	m.note(Entry{Level: Warn, Message: fmt.Sprintf("cannot signal %q, it is not waited for", p.Name), PID: p.PID})
}

// shellRule tells the rest of a group whose main is a shell that is still
// there at two thirds of its time.
func (m *Machine) shellRule() {
	for i := range m.services {
		s := &m.services[i]
		if !s.asShell {
			continue
		}
		s.asShell = false
		j := slices.IndexFunc(m.alive, func(p reaper.Stray) bool { return p.PID == s.pid })
		if j < 0 || !slices.Contains(shells, m.alive[j].Name) || m.phase > Stop || s.state != Stopping {
			continue
		}
		m.groups = append(m.groups, s.group)
		m.note(Entry{Level: Warn, Service: m.plan.Services[i].Name, PID: s.pid, Message: "a shell that still waits for its child; telling the rest of its group " +
			"(start the program with exec, or use kill_mode: group, to have it told at once)"})
	}
}

// surveyedBlind does without /proc: everyone is told at once, where we may,
// and gone when we have no children left.
func (m *Machine) surveyedBlind() {
	for i := range m.services {
		s := &m.services[i]
		if s.rest, s.restAt = 0, (time.Time{}); m.phase <= Stop && s.state == Stopping {
			m.do(Send{To: s.process(), Signal: signals.CONT}) // it may be stopped
		}
	}
	if m.phase != Terminate && m.phase != Kill {
		return
	}
	if m.childless {
		m.enter(Flush)
		return
	}
	if !m.plan.PID1 {
		return
	}
	if m.phase == Kill {
		m.do(Send{To: reaper.Everyone(), Signal: signals.KILL})
	} else if !m.toldAll {
		m.toldAll = true
		m.note(Entry{Message: "no /proc: told everyone to stop", Signal: signals.TERM})
		m.do(Send{To: reaper.Everyone(), Signal: signals.TERM})
		m.do(Send{To: reaper.Everyone(), Signal: signals.CONT})
	}
}

// notice says who is waited for.
func (m *Machine) notice() {
	var who []string
	for i := range m.sequences {
		if q := &m.sequences[i]; q.try.id != "" && !q.probe() {
			who = append(who, fmt.Sprintf("hook %q", q.hooks[q.next].Name))
		}
	}
	for i := range m.services {
		switch s := &m.services[i]; {
		case s.alive() && (m.phase >= Stop || m.phase == Start && !m.up(i)):
			who = append(who, fmt.Sprintf("%s (pid %d)", m.plan.Services[i].Name, s.pid))
		case m.phase == Start && !m.up(i):
			who = append(who, m.plan.Services[i].Name)
		}
	}
	e := Entry{Left: m.left()}
	if m.phase == Terminate || m.phase == Kill {
		e.Strays = len(m.alive)
		for _, p := range m.alive[:min(len(m.alive), 5)] {
			who = append(who, fmt.Sprintf("%s (pid %d)", p.Name, p.PID))
		}
	}
	if more := len(who) - mostNamed; more > 0 {
		who = append(who[:mostNamed], fmt.Sprintf("%d more", more))
	}
	e.Message = "waiting for " + strings.Join(who, ", ")
	if len(who) > 0 {
		m.note(e)
	}
}
