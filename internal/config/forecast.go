package config

import (
	"cmp"
	"fmt"
	"time"

	"exeunt/hooks"
	"exeunt/supervisor"
)

// A forecast is a stop in which everything takes as long as it may, laid out
// from its first moment. What is 0 never comes.
type forecast struct {
	plan *supervisor.Plan
	// The ends of slices of the budget, and what is kept for the last ones.
	preStop, services, everyone, kill, done, reserve time.Duration

	below, above chains // by what services depend on, and what depends on them
	told, killed []time.Duration
}

// foresee lays out a stop whose pre-stop hooks take so long. It follows what
// the machine does in phase 2: dependents go first, and the time that is left
// is shared with those below them.
func foresee(p *supervisor.Plan, hooks time.Duration) *forecast {
	begin := time.Unix(0, 0)
	s := p.Budget.Schedule(begin)
	f := &forecast{
		plan: p, reserve: s.Reserve, preStop: max(s.PreStop.Sub(begin), 0), services: s.Services.Sub(begin),
		everyone: s.Everyone.Sub(begin), kill: s.Kill.Sub(begin), done: s.Done.Sub(begin),
		told: make([]time.Duration, len(p.Services)), killed: make([]time.Duration, len(p.Services)),
	}
	f.below, f.above = link(p.Services)
	ready := min(hooks, f.preStop)
	for _, tier := range f.above.tiers() {
		for _, i := range tier {
			f.told[i] = ready
			for _, j := range f.above.next[i] {
				f.told[i] = max(f.told[i], f.killed[j])
			}
			f.killed[i] = f.latest(i)
			if grace := p.Services[i].StopGrace; grace > 0 && (f.killed[i] == 0 || grace < f.killed[i]-f.told[i]) {
				f.killed[i] = f.told[i] + grace
			}
		}
	}
	return f
}

// latest is when the schedule kills a service.
func (f *forecast) latest(i int) time.Duration {
	if !f.plan.Budget.Armed {
		return 0
	}
	return f.told[i] + max(f.services-f.told[i], 0)/time.Duration(f.below.long[i])
}

// chains are the neighbours of each service in one direction, and the length
// of the longest chain that begins with it.
type chains struct {
	next [][]int
	long []int
}

// link finds the chains of services, in which there is no circle.
func link(services []supervisor.Service) (below, above chains) {
	below, above = newChains(len(services)), newChains(len(services))
	for i := range services {
		for _, d := range services[i].DependsOn {
			for j := range services {
				if i != j && (services[j].Name == d.On || services[j].Of == d.On) {
					below.next[i], above.next[j] = append(below.next[i], j), append(above.next[j], i)
				}
			}
		}
	}
	for i := range services {
		below.measure(i)
		above.measure(i)
	}
	return below, above
}

func newChains(n int) chains { return chains{make([][]int, n), make([]int, n)} }

func (c *chains) measure(i int) int {
	if c.long[i] == 0 {
		longest := 0
		for _, j := range c.next[i] {
			longest = max(longest, c.measure(j))
		}
		c.long[i] = 1 + longest
	}
	return c.long[i]
}

// tiers are the services by the length of their chains.
func (c *chains) tiers() (tiers [][]int) {
	for i, long := range c.long {
		for len(tiers) < long {
			tiers = append(tiers, nil)
		}
		tiers[long-1] = append(tiers[long-1], i)
	}
	return tiers
}

// most is how long a hook may take; asked counts only what somebody wrote, not
// the default, which is cut to what there is.
func most(p *supervisor.Plan, h *hooks.Hook, asked bool) time.Duration {
	switch {
	case h.Signal != 0:
		return 0
	case h.Sleep > 0 && h.Timeout > 0:
		return min(h.Sleep, h.Timeout)
	case h.Sleep > 0 || h.Timeout > 0:
		return h.Sleep + h.Timeout
	case p.HookTimeout > 0 || asked:
		return p.HookTimeout
	}
	return probeTime
}

// sum is how long the container's list takes and then the longest of the
// services' own, which run side by side.
func sum(p *supervisor.Plan, container []hooks.Hook, own func(*supervisor.Service) []hooks.Hook, asked bool) time.Duration {
	total := func(list []hooks.Hook) (t time.Duration) {
		for i := range list {
			t += most(p, &list[i], asked)
		}
		return t
	}
	longest := time.Duration(0)
	for i := range p.Services {
		longest = max(longest, total(own(&p.Services[i])))
	}
	return total(container) + longest
}

func preStops(s *supervisor.Service) []hooks.Hook  { return s.PreStop }
func postStops(s *supervisor.Service) []hooks.Hook { return s.PostStop }

// unfit says what of the plan the grace period can't hold. It is no error of a
// run, which shortens it, so that a container does not fail to start over its
// end. At the worst means that all hooks take as long as was asked for them.
func (f *flags) unfit(p *supervisor.Plan, worst bool) (lines []string) {
	if !p.Budget.Armed && !worst {
		return nil
	}
	hooked := time.Duration(0)
	if worst {
		hooked = sum(p, p.PreStop, preStops, true)
	}
	cast := foresee(p, hooked)
	check := func(what string, takes, has time.Duration) {
		if takes > has {
			lines = append(lines, fmt.Sprintf("%s: %v of %v fit into a grace period of %v: shortened", what, max(has, 0), takes, p.Budget.Grace))
		}
	}
	if f.HookTimeout != nil && len(p.PreStop) > 0 {
		check(f.sources["hook-timeout"], f.HookTimeout.Duration, cast.preStop)
	}
	if worst {
		check("pre-stop hooks", hooked, cast.preStop)
		check("post-stop hooks", sum(p, p.PostStop, postStops, true), cast.reserve)
	} else {
		var sleeps time.Duration
		for _, hook := range p.PreStop {
			sleeps += hook.Sleep
		}
		check("sleep in "+f.sources["pre-stop"], sleeps, cast.preStop)
	}
	for i := range p.Services {
		s := &p.Services[i]
		if s.Of != "" && i > 0 && p.Services[i-1].Of == s.Of || s.Spare {
			continue // as its like
		}
		name := cmp.Or(s.Of, s.Name)
		ladder := "stop_signal of " + name
		if source := f.sources["stop-signal"]; source != "" && s.Command.Descriptors {
			ladder = source
		}
		if latest := cast.latest(i); latest > 0 {
			check("stop_grace_period of "+name, s.StopGrace, latest-cast.told[i])
		}
		if cast.killed[i] > 0 {
			check(ladder, climb(s.StopSignal), cast.killed[i]-cast.told[i])
		}
	}
	return lines
}

// climb is how long a ladder takes to its last rung.
func climb(ladder []supervisor.Rung) (takes time.Duration) {
	for _, rung := range ladder {
		takes += rung.For
	}
	return takes
}
