package supervisor

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"exeunt/hooks"
	"exeunt/reaper"
	"exeunt/signals"
)

// An actor is how a process of the stage behaves: what ends it, and how.
type actor struct {
	after time.Duration // from the signal to its end
	deaf  bool          // to all but KILL
	alone time.Duration // it ends by itself after this time; 0 is never
	code  int
	fatal signals.Signal // ends it instead, when it ends by itself
}

// A stage is a Kernel whose processes are timers and goroutines. Deaths are
// told of from other goroutines, as by the real one.
type stage struct {
	t      *testing.T
	actors map[ID]actor
	dead   chan struct{}
	deaths chan reaper.Exit // not yet shown to the loop
	events chan Event
	answer map[ID]time.Duration // of performed hooks; the others keep silent until their time is over
	alive  map[int]chan signals.Signal
	pids   int
	kills  int // that memory running out explains

	spawn func(ID) // called first; may panic
	log   []string
	began time.Time
	armed time.Time
	looks int // at who is alive
}

// channels are Inputs that synctest understands.
type channels struct {
	dead    <-chan struct{}
	signals <-chan signals.Received
	events  <-chan Event
}

func (c channels) Next(until time.Time, _ *signals.Forwarding) (in Input) {
	var timer <-chan time.Time
	if !until.IsZero() {
		timer = time.After(time.Until(until))
	}
	select {
	case <-c.dead:
		in.Dead = true
	case in.Signal = <-c.signals:
	case in.Event = <-c.events:
	default: // what has come goes before the time
		select {
		case <-c.dead:
			in.Dead = true
		case in.Signal = <-c.signals:
		case in.Event = <-c.events:
		case <-timer:
		}
	}
	// What came with it is told with it.
	select {
	case <-c.dead:
		in.Dead = true
	default:
	}
	if in.Signal.Signal == 0 {
		select {
		case in.Signal = <-c.signals:
		default:
		}
	}
	return in
}

func newStage(t *testing.T, actors map[ID]actor) *stage {
	return &stage{t: t, actors: actors, dead: make(chan struct{}, 1), deaths: make(chan reaper.Exit, 10_000), events: make(chan Event, 10),
		alive: map[int]chan signals.Signal{}, pids: 9, began: time.Now()}
}

func (s *stage) say(format string, args ...any) {
	s.log = append(s.log, fmt.Sprintf("%.1fs ", time.Since(s.began).Seconds())+fmt.Sprintf(format, args...))
}

func (s *stage) start(a actor) int {
	s.pids++
	pid, got := s.pids, make(chan signals.Signal, 100)
	s.alive[pid] = got
	go func() {
		var own, obeyed <-chan time.Time
		if a.alone > 0 {
			own = time.After(a.alone)
		}
		status := reaper.Status(a.code << 8)
		for done := false; !done; {
			select {
			case sig, open := <-got:
				if !open {
					return // the curtain
				}
				if done = sig == signals.KILL; done {
					status = byKILL
				} else if !a.deaf && obeyed == nil {
					obeyed = time.After(a.after)
				}
			case <-own:
				if done = true; a.fatal != 0 {
					status = reaper.Status(a.fatal)
				}
			case <-obeyed:
				done = true
			}
		}
		s.deaths <- reaper.Exit{PID: pid, Status: status}
		s.wake()
	}()
	return pid
}

func (s *stage) wake() {
	select {
	case s.dead <- struct{}{}:
	default:
	}
}

func (s *stage) Spawn(id ID, env []string) (int, error) {
	if s.spawn != nil {
		s.spawn(id)
	}
	a, ok := s.actors[id]
	if !ok {
		return 0, errors.New("no such actor")
	}
	s.say("spawn %s", id)
	return s.start(a), nil
}

func (s *stage) Signal(to reaper.Target, sig signals.Signal, ifCaught bool) error {
	hit := false
	for pid, got := range s.alive {
		if to == reaper.Process(pid, 0) || to == reaper.Process(pid, uint64(pid)) || to == reaper.Group(pid) || to == reaper.Everyone() {
			hit = true
			got <- sig
		}
	}
	s.say("%v to %v", sig, to)
	if !hit {
		s.t.Errorf("%v to %v, who was reaped or never was", sig, to)
	}
	return nil
}

func (s *stage) Exited(limit int) iter.Seq[reaper.Exit] {
	return func(yield func(reaper.Exit) bool) {
		for range limit {
			select {
			case x := <-s.deaths:
				if !s.show(x, yield) {
					return
				}
			default:
				return
			}
		}
		s.wake()
	}
}

// show keeps a death whose body panics, as the reaper does.
func (s *stage) show(x reaper.Exit, yield func(reaper.Exit) bool) bool {
	kept := true
	defer func() {
		if kept {
			s.deaths <- x
			s.wake()
		}
	}()
	more := yield(x)
	kept = false
	delete(s.alive, x.PID)
	return more
}

func (s *stage) Childless() bool { return len(s.alive) == 0 }

// OOM explains as many deaths as the stage was given.
func (s *stage) OOM() bool {
	s.kills--
	return s.kills >= 0
}

func (s *stage) Sender(r signals.Received) string { return fmt.Sprint("pid ", r.PID) }

func (s *stage) Strays() (list []reaper.Stray, err error) {
	s.looks++
	for pid := range s.alive {
		list = append(list, reaper.Stray{PID: pid, Group: pid, Start: uint64(pid), Name: "actor"})
	}
	return list, nil
}

func (s *stage) Suspend() {}

func (s *stage) Perform(id ID, try int, by time.Time, _ []string) {
	s.say("performs %s", id)
	if id == flushID {
		s.events <- Performed{id, try, nil}
	} else if after, ok := s.answer[id]; ok {
		time.AfterFunc(after, func() { s.events <- Performed{id, try, nil} })
	} else {
		time.AfterFunc(time.Until(by), func() { s.events <- Performed{id, try, errors.New("still busy")} })
	}
}

func (s *stage) Cancel(id ID)     { s.say("cancels %s", id) }
func (s *stage) Arm(at time.Time) { s.armed = at }

func (s *stage) Answer(int, string, Snapshot) {}
func (s *stage) Announce(Standing)            {}
func (s *stage) Watch()                       {}
func (s *stage) Note(e Entry)                 { s.say("%v: %s", e.Level, e.Message) }

// curtain ends the goroutines of those who still live.
func (s *stage) curtain() {
	for _, got := range s.alive {
		close(got)
	}
}

// play drives the plan on the stage, signals arriving at their times, and
// returns the exit code and how long it took.
func (s *stage) play(p *Plan, at map[time.Duration]signals.Signal) (code int, took time.Duration) {
	defer s.curtain()
	received := make(chan signals.Received, 64)
	for after, sig := range at {
		time.AfterFunc(after, func() { received <- signals.Received{Signal: sig} })
	}
	code = Drive(New(p), s, channels{s.dead, received, s.events})
	return code, time.Since(s.began)
}

func onePlan(grace time.Duration) *Plan {
	return &Plan{PID1: true, Budget: armed(grace), Straggler: -1, OnStopExit: -1, StopOn: signals.SetOf(signals.TERM, signals.INT), Services: []Service{app("main")}}
}

func TestTenMinutesOfGracePassInNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, map[ID]actor{"main": {deaf: true}, "pre_stop/0": {alone: time.Minute}, "post_stop/0": {alone: 100 * time.Millisecond}})
		p := onePlan(10 * time.Minute)
		p.PreStop = []hooks.Hook{{Name: "drain", Command: []string{"drain"}, Timeout: 2 * time.Minute}}
		p.PostStop = []hooks.Hook{command("bye")}
		code, took := s.play(p, map[time.Duration]signals.Signal{time.Hour: signals.TERM})
		if want := time.Hour + 592*time.Second + 100*time.Millisecond; code != 137 || took != want {
			t.Errorf("code %d after %v, want 137 after %v\n%s", code, took, want, strings.Join(s.log, "\n"))
		}
		if by := s.began.Add(time.Hour + 10*time.Minute - 1500*time.Millisecond); !s.armed.Equal(by) {
			t.Errorf("the watchdog is armed for %v, want %v", s.armed, by)
		}
	})
}

func TestObedientMainEndsTheRunAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, map[ID]actor{"main": {after: 3 * time.Second, code: 7}})
		code, took := s.play(onePlan(30*time.Second), map[time.Duration]signals.Signal{time.Second: signals.TERM})
		if code != 7 || took != 4*time.Second {
			t.Errorf("code %d after %v, want 7 after 4s\n%s", code, took, strings.Join(s.log, "\n"))
		}
	})
}

// TestDeathsComeBeforeSignals makes both ready at once: the app died, and TERM
// came while the loop was busy.
func TestPerformedHooksAnswerInTheirOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, map[ID]actor{"main": {after: time.Second}})
		s.answer = map[ID]time.Duration{"pre_stop/0": 300 * time.Millisecond, "post_stop/0": 0}
		p := onePlan(time.Minute)
		p.PreStop, p.PostStop = []hooks.Hook{remote("deregister"), remote("silent")}, []hooks.Hook{remote("bye")}
		code, took := s.play(p, map[time.Duration]signals.Signal{time.Hour: signals.TERM})
		if want := time.Hour + 300*time.Millisecond + hookTimeout + time.Second; code != 0 || took != want {
			t.Errorf("code %d after %v, want 0 after %v\n%s", code, took, want, strings.Join(s.log, "\n"))
		}
		if log := strings.Join(s.log, "\n"); strings.Contains(log, "cancels") || strings.Index(log, "TERM to process 10") < strings.Index(log, "performs pre_stop/1") {
			t.Errorf("the hooks did not run their course:\n%s", log)
		}
	})
}

func TestOnlyAKillThatNobodySentIsLookedInto(t *testing.T) {
	for name, c := range map[string]struct {
		main, hook actor
		kills      int // there are, and are left
		left       int
		code       int
		oom        bool
	}{
		"memory ran out":               {main: actor{alone: time.Second, fatal: signals.KILL}, kills: 1, left: 0, code: 137, oom: true},
		"somebody else killed it":      {main: actor{alone: time.Second, fatal: signals.KILL}, kills: 0, left: -1, code: 137},
		"another signal":               {main: actor{alone: time.Second, fatal: signals.SEGV}, kills: 1, left: 1, code: 139},
		"an exit":                      {main: actor{alone: time.Second, code: 137}, kills: 1, left: 1, code: 137},
		"we killed it at its deadline": {main: actor{deaf: true}, kills: 1, left: 1, code: 137},
		"its hook":                     {main: actor{after: time.Second, code: 7}, hook: actor{alone: time.Second, fatal: signals.KILL}, kills: 1, left: 0, code: 7},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t, map[ID]actor{"main": c.main, "post_start/0": c.hook})
			defer s.curtain()
			s.kills = c.kills
			p := onePlan(10 * time.Second)
			if c.hook.alone > 0 {
				p.PostStart = []hooks.Hook{command("warm-up")}
				p.PostStart[0].OnFailure = hooks.Continue
			}
			received := make(chan signals.Received, 1)
			time.AfterFunc(time.Minute, func() { received <- signals.Received{Signal: signals.TERM, PID: 42} })
			m := New(p)
			code := Drive(m, s, channels{s.dead, received, s.events})
			r := m.Report()
			if code != c.code || s.kills != c.left || r.Services[0].OOM != c.oom {
				t.Errorf("%s: code %d, %d kills left, out of memory %v\n%s", name, code, s.kills, r.Services[0].OOM, strings.Join(s.log, "\n"))
			}
			if asked := strings.HasSuffix(r.Summary(), "; asked by pid 42"); asked != (r.Reason == ReasonSignal) {
				t.Errorf("%s: %s", name, r.Summary())
			}
		})
	}
}

func TestDeathsComeBeforeSignals(t *testing.T) {
	for range 20 { // select chooses at random among those that are ready
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t, map[ID]actor{"main": {alone: time.Second, code: 3}})
			received := make(chan signals.Received, 1)
			m := New(onePlan(10 * time.Second))
			d := driver{m: m, k: s, in: channels{s.dead, received, s.events}}
			d.step(Booted{})
			d.turn() // the start
			<-time.After(time.Second)
			synctest.Wait() // the death has been told
			received <- signals.Received{Signal: signals.TERM}
			d.turn()
			if d.m.reason != ReasonExit {
				t.Fatalf("the stop began by %q: the signal was taken before the death", d.m.reason)
			}
			for !d.done {
				d.turn()
			}
			if d.code != 3 {
				t.Errorf("code %d, want 3", d.code)
			}
		})
	}
}

func TestStormOfDeathsStarvesNeitherSignalsNorDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, map[ID]actor{"main": {deaf: true}})
		received := make(chan signals.Received, 1)
		d := driver{m: New(onePlan(time.Second)), k: s, in: channels{s.dead, received, s.events}}
		d.step(Booted{})
		d.turn() // the start
		received <- signals.Received{Signal: signals.TERM}
		for turns := 0; d.m.phase < Terminate; turns++ {
			if turns > 1000 {
				t.Fatalf("still in phase %v after %d turns, each of them with a death", d.m.phase, turns)
			}
			s.deaths <- reaper.Exit{PID: 100_000 + turns} // an orphan, in each and every turn
			s.wake()
			d.turn()
			<-time.After(time.Millisecond)
		}
		for !d.done {
			d.turn()
		}
		if d.code != 137 {
			t.Errorf("code %d, want 137", d.code)
		}
	})
}

func TestStopSignalThatHasComeStartsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, received := newStage(t, map[ID]actor{"main": {}}), make(chan signals.Received, 1)
		received <- signals.Received{Signal: signals.TERM}
		if code := Drive(New(onePlan(10*time.Second)), s, channels{s.dead, received, s.events}); code != 143 || s.pids != 9 {
			t.Errorf("code %d\n%s", code, strings.Join(s.log, "\n"))
		}
	})
}

// TestStopSignalWithADeathStartsNothing has TERM come with the end of what the
// next service waits for.
func TestStopSignalWithADeathStartsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, received := newStage(t, map[ID]actor{"migrate": {alone: time.Second}, "web": {}}), make(chan signals.Received, 1)
		p := onePlan(10 * time.Second)
		p.Services = []Service{{Name: "migrate", Oneshot: true, Essential: true},
			{Name: "web", Essential: true, DependsOn: []Dependency{{On: "migrate", Until: Completed}}}}
		d := driver{m: New(p), k: s, in: channels{s.dead, received, s.events}}
		d.step(Booted{})
		d.turn() // the start
		<-time.After(time.Second)
		synctest.Wait() // the death has been told
		received <- signals.Received{Signal: signals.TERM}
		for !d.done {
			d.turn()
		}
		if d.m.report.Services[1].PID != 0 {
			t.Errorf("web was started\n%s", strings.Join(s.log, "\n"))
		}
	})
}

// TestSignalDuringACrowdOfStartsIsHeardBeforeTheNext has twenty services, and
// TERM, behind two others, come during the third start, or during the third of those that start
// again, having ended all at once.
func TestSignalDuringACrowdOfStartsIsHeardBeforeTheNext(t *testing.T) {
	for _, c := range []struct {
		name   string
		at     int // the start during which TERM comes
		change func(s *Service, a *actor)
	}{
		{"services", 3, func(*Service, *actor) {}},
		{"their hooks", 3, func(s *Service, _ *actor) { s.PreStart = []hooks.Hook{command("prepare")} }},
		{"starts after deaths", 23, func(s *Service, a *actor) { s.Restart.When, s.KillMode, a.alone = Always, Main, time.Second }},
		{"starts after what the dead have left", 23, func(s *Service, a *actor) { s.Restart.When, a.alone = Always, time.Second }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, p := newStage(t, map[ID]actor{}), onePlan(10*time.Second)
				p.Services = nil
				for i := range 20 {
					service, a := app(fmt.Sprint("service", i)), actor{}
					c.change(&service, &a)
					p.Services = append(p.Services, service)
					s.actors[ID(service.Name)], s.actors[ID(service.Name+"/pre_start/0")] = a, actor{}
				}
				received, starts := make(chan signals.Received, 3), 0
				s.spawn = func(ID) {
					if starts++; starts == c.at {
						for _, sig := range []signals.Signal{signals.HUP, signals.HUP, signals.TERM} {
							received <- signals.Received{Signal: sig}
						}
					}
				}
				defer s.curtain()
				Drive(New(p), s, channels{s.dead, received, s.events})
				if starts != c.at {
					t.Errorf("%d starts, and TERM came during number %d\n%s", starts, c.at, strings.Join(s.log, "\n"))
				}
			})
		})
	}
}

// A look costs what there are processes: one for each of them would be a square.
func TestCrowdIsStoppedWithAFewLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := newStage(t, map[ID]actor{}), onePlan(10*time.Second)
		p.Services = nil
		for i := range 100 {
			service := app(fmt.Sprint("service", i))
			p.Services = append(p.Services, service)
			s.actors[ID(service.Name)] = actor{}
		}
		s.play(p, map[time.Duration]signals.Signal{time.Second: signals.TERM})
		if s.looks > 5 {
			t.Errorf("%d looks at who is alive for the end of 100 services", s.looks)
		}
	})
}

func TestMoreDeathsThanTheLimitAreAllTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, map[ID]actor{"main": {after: time.Millisecond}})
		for i := range 5 * exitsAtOnce {
			s.deaths <- reaper.Exit{PID: 100_000 + i}
		}
		s.wake()
		m := New(onePlan(time.Second))
		received := make(chan signals.Received, 1)
		time.AfterFunc(time.Minute, func() { received <- signals.Received{Signal: signals.TERM} })
		Drive(m, s, channels{s.dead, received, s.events})
		if m.Report().Reaped != 5*exitsAtOnce {
			t.Errorf("%d orphans reaped, want %d", m.Report().Reaped, 5*exitsAtOnce)
		}
	})
}

func TestPanicInAHookStillEndsInTimeWithMainsCode(t *testing.T) {
	for _, c := range []struct {
		name string
		main actor
		code int
		took time.Duration
	}{
		{"an obedient app", actor{after: 2 * time.Second, code: 5}, 5, 3 * time.Second},
		{"a deaf app", actor{deaf: true}, 137, time.Second + 9050*time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, map[ID]actor{"main": c.main})
				s.spawn = func(id ID) {
					if id == "pre_stop/0" {
						panic("no stage for this one")
					}
				}
				p := onePlan(10 * time.Second)
				p.PreStop = []hooks.Hook{command("drain")}
				code, took := s.play(p, map[time.Duration]signals.Signal{time.Second: signals.TERM, 2 * time.Second: signals.TERM})
				if code != c.code || took != c.took {
					t.Errorf("code %d after %v, want %d after %v\n%s", code, took, c.code, c.took, strings.Join(s.log, "\n"))
				}
				if n := strings.Count(strings.Join(s.log, "\n"), "TERM to process"); n != 1 {
					t.Errorf("told %d times\n%s", n, strings.Join(s.log, "\n"))
				}
			})
		})
	}
}

// brokenAt gives the machine a service that its plan has not, and that is due,
// when the loop notes a message.
type brokenAt struct {
	*stage
	m       *Machine
	message string
}

func (b *brokenAt) Note(e Entry) {
	b.stage.Note(e)
	if strings.HasPrefix(e.Message, b.message) {
		b.m.services, b.message = append(b.m.services, service{state: Ready, stopping: stopping{killAt: e.At}}), "never again"
	}
}

// TestPanicInTheMachineStillEndsInTimeWithMainsCode breaks the machine at
// different moments: its next step panics.
func TestPanicInTheMachineStillEndsInTimeWithMainsCode(t *testing.T) {
	for _, c := range []struct {
		name, message string
		main          actor
		budget        Budget
		code          int
		most          time.Duration
	}{
		{"before the stop", "started", actor{after: time.Second, code: 4}, armed(10 * time.Second), 4, 6 * time.Second},
		{"before its own end", "started", actor{alone: 2 * time.Second, code: 9}, armed(10 * time.Second), 9, 2 * time.Second},
		{"late in the stop", "waiting for", actor{deaf: true}, armed(30 * time.Second), 137, 5*time.Second + 28500*time.Millisecond},
		{"with no grace period set", "told", actor{after: time.Hour, code: 2}, Budget{Grace: 10 * time.Second}, 2, time.Hour + 5*time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, map[ID]actor{"main": c.main})
				p := onePlan(0)
				p.Budget = c.budget
				received := make(chan signals.Received, 64)
				time.AfterFunc(time.Second, func() { received <- signals.Received{Signal: signals.USR1} })
				if c.main.alone == 0 {
					time.AfterFunc(5*time.Second, func() { received <- signals.Received{Signal: signals.TERM} })
				}
				m := New(p)
				b := &brokenAt{s, m, c.message}
				defer s.curtain()
				code := Drive(m, b, channels{s.dead, received, s.events})
				took := time.Since(s.began)
				if code != c.code || took > c.most {
					t.Errorf("code %d after %v, want %d after at most %v\n%s", code, took, c.code, c.most, strings.Join(s.log, "\n"))
				}
				if !slices.ContainsFunc(s.log, func(l string) bool { return strings.Contains(l, "panic in the supervisor") }) {
					t.Errorf("nothing broke\n%s", strings.Join(s.log, "\n"))
				}
			})
		})
	}
}

// TestPanicInALaterLifeEndsWithTheCodeOfThatLife: the first one has ended with
// another.
func TestPanicInALaterLifeEndsWithTheCodeOfThatLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, map[ID]actor{"main": {alone: time.Second, code: 3}})
		p := onePlan(10 * time.Second)
		p.Services[0].Restart = Restart{When: OnFailure, Delay: time.Second, MaxDelay: time.Second}
		m := New(p)
		b := &brokenAt{s, m, "no life before this one"}
		lives := 0
		s.spawn = func(ID) {
			if lives++; lives == 2 {
				s.actors["main"], b.message = actor{alone: 2 * time.Second, code: 4}, "started"
			}
		}
		defer s.curtain()
		code := Drive(m, b, channels{s.dead, nil, s.events})
		if log := strings.Join(s.log, "\n"); code != 4 || !strings.Contains(log, "panic in the supervisor") {
			t.Errorf("code %d, want 4\n%s", code, log)
		}
	})
}

func TestPanicBeforeTheStartIsAFailureOfOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, nil)
		s.spawn = func(ID) { panic("no stage") }
		if code, _ := s.play(onePlan(time.Second), nil); code != exitFailure {
			t.Errorf("code %d, want %d", code, exitFailure)
		}
	})
}

func TestFailedSignalIsALogLineAndNoEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &deafKernel{newStage(t, map[ID]actor{"main": {alone: 3 * time.Second}})}
		received := make(chan signals.Received, 1)
		received <- signals.Received{Signal: signals.HUP}
		code := Drive(New(onePlan(time.Second)), s, channels{s.dead, received, s.events})
		if code != 0 || !strings.Contains(strings.Join(s.log, "\n"), "cannot signal process 10") {
			t.Errorf("code %d\n%s", code, strings.Join(s.log, "\n"))
		}
	})
}

func TestForwardedSignalIsNotSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, map[ID]actor{"main": {alone: 3 * time.Second}})
		received := make(chan signals.Received, 1)
		received <- signals.Received{Signal: signals.HUP, Forwarded: true}
		code := Drive(New(onePlan(time.Second)), s, channels{s.dead, received, s.events})
		if log := strings.Join(s.log, "\n"); code != 0 || !strings.Contains(log, "forwarded") || strings.Contains(log, "HUP to") {
			t.Errorf("code %d\n%s", code, log)
		}
	})
}

// deafKernel is one in which no signal may be sent.
type deafKernel struct{ *stage }

func (k *deafKernel) Signal(reaper.Target, signals.Signal, bool) error {
	return errors.New("operation not permitted")
}

func TestWatchdogBitesWhenTheLoopIsBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w watchdog
		bitten := make(chan time.Time, 1)
		bite := func() { bitten <- time.Now() }
		began := time.Now()
		w.arm(began.Add(time.Hour), bite)
		w.arm(began.Add(30*time.Second), bite) // sooner
		<-time.After(10 * time.Second)
		w.arm(began.Add(20*time.Second), bite)
		w.arm(began.Add(time.Minute), bite) // later: the one before is forgotten
		if at := <-bitten; at.Sub(began) != time.Minute {
			t.Errorf("it bit after %v, want 1m0s", at.Sub(began))
		}
	})
}
