package supervisor

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"exeunt/hooks"
	"exeunt/reaper"
	"exeunt/signals"
)

// separator stands between what happens in a story and what the machine did.
const separator = "----\n"

// A story is one plan and what happens to it. A line is a comment (#), a line
// of the plan, or, when it begins with a time, an event:
//
//	grace 30s [assumed]        the budget; assumed is one that nobody set
//	straggler 5s, hook_timeout 5s, on_stop_exit 0, exit_codes 143:0 …
//	pid1 no, proc no, console  we are not PID 1; there is no /proc; a terminal
//	stop_on TERM INT           the default
//	rewrite TERM:QUIT …
//	service NAME [after=A,B:healthy,C:completed] [stop=QUIT:15s,TERM] [grace=3s] [mode=group|main] [optional]
//	             [oneshot] [restart=always|on-failure[:N]] [delay=500ms:30s] [health=notify|probe] [period=5s]
//	             [retries=2] [watchdog=3s] [unhealthy=restart|stop] [within=30s] [signals=HUP,USR1:USR2]
//	             [every=1m] [overlap=allow|replace] [of=NAME] [spare] [ok=7]
//	flush slow                 the flush is not over at once
//	pre_stop [SERVICE:]ACTION [timeout=2s] [interval=1s] [failure=abort|continue]
//	                           also pre_start, post_start, post_stop; ACTION is
//	                           sleep:3s, signal:USR1, or the name of a command
//	until 1m                   watch no longer than this
//
//	1s TERM [kernel] [by WHO]  a signal arrives
//	1s exit WHO 3              WHO (a service, hook ID or number) ends, by a code
//	1s exit WHO TERM           or by a signal
//	1s oom WHO                 the kernel kills it, as memory has run out
//	1s gone 50                 a process that is not our child ends
//	1s stray 50 [name=sh] [group=WHO] [parent=WHO] [catches=QUIT] [ignores=TERM] [terminal] [outside] [out-of-reach] [stopped]
//	1s name WHO bash           what /proc calls it
//	1s freeze WHO              it is stopped (SIGSTOP)
//	1s stuck WHO               not even KILL ends it
//	0s refuse ID [ENOENT]      its next Spawn fails
//	1s performed ID [ERR]      a hook or probe that is performed answers; flush too
//	1s notify WHO ready|reloading|trigger|alive|main=50 [refused]|extend=5s|status=TEXT [as=10]
//	1s order TOKEN start|stop|restart|signal|reload|status|halt|pre-stop [NAME] [SIGNAL]
//
// Who was sent KILL ends a millisecond later; all others are deaf. Services and
// hooks get the numbers 10, 11, … as they start.
type story struct {
	plan   Plan
	until  time.Duration
	events []event
	world  *world
	stuck  map[int]bool

	slowFlush bool
	refused   map[ID]bool
	out       strings.Builder
}

type event struct {
	at    time.Time
	words []string
}

func (s *story) read(text string) error {
	s.plan = Plan{PID1: true, Straggler: -1, OnStopExit: -1, StopOn: signals.SetOf(signals.TERM, signals.INT)}
	s.until, s.stuck, s.refused = 10*time.Minute, map[int]bool{}, map[ID]bool{}
	s.world = &world{now: epoch, pids: 9, fallen: true}
	for n, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		var err error
		if after, e := time.ParseDuration(words[0]); e == nil {
			s.events = append(s.events, event{epoch.Add(after), words[1:]})
		} else if strings.HasPrefix(words[0], "pre_") || strings.HasPrefix(words[0], "post_") {
			err = s.hook(words)
		} else {
			err = s.setting(words)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n+1, err)
		}
	}
	slices.SortStableFunc(s.events, func(a, b event) int { return a.at.Compare(b.at) })
	return nil
}

func (s *story) setting(words []string) (err error) {
	p, value := &s.plan, strings.Join(words[1:], " ")
	switch words[0] {
	case "grace":
		p.Budget = Budget{Armed: len(words) == 2, Source: "--grace-period"}
		if !p.Budget.Armed {
			p.Budget.Source = "docker"
		}
		p.Budget.Grace, err = time.ParseDuration(words[1])
	case "straggler":
		p.Straggler, err = time.ParseDuration(value)
	case "hook_timeout":
		p.HookTimeout, err = time.ParseDuration(value)
	case "until":
		s.until, err = time.ParseDuration(value)
	case "on_stop_exit":
		_, err = fmt.Sscan(value, &p.OnStopExit)
	case "exit_codes":
		p.ExitCodes = map[int]int{}
		for _, w := range words[1:] {
			var from, to int
			if _, err = fmt.Sscanf(w, "%d:%d", &from, &to); err != nil {
				return err
			}
			p.ExitCodes[from] = to
		}
	case "pid1":
		p.PID1 = value != "no"
	case "proc":
		s.world.blind = value == "no"
	case "console":
		p.Console = true
	case "stop_on":
		p.StopOn, err = setOf(words[1:])
	case "rewrite":
		p.Rewrites, err = signals.ParseRewrites(words[1:]...)
	case "flush":
		s.slowFlush = true
	case "service":
		return s.service(words[1], words[2:])
	default:
		return fmt.Errorf("unknown word %q", words[0])
	}
	return err
}

func setOf(names []string) (set signals.Set, err error) {
	for _, name := range names {
		sig, err := signals.Parse(name)
		if err != nil {
			return 0, err
		}
		set = set.With(sig)
	}
	return set, nil
}

func (s *story) service(name string, words []string) (err error) {
	v := Service{Name: name, Essential: true}
	for _, w := range words {
		k, value, _ := strings.Cut(w, "=")
		switch k {
		case "after":
			for _, on := range strings.Split(value, ",") {
				on, until, _ := strings.Cut(on, ":")
				v.DependsOn = append(v.DependsOn, Dependency{on, map[string]Condition{"healthy": Healthy, "completed": Completed}[until]})
			}
		case "optional":
			v.Essential = false
		case "grace":
			v.StopGrace, err = time.ParseDuration(value)
		case "mode":
			v.KillMode = map[string]KillMode{"group": Group, "main": Main}[value]
		case "stop":
			for _, r := range strings.Split(value, ",") {
				sig, after, _ := strings.Cut(r, ":")
				rung := Rung{}
				rung.Signal, err = signals.Parse(sig)
				rung.For, _ = time.ParseDuration(after)
				v.StopSignal = append(v.StopSignal, rung)
			}
		default:
			err = s.managed(&v, k, value)
		}
		if err != nil {
			return err
		}
	}
	s.plan.Services = append(s.plan.Services, v)
	return nil
}

// managed reads what only a service of several has.
func (s *story) managed(v *Service, k, value string) (err error) {
	first, second, _ := strings.Cut(value, ":")
	switch k {
	case "oneshot":
		v.Oneshot = true
	case "spare":
		v.Spare = true
	case "of":
		v.Of = value
	case "ok":
		var code int
		_, err = fmt.Sscan(value, &code)
		v.SuccessExitCodes = []int{code}
	case "restart":
		v.Restart.When = map[string]RestartWhen{"always": Always, "on-failure": OnFailure}[first]
		_, _ = fmt.Sscan(second, &v.Restart.Max)
	case "delay":
		if v.Restart.Delay, err = time.ParseDuration(first); err == nil {
			v.Restart.MaxDelay, err = time.ParseDuration(second)
		}
	case "health":
		v.Health = &Health{Notify: value == "notify"}
		if !v.Health.Notify {
			h := remote(v.Name + "'s probe")
			v.Health.Probe = &h
		}
	case "retries":
		_, err = fmt.Sscan(value, &v.Health.Retries)
	case "period":
		v.Health.StartPeriod, err = time.ParseDuration(value)
	case "watchdog":
		v.Health.Watchdog, err = time.ParseDuration(value)
	case "unhealthy":
		v.Health.OnUnhealthy = map[string]OnUnhealthy{"restart": RestartUnhealthy, "stop": StopUnhealthy}[value]
	case "within":
		v.StartTimeout, err = time.ParseDuration(value)
	case "every":
		var every time.Duration
		every, err = time.ParseDuration(value)
		v.Timetable = hourly(every)
	case "overlap":
		v.Overlap = map[string]Overlap{"allow": Allow, "replace": Replace}[value]
	case "signals":
		v.Signals = map[signals.Signal]signals.Signal{}
		for _, pair := range strings.Split(value, ",") {
			from, to, _ := strings.Cut(pair, ":")
			sig, _ := signals.Parse(from)
			if v.Signals[sig], err = signals.Parse(either(to, from)); to == "drop" {
				v.Signals[sig], err = 0, nil
			}
		}
	default:
		err = fmt.Errorf("unknown word %q", k)
	}
	return err
}

// An hourly timetable has runs at whole multiples of itself since the epoch of
// the tests.
type hourly time.Duration

func (h hourly) Next(after time.Time) time.Time {
	return epoch.Add((after.Sub(epoch)/time.Duration(h) + 1) * time.Duration(h))
}

func (s *story) hook(words []string) error {
	name, action, own := strings.Cut(words[1], ":")
	i := slices.IndexFunc(s.plan.Services, func(v Service) bool { return own && v.Name == name })
	if i < 0 {
		action = words[1]
	}
	h, err := hooks.Parse(action)
	for _, w := range words[2:] {
		k, value, _ := strings.Cut(w, "=")
		switch k {
		case "timeout":
			h.Timeout, err = time.ParseDuration(value)
		case "interval":
			h.Interval, err = time.ParseDuration(value)
		case "failure":
			h.OnFailure = map[string]hooks.OnFailure{"abort": hooks.Abort, "continue": hooks.Continue}[value]
		default:
			err = fmt.Errorf("unknown word %q", w)
		}
	}
	p := &s.plan
	lists := map[string]*[]hooks.Hook{"pre_start": &p.PreStart, "post_start": &p.PostStart, "pre_stop": &p.PreStop, "post_stop": &p.PostStop}
	if i >= 0 {
		v := &p.Services[i]
		lists = map[string]*[]hooks.Hook{"pre_start": &v.PreStart, "post_start": &v.PostStart, "pre_stop": &v.PreStop, "post_stop": &v.PostStop}
	}
	list := lists[words[0]]
	*list = append(*list, h)
	return err
}

// who is the number of a service, a hook, or a process.
func (s *story) who(word string) (pid int, err error) {
	for _, p := range s.world.procs {
		if !p.gone && p.alive && string(p.id) == word {
			return p.pid, nil
		}
	}
	if _, err := fmt.Sscan(word, &pid); err != nil || s.world.find(pid) == nil {
		return 0, fmt.Errorf("nobody alive is called %q", word)
	}
	return pid, nil
}

func (s *story) happen(words []string) error {
	w := s.world
	if sig, err := signals.Parse(words[0]); err == nil {
		r := Received{Received: signals.Received{Signal: sig}}
		if len(words) > 1 && words[1] == "kernel" {
			r.Code, words = kernelSent, words[1:]
		}
		if len(words) > 2 && words[1] == "by" {
			r.By = strings.Join(words[2:], " ")
		}
		w.step(r)
		return nil
	}
	if words[0] == "refuse" {
		s.refused[ID(words[1])] = true
		return nil
	}
	switch words[0] {
	case "stray":
		return s.stray(words[1:])
	case "performed":
		return s.performed(words[1], strings.Join(words[2:], " "))
	case "order":
		return s.order(words[1:])
	case "notify":
		return s.notify(words[1], words[2:])
	}
	pid, err := s.who(words[1])
	if err != nil {
		return err
	}
	switch words[0] {
	case "exit":
		var code int
		status := reaper.Status(0)
		if _, err := fmt.Sscan(words[2], &code); err == nil {
			status = reaper.Status(code << 8)
		} else if sig, err := signals.Parse(words[2]); err == nil {
			status = reaper.Status(sig)
		} else {
			return err
		}
		s.end(pid, status)
	case "oom":
		w.find(pid).oom = true
		s.end(pid, byKILL)
	case "gone":
		w.die(pid, 0)
	case "name":
		w.find(pid).name = words[2]
	case "freeze":
		w.find(pid).stopped = true
	case "stuck":
		s.stuck[pid] = true
	default:
		return fmt.Errorf("unknown event %q", words[0])
	}
	return nil
}

func (s *story) performed(id, err string) error {
	n := slices.IndexFunc(s.world.performing, func(p Perform) bool { return string(p.ID) == id })
	if n < 0 {
		return fmt.Errorf("%q is not being performed", id)
	}
	if err != "" {
		s.world.perform(n, errors.New(err))
	} else {
		s.world.perform(n, nil)
	}
	return nil
}

func (s *story) order(words []string) (err error) {
	a := Asked{By: "pid 99 (exeunt)"}
	if _, err = fmt.Sscan(words[0], &a.Token); err != nil {
		return err
	}
	names := []string{"status", "start", "stop", "restart", "signal", "reload", "halt", "pre-stop"}
	i := slices.Index(names, words[1])
	if i < 0 {
		return fmt.Errorf("unknown order %q", words[1])
	}
	if a.Order = Order(i); len(words) > 2 {
		a.Service = words[2]
	}
	if len(words) > 3 {
		a.Signal, err = signals.Parse(words[3])
	}
	s.world.order(a)
	return err
}

func (s *story) notify(who string, words []string) (err error) {
	ev, refused := Notified{ID: ID(who)}, false
	for _, w := range words {
		k, value, _ := strings.Cut(w, "=")
		switch k {
		case "ready":
			ev.Ready = true
		case "reloading":
			ev.Reloading = true
		case "trigger":
			ev.Failed = true
		case "alive":
			ev.Alive = true
		case "main":
			_, err = fmt.Sscan(value, &ev.MainPID)
		case "extend":
			ev.Extend, err = time.ParseDuration(value)
		case "status":
			ev.Status, ev.HasStatus = value, true
		case "as":
			_, err = fmt.Sscan(value, &ev.PID)
		case "refused":
			refused = true
		default:
			err = fmt.Errorf("unknown word %q", w)
		}
	}
	if heir := s.world.find(ev.MainPID); heir != nil && !refused { // from now on it is the service
		old := &s.world.procs[s.world.last(s.world.m.index(who))]
		heir.id, heir.service = old.id, old.service
		old.id, old.service, old.replaced = "", -1, true
	}
	s.world.step(ev)
	return err
}

// end is a death that is told of at once.
func (s *story) end(pid int, status reaper.Status) {
	w := s.world
	ours := w.find(pid).ours
	w.die(pid, status)
	if ours {
		w.reap(pid)
		s.settle()
	}
	w.childless()
}

func (s *story) stray(words []string) error {
	p := process{service: -1, name: "stray", ours: true, alive: true}
	if _, err := fmt.Sscan(words[0], &p.pid); err != nil {
		return err
	}
	p.group = p.pid
	for _, word := range words[1:] {
		k, value, _ := strings.Cut(word, "=")
		var err error
		switch k {
		case "name":
			p.name = value
		case "group":
			if p.group = 0; value != "0" { // which is one that is not of this namespace
				p.group, err = s.who(value)
			}
		case "parent":
			p.parent, err = s.who(value)
		case "catches":
			p.caught, err = setOf(strings.Split(value, ","))
		case "ignores":
			p.ignored, err = setOf(strings.Split(value, ","))
		case "terminal":
			p.terminal = true
		case "outside":
			p.ours = false
		case "out-of-reach":
			p.outOfReach = true
		case "stopped":
			p.stopped = true
		default:
			err = fmt.Errorf("unknown word %q", word)
		}
		if err != nil {
			return err
		}
	}
	if leader := s.world.find(p.group); leader != nil {
		p.hookGroup = leader.service < 0 && leader.id != ""
	}
	s.world.procs, s.world.fallen = append(s.world.procs, p), s.world.fallen && !p.ours
	return nil
}
