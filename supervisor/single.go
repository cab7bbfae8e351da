package supervisor

import (
	"fmt"
	"slices"
	"time"

	"exeunt/reaper"
	"exeunt/signals"
)

// stopOne begins to stop one service while the others run.
func (m *Machine) stopOne(i int) {
	s := &m.services[i]
	if s.toStop || !s.alive() || s.state >= Stopping {
		return
	}
	s.toStop = true
	m.dropProbe(i)
	if s.state == Ready {
		m.begin("pre_stop", i)
	}
}

// tellOne tells a service to stop, its pre-stop hooks being through. It has its
// own time, or else the grace period.
func (m *Machine) tellOne(i int) {
	s, p := &m.services[i], &m.plan.Services[i]
	limit := p.StopGrace
	if limit <= 0 {
		limit = m.plan.Budget.Grace
	}
	s.readyBy, s.aliveBy = time.Time{}, time.Time{}
	s.killAt = m.now.Add(limit)
	if p.KillMode == Cascade {
		s.groupAt = m.now.Add(limit * 2 / 3)
	}
	m.say(i)
	m.look()
}

// rests looks after what ended services have left behind of their groups.
func (m *Machine) rests() {
	for i := range m.services {
		s := &m.services[i]
		if s.rest == 0 {
			continue
		}
		left := slices.DeleteFunc(slices.Clone(m.alive), func(p reaper.Stray) bool { return p.Group != s.rest })
		if len(left) == 0 || m.phase > Run {
			s.rest, s.restAt = 0, time.Time{}
			continue
		}
		m.surveyAt = m.now.Add(surveyEvery)
		if !s.restAt.IsZero() {
			continue
		}
		for _, p := range left {
			if place, ok := m.told[stray{p.PID, p.Start}]; ok && place >= 0 {
				if m.report.Strays[place].Killed {
					continue
				}
				m.report.Strays[place].Killed = true
			}
			m.note(Entry{Level: Warn, Message: fmt.Sprintf("left of the service, killed %q", p.Name), Service: m.plan.Services[i].Name, PID: p.PID, Signal: signals.KILL})
			m.do(Send{To: reaper.Process(p.PID, p.Start), Signal: signals.KILL})
		}
	}
}

// hasRest reports whether a group is one that has to go before its service
// starts again. Of one put in from outside with the group it had there the number
// is 0.
func (m *Machine) hasRest(group int) bool {
	return group != 0 && slices.ContainsFunc(m.services, func(s service) bool { return s.rest == group })
}
