package supervisor

import (
	"slices"
	"strings"
	"testing"
	"time"

	"exeunt/hooks"
	"exeunt/reaper"
	"exeunt/signals"
)

// lived is a world whose services have been started.
func lived(t *testing.T, p *Plan) *world {
	t.Helper()
	p.PID1, p.OnStopExit, p.Straggler, p.Budget = true, -1, -1, armed(10*time.Second)
	w := newWorld(p)
	w.fallen = true
	w.step(Booted{})
	w.settle()
	t.Cleanup(func() {
		for _, b := range w.broken {
			t.Error(b)
		}
	})
	return w
}

// settle answers what is asked, and ticks as long as that is due.
func (w *world) settle() {
	for {
		at, due := w.m.Deadline()
		switch {
		case w.answer():
		case due && !at.After(w.now):
			w.tick(w.now)
		default:
			return
		}
	}
}

// end has a process end after some time, and lets what follows at once happen.
func (w *world) end(pid int, code int, after time.Duration) {
	w.now = w.now.Add(after)
	w.die(pid, reaper.Status(code<<8))
	w.reap(pid)
	w.settle()
}

// TestTimetableIsComparedWithTheClockEveryMinute: who sets the clock forward, or
// lets the machine sleep, wakes nobody.
func TestTimetableIsComparedWithTheClockEveryMinute(t *testing.T) {
	w := lived(t, &Plan{Services: []Service{{Name: "report", Timetable: hourly(3 * time.Hour)}}})
	at, ok := w.m.Deadline()
	if !ok || at.Sub(w.now) > time.Minute {
		t.Fatalf("the next look is in %v", at.Sub(w.now))
	}
	if w.tick(at); w.ask != nil {
		t.Fatalf("%v is asked for before its time", w.ask)
	}
	if w.tick(w.now.Add(3 * time.Hour)); w.ask != (Spawn{"report"}) {
		t.Errorf("%v is asked for, want the run that is due", w.ask)
	}
}

func TestOrdersThatWaitAreBounded(t *testing.T) {
	w := lived(t, &Plan{Services: []Service{{Name: "web", Health: &Health{Notify: true}}}})
	refused := 0
	for token := range 2 * maxWaits {
		w.order(Asked{Token: token, Order: AskStart, Service: "web"})
		if slices.Contains(w.actions, Action(Answer{token, "too many orders wait"})) {
			refused++
		}
	}
	if refused != maxWaits {
		t.Errorf("%d were refused, want %d", refused, maxWaits)
	}
	if w.step(Notified{ID: "web", Notice: Notice{Ready: true}}); len(w.answered) != 2*maxWaits {
		t.Errorf("%d were answered in the end", len(w.answered))
	}
}

func TestStatusShowsTheLastEndOfOneThatRunsAgain(t *testing.T) {
	w := lived(t, &Plan{Services: []Service{{Name: "web", Restart: Restart{When: OnFailure, Delay: time.Second, MaxDelay: time.Second}}}})
	if s := w.m.Snapshot().Services[0]; !s.Ended.IsZero() {
		t.Errorf("it has ended: %+v", s)
	}
	w.end(10, 7, time.Second)
	ended := w.now
	for w.m.services[0].state != Ready {
		at, _ := w.m.Deadline()
		w.tick(at)
		w.settle()
	}
	if s := w.m.Snapshot().Services[0]; s.Code != 7 || !s.Ended.Equal(ended) || s.PID != 11 || !s.Started.After(ended) || s.Restarts != 1 {
		t.Errorf("status of one that runs again: %+v", s)
	}
}

func TestPostStopHookBetweenTwoLivesIsToldTheCode(t *testing.T) {
	w := lived(t, &Plan{Services: []Service{{Name: "web", PostStop: []hooks.Hook{command("tidy")},
		Restart: Restart{When: OnFailure, Delay: time.Second, MaxDelay: time.Second}}}})
	w.end(10, 7, time.Second)
	w.tick(w.now)
	env := w.m.Environment("web/post_stop/0", w.now)
	if !slices.Contains(env, "EXEUNT_EXIT_CODE=7") || strings.Contains(strings.Join(env, " "), "EXEUNT_REASON") {
		t.Errorf("it is told %q", env)
	}
}

// TestGroupIsToldWhereOthersAreLeftAlone: as under other inits, what main leaves
// of its own group is told, and nobody else.
func TestGroupIsToldWhereOthersAreLeftAlone(t *testing.T) {
	w := lived(t, &Plan{LeaveStrays: true, StopOn: signals.SetOf(signals.TERM), Services: []Service{app("main")}})
	for pid, group := range map[int]int{50: 10, 51: 51} {
		w.procs = append(w.procs, process{pid: pid, parent: 10, group: group, name: "kid", service: -1, alive: true, ours: true, caught: signals.SetOf(signals.TERM)})
	}
	w.receive(signals.TERM, 42, 0)
	w.settle()
	w.now = w.now.Add(time.Second)
	w.die(10, 0)
	w.reap(10)
	var told []Action
	for {
		for _, a := range w.actions {
			if _, ok := a.(Send); ok {
				told = append(told, a)
			}
		}
		if !w.answer() {
			break
		}
	}
	if len(told) != 1 || told[0].(Send).To != reaper.Process(50, 50) {
		t.Errorf("%v", told)
	}
}
