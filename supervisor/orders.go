package supervisor

import (
	"fmt"
	"time"

	"exeunt/signals"
)

// maxWaits bounds the orders that wait: those who asked may have gone.
const maxWaits = 256

// A wait is an order that is answered when it has been carried out.
type wait struct {
	token int
	order Order
	name  string // of a service
}

// ordered takes an order.
func (m *Machine) ordered(a Asked) {
	err := ""
	switch a.Order {
	case AskStatus:
	case AskHalt, AskPreStop:
		if m.reason == "" {
			m.report.By = a.By
			m.requestStop(0, 0)
		}
		if a.Order == AskPreStop && m.phase == PreStop {
			m.waits = append(m.waits, wait{a.Token, a.Order, ""})
			return
		}
	default:
		if err = m.order(a); err == "" && a.Order != AskSignal && a.Order != AskReload {
			m.waits = append(m.waits, wait{a.Token, a.Order, a.Service})
			return
		}
	}
	m.do(Answer{a.Token, err})
}

// order does what is asked of one service, its replicas included, and returns
// what is wrong with it.
func (m *Machine) order(a Asked) string {
	lacks := m.plan.Lacks(a.Service)
	switch {
	case a.Service == "":
		return "no service named"
	case lacks != "":
		return lacks
	case m.reason != "":
		return "the container is stopping"
	case len(m.waits) >= maxWaits:
		return "too many orders wait"
	}
	if a.Order == AskStart || a.Order == AskRestart {
		if why := m.cannotStart(a); why != "" {
			return why
		}
	}
	m.note(Entry{Message: a.Order.String() + " asked by " + a.By, Service: a.Service, Signal: a.Signal})
	sent := 0
	for i := range m.services {
		s := &m.services[i]
		if !m.plan.named(i, a.Service) {
			continue
		}
		switch a.Order {
		case AskStart:
			m.startOne(i)
		case AskStop:
			s.held, s.again, s.due = true, false, false
			if m.stopOne(i); s.state < Spawning {
				m.cutStart(i)
				s.state, s.started = Exited, false
			}
		case AskRestart:
			m.stopOne(i)
			m.startOne(i)
		case AskSignal, AskReload:
			if s.alive() {
				m.signalOne(i, a)
				sent++
			}
		}
	}
	if sent == 0 && (a.Order == AskSignal || a.Order == AskReload) {
		return fmt.Sprintf("%q is not running", a.Service)
	}
	return ""
}

// cannotStart says what keeps a service, its replicas included, from being
// started by an order; empty is nothing.
func (m *Machine) cannotStart(a Asked) string {
	for i := range m.services {
		if !m.plan.named(i, a.Service) || a.Order == AskStart && m.services[i].alive() {
			continue
		}
		if _, _, why := m.needed(i); why != "" {
			return why
		}
	}
	return ""
}

// startOne starts a service that does not run, or that waits for its time, and
// again one that is to stop, whatever for. Spares are there again, no more.
func (m *Machine) startOne(i int) {
	s, p := &m.services[i], &m.plan.Services[i]
	s.held = false
	switch {
	case p.Spare:
		if s.state == Exited {
			s.state = Waiting
		}
	case s.toStop:
		s.again, s.failed, s.final, s.row = true, false, false, 0
	case s.alive(), s.state == Waiting && p.Timetable == nil:
	default:
		s.state, s.due, s.row, s.againAt = Waiting, true, 0, time.Time{}
	}
}

func (m *Machine) signalOne(i int, a Asked) {
	sig := a.Signal
	if a.Order == AskReload {
		if sig = m.plan.Services[i].ReloadSignal; sig == 0 {
			sig = signals.HUP
		}
	}
	m.do(Send{To: m.services[i].process(), Signal: sig})
}

// answerWaits answers the orders that have been carried out, or never will be.
func (m *Machine) answerWaits() {
	left := m.waits[:0:0]
	for _, w := range m.waits {
		if done, err := m.carriedOut(w); done {
			m.do(Answer{w.token, err})
		} else {
			left = append(left, w)
		}
	}
	m.waits = left
}

// carriedOut reports whether an order has been, or what became of it instead.
func (m *Machine) carriedOut(w wait) (done bool, err string) {
	switch {
	case w.order == AskPreStop:
		return m.phase > PreStop, ""
	case m.reason != "":
		return true, "the container is stopping"
	}
	for i := range m.services {
		s, p := &m.services[i], &m.plan.Services[i]
		if !m.plan.named(i, w.name) || p.Spare && w.order != AskStop {
			continue
		}
		switch {
		case w.order == AskStop && !s.held:
			return true, fmt.Sprintf("%q was started by another order", p.Name)
		case w.order == AskStop:
			if s.alive() || s.rest != 0 {
				return false, ""
			}
		case s.held:
			return true, fmt.Sprintf("%q was stopped by another order", p.Name)
		case m.lacks(i) != "":
			return true, m.lacks(i)
		case s.toStop, s.due:
			return false, ""
		case s.state == Ready, s.state == Exited && s.completed, s.state == Waiting && p.Timetable != nil:
		case s.state == Exited, s.state == Backoff && s.row > 0:
			return true, fmt.Sprintf("%q ended: %s", p.Name, m.why(i))
		default:
			return false, ""
		}
	}
	return true, ""
}

// announce tells others how the run stands, when that has changed.
func (m *Machine) announce() {
	to := Rising
	switch {
	case m.reason != "":
		to = Falling
	case m.phase == Run:
		to = Up
		for i := range m.services {
			s, p := &m.services[i], &m.plan.Services[i]
			if p.Essential && !p.Oneshot && p.Timetable == nil && !p.Spare && !s.held && (s.state != Ready || s.unhealthy) {
				to = Rising
			}
		}
	}
	if to != m.standing {
		m.standing = to
		m.do(Announce{to})
	}
}
