package supervisor

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"exeunt/hooks"
	"exeunt/reaper"
	"exeunt/signals"
)

const (
	container   = -1              // the index of the container's own lists
	leavingTime = time.Second     // from a hook's TERM to its KILL
	answerTime  = time.Second / 5 // for a performed hook to say what it could not do
	hookTimeout = 5 * time.Second // of a hook where neither it nor the plan says
)

// A sequence is one list of hooks under way, one after the other.
type sequence struct {
	list    string // "pre_stop"
	service int    // or container
	hooks   []hooks.Hook
	next    int // the hook under way, or the next
	try     attempt
}

// An attempt is the hook under way. The zero attempt is none.
type attempt struct {
	id     ID
	tries  int
	pid    int       // of a command that runs
	asked  bool      // it is being performed
	wakeAt time.Time // a sleep is over, or the next try is due
	by     time.Time // a command is told to leave, a repeated one given up
	killAt time.Time // a told one is killed, a performed one given up
	report int
}

func hookID(plan *Plan, list string, service, n int) ID {
	id := list + "/" + strconv.Itoa(n)
	if service != container {
		id = plan.Services[service].Name + "/" + id
	}
	return ID(id)
}

// lists names the lists of hooks of the container or of a service.
func (p *Plan) lists(service int) map[string][]hooks.Hook {
	if service == container {
		return map[string][]hooks.Hook{"pre_start": p.PreStart, "post_start": p.PostStart, "pre_stop": p.PreStop, "post_stop": p.PostStop}
	}
	s := &p.Services[service]
	lists := map[string][]hooks.Hook{"pre_start": s.PreStart, "post_start": s.PostStart, "pre_stop": s.PreStop, "post_stop": s.PostStop}
	if s.Health != nil && s.Health.Probe != nil {
		lists[probing] = []hooks.Hook{*s.Health.Probe}
	}
	return lists
}

// begin starts a list of the container or of a service, if it has any hooks.
func (m *Machine) begin(list string, service int) {
	if hooks := m.plan.lists(service)[list]; len(hooks) > 0 {
		m.sequences = append(m.sequences, sequence{list: list, service: service, hooks: hooks})
	}
}

// busy reports whether a list of the container or of that service is under way.
func (m *Machine) busy(service int) bool {
	for i := range m.sequences {
		if m.sequences[i].service == service && !m.sequences[i].probe() {
			return true
		}
	}
	return false
}

// advanceHooks starts the next hook of a list that has none under way, and
// forgets the lists that are through.
func (m *Machine) advanceHooks() bool {
	for i := range m.sequences {
		q := &m.sequences[i]
		if q.try.id != "" {
			continue
		}
		switch {
		case q.next == len(q.hooks):
			m.sequences = append(m.sequences[:i:i], m.sequences[i+1:]...)
		case m.passed(m.end):
			continue // it would be cut at once
		case q.hooks[q.next].Command == nil || m.startOrWait():
			m.startHook(q)
		}
		return true
	}
	return false
}

// startHook begins the first try of the list's next hook.
func (m *Machine) startHook(q *sequence) {
	h := &q.hooks[q.next]
	q.try = attempt{id: hookID(m.plan, q.list, q.service, q.next)}
	q.try.report = m.hookReport(q.try.id)
	q.try.tries = m.report.Hooks[q.try.report].Tries // a late answer of an earlier life is not taken for one of this
	m.report.Hooks[q.try.report] = HookReport{ID: q.try.id, Name: h.Name, Began: m.now, Tries: q.try.tries}
	if m.phase == PreStop && !m.anyAlive() && needsService(h) {
		m.report.Hooks[q.try.report].Skipped = true
		m.note(Entry{Level: Debug, Message: "hook skipped, the service has gone", Hook: h.Name})
		m.closeHook(q)
		return
	}
	switch {
	case h.Command != nil || h.Remote():
		q.try.by = m.hookDeadline(h)
		m.try(q)
	case h.Signal != 0:
		m.endHook(q, m.signalHook(q.service, h.Signal))
	default:
		q.try.wakeAt = m.now.Add(h.Sleep)
		if h.Timeout > 0 {
			q.try.wakeAt = earliest(q.try.wakeAt, m.now.Add(h.Timeout))
		}
		q.try.tries++
		m.report.Hooks[q.try.report].Tries = q.try.tries
	}
}

// hookReport is the place in the report of a hook. One that has run before, in
// an earlier life of its service, has its place already.
func (m *Machine) hookReport(id ID) int {
	i := slices.IndexFunc(m.report.Hooks, func(h HookReport) bool { return h.ID == id })
	if i < 0 {
		i = len(m.report.Hooks)
		m.report.Hooks = append(m.report.Hooks, HookReport{})
	}
	return i
}

// hookDeadline is when a command is told to leave: at its timeout, or so much
// before the phase's end that it can leave within it.
func (m *Machine) hookDeadline(h *hooks.Hook) time.Time {
	timeout := h.Timeout
	if timeout <= 0 {
		timeout = m.plan.HookTimeout
	}
	if timeout <= 0 {
		timeout = hookTimeout
	}
	by := m.now.Add(timeout)
	clipped := m.lastCall()
	if h.Timeout > 0 && earliest(clipped, by) != by {
		m.note(Entry{Level: Warn, Message: "hook timeout shortened to the budget", Hook: h.Name, Left: clipped.Sub(m.now)})
	}
	return earliest(by, clipped)
}

// lastCall is when a command that is to be gone by the phase's end is told;
// zero where the phase has no end.
func (m *Machine) lastCall() time.Time {
	if m.end.IsZero() {
		return time.Time{}
	}
	left := max(m.end.Sub(m.now), 0)
	return m.end.Add(-min(leavingTime, left/5))
}

// clipHooks brings commands that run under an end of the phase that has come
// nearer.
func (m *Machine) clipHooks() {
	for i := range m.sequences {
		t := &m.sequences[i].try
		if !t.by.IsZero() {
			t.by = earliest(t.by, m.lastCall())
		}
		if !t.killAt.IsZero() {
			t.killAt = earliest(t.killAt, m.end)
		}
	}
}

func (m *Machine) try(q *sequence) {
	if q.probe() {
		q.try.by = m.hookDeadline(&q.hooks[q.next])
	}
	q.try.tries++
	q.try.wakeAt = time.Time{}
	m.report.Hooks[q.try.report].Tries = q.try.tries
	if q.hooks[q.next].Remote() {
		q.try.asked = true
		m.do(Perform{q.try.id, q.try.tries, q.try.by})
	} else {
		m.ask(Spawn{q.try.id})
	}
}

// needsService reports whether a hook means nothing once the last service has
// gone: it waits for it, or talks to it.
func needsService(h *hooks.Hook) bool {
	if h.HTTP != nil || h.TCP != nil {
		return h.Loopback()
	}
	return h.Command == nil
}

// performed takes the answer of a hook that was performed.
func (m *Machine) performed(ev Performed) {
	if ev.ID == flushID && m.flushing {
		m.flushed(ev.Err)
		return
	}
	q := m.hookOf(ev.ID)
	if q == nil || !q.try.asked || q.try.tries != ev.Try {
		return
	}
	q.try.asked, q.try.killAt = false, time.Time{}
	m.endHook(q, ev.Err)
}

// remarked passes on what a hook has to say while it is performed.
func (m *Machine) remarked(ev Remarked) {
	if q := m.hookOf(ev.ID); q != nil {
		m.note(Entry{Message: ev.Text, Hook: q.hooks[q.next].Name})
	}
}

// giveUp ends a performed hook that has not even answered in time.
func (m *Machine) giveUp(q *sequence) {
	q.try.asked, q.try.killAt = false, time.Time{}
	m.do(Cancel{q.try.id})
	m.endHook(q, errors.New("timed out"))
}

// signalHook sends a hook's signal to its service; the container's hooks mean
// the first.
func (m *Machine) signalHook(service int, sig signals.Signal) error {
	i := max(service, 0)
	if i >= len(m.services) || !m.services[i].alive() {
		return errors.New("the service is not running")
	}
	m.do(Send{To: m.services[i].process(), Signal: sig})
	return nil
}

// hookSpawned answers try.
func (m *Machine) hookSpawned(q *sequence, pid int) {
	if q.try.pid = pid; q.probe() {
		return
	}
	m.note(Entry{Level: Debug, Message: "hook started", Hook: q.hooks[q.next].Name, PID: pid})
}

// hookReaped takes the death of a running or leaving hook's process, and
// reports whether it was one.
func (m *Machine) hookReaped(x Reaped) bool {
	for i, l := range m.leaving {
		if l.pid == x.PID {
			m.leaving = append(m.leaving[:i:i], m.leaving[i+1:]...)
			m.leave(remnant{group: l.pid, killAt: l.killAt, report: l.report})
			return true
		}
	}
	for i := range m.sequences {
		q := &m.sequences[i]
		if q.try.pid != x.PID || x.PID == 0 {
			continue
		}
		told := !q.try.killAt.IsZero() || m.report.Hooks[q.try.report].Killed
		m.leave(remnant{group: x.PID, killAt: q.try.killAt, report: q.try.report})
		q.try.pid, q.try.killAt = 0, time.Time{}
		switch {
		case told:
			q.try.by = time.Time{} // no further try
			m.endHook(q, errors.New("timed out"))
		case x.Status.Exited() && x.Status.Code() == 0:
			m.endHook(q, nil)
		case x.Status.Exited():
			m.endHook(q, fmt.Errorf("exit code %d", x.Status.Code()))
		case x.OOM:
			m.endHook(q, errors.New(describe(x.Status, false, true)))
		default:
			m.endHook(q, fmt.Errorf("killed by %v", x.Status.Signal()))
		}
		return true
	}
	return false
}

// endHook ends one try: the next try is set, or the hook is over.
func (m *Machine) endHook(q *sequence, err error) {
	h := &q.hooks[q.next]
	r := &m.report.Hooks[q.try.report]
	if q.probe() {
		m.probed(q, err)
		return
	}
	if next := m.now.Add(h.Interval); err != nil && h.Interval > 0 && next.Before(q.try.by) {
		q.try.wakeAt = next
		return
	}
	if err == nil {
		m.note(Entry{Level: Debug, Message: "hook done", Hook: h.Name, Took: m.now.Sub(r.Began)})
		m.closeHook(q)
		return
	}
	r.Err = err.Error()
	starts := q.list == "pre_start" || q.list == "post_start"
	abort := h.OnFailure == hooks.Abort || h.OnFailure == hooks.Default && starts
	m.note(Entry{Level: Warn, Message: "hook failed", Hook: h.Name, Took: m.now.Sub(r.Began), Err: r.Err})
	list, name := q.list, h.Name
	m.closeHook(q)
	if !abort {
		return
	}
	service := q.service
	q.next = len(q.hooks) // on stop only the rest of this list is given up
	if starts {
		m.startAborted(service, list, fmt.Sprintf("%s hook %q failed: %v", list, name, err))
	}
}

// startAborted takes that a hook of the start failed: the container's or that of
// a service's first start ends the run, another that one start.
func (m *Machine) startAborted(service int, list, why string) {
	switch {
	case service == container:
		m.fail(exitFailure, why)
	case m.services[service].toStop: // and does not start any more
	case m.phase == Start && m.services[service].restarts == 0:
		m.fail(exitFailure, why)
	case list == "pre_start":
		m.startFailed(service, exitFailure, why)
	case m.stopOne(service):
		m.services[service].failed = true
	}
}

// closeHook makes way for the list's next hook.
func (m *Machine) closeHook(q *sequence) {
	m.report.Hooks[q.try.report].Ended = m.now
	q.try = attempt{}
	q.next++
}

// dueHooks ends sleeps, starts further tries, and tells or kills commands
// whose time is over.
func (m *Machine) dueHooks() {
	m.dueRemnants()
	for i := range m.leaving {
		if m.passed(m.leaving[i].killAt) {
			m.killLeaver(i)
		}
	}
	for i := 0; i < len(m.sequences); i++ {
		q := &m.sequences[i]
		t := &q.try
		switch {
		case t.asked && m.passed(t.killAt):
			m.giveUp(q)
		case t.asked && m.passed(t.by): // its answer says what is missing
			t.by, t.killAt = time.Time{}, earliest(m.now.Add(answerTime), m.end)
		case m.passed(t.killAt):
			t.killAt = time.Time{}
			m.report.Hooks[t.report].Killed = true
			m.do(Send{To: reaper.Group(t.pid), Signal: signals.KILL})
		case t.pid != 0 && m.passed(t.by):
			t.by, t.killAt = time.Time{}, earliest(m.now.Add(leavingTime), m.end)
			m.tellGroup(t.pid)
		case m.passed(t.by):
			t.by, t.wakeAt = time.Time{}, time.Time{}
			m.endHook(q, errors.New("timed out"))
		case m.passed(t.wakeAt) && q.hooks[q.next].Command == nil && !q.hooks[q.next].Remote():
			m.endHook(q, nil)
		case m.passed(t.wakeAt) && !m.asked && !m.passed(m.end) && (q.hooks[q.next].Remote() || m.startOrWait()):
			m.try(q)
		}
	}
}

// hookOf returns the list whose hook answers to id.
func (m *Machine) hookOf(id ID) *sequence {
	for i := range m.sequences {
		if m.sequences[i].try.id == id {
			return &m.sequences[i]
		}
	}
	return nil
}
