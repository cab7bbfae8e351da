package supervisor

import (
	"maps"
	"slices"
	"strings"
	"time"

	"exeunt/reaper"
	"exeunt/signals"
)

// What must hold in every run of every test of the machine. None of it is
// taken from the machine's own state but the phase and what is due.

// observe keeps what the checks need to know of the step just taken.
func (w *world) observe(before Phase, ev Event) {
	if w.m.phase < before {
		w.breach("the phase went back from %v", before)
	}
	w.phase = before
	if r, ok := ev.(Received); ok && w.m.plan.StopOn.Has(r.Signal) && !(w.m.plan.Console && r.Code == kernelSent) {
		if r.Signal == signals.INT && !w.m.plan.AsReceived {
			w.ints++
		}
		if w.asked.IsZero() {
			w.asked, w.asSignal, w.early = w.now, r.Signal, w.beforeAny(before)
		}
	}
	if a, ok := ev.(Asked); ok && (a.Order == AskHalt || a.Order == AskPreStop) && w.asked.IsZero() {
		w.asked, w.asSignal, w.early = w.now, signals.TERM, w.beforeAny(before)
	}
	if w.stopAt.IsZero() && w.m.reason != "" {
		w.stopAt, w.ownEnd = w.now, w.asked.IsZero()
	}
	if w.termAt.IsZero() && w.m.phase >= Terminate {
		w.termAt = w.now
	}
}

// beforeAny reports whether no service exists in the start.
func (w *world) beforeAny(phase Phase) bool {
	return phase == Start && !slices.ContainsFunc(w.procs, func(p process) bool { return p.service >= 0 && !p.gone })
}

// checkForwarding: a signal that may be forwarded without a decision is forwarded
// and nothing else, and once that has been done nothing is left to do.
func (w *world) checkForwarding(r Received) {
	pid, group := w.m.forwardTo()
	as := w.m.forwardings()[r.Signal]
	if pid == 0 || as == 0 || w.m.phase == Done {
		return
	}
	send := Send{To: reaper.Process(int(pid), 0), Signal: as}
	if group {
		send.To = reaper.Group(int(pid))
	}
	if got := w.m.clone().Step(w.now, r); len(got) != 1 || got[0] != Action(send) {
		w.breach("%v is forwarded as %v, not %v", r.Signal, got, send)
	}
	if r.Forwarded = true; len(w.m.clone().Step(w.now, r)) > 0 {
		w.breach("%v is forwarded twice", r.Signal)
	}
}

// checkSpawn: once the stop began nothing starts but hooks, in their own phase.
// Before it services live and end, and their hooks with them.
func (w *world) checkSpawn(id ID) {
	list, phase := "service", w.m.phase
	for _, l := range []string{"pre_start", "post_start", "pre_stop", "post_stop", probing} {
		if strings.Contains(string(id), l+"/") {
			list = l
		}
	}
	allowed := map[string]Phase{"pre_stop": PreStop, "post_stop": PostStop}[list]
	of, _, _ := strings.Cut(string(id), "/")
	i := w.m.index(of)
	if early := w.stopAt.IsZero() && phase <= Run && (i >= 0 || phase == Start && allowed == Start); !early && (phase != allowed || allowed == Start) {
		w.breach("%q is spawned", id)
	}
	if list == "service" {
		w.checkStart(i)
	}
	if list != "post_stop" || w.blind || w.m.plan.LeaveStrays || phase <= Run {
		return
	}
	for i := range w.procs {
		if p := &w.procs[i]; p.alive && !p.killed && !p.outOfReach && !strings.Contains(string(p.id), "post_stop/") && w.postStopGroup(p) == nil {
			w.breach("%q is spawned while %q (pid %d) lives and was not sent KILL", id, p.name, p.pid)
		}
	}
}

// checkStart: a service is started only when nothing is left of its last life,
// what it needs is there, and nobody has stopped it.
func (w *world) checkStart(i int) {
	plan := w.m.plan
	for j := range w.procs {
		p := &w.procs[j]
		if leader := w.born(p.group); p.alive && (p.service == i || leader != nil && leader.service == i && plan.Services[i].KillMode != Main && p.seenBefore) && !w.blind && !p.outOfReach {
			w.breach("%q is started while %q (pid %d) of its last life lives", plan.Services[i].Name, p.name, p.pid)
		}
	}
	if w.m.services[i].held {
		w.breach("%q is started, and was stopped by an order", plan.Services[i].Name)
	}
	for _, d := range plan.Services[i].DependsOn {
		j := w.m.index(d.On)
		k := w.last(j)
		switch {
		case k < 0, d.Until == Completed && (w.procs[k].alive || w.procs[k].status != exit0),
			d.Until == Healthy && (!w.procs[k].alive || w.m.services[j].state != Ready):
			w.breach("%q is started before %q, which it needs", plan.Services[i].Name, d.On)
		}
	}
}

// last is the last process of a service, or -1.
func (w *world) last(service int) int {
	for k := len(w.procs) - 1; k >= 0; k-- {
		if w.procs[k].service == service {
			return k
		}
	}
	return -1
}

// born is the process that has or had this number.
func (w *world) born(pid int) *process {
	if i := slices.IndexFunc(w.procs, func(p process) bool { return p.pid == pid }); i >= 0 {
		return &w.procs[i]
	}
	return nil
}

// checkAnswer: each order is answered once, and is carried out by then.
func (w *world) checkAnswer(a Answer) {
	o, given := w.orders[a.Token]
	if !given || w.answered[a.Token] {
		w.breach("answer %d to an order that does not wait for one", a.Token)
	}
	w.answered = maps.Clone(w.answered)
	if w.answered == nil {
		w.answered = map[int]bool{}
	}
	w.answered[a.Token] = true
	k := w.last(w.m.index(o.Service))
	switch {
	case a.Err != "":
	case o.Order == AskStop && k >= 0 && w.procs[k].alive:
		w.breach("%q is said to have stopped", o.Service)
	case (o.Order == AskStart || o.Order == AskRestart) && w.m.plan.Services[w.m.index(o.Service)].Timetable == nil && (k < 0 || w.procs[k].gone):
		w.breach("%q is said to have started", o.Service)
	case o.Order == AskPreStop && w.m.phase <= PreStop:
		w.breach("the pre-stop hooks are said to be over")
	}
}

// toldInRun reports whether something before the stop gives a reason to tell p:
// an order, its health, its timetable, a failed start of it, or that the service has ended of whose
// group it is.
func (w *world) toldInRun(p *process) bool {
	leader := w.born(p.group)
	if leader == nil || leader.service < 0 {
		return leader != nil && leader.replaced
	}
	plan := &w.m.plan.Services[leader.service]
	if p.service < 0 && !leader.alive {
		return true
	}
	if plan.Health != nil && plan.Health.OnUnhealthy != Tolerate || plan.StartTimeout > 0 || plan.Overlap == Replace {
		return true
	}
	for _, o := range w.orders {
		if w.m.plan.named(leader.service, o.Service) && (o.Order == AskStop || o.Order == AskRestart) {
			return true
		}
	}
	return false
}

// postStopGroup is the post-stop hook whose group p is in.
func (w *world) postStopGroup(p *process) *process {
	i := slices.IndexFunc(w.procs, func(q process) bool {
		return q.pid == p.group && strings.Contains(string(q.id), "post_stop/")
	})
	if i < 0 {
		return nil
	}
	return &w.procs[i]
}

// leader is whose behaviour decides about a signal to p's whole group.
func (w *world) leader(p *process) *process {
	if q := w.find(p.group); q != nil {
		return q
	}
	return p
}

// checkKill: nobody gets KILL before he was told and had his time.
func (w *world) checkKill(p *process) {
	armed, zero := w.m.plan.Budget.Armed, w.m.plan.Budget.Armed && w.m.plan.Budget.Grace <= 0
	if w.ints >= 3 || zero && w.m.phase >= Stop || p.killed {
		return
	}
	if w.m.phase == Kill || w.phase == Kill { // which may have ended within the step
		w.checkKillPhase(p)
		return
	}
	if w.stopAt.IsZero() && p.id == "" && w.find(p.group) == nil && w.toldInRun(p) {
		if p.told == 0 {
			w.breach("KILL to %q, which was left by a service and not told", p.name)
		}
		return
	}
	by := p
	left := p.hookGroup && p.told > 0 // of a hook's group, and told with it
	if p.id == "" && !left {
		by = w.leader(p) // it can only have been reached by its group
	}
	since := w.now.Sub(by.toldAt)
	switch {
	case by.told == 0 && !(w.ints >= 2 && w.m.phase == Done):
		w.breach("KILL to %q, which was not told", p.name)
	case by.service >= 0 && w.now.Before(w.killTime(by)):
		w.breach("KILL to %q %v after it was told, %v before its time", p.name, since, w.killTime(by).Sub(w.now))
	case by.service >= 0 && w.killTime(by).IsZero() && !armed && !w.stopAt.IsZero():
		w.breach("KILL to %q with no grace period set", p.name)
	case by.service < 0 && since < leavingTime && !(w.blind && left) && w.phase == w.m.phase && w.now.Before(w.m.end):
		w.breach("KILL to hook %q %v after it was told", p.name, since)
	case by.id == "" && !left:
		w.breach("KILL to stray %q outside the kill phase", p.name)
	}
}

// checkKillPhase: in the kill phase everyone has been told who could be seen,
// and it does not begin before its time.
func (w *world) checkKillPhase(p *process) {
	if p.told == 0 && p.seen && !w.blind && w.straggler() > 0 {
		w.breach("KILL to %q, which was seen and not told", p.name)
	}
	s := w.m.plan.Budget.Schedule(w.stopAt)
	from := s.Everyone
	if w.ownEnd {
		from = w.termAt.Add(w.straggler())
		if !w.asked.IsZero() {
			from = earliest(from, s.Everyone)
		}
	} else if !w.m.plan.Budget.Armed {
		from = latest(from, w.termAt.Add(w.straggler()))
	}
	if w.now.Before(from) {
		w.breach("KILL to %q %v before everyone's time", p.name, from.Sub(w.now))
	}
}

func (w *world) straggler() time.Duration {
	if s := w.m.plan.Straggler; s >= 0 {
		return s
	}
	return min(5*time.Second, w.m.plan.Budget.Grace)
}

// killTime is when a told service may be killed: its share of the schedule or
// its own time. Zero is never.
func (w *world) killTime(p *process) (at time.Time) {
	plan := w.m.plan
	if w.stopAt.IsZero() || p.toldAt.Before(w.stopAt) { // told alone, while the others ran
		at = p.toldAt.Add(either(plan.Services[p.service].StopGrace, plan.Budget.Grace))
		if plan.Budget.Armed && !w.stopAt.IsZero() {
			at = earliest(at, plan.Budget.Schedule(w.stopAt).Services)
		}
		return at
	}
	if plan.Budget.Armed {
		left := max(plan.Budget.Schedule(w.stopAt).Services.Sub(p.toldAt), 0)
		at = p.toldAt.Add(left / time.Duration(w.chain(p.service)))
	}
	if own := plan.Services[p.service].StopGrace; own > 0 {
		at = earliest(at, p.toldAt.Add(own))
	}
	return at
}

// chain is how many services go one after the other from this one on.
func (w *world) chain(i int) int {
	n := 0
	for j := range w.m.plan.Services {
		if w.m.plan.dependsOn(i, j) {
			n = max(n, w.chain(j))
		}
	}
	return n + 1
}

// checkTold: each is told once, dependents before dependencies, and nobody
// before the stop has begun but a hook whose time is over.
func (w *world) checkTold(p *process) {
	limit := 1
	if leader := w.leader(p); leader.service >= 0 && (p == leader || w.m.plan.Services[leader.service].KillMode == Group) {
		limit = max(1, len(w.m.plan.Services[leader.service].StopSignal))
	}
	if w.blind {
		limit++ // TERM to everyone is all that can be done
	}
	if p.told >= limit && !w.m.plan.AsReceived {
		w.breach("%q (pid %d) is told a second time", p.name, p.pid)
	}
	if w.stopAt.IsZero() && w.leader(p).hook() == "" && !w.toldInRun(p) {
		w.breach("%q is told, and the stop has not begun", p.name)
	}
	if p.service < 0 || w.m.phase != Stop {
		return
	}
	for i := range w.procs {
		if q := &w.procs[i]; q.alive && q.service >= 0 && w.m.needs(q.service, p.service) {
			w.breach("%q is told before %q, which depends on it, has gone", p.name, q.name)
		}
	}
}

// hook is the ID of a hook, empty for all others.
func (p *process) hook() ID {
	if p.service >= 0 {
		return ""
	}
	return p.id
}

// check is what must hold after each step.
func (w *world) check() {
	m := w.m
	if m.phase == Done || w.ask != nil {
		return
	}
	if _, ok := m.Deadline(); m.phase >= PreStop && !ok {
		w.breach("a stop that waits for nothing")
	}
	idle := len(m.sequences) == 0
	switch {
	case m.phase == PreStop && idle, m.phase == PostStop && idle:
		w.breach("waits although there is nothing to wait for")
	case w.ints >= 2 && m.phase == PreStop, w.ints >= 3 && m.phase < Kill:
		w.breach("no hurry after INT number %d", w.ints)
	case m.phase == Stop && !m.anyAlive():
		w.breach("waits although no service is left")
	case m.phase == Run && len(m.services) == 0 && !m.plan.Pause:
		w.breach("runs without services")
	case m.phase <= Run && idle && !slices.ContainsFunc(w.procs, func(p process) bool { return !p.gone }) && !w.willStart() && !m.plan.Pause:
		w.breach("waits for nothing")
	}
	if m.end.IsZero() && m.phase >= PreStop && (m.plan.Budget.Armed || m.phase != Stop) {
		w.breach("a phase without an end")
	}
	if m.phase == Terminate || m.phase == Kill {
		n := slices.IndexFunc(w.procs, func(p process) bool { return p.alive })
		if pause := max(surveyEvery, time.Duration(len(w.procs))*surveyEach); !w.blind && n >= 0 && (m.surveyAt.IsZero() || m.surveyAt.After(w.now.Add(pause))) {
			w.breach("nobody looks who is alive")
		}
	}
	for i := range w.procs {
		if p := &w.procs[i]; m.phase == Terminate && p.alive && p.seen && p.stopped && p.told > 0 && !p.outOfReach {
			w.breach("%q was told and not continued", p.name)
		}
	}
	w.checkDeadline()
}

// checkDeadline: a stop that was asked for is over in time.
func (w *world) checkDeadline() {
	b := w.m.plan.Budget
	if !b.Armed || w.asked.IsZero() {
		return
	}
	if by := w.asked.Add(b.Grace - margin(b.Grace)); w.now.After(by) {
		w.breach("%v later than the grace period less the margin", w.now.Sub(by))
	}
	if by := b.Schedule(w.stopAt).Services; !w.ownEnd && w.m.phase == Stop && w.now.After(by) {
		w.breach("services live %v longer than they may", w.now.Sub(by))
	}
}

// margin is what is to be left of a grace period, by the manual.
func margin(grace time.Duration) time.Duration {
	if grace < time.Second {
		return grace / 5
	}
	return min(max(grace/20, 200*time.Millisecond), 3*time.Second)
}

// finish: said once, in time, with the right code and a whole report.
func (w *world) finish(code int) {
	w.code = code
	if w.finished++; w.finished > 1 {
		w.breach("Finish for the second time")
	}
	w.checkDeadline()
	if len(w.performing) > 0 {
		w.breach("nobody cancels %v", w.performing)
	}
	r := w.m.Report()
	for i := range w.procs {
		p := &w.procs[i]
		switch {
		case p.service >= 0 && w.last(p.service) != i: // of an earlier life
		case p.service >= 0:
			w.checkServiceReport(p, &r.Services[p.service])
		case p.id != "" && slices.ContainsFunc(w.procs[i+1:], func(q process) bool { return q.id == p.id }): // it ran again
		case p.id != "":
			w.checkHookReport(p, r.Hooks)
		case p.told > 0 || p.killed:
			w.checkStrayReport(p, r.Strays)
		}
	}
	if len(w.answered) != len(w.orders) {
		w.breach("of the orders %v only %v were answered", w.orders, w.answered)
	}
	w.checkCode(code)
}

// willStart reports whether a service will be started, or may be by an order.
func (w *world) willStart() bool {
	_, due := w.m.Deadline()
	return due || slices.ContainsFunc(w.m.services, func(s service) bool { return s.held })
}

func (w *world) checkServiceReport(p *process, s *ServiceReport) {
	died := p.gone && p.status.Signal() == signals.KILL
	switch {
	case s.Err != "": // a later start failed
	case s.PID != p.pid:
		w.breach("service %q is not in the report", p.name)
	case (p.gone || p.alive) && s.Killed != (p.killed && (died || p.alive)):
		w.breach("the report says killed=%v of service %q", s.Killed, p.name)
	case p.gone && (s.Code != p.status.Shell() || s.State != Exited):
		w.breach("the report has code %d and state %v for service %q, which ended with %d", s.Code, s.State, p.name, p.status.Shell())
	case p.told > 0 && s.Told.IsZero() && !w.blind:
		w.breach("the report does not say that service %q was told", p.name)
	}
}

func (w *world) checkHookReport(p *process, list []HookReport) {
	i := slices.IndexFunc(list, func(h HookReport) bool { return h.ID == p.id })
	again := i >= 0 && p.told > 0 && list[i].Began.After(p.toldAt) // and could not be started
	if i < 0 || p.killed && p.alive && !list[i].Killed && !again {
		w.breach("hook %q, killed=%v, is not so in the report", p.id, p.killed)
	}
}

func (w *world) checkStrayReport(p *process, list []StrayReport) {
	i := slices.IndexFunc(list, func(s StrayReport) bool { return s.PID == p.pid })
	ofHook := p.hookGroup && p.told > 0
	withGroup := p.killedWithGroup || ofHook || !p.killed && w.groupMode(p) // and its leader is in the report
	switch {
	case w.blind || i < 0 && withGroup:
	case i < 0 && !p.alive && p.told > 0 && p.toldAt.Before(w.stopAt): // between two lives of a service
	case i < 0:
		w.breach("%q (pid %d) was signalled and is not in the report", p.name, p.pid)
	case p.killed && !p.killedWithGroup && !list[i].Killed:
		w.breach("%q (pid %d) was killed, and the report does not say so", p.name, p.pid)
	}
}

// groupMode reports whether p is in the group of a service that is told as a whole.
func (w *world) groupMode(p *process) bool {
	return slices.ContainsFunc(w.procs, func(q process) bool {
		return q.pid == p.group && q.service >= 0 && w.m.plan.Services[q.service].KillMode == Group
	})
}

// checkCode: with one service the code is that of the service, whatever else happened.
func (w *world) checkCode(code int) {
	p := w.m.plan
	if len(p.Services) != 1 || !p.Services[0].Essential || len(p.ExitCodes) > 0 || p.OnStopExit >= 0 {
		return
	}
	i := w.last(0)
	switch {
	case w.m.reason == ReasonFailure:
		if code != exitFailure && code != 126 && code != 127 {
			w.breach("exit code %d of a start that failed", code)
		}
	case w.early && p.Services[0].Timetable == nil:
		if want := 128 + int(w.asSignal); code != want {
			w.breach("exit code %d, want %d of a stop before the app existed", code, want)
		}
	case w.m.report.Services[0].Err != "":
		if code != exitFailure && !(w.refused && code == 127) {
			w.breach("exit code %d of a service that could not be started again", code)
		}
	case i < 0 && p.Services[0].Timetable != nil: // its time had not come
	case i < 0 && !w.asked.IsZero():
		if code != 0 {
			w.breach("exit code %d of a stop after an order that nothing be started", code)
		}
	case i < 0:
		w.breach("the end, and nothing was started")
	default:
		status := w.procs[i].status
		late := !w.now.Before(p.Budget.Schedule(w.stopAt).Done) // no time to collect a zombie
		if w.procs[i].alive || late && !w.procs[i].gone && code == byKILL.Shell() {
			status = byKILL
		}
		if code != status.Shell() {
			w.breach("exit code %d, want %d of the service", code, status.Shell())
		}
	}
}
