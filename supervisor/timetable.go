package supervisor

import "time"

// clockEvery is how often a timetable is compared with the clock, which may be
// set, or go on while the machine sleeps: nobody wakes us for that.
const clockEvery = time.Minute

// timetables sets the first run of each service that has one.
func (m *Machine) timetables() {
	for i := range m.services {
		if t := m.plan.Services[i].Timetable; t != nil {
			m.services[i].nextAt = t.Next(m.now)
		}
	}
}

// runDue begins the run of a timetable whose time has come.
func (m *Machine) runDue(i int) {
	s, p := &m.services[i], &m.plan.Services[i]
	switch {
	case s.held:
	case s.state == Waiting, s.state == Backoff:
		s.state, s.due = Waiting, true
	case p.Overlap == Replace && s.alive():
		s.again = true
		m.stopOne(i)
	case p.Overlap == Allow:
		for j := range m.services {
			if m.plan.Services[j].Spare && m.plan.Services[j].Of == p.Name && m.services[j].state == Waiting && !m.services[j].due {
				m.services[j].due = true
				return
			}
		}
		fallthrough
	default:
		m.note(Entry{Level: Warn, Message: "a run is left out, since the one before it goes on", Service: p.Name, PID: s.pid})
	}
}
