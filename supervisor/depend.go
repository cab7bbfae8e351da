package supervisor

import "fmt"

// depth looks at what a service depends on, once: there are more ways down than
// services. A circle, which config refuses, ends.
func (m *Machine) depth(i int) int {
	s := &m.services[i]
	if s.depth > 0 || len(m.plan.Services[i].DependsOn) == 0 {
		s.depth = max(s.depth, 1)
		return s.depth
	}
	s.depth, s.below = 1, make([]bool, len(m.services))
	for j := range m.services {
		if !m.plan.dependsOn(i, j) {
			continue
		}
		s.depth, s.below[j] = max(s.depth, 1+m.depth(j)), true
		for k, below := range m.services[j].below {
			s.below[k] = s.below[k] || below
		}
	}
	return s.depth
}

// needs reports whether service i depends on service j, by way of others too:
// they stop in that order though a migration between them has ended long ago.
func (m *Machine) needs(i, j int) bool {
	return m.services[i].below != nil && m.services[i].below[j]
}

// isDue reports whether service i is to be started as soon as it may be.
func (m *Machine) isDue(i int) bool {
	s, p := &m.services[i], &m.plan.Services[i]
	switch {
	case s.rest != 0, s.held:
		return false
	case s.state == Backoff:
		return s.againAt.IsZero()
	}
	return s.state == Waiting && (s.due || p.Timetable == nil && !p.Spare)
}

// needed reports whether what service i depends on has come as far as it asks.
// Where that will not come by itself, why says so: it was stopped by an order,
// or else it has ended for good.
func (m *Machine) needed(i int) (met, held bool, why string) {
	met = true
	for _, d := range m.plan.Services[i].DependsOn {
		for j := range m.services {
			on, name := &m.services[j], m.plan.Services[j].Name
			switch {
			case i == j, !m.plan.named(j, d.On), m.plan.Services[j].Spare, m.report.Services[j].PID != 0 && on.meets(d.Until):
				continue
			case on.held:
				return false, true, fmt.Sprintf("%s needs %s, which was stopped by an order", m.plan.Services[i].Name, name)
			case on.state == Exited:
				return false, false, fmt.Sprintf("%s needs %s, which has ended: %s", m.plan.Services[i].Name, name, m.why(j))
			}
			met = false
		}
	}
	return met, false, ""
}

// lacks says what service i, whose turn it is, would wait for in vain; empty is
// nothing.
func (m *Machine) lacks(i int) (why string) {
	if m.isDue(i) {
		_, _, why = m.needed(i)
	}
	return why
}

// meets reports whether a service has come as far as others wait for.
func (s *service) meets(until Condition) bool {
	switch until {
	case Healthy:
		return s.state == Ready && !s.unhealthy
	case Completed:
		return s.state == Exited && s.completed
	}
	return s.state >= Starting
}
