package supervisor

import (
	"fmt"
	"slices"
	"time"

	"exeunt/reaper"
	"exeunt/signals"
)

// A leaver is the group of a hook that was cut while it ran.
type leaver struct {
	pid    int
	killAt time.Time // zero once it was killed
	report int
}

// A remnant is what is left of a hook's group whose leader has gone after it
// was told: the group can't be signalled any more, so its members are.
type remnant struct {
	group   int       // until they have been collected, then 0
	killAt  time.Time // zero once it has come
	members []stray
	report  int
}

// leave keeps the group of a hook whose leader has just died, if it was told
// and not killed yet, and looks who is left of it. Where /proc can't tell they
// are killed now, while the leader is a zombie and the group still its own.
func (m *Machine) leave(r remnant) {
	switch {
	case r.killAt.IsZero():
	case m.blind:
		m.do(Send{To: reaper.Group(r.group), Signal: signals.KILL})
	default:
		r.killAt = m.now.Add(leavingTime)
		m.remnants = append(m.remnants, r)
		m.look()
	}
}

// collect takes the members of groups that have lost their leader: those who
// were told with it. Who has joined since is a stray like any other.
func (m *Machine) collect() {
	for i := range m.remnants {
		r := &m.remnants[i]
		if r.group == 0 {
			continue
		}
		for _, p := range m.alive {
			key := stray{p.PID, p.Start}
			if place, ok := m.told[key]; ok && place == unreported && p.Group == r.group {
				r.members = append(r.members, key)
			}
		}
		if r.group = 0; len(r.members) == 0 {
			r.killAt = time.Time{} // to be forgotten
		}
	}
}

// dueRemnants looks for what is left of hooks' groups when its second is over.
func (m *Machine) dueRemnants() {
	for i := range m.remnants {
		if r := &m.remnants[i]; m.passed(r.killAt) {
			r.killAt = time.Time{}
			m.look()
		}
	}
}

// killRemnant kills p if it is left of a hook's group that had its second.
func (m *Machine) killRemnant(p reaper.Stray, told map[stray]int) bool {
	key := stray{p.PID, p.Start}
	i := slices.IndexFunc(m.remnants, func(r remnant) bool { return r.killAt.IsZero() && slices.Contains(r.members, key) })
	if i < 0 {
		return false
	}
	m.report.Hooks[m.remnants[i].report].Killed = true
	told[key] = unreported
	m.note(Entry{Level: Warn, Message: fmt.Sprintf("left of a hook, killed %q", p.Name), PID: p.PID, Signal: signals.KILL})
	m.do(Send{To: reaper.Process(p.PID, p.Start), Signal: signals.KILL})
	return true
}

// forgetRemnants drops those that have been killed.
func (m *Machine) forgetRemnants() {
	m.remnants = slices.DeleteFunc(slices.Clone(m.remnants), func(r remnant) bool { return r.killAt.IsZero() })
}

// tellGroup tells a hook's group to leave, and looks who is in it: they are not
// to be told again, those who join it later are.
func (m *Machine) tellGroup(pid int) {
	m.do(Send{To: reaper.Group(pid), Signal: signals.TERM})
	m.toldGroups = append(m.toldGroups, pid)
	m.look()
}

// killLeaver kills the group of a hook that was cut, unless it has been.
func (m *Machine) killLeaver(i int) {
	l := &m.leaving[i]
	if l.killAt.IsZero() {
		return
	}
	l.killAt = time.Time{}
	m.report.Hooks[l.report].Killed = true
	m.do(Send{To: reaper.Group(l.pid), Signal: signals.KILL})
}

// cutHooks ends every list under way, because the phase is over. A command
// that runs is told to leave; one that was told before is killed, and so is
// any where nothing follows in which it could leave. What services are at
// outlives the start; a service that is stopping alone goes on with its pre-stop
// hooks, and post-stop hooks that are cut run again in their own phase.
func (m *Machine) cutHooks(next Phase) {
	left := m.sequences[:0:0]
	for i := range m.sequences {
		q := &m.sequences[i]
		if next == Run || next == PreStop && q.list == "pre_stop" {
			left = append(left, *q)
			continue
		}
		if q.list == "post_stop" && q.service != container {
			m.services[q.service].tidy = false
		}
		m.cut(q, next == Done)
	}
	m.sequences = left
}

// cut ends one list under way.
func (m *Machine) cut(q *sequence, last bool) {
	if q.try.id == "" {
		return
	}
	r := &m.report.Hooks[q.try.report]
	if !q.probe() {
		r.Ended, r.Err = m.now, "cut"
		m.note(Entry{Level: Warn, Message: "hook cut", Hook: r.Name, Took: m.now.Sub(r.Began)})
	}
	if q.try.asked {
		m.do(Cancel{q.try.id})
	}
	if q.try.pid == 0 {
		return
	}
	l := leaver{pid: q.try.pid, report: q.try.report}
	told := !q.try.killAt.IsZero()
	if !r.Killed {
		l.killAt = m.now.Add(leavingTime)
	}
	m.leaving = append(m.leaving, l)
	switch {
	case told || last:
		m.killLeaver(len(m.leaving) - 1)
	case !r.Killed:
		m.tellGroup(l.pid)
	}
}

// cutStart ends the pre-start hooks of a service that is not to start any more.
func (m *Machine) cutStart(i int) {
	k := slices.IndexFunc(m.sequences, func(q sequence) bool { return q.service == i && q.list == "pre_start" })
	if k >= 0 {
		m.cut(&m.sequences[k], false)
		m.sequences = slices.Delete(slices.Clone(m.sequences), k, k+1)
	}
}
