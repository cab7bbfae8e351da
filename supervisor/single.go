package supervisor

import (
	"fmt"
	"slices"
	"time"

	"exeunt/reaper"
	"exeunt/signals"
)

// stopOne begins to stop one service while the others run, and reports whether
// it does: it may have gone, or is to stop already. From now on it need not get
// ready, nor say that it lives.
func (m *Machine) stopOne(i int) bool {
	s := &m.services[i]
	if s.toStop || !s.alive() || s.state >= Stopping {
		return false
	}
	s.toStop, s.readyBy, s.aliveBy = true, time.Time{}, time.Time{}
	m.dropProbe(i)
	if s.state == Ready {
		m.begin("pre_stop", i)
	}
	return true
}

// tellOne tells a service to stop, its pre-stop hooks being through. It has its
// own time, or else the grace period.
func (m *Machine) tellOne(i int) {
	s, p := &m.services[i], &m.plan.Services[i]
	limit := p.StopGrace
	if limit <= 0 {
		limit = m.plan.Budget.Grace
	}
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
		m.lookWithin(m.surveyPause())
		if !s.restAt.IsZero() {
			continue
		}
		for _, p := range left {
			m.killRest(i, p)
		}
	}
}

// killRest kills one that service i has left behind, once.
func (m *Machine) killRest(i int, p reaper.Stray) {
	key := stray{p.PID, p.Start}
	place, known := m.told[key]
	if !known || place == unreported {
		place = m.reportStray(p, 0)
		m.told[key] = place
	}
	if place < 0 || m.report.Strays[place].Killed {
		return
	}
	m.report.Strays[place].Killed = true
	m.note(Entry{Level: Warn, Message: fmt.Sprintf("left of the service, killed %q", p.Name), Service: m.plan.Services[i].Name, PID: p.PID, Signal: signals.KILL})
	m.do(Send{To: reaper.Process(p.PID, p.Start), Signal: signals.KILL})
}

// hasRest reports whether a group is one that has to go before its service
// starts again. Of one put in from outside with the group it had there the number
// is 0.
func (m *Machine) hasRest(group int) bool {
	return group != 0 && m.find(func(s *service) bool { return s.rest == group }) >= 0
}
