package supervisor

import (
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"exeunt/hooks"
	"exeunt/reaper"
	"exeunt/signals"
)

// A surprise is how much of what can happen may happen in a search.
type surprise struct {
	terms, ints, others int // signals that may come
	forks               int // strays that may appear
	where               origin
	refusals            int // Spawns that may fail
	blind               bool
	outOfReach, stopped bool // what strays are like
	terminal            bool // they are interactive shells

	orders []Asked    // that may come, each once
	given  uint       // which of them have
	says   []Notified // what services may say of themselves, at any time
}

// An origin is where strays may come from.
type origin uint8

const (
	ofAGroup   origin = 1 << iota // of a service's or hook's group
	ofTheirOwn                    // a session of their own: setsid, a double fork
	ofOutside                     // put in by exec: never a child of ours
)

// A node is one state of the search, and how it was come by.
type node struct {
	w    *world
	left surprise
	from *node
	how  string
}

func (n *node) path() string {
	var list []string
	for ; n != nil; n = n.from {
		list = append(list, n.how)
	}
	slices.Reverse(list)
	return strings.Join(list, "\n  ")
}

// then is the state after do, the budget of surprises having been reduced by spend.
func (n *node) then(how string, spend func(*surprise), do func(w *world)) *node {
	c := &node{w: n.w.clone(), left: n.left, from: n, how: how}
	if spend != nil {
		spend(&c.left)
	}
	do(c.w)
	c.w.m.report.Entries = nil // read by nobody but people, and long
	c.how += fmt.Sprintf("  [%.3fs %v]", c.w.now.Sub(epoch).Seconds(), c.w.m.phase)
	for _, a := range c.w.actions {
		c.how += fmt.Sprintf(" %T%v", a, a)
	}
	return c
}

// successors is everything that can happen next.
func (n *node) successors() (list []*node) {
	w := n.w
	add := func(c *node) { list = append(list, c) }
	switch ask := w.ask.(type) {
	case Spawn:
		add(n.then("spawned "+string(ask.ID), nil, func(w *world) { w.spawn(ask.ID) }))
		if n.left.refusals > 0 {
			add(n.then("refused "+string(ask.ID), func(s *surprise) { s.refusals-- }, func(w *world) { w.refuse(ask.ID, syscall.ENOENT) }))
		}
		return list
	case Survey:
		add(n.then("surveyed", nil, (*world).survey))
		return append(list, n.deaths()...)
	}
	if _, dead := w.zombie(); dead {
		for i := range w.procs {
			if p := w.procs[i]; !p.alive && !p.gone {
				add(n.then(fmt.Sprintf("reaped %d %q", p.pid, p.name), nil, func(w *world) { w.reap(p.pid) }))
			}
		}
		return append(list, n.signals()...)
	}
	if c := n.then("childless", nil, func(w *world) { w.childless() }); c.w.fallen != w.fallen {
		return append(list, c)
	}
	list = slices.Concat(list, n.deaths(), n.signals(), n.forks(), n.answers(), n.orders())
	if at, ok := w.m.Deadline(); ok {
		tick := n.then("ticked", nil, func(w *world) { w.tick(at) })
		if !at.After(w.now) && string(tick.w.key()) == string(w.key()) {
			tick.w.breach("a tick that changes nothing, for ever")
		}
		add(tick)
	}
	return list
}

// deaths is each living process ending, in each way it can.
func (n *node) deaths() (list []*node) {
	for i := range n.w.procs {
		p := n.w.procs[i]
		if !p.alive || p.stopped && !p.killed {
			continue
		}
		for _, status := range p.ends() {
			list = append(list, n.then(fmt.Sprintf("%d %q dies, status %#x", p.pid, p.name, uint32(status)), nil, func(w *world) { w.die(p.pid, status) }))
		}
	}
	return list
}

const (
	exit0  reaper.Status = 0
	exit3  reaper.Status = 3 << 8
	byTERM               = reaper.Status(signals.TERM)
	byKILL               = reaper.Status(signals.KILL)
)

// ends is how p may end now.
func (p *process) ends() []reaper.Status {
	switch {
	case p.killed:
		return []reaper.Status{byKILL}
	case p.id == "":
		return []reaper.Status{exit0}
	case p.told > 0 && p.service < 0:
		return []reaper.Status{byTERM}
	case p.told > 0:
		return []reaper.Status{exit0, byTERM}
	}
	return []reaper.Status{exit0, exit3}
}

func (n *node) signals() (list []*node) {
	receive := func(sig signals.Signal, left int, spend func(*surprise)) {
		if left > 0 {
			list = append(list, n.then("received "+sig.String(), spend, func(w *world) { w.receive(sig, 0, 0) }))
		}
	}
	receive(signals.TERM, n.left.terms, func(s *surprise) { s.terms-- })
	receive(signals.INT, n.left.ints, func(s *surprise) { s.ints-- })
	receive(signals.USR1, n.left.others, func(s *surprise) { s.others-- })
	return list
}

// answers is what comes of the hooks that are performed: they succeed, they
// fail, and those that were given up say something all the same.
func (n *node) answers() (list []*node) {
	for i, p := range n.w.performing {
		list = append(list, n.then("performed "+string(p.ID), nil, func(w *world) { w.perform(i, nil) }))
		if p.ID == flushID {
			continue // a failure would be a line in the log, and nothing else
		}
		list = append(list,
			n.then("failed "+string(p.ID), nil, func(w *world) { w.perform(i, errors.New("refused")) }))
	}
	if late := n.w.late; late.ID != "" {
		list = append(list, n.then("late answer of "+string(late.ID), nil, func(w *world) {
			w.late = Perform{}
			before := w.m.phase
			if w.step(Performed{late.ID, late.Try, nil}); len(w.actions) > 0 || w.m.phase != before {
				w.breach("an answer that nobody waits for changes something")
			}
		}))
	}
	return list
}

// orders is what may be asked for, and what services may say of themselves.
func (n *node) orders() (list []*node) {
	for i, a := range n.left.orders {
		if n.left.given&(1<<i) == 0 {
			a.Token = i
			list = append(list, n.then(fmt.Sprintf("asked to %v %s", a.Order, a.Service), func(s *surprise) { s.given |= 1 << i }, func(w *world) { w.order(a) }))
		}
	}
	for _, ev := range n.left.says {
		if slices.ContainsFunc(n.w.procs, func(p process) bool { return p.alive && p.id == ev.ID }) {
			list = append(list, n.then(fmt.Sprintf("%s says %+v", ev.ID, ev.Notice), nil, func(w *world) { w.step(ev) }))
		}
	}
	return list
}

// forks is a stray appearing: in somebody's group, in a session of its own, or
// put in from outside.
func (n *node) forks() (list []*node) {
	if n.left.forks == 0 || n.w.m.phase >= Kill || !slices.ContainsFunc(n.w.procs, func(p process) bool { return p.alive && !p.killed }) {
		return nil
	}
	fork := func(how string, group int, ours bool) {
		list = append(list, n.then("fork "+how, func(s *surprise) { s.forks-- }, func(w *world) {
			w.fork(group, ours, n.left)
		}))
	}
	for i := range n.w.procs {
		if p := n.w.procs[i]; n.left.where&ofAGroup != 0 && p.alive && !p.killed && p.id != "" {
			fork("into the group of "+string(p.id), p.group, true)
		}
	}
	for i := range n.w.procs { // a child of one that appeared before
		if p := n.w.procs[i]; n.left.where&ofAGroup != 0 && p.alive && !p.killed && p.id == "" {
			list = append(list, n.then(fmt.Sprintf("fork of %d", p.pid), func(s *surprise) { s.forks-- }, func(w *world) {
				w.fork(p.group, true, n.left)
				w.procs[len(w.procs)-1].parent = p.pid
			}))
		}
	}
	if n.left.where&ofTheirOwn != 0 {
		fork("into a session of its own", 0, true)
	}
	if n.left.where&ofOutside != 0 {
		fork("from outside", 0, false)
	}
	return list
}

func (w *world) fork(group int, ours bool, like surprise) {
	w.pids++
	p := process{pid: w.pids, group: w.pids, name: "stray", service: -1, ours: ours, alive: true,
		stopped: like.stopped, outOfReach: like.outOfReach, terminal: like.terminal}
	if like.terminal {
		p.name, p.ignored = "bash", signals.SetOf(signals.TERM)
	}
	if group != 0 {
		p.group = group
		if leader := w.find(group); leader != nil {
			p.hookGroup, p.parent = leader.service < 0 && leader.id != "", leader.pid
		}
	}
	if ours {
		w.fallen = false
	}
	w.procs = append(w.procs, p)
}

// search goes through every state that can be reached, and returns how many
// there are. It stops at the first one in which something does not hold.
func search(plan *Plan, s surprise, limit int) (states int, failed *node, err error) {
	w := newWorld(plan)
	w.blind, w.fallen = s.blind, true
	root := &node{w: w, left: s, how: "booted"}
	w.step(Booted{})
	seen := map[[2]uint64]struct{}{}
	seeds := [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
	for stack := []*node{root}; len(stack) > 0; {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if len(n.w.broken) > 0 {
			return len(seen), n, fmt.Errorf("%s", strings.Join(n.w.broken, "\n"))
		}
		k := n.w.key()
		k = append(k, byte(n.left.terms), byte(n.left.ints), byte(n.left.others), byte(n.left.forks), byte(n.left.refusals), byte(n.left.given))
		h := [2]uint64{maphash.Bytes(seeds[0], k), maphash.Bytes(seeds[1], k)}
		if _, old := seen[h]; old {
			n.w = nil
			continue
		}
		seen[h] = struct{}{}
		if len(seen) > limit {
			return len(seen), n, fmt.Errorf("the search does not close within %d states", limit)
		}
		if n.w.m.phase == Done {
			if n.w.finished != 1 || len(n.w.m.Step(n.w.now, Ticked{})) > 0 {
				return len(seen), n, fmt.Errorf("finished %d times", n.w.finished)
			}
			n.w = nil
			continue
		}
		next := n.successors()
		if len(next) == 0 && !(n.w.m.phase == Run) {
			return len(seen), n, fmt.Errorf("nothing can happen any more")
		}
		stack = append(stack, next...)
		n.w = nil
	}
	return len(seen), nil, nil
}

// plans of the search: small, since every state of them is visited.
var plans = []struct {
	name string
	plan Plan
	s    surprise
}{
	{"one app with hooks", Plan{Straggler: -1, PID1: true, Budget: armed(200 * time.Millisecond), Services: []Service{app("main")},
		PreStop: []hooks.Hook{command("drain"), {Name: "sleep", Sleep: 8 * time.Millisecond}}, PostStop: []hooks.Hook{command("bye")}},
		surprise{ints: 3, forks: 1, where: ofAGroup}},
	{"no grace period set", Plan{PID1: true, Budget: Budget{Grace: 100 * time.Millisecond}, Services: []Service{app("main")},
		PreStop: []hooks.Hook{command("drain")}, PostStop: []hooks.Hook{command("bye")}, Straggler: 50 * time.Millisecond},
		surprise{ints: 3, forks: 1, where: ofTheirOwn}},
	{"a chain of three", Plan{Straggler: -1, PID1: true, Budget: armed(200 * time.Millisecond), Services: []Service{app("db"), app("api", "db"), app("web", "api")}},
		surprise{ints: 2}},
	{"three, one not essential, one with its own time", Plan{Straggler: -1, PID1: true, Budget: armed(100 * time.Millisecond), Services: []Service{
		{Name: "side", KillMode: Main}, {Name: "quick", Essential: true, StopGrace: 20 * time.Millisecond}, app("late", "side")}},
		surprise{terms: 1, ints: 3, refusals: 1}},
	{"not PID 1", Plan{Straggler: -1, Budget: armed(200 * time.Millisecond), Services: []Service{app("main")}, PreStop: []hooks.Hook{command("drain")}, PostStop: []hooks.Hook{command("bye")}},
		surprise{ints: 3, forks: 1, where: ofTheirOwn}},
	{"a ladder, told as a group", Plan{Straggler: -1, PID1: true, Budget: armed(200 * time.Millisecond), Services: []Service{{Name: "main", Essential: true, KillMode: Group,
		StopSignal: []Rung{{signals.QUIT, 40 * time.Millisecond}, {signals.TERM, 40 * time.Millisecond}, {signals.INT, 0}}}}},
		surprise{terms: 1, forks: 2, where: ofAGroup}},
	{"hooks before the start", Plan{Straggler: -1, PID1: true, Budget: armed(100 * time.Millisecond), HookTimeout: 500 * time.Millisecond, Services: []Service{{Name: "main", Essential: true,
		PreStart: []hooks.Hook{command("prepare")}, PostStart: []hooks.Hook{command("announce")}, PreStop: []hooks.Hook{{Name: "usr2", Signal: signals.USR2}}}},
		PreStart:  []hooks.Hook{{Name: "wait", Command: []string{"wait"}, Interval: 200 * time.Millisecond}},
		PostStart: []hooks.Hook{{Name: "optional", Command: []string{"optional"}, OnFailure: hooks.Continue}}, PostStop: []hooks.Hook{command("bye")}},
		surprise{terms: 2, others: 1, refusals: 1}},
	{"no time for stragglers", Plan{PID1: true, Budget: armed(200 * time.Millisecond), Straggler: 0, Services: []Service{app("main")}, PostStop: []hooks.Hook{command("bye")}},
		surprise{terms: 1, forks: 2, where: ofTheirOwn | ofOutside}},
	{"no /proc", Plan{PID1: true, Budget: armed(100 * time.Millisecond), Services: []Service{app("main")}, PreStop: []hooks.Hook{command("drain")}, PostStop: []hooks.Hook{command("bye")}, Straggler: -1},
		surprise{ints: 3, forks: 1, where: ofTheirOwn, blind: true}},
	{"no /proc and not PID 1", Plan{Budget: armed(100 * time.Millisecond), Services: []Service{app("main")}, Straggler: -1},
		surprise{terms: 1, ints: 3, forks: 1, where: ofAGroup, blind: true}},
	{"no grace at all", Plan{Straggler: -1, PID1: true, Budget: armed(0), Services: []Service{app("db"), app("api", "db")}, PreStop: []hooks.Hook{command("drain")}, PostStop: []hooks.Hook{command("bye")}},
		surprise{terms: 1, ints: 2, forks: 1, where: ofOutside}},
	{"strays out of reach", Plan{Budget: armed(100 * time.Millisecond), Straggler: 40 * time.Millisecond, Services: []Service{app("main")}},
		surprise{terms: 1, ints: 3, forks: 2, where: ofTheirOwn, outOfReach: true}},
	{"interactive shells that are stopped", Plan{PID1: true, Budget: armed(100 * time.Millisecond), Straggler: 40 * time.Millisecond, Services: []Service{app("main")}},
		surprise{terms: 1, forks: 2, where: ofAGroup | ofOutside, stopped: true, terminal: true}},
	{"a stop signal during the end by itself", Plan{PID1: true, Budget: armed(100 * time.Millisecond), Straggler: 250 * time.Millisecond, Services: []Service{app("main")},
		PostStop: []hooks.Hook{command("bye")}}, surprise{terms: 1, ints: 1, forks: 1, where: ofTheirOwn}},
	{"two told as a chain, and what they leave behind", Plan{Straggler: -1, PID1: true, Budget: armed(100 * time.Millisecond), Services: []Service{app("db"), app("web", "db")}},
		surprise{terms: 1, forks: 2, where: ofAGroup}},
	{"as other inits do", Plan{PID1: true, Budget: armed(100 * time.Millisecond), AsReceived: true, LeaveStrays: true, SuspendOn: signals.SetOf(signals.USR1), Services: []Service{app("main")}},
		surprise{terms: 2, ints: 2, others: 1, forks: 1, where: ofTheirOwn}},
	{"hooks that talk to others", Plan{PID1: true, Budget: armed(100 * time.Millisecond), HookTimeout: 300 * time.Millisecond, Straggler: -1, Services: []Service{app("main")},
		PreStart: []hooks.Hook{{Name: "database", TCP: &hooks.TCP{Addr: "192.0.2.1:5432"}, Interval: 150 * time.Millisecond}},
		PreStop:  []hooks.Hook{remote("deregister"), {Name: "drain", Drain: &hooks.Drain{}}}, PostStop: []hooks.Hook{remote("bye")}},
		surprise{terms: 1, ints: 2}},
	{"a database, a migration, and what needs both", Plan{PID1: true, Budget: armed(100 * time.Millisecond), Straggler: -1, Services: []Service{
		{Name: "db", Essential: true, Health: probed("db")}, {Name: "migrate", Essential: true, Oneshot: true, DependsOn: []Dependency{{"db", Healthy}}},
		{Name: "web", Essential: true, DependsOn: []Dependency{{"db", Started}, {"migrate", Completed}}}}},
		surprise{terms: 1, refusals: 1}},
	{"one that starts again, and what it leaves behind", Plan{PID1: true, Budget: armed(100 * time.Millisecond), Straggler: -1, Services: []Service{
		{Name: "web", Essential: true, StopGrace: 60 * time.Millisecond, Restart: Restart{When: OnFailure}}}},
		surprise{terms: 1, refusals: 1, forks: 1, where: ofAGroup}},
	{"one that starts again, with its hooks, until it is given up", Plan{PID1: true, Budget: armed(100 * time.Millisecond), HookTimeout: 100 * time.Millisecond, Straggler: -1, Services: []Service{
		{Name: "web", Essential: true, Restart: Restart{When: OnFailure, Max: 1, Delay: 1, MaxDelay: 2}, PreStart: []hooks.Hook{command("prepare")}, PostStop: []hooks.Hook{command("tidy")}}}},
		surprise{terms: 1, refusals: 1}},
	{"one that has to be well", Plan{PID1: true, Budget: armed(100 * time.Millisecond), Straggler: -1, Services: []Service{
		{Name: "web", Essential: true, StartTimeout: 300 * time.Millisecond, Health: &Health{Probe: probed("web").Probe, Retries: 2,
			Interval: 100 * time.Millisecond, StartInterval: 100 * time.Millisecond, OnUnhealthy: RestartUnhealthy}}}},
		surprise{terms: 1}},
	{"one that is given up when it is unwell", Plan{PID1: true, Budget: armed(100 * time.Millisecond), Straggler: -1, Services: []Service{app("web"),
		{Name: "side", Health: &Health{Probe: probed("side").Probe, Retries: 1, StartPeriod: 200 * time.Millisecond, OnUnhealthy: StopUnhealthy}}}},
		surprise{terms: 1}},
	{"one that speaks for itself", Plan{PID1: true, Budget: armed(100 * time.Millisecond), Straggler: -1, Services: []Service{
		{Name: "web", Essential: true, StartTimeout: 300 * time.Millisecond, Restart: Restart{When: OnFailure, Max: 1},
			Health: &Health{Notify: true, Watchdog: 200 * time.Millisecond, OnUnhealthy: RestartUnhealthy}}}},
		surprise{terms: 1, says: []Notified{{ID: "web", Notice: Notice{Ready: true}}, {ID: "web", Notice: Notice{Alive: true}},
			{ID: "web", Notice: Notice{Failed: true}}, {ID: "web", Notice: Notice{Reloading: true}}}}},
	{"orders to stop and start", Plan{PID1: true, Budget: armed(100 * time.Millisecond), Straggler: -1, Services: []Service{
		{Name: "db", Essential: true, PreStop: []hooks.Hook{command("leave")}}, app("web", "db")}},
		surprise{terms: 1, orders: []Asked{{Order: AskStop, Service: "db"}, {Order: AskStart, Service: "db"}}}},
	{"orders to one that speaks for itself, with hooks", Plan{PID1: true, Budget: armed(200 * time.Millisecond), HookTimeout: 100 * time.Millisecond, Straggler: -1, Services: []Service{
		{Name: "web", Essential: true, PreStop: []hooks.Hook{command("leave")},
			Health: &Health{Notify: true, Watchdog: 50 * time.Millisecond, OnUnhealthy: RestartUnhealthy}}}},
		surprise{terms: 1, orders: []Asked{{Order: AskStop, Service: "web"}}, says: []Notified{{ID: "web", Notice: Notice{Ready: true}}}}},
	{"a run and a oneshot at the end of the start", Plan{PID1: true, Budget: armed(100 * time.Millisecond), HookTimeout: 50 * time.Millisecond, Straggler: -1, Services: []Service{
		{Name: "migrate", Oneshot: true, Essential: true, PostStop: []hooks.Hook{command("tidy")}},
		{Name: "report", Timetable: hourly(200 * time.Millisecond), PreStart: []hooks.Hook{command("prepare")}}}},
		surprise{terms: 1}},
	{"an order to begin the stop", Plan{PID1: true, Budget: armed(100 * time.Millisecond), Straggler: -1, PreStop: []hooks.Hook{command("drain")}, Services: []Service{app("web")}},
		surprise{terms: 1, ints: 1, orders: []Asked{{Order: AskPreStop}, {Order: AskReload, Service: "web"}, {Order: AskStatus}, {Order: AskHalt}}}},
	{"orders to one that restarts", Plan{PID1: true, Budget: armed(100 * time.Millisecond), Straggler: -1, Services: []Service{
		{Name: "web", Essential: true, KillMode: Group, StopGrace: 60 * time.Millisecond, Restart: Restart{When: Always}}}},
		surprise{terms: 1, forks: 1, where: ofAGroup, orders: []Asked{{Order: AskStop, Service: "web"}, {Order: AskStart, Service: "web"}, {Order: AskRestart, Service: "web"}}}},
	{"a timetable", Plan{PID1: true, Budget: armed(100 * time.Millisecond), Straggler: -1, Services: []Service{
		{Name: "report", Timetable: hourly(200 * time.Millisecond), Restart: Restart{When: OnFailure, Max: 1}}}},
		surprise{terms: 1, orders: []Asked{{Order: AskStart, Service: "report"}}}},
	{"a timetable whose runs replace one another", Plan{PID1: true, Budget: armed(100 * time.Millisecond), Straggler: -1, Services: []Service{
		{Name: "report", Essential: true, Timetable: hourly(200 * time.Millisecond), Overlap: Replace, StopGrace: 60 * time.Millisecond}}},
		surprise{terms: 1, refusals: 1}},
	{"runs that overlap", Plan{PID1: true, Budget: armed(100 * time.Millisecond), Straggler: -1, Services: []Service{
		{Name: "backup", Timetable: hourly(200 * time.Millisecond), Overlap: Allow}, {Name: "backup-2", Of: "backup", Spare: true}}},
		surprise{terms: 1, orders: []Asked{{Order: AskStop, Service: "backup"}}}},
	{"a pause", Plan{PID1: true, Budget: armed(100 * time.Millisecond), Straggler: -1, Pause: true, PostStop: []hooks.Hook{command("bye")}},
		surprise{terms: 1, ints: 3}},
}

// probed is a health of a probe that is performed.
func probed(name string) *Health {
	h := remote(name + "'s probe")
	return &Health{Probe: &h}
}

func armed(g time.Duration) Budget { return Budget{Grace: g, Armed: true, Source: "--grace-period"} }

func app(name string, after ...string) Service {
	s := Service{Name: name, Essential: true}
	for _, on := range after {
		s.DependsOn = append(s.DependsOn, Dependency{On: on})
	}
	return s
}

// Mutants planted in the machine by hand, one at a time, and how many stories
// (S) and plans of the search (P) failed for it:
//
//	services are not killed at their deadline            S 3   P 13
//	a told stray is forgotten, and told again            S 18  P 10
//	terminate goes on to post-stop, without kill         S 8   P 6
//	dependencies are told at once                        S 4   P 3
//	terminate does not look again                        S 20  P 12
//	everyone is killed at the services' end              S 9   P 12
//	a cut hook is not told                               S 2   P 1
//	a cut hook that was told is told again               S 0   P 5
//	a deaf hook is never killed                          S 5   P 5
//	a hook gets KILL at its timeout                      S 5   P 8
//	a third INT is ignored                               S 1   P 7
//	a second INT does not hurry                          S 2   P 4
//	a later TERM does not clip the schedule              S 2   P 10
//	a service is killed with no grace period set         S 2   P 1
//	a zombie main counts as gone, its code as 137        S 0   P 1
//	a service that has gone keeps its timers             S 2   P 12
//	services that were reaped are signalled              S 42  P 16
//	post-stop has no end                                 S 5   P 9
//	stop waits although no service is left               S 40  P 15
//	a killed service is not in the report                S 2   P 16
//	no time for stragglers after an end by itself        S 3   P 11
//	no time for strays with no grace period set          S 2   P 1
//	as PID 1, KILL only to those whom /proc shows        S 7   P 4
//	who was told with a group is told again              S 4   P 5
//	who joins a told group is never told                 S 1   P 2
//	services that phase 2 did not come to are not told   S 1   P 4
//	services and hooks are not killed in the kill phase  S 1   P 10
//	a failed start does not stop what runs               S 3   P 1
//	a clipped phase leaves its hooks their time          S 1   P 5
//	dependents stop in any order                         S 7   P 5
//	healthy is no more than started                      S 5   P 1
//	unhealthy services are left alone                    S 2   P 1
//	a service starts beside what its last life has left  S 4   P 2
//	orders are not answered when the stop begins         S 4   P 4
//	runs of a timetable replace one another              S 4   P 3
//	the next start is a deadline in the stop             S 0   P 1
//
// These change what a run looks like, and nothing that must hold of every run:
//
//	stopped processes are not continued                  S 1
//	who is out of reach is waited for                    S 1
//	an interactive shell gets no HUP                     S 1
//	a ladder ends at its first rung                      S 1
//	a hook is started when its phase is over             S 1
//	nobody looks when the last child has gone            S 11
//	hooks for a service that has gone are not skipped    S 1
//	the shell rule holds for every program               S 5
//	the delay of restarts does not double                S 6
//	the delay of restarts has no limit                   S 16
//	a row of restarts never ends                         S 1
//	restarts have no limit                               S 3
//	on-failure starts again what succeeded               S 1
//	every service is essential                           S 3
//	a oneshot that fails does not end the start          S 1
//	completed is no more than ended                      S 1
//	who needs one that has ended waits for it            S 1
//	who needs one that an order keeps down starts        S 1
//	an order starts what lacks another                   S 1
//	who was stopped by an order starts again             S 5
//	an order to stop never kills                         S 4
//	an order to stop makes a failure                     S 1
//	who is stopped alone runs no pre-stop hooks          S 3
//	one failed probe makes a service unhealthy           S 2
//	failures in the start period count                   S 1
//	no sign of life is no matter                         S 1
//	a start may take for ever                            S 2
//	a start that fails in a later life ends the run      S 3
//	what is left of a life is never killed               S 3
//	no post-stop hooks between two lives                 S 2
//	pre-start hooks run in the first life alone          S 1
//	the notice of another life is heard                  S 1
//	a spare runs once                                    S 1
//	ready is announced too early                         S 9
//	the run goes on when nothing is left to run          S 1
//
// That nothing is heard between two starts fails the tests of Drive.
// A margin of zero fails the tables of the schedule; an interval that tries for
// ever keeps stories and search from ending.

// TestEveryInterleaving visits every state of every plan: each process may end
// at any moment, signals may come at any moment, and time goes on to Deadline
// or not at all.
func TestEveryInterleaving(t *testing.T) {
	for _, c := range plans {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			plan := c.plan
			plan.StopOn, plan.OnStopExit = signals.SetOf(signals.TERM, signals.INT), -1
			states, failed, err := search(&plan, c.s, 500_000)
			if err != nil {
				t.Fatalf("%v\nafter %d states, by way of\n  %s\nwith%v", err, states, failed.path(), failed.w)
			}
			t.Logf("%d states", states)
		})
	}
}
