package supervisor

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"exeunt/reaper"
	"exeunt/signals"
)

const (
	rowEnds  = 10 * time.Second // a service that ran so long has not crashed at its start
	restTime = 5 * time.Second  // for what a service left behind, before it starts again
)

// spawned takes a process that exists now: a service's or a hook's.
func (m *Machine) spawned(ev Spawned) {
	if q := m.hookOf(ev.ID); q != nil {
		m.hookSpawned(q, ev.PID)
		return
	}
	i := m.index(string(ev.ID))
	s, p, r := &m.services[i], &m.plan.Services[i], &m.report.Services[i]
	s.state, s.pid, s.born, s.group, s.due, s.tidy = Starting, ev.PID, ev.PID, ev.PID, false, false
	if !r.Ended.IsZero() {
		m.before[i] = *r
	}
	*r = ServiceReport{Name: r.Name, PID: ev.PID, State: Starting, Started: m.now, Restarts: s.restarts}
	m.note(Entry{Level: Debug, Message: "started", Service: r.Name, PID: ev.PID, Restarts: s.restarts})
	if p.Health == nil {
		m.ready(i)
	} else {
		if p.StartTimeout > 0 {
			s.readyBy = m.now.Add(p.StartTimeout)
		}
		m.beginProbe(i)
	}
	for _, sig := range m.kept {
		m.forward(sig)
	}
	m.kept = nil
	m.begin("post_start", i)
}

// notSpawned takes that one could not be started.
func (m *Machine) notSpawned(ev NotSpawned) {
	if q := m.hookOf(ev.ID); q != nil {
		m.endHook(q, ev.Err)
		return
	}
	i := m.index(string(ev.ID))
	code := exitFailure
	var start *reaper.StartError
	if errors.As(ev.Err, &start) {
		code = m.plan.StartCodes.of(start)
	}
	m.startFailed(i, code, ev.Err.Error())
}

// startFailed takes that service i could not be started. The first time that
// ends the run, later it is one more failure of the service.
func (m *Machine) startFailed(i, code int, why string) {
	s, r := &m.services[i], &m.report.Services[i]
	s.state, s.life, s.due = Exited, life{}, false
	*r = ServiceReport{Name: r.Name, PID: r.PID, State: Exited, Started: m.now, Ended: m.now, Code: code, Err: why, Restarts: s.restarts}
	if m.phase == Start && s.restarts == 0 {
		m.fail(code, why)
		return
	}
	m.note(Entry{Level: Error, Message: "cannot start", Service: r.Name, Err: why, Code: code})
	m.over(i, false, false)
}

// advanceStart runs the container's pre-start hooks, then each service's own
// and the service, in the order of dependencies, then the post-start hooks.
func (m *Machine) advanceStart() bool {
	busy := m.busy(container)
	switch {
	case busy && m.stage == 0:
		return false
	case m.advanceServices(): // the last hooks may wait for one that crashes
		return true
	case busy:
		return false
	case m.stage == 1:
		m.enter(Run)
		return true
	}
	for i := range m.services {
		if !m.up(i) {
			return false
		}
	}
	m.stage = 1
	m.begin("post_start", container)
	return true
}

// up reports whether the start has nothing to wait for from service i.
func (m *Machine) up(i int) bool {
	s, p := &m.services[i], &m.plan.Services[i]
	switch {
	case p.Timetable != nil, p.Spare, s.held:
		return true
	case p.Oneshot:
		return s.state == Exited
	}
	return (s.state == Ready || s.state == Exited) && !m.busy(i)
}

// advanceServices starts those whose time has come and stops those that are to
// stop while the others run.
func (m *Machine) advanceServices() bool {
	for i := range m.services {
		s := &m.services[i]
		tell := s.toStop && (s.state == Starting || s.state == Ready)
		if !tell && !m.isDue(i) || m.busy(i) {
			continue
		}
		if tell {
			m.tellOne(i)
			return true
		}
		switch met, held, why := m.needed(i); {
		case why != "" && !held:
			m.startFailed(i, exitFailure, why)
		case !met:
			continue
		case !s.started:
			s.started = true
			m.begin("pre_start", i)
		case m.startOrWait():
			s.state = Spawning
			m.ask(Spawn{ID(m.plan.Services[i].Name)})
		}
		return true
	}
	return false
}

// ready takes that a service serves.
func (m *Machine) ready(i int) {
	s := &m.services[i]
	s.state, s.readyBy = Ready, time.Time{}
	m.report.Services[i].State = Ready
	if h := m.plan.Services[i].Health; h != nil {
		s.watchdog = h.Watchdog
		m.pet(s)
		m.note(Entry{Level: Debug, Message: "ready", Service: m.plan.Services[i].Name, PID: s.pid, Took: m.now.Sub(m.report.Services[i].Started)})
	}
}

// ended takes the death of a service.
func (m *Machine) ended(i int, status reaper.Status, oom bool) {
	s, p, r := &m.services[i], &m.plan.Services[i], &m.report.Services[i]
	killed, own := s.state == Killed && status.Signal() == signals.KILL, m.reason == ""
	success := !s.failed && (m.succeeded(i, status) || s.toStop && !killed)
	again, failed, final, asked := s.again, s.failed, s.final, s.toStop
	m.dropProbe(i)
	s.state, s.status, s.life, s.stopping = Exited, status, life{}, stopping{}
	s.completed = m.succeeded(i, status)
	r.State, r.Ended, r.Code, r.Killed, r.OOM = Exited, m.now, status.Shell(), killed, oom
	took := m.now.Sub(r.Started)
	if !r.Told.IsZero() {
		took = m.now.Sub(r.Told)
	}
	m.note(Entry{Level: m.endLevel(i, success, oom, own), Message: describe(status, killed, oom), Service: p.Name, PID: s.pid, Code: r.Code, Took: took})
	if m.phase >= PreStop {
		if m.phase == Stop && p.KillMode != Main {
			m.groups = append(m.groups, s.group)
			if m.plan.LeaveStrays {
				m.look() // the next phase has none
			} else {
				m.lookWithin(gather + time.Duration(len(m.alive))*surveyEach) // many end together
			}
		}
		return
	}
	if m.now.Sub(r.Started) >= max(rowEnds, p.Restart.MaxDelay) {
		s.row = 0
	}
	if again {
		s.restarts++
		m.again(i, m.delay(i, !failed))
	} else {
		m.over(i, success, final)
	}
	if m.reason == "" && p.KillMode != Main && (asked || s.state == Backoff) {
		s.rest, s.restAt = s.group, m.now.Add(either(p.StopGrace, restTime))
		m.groups = append(m.groups, s.group)
		m.look()
	}
}

// endLevel is how much the end of service i matters in the log.
func (m *Machine) endLevel(i int, success, oom, own bool) Level {
	p := &m.plan.Services[i]
	switch {
	case oom, own && !success && (p.Restart.When != Never || p.Oneshot || p.Timetable != nil):
		return Warn
	}
	return quiet(own)
}

// succeeded reports whether a run that ended so is a good one.
func (m *Machine) succeeded(i int, status reaper.Status) bool {
	return status.Shell() == 0 || slices.Contains(m.plan.Services[i].SuccessExitCodes, status.Shell())
}

// over decides what follows the end of a service while the others run: another
// start, the end of the run, or nothing.
func (m *Machine) over(i int, success, final bool) {
	s, p := &m.services[i], &m.plan.Services[i]
	limit := p.Restart.Max > 0 && s.row >= p.Restart.Max
	wanted := !final && (p.Restart.When == Always || p.Restart.When == OnFailure && !success)
	if wanted && limit && !s.held {
		m.note(Entry{Level: Error, Message: "given up", Service: p.Name, Restarts: s.restarts})
	}
	switch {
	case s.held:
	case wanted && !limit:
		s.restarts++
		m.again(i, m.delay(i, false))
		return
	case p.Timetable != nil || p.Spare:
		if !success && p.Essential {
			m.endsItself(i)
			return
		}
		s.state, s.row = Waiting, 0
	case p.Oneshot && success:
	case p.Oneshot && p.Essential && m.phase == Start:
		m.fail(m.report.Services[i].Code, fmt.Sprintf("%s failed: %s", p.Name, m.why(i)))
		return
	case p.Oneshot:
	case p.Essential:
		m.endsItself(i)
		return
	}
	if m.nothingLeft() {
		m.endsItself(container)
		return
	}
	s.tidy = true
	m.begin("post_stop", i)
}

// why is how the last run of service i ended, in words.
func (m *Machine) why(i int) string {
	if r := &m.report.Services[i]; r.Err != "" {
		return r.Err
	}
	return describe(m.services[i].status, m.report.Services[i].Killed, m.report.Services[i].OOM)
}

// nothingLeft reports whether no service runs or ever will by itself. One that
// an order stopped may be started by another.
func (m *Machine) nothingLeft() bool {
	for i := range m.services {
		s, p := &m.services[i], &m.plan.Services[i]
		if !p.Spare && (s.state < Exited || s.held) || p.Spare && s.alive() {
			return false
		}
	}
	return true
}

// again sets the next start of a service that has ended.
func (m *Machine) again(i int, after time.Duration) {
	s, p := &m.services[i], &m.plan.Services[i]
	s.state, s.againAt = Backoff, m.now.Add(after)
	m.report.Services[i].State = Backoff
	m.note(Entry{Level: Debug, Message: fmt.Sprintf("starts again in %v", after.Round(time.Millisecond)), Service: p.Name, Restarts: s.restarts})
	s.tidy = true
	m.begin("post_stop", i)
}

// delay is how long service i waits for its next start. It doubles in a row of
// failures.
func (m *Machine) delay(i int, success bool) time.Duration {
	s, r := &m.services[i], &m.plan.Services[i].Restart
	if success {
		return 0
	}
	d := r.Delay
	for n := 0; n < s.row && 0 < d && d < r.MaxDelay; n++ {
		d *= 2
	}
	if r.MaxDelay > 0 {
		d = min(d, r.MaxDelay)
	}
	s.row++
	return d + d/10*time.Duration(m.spread(i)%1000)/1000
}

// spread is a number that differs between containers, services and restarts,
// and is the same for the same three (splitmix64).
func (m *Machine) spread(i int) uint64 {
	x := m.plan.Seed + uint64(i)*0x9e3779b97f4a7c15 + uint64(m.services[i].restarts)*0xbf58476d1ce4e5b9
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// dueLives does what the time has come for in the services' lives.
func (m *Machine) dueLives() {
	for i := range m.services {
		if m.phase > Run { // or one of them has just ended the run
			return
		}
		s, p := &m.services[i], &m.plan.Services[i]
		switch {
		case m.passed(s.readyBy):
			s.readyBy = time.Time{}
			m.notReady(i)
		case m.passed(s.aliveBy):
			s.aliveBy = time.Time{}
			m.unwell(i, fmt.Sprintf("no sign of life for %v", s.watchdog))
		case p.Timetable != nil && m.passed(s.nextAt):
			s.nextAt = p.Timetable.Next(m.now)
			m.runDue(i)
		}
		if m.passed(s.againAt) {
			s.againAt = time.Time{}
		}
		if m.passed(s.restAt) {
			s.restAt = time.Time{}
			m.look()
		}
	}
}
