package supervisor

import (
	"fmt"
	"testing"
	"time"

	"exeunt/hooks"
	"exeunt/signals"
)

// choices turns the bytes of a fuzz input into decisions; it has zeros at its end.
type choices []byte

func (c *choices) of(n int) int {
	if len(*c) == 0 || n <= 1 {
		return 0
	}
	b := (*c)[0]
	*c = (*c)[1:]
	return int(b) % n
}

func (c *choices) chance(n int) bool { return c.of(n) == 1 }

// plan makes a plan, larger than those of TestEveryInterleaving.
func (c *choices) plan() *Plan {
	times := []time.Duration{0, time.Millisecond, 300 * time.Millisecond, time.Second, 5 * time.Second, 10 * time.Second}
	p := &Plan{PID1: !c.chance(3), StopOn: signals.SetOf(signals.TERM, signals.INT), OnStopExit: -1, Straggler: -1, HookTimeout: times[c.of(4)]}
	p.Budget = Budget{Grace: times[c.of(len(times))], Armed: !c.chance(3)}
	if c.chance(3) {
		p.Straggler = times[c.of(5)]
	}
	for i := range 1 + c.of(5) {
		s := Service{Name: fmt.Sprintf("s%d", i), Essential: !c.chance(3), KillMode: KillMode(c.of(3))}
		if c.chance(3) {
			s.StopGrace = times[c.of(5)]
		}
		for range c.of(3) {
			s.StopSignal = append(s.StopSignal, Rung{[]signals.Signal{signals.QUIT, signals.TERM, signals.INT}[c.of(3)], times[c.of(5)]})
		}
		for j := range i {
			if c.chance(3) {
				s.DependsOn = append(s.DependsOn, Dependency{On: fmt.Sprintf("s%d", j)})
			}
		}
		s.PreStart, s.PostStart, s.PreStop, s.PostStop = c.hooks(), c.hooks(), c.hooks(), c.hooks()
		p.Services = append(p.Services, s)
	}
	p.PreStart, p.PostStart, p.PreStop, p.PostStop = c.hooks(), c.hooks(), c.hooks(), c.hooks()
	return p
}

func (c *choices) hooks() (list []hooks.Hook) {
	if !c.chance(4) {
		return nil
	}
	for range 1 + c.of(2) {
		h := command("hook")
		switch c.of(4) {
		case 1:
			h = hooks.Hook{Name: "sleep", Sleep: time.Duration(1+c.of(200)) * 50 * time.Millisecond}
		case 2:
			h = hooks.Hook{Name: "usr2", Signal: signals.USR2}
		case 3:
			h.Interval = time.Duration(1+c.of(20)) * 100 * time.Millisecond
		}
		h.Timeout = time.Duration(c.of(3)) * time.Second
		h.OnFailure = hooks.OnFailure(c.of(3))
		list = append(list, h)
	}
	return list
}

// FuzzMachine lives through one run of a larger plan: the bytes choose the plan
// and then, again and again, which of all that can happen does.
func FuzzMachine(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 2, 5, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3})
	f.Add([]byte("3141592653589793238462643383279502884197169399375105820974944592307816406286208998628034825342117067"))
	f.Add([]byte("every service has a hook, every hook has a timeout, and none of them obeys anybody until it is much too late"))
	f.Fuzz(func(t *testing.T, input []byte) {
		c := choices(input)
		w := newWorld(c.plan())
		w.fallen, w.blind = true, c.chance(6)
		n := &node{w: w, how: "booted", left: surprise{terms: 3, ints: c.of(4), others: 2, forks: c.of(6), refusals: c.of(2),
			where: origin(c.of(4)), outOfReach: c.chance(8), stopped: c.chance(8), terminal: c.chance(8)}}
		if w.m.plan.PID1 {
			n.left.where |= origin(c.of(2)) * ofOutside
		}
		w.step(Booted{})
		for range 5000 {
			if len(n.w.broken) > 0 {
				t.Fatalf("%v\nby way of\n  %s\nwith%v", n.w.broken, n.path(), n.w)
			}
			if n.w.m.phase == Done {
				if n.w.finished != 1 {
					t.Fatalf("finished %d times", n.w.finished)
				}
				return
			}
			n = c.pick(n.successors(), n)
			if n == nil {
				return // an app that runs, an unarmed stop that waits for it
			}
		}
		t.Fatalf("no end after 5000 steps, in phase %v", n.w.m.phase)
	})
}

// pick chooses what happens next. With the bytes used up, time goes on, and
// who was killed dies, until nothing is due any more.
func (c *choices) pick(next []*node, from *node) *node {
	if len(next) == 0 {
		return nil
	}
	if len(*c) > 0 {
		return next[c.of(len(next))]
	}
	last := next[len(next)-1]
	if from.w.ask != nil || from.w.fallen != last.w.fallen {
		return next[0]
	}
	if _, dead := from.w.zombie(); dead {
		return next[0]
	}
	if last.how[:6] != "ticked" || !from.w.m.plan.Budget.Armed && from.w.m.phase == Stop {
		return nil
	}
	return last
}
