package supervisor

import (
	"fmt"
	"slices"
	"time"

	"exeunt/hooks"
	"exeunt/reaper"
)

const (
	probing       = "healthcheck" // the list that a probe is: one hook, again and again
	probeEvery    = 10 * time.Second
	probeStarting = 250 * time.Millisecond
	probeRetries  = 3
	heirEvery     = time.Second // a look for a main process that another will reap
)

// probe reports whether the list is a probe.
func (q *sequence) probe() bool { return q.list == probing }

// beginProbe starts to look whether service i is ready and well.
func (m *Machine) beginProbe(i int) {
	if h := m.plan.Services[i].Health; h.Probe != nil {
		m.sequences = append(m.sequences, sequence{list: probing, service: i, hooks: []hooks.Hook{*h.Probe}})
	}
}

// dropProbe ends the probe of a service that has ended or is to stop.
func (m *Machine) dropProbe(i int) {
	k := slices.IndexFunc(m.sequences, func(q sequence) bool { return q.probe() && q.service == i })
	if k >= 0 {
		m.cut(&m.sequences[k], false)
		m.sequences = slices.Delete(slices.Clone(m.sequences), k, k+1)
	}
}

// probed takes the outcome of one try and sets the next.
func (m *Machine) probed(q *sequence, err error) {
	i := q.service
	s, p, r := &m.services[i], &m.plan.Services[i], &m.report.Hooks[q.try.report]
	every := either(p.Health.Interval, probeEvery)
	if r.Ended, r.Err = m.now, ""; err != nil {
		r.Err = err.Error()
	}
	switch {
	case err != nil && s.state == Starting && m.now.Before(m.report.Services[i].Started.Add(p.Health.StartPeriod)):
	case err != nil:
		if s.failures++; s.failures >= either(p.Health.Retries, probeRetries) && !s.unhealthy {
			m.unwell(i, err.Error())
		}
		s.failures = min(s.failures, either(p.Health.Retries, probeRetries))
	case s.state == Starting:
		s.failures = 0
		m.ready(i)
		fallthrough
	default:
		s.failures = 0
		if s.unhealthy {
			s.unhealthy = false
			m.note(Entry{Message: "well again", Service: p.Name, PID: s.pid})
		}
	}
	if s.state == Starting {
		every = either(p.Health.StartInterval, probeStarting)
	}
	q.try.by, q.try.wakeAt = time.Time{}, m.now.Add(every)
}

// either is the value, or otherwise where that is zero.
func either[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// unwell takes that a service does not do what it should.
func (m *Machine) unwell(i int, why string) {
	s, h := &m.services[i], m.plan.Services[i].Health
	s.unhealthy = true
	m.note(Entry{Level: Warn, Message: "unhealthy", Service: m.plan.Services[i].Name, PID: s.pid, Err: why})
	if h.OnUnhealthy != Tolerate && m.stopOne(i) {
		s.failed, s.again, s.final = true, h.OnUnhealthy == RestartUnhealthy, h.OnUnhealthy == StopUnhealthy
	}
}

// notReady takes that a service did not get ready in its time. The first time
// the start has failed, later the service has.
func (m *Machine) notReady(i int) {
	s, p := &m.services[i], &m.plan.Services[i]
	why := fmt.Sprintf("%s was not ready within %v", p.Name, p.StartTimeout)
	if m.phase == Start && s.restarts == 0 {
		m.fail(exitFailure, why)
		return
	}
	m.note(Entry{Level: Warn, Message: "not ready in time", Service: p.Name, PID: s.pid, Took: p.StartTimeout})
	s.failed = m.stopOne(i)
}

// pet notes a sign of life, where one is expected.
func (m *Machine) pet(s *service) {
	if s.watchdog > 0 && !s.toStop && m.phase <= Run {
		s.aliveBy = m.now.Add(s.watchdog)
	}
}

// notified takes what a service says of itself.
func (m *Machine) notified(ev Notified) {
	i := m.index(string(ev.ID))
	if i < 0 || !m.services[i].alive() || m.plan.Services[i].Health == nil {
		return
	}
	s := &m.services[i]
	if ev.PID != 0 && ev.PID != s.born {
		return // an earlier life said it
	}
	if ev.HasStatus {
		s.text = ev.Status
	}
	if ev.MainPID != 0 && ev.MainPID != s.pid {
		s.heir = ev.MainPID
		m.look()
	}
	if ev.Extend > 0 {
		m.extend(i, ev.Extend)
	}
	switch {
	case ev.Reloading:
		s.reloading = true
	case ev.Ready:
		if s.reloading = false; s.state == Starting {
			m.ready(i)
		}
	}
	if ev.Watchdog != 0 {
		s.watchdog, s.aliveBy = max(ev.Watchdog, 0), time.Time{}
	}
	if s.state == Ready && !s.toStop && m.phase <= Run {
		if m.pet(s); ev.Failed {
			s.aliveBy = time.Time{}
			m.unwell(i, "it says so itself")
		} else if ev.Alive && s.unhealthy && m.plan.Services[i].Health.Notify {
			s.unhealthy = false
			m.note(Entry{Message: "well again", Service: m.plan.Services[i].Name, PID: s.pid})
		}
	}
}

// extend gives a service more time for its start or its end; for that never
// more than the budget has.
func (m *Machine) extend(i int, by time.Duration) {
	s := &m.services[i]
	until := m.now.Add(by)
	if !s.readyBy.IsZero() && until.After(s.readyBy) {
		s.readyBy = until
	}
	if s.killAt.IsZero() || !until.After(s.killAt) {
		return
	}
	if m.reason != "" && m.plan.Budget.Armed {
		until = earliest(until, m.schedule.Services)
	}
	s.killAt = latest(s.killAt, until)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// succeed hands the role of a service's main process to the one that it named.
func (m *Machine) succeed() {
	for i := range m.services {
		s := &m.services[i]
		if s.heir == 0 || !s.alive() {
			continue
		}
		k := slices.IndexFunc(m.alive, func(p reaper.Stray) bool { return p.PID == s.heir })
		taken := m.serviceOf(s.heir) >= 0 || slices.ContainsFunc(m.sequences, func(q sequence) bool { return q.try.pid == s.heir })
		if k >= 0 {
			j := m.leads(m.alive[k].Group)
			taken = taken || j >= 0 && j != i
		}
		if s.heir = 0; k < 0 || taken {
			m.note(Entry{Level: Warn, Message: "names a main process that is none of ours", Service: m.plan.Services[i].Name})
			continue
		}
		s.pid, s.start, s.group = m.alive[k].PID, m.alive[k].Start, m.alive[k].Group
		m.report.Services[i].PID = s.pid
		m.note(Entry{Level: Debug, Message: "has a new main process", Service: m.plan.Services[i].Name, PID: s.pid})
	}
}

// missing takes the end of main processes that were not started by us and that
// somebody else has reaped: two looks do not show them. As long as they have
// another parent the looks go on.
func (m *Machine) missing() {
	for i := range m.services {
		s := &m.services[i]
		if s.start == 0 || !s.alive() {
			continue
		}
		k := slices.IndexFunc(m.alive, func(p reaper.Stray) bool { return p.PID == s.pid && p.Start == s.start })
		switch {
		case k < 0 && s.missed > 0:
			m.ended(i, 0, false)
		case k < 0:
			s.missed++
			m.lookWithin(surveyEvery)
		case slices.ContainsFunc(m.alive, func(p reaper.Stray) bool { return p.PID == m.alive[k].Parent }):
			s.missed = 0
			if every := m.surveyPause(); m.reason == "" {
				m.lookWithin(max(every, heirEvery))
			} else {
				m.lookWithin(every)
			}
		default:
			s.missed = 0
		}
	}
}
