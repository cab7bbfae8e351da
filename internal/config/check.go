package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"exeunt/hooks"
	"exeunt/signals"
	"exeunt/supervisor"
)

// outlook tells what a run would do: how it starts, and how long it may take to
// stop.
func outlook(p *supervisor.Plan, warnings []string) string {
	o := &page{forecast: foresee(p, sum(p, p.PreStop, preStops, false))}
	for _, warning := range warnings {
		o.line("warning        %s", warning)
	}
	o.budget()
	o.start()
	o.stop()
	o.ending()
	return o.text.String()
}

// A page is an outlook that is being written.
type page struct {
	*forecast
	text strings.Builder
}

func (o *page) line(format string, args ...any) { fmt.Fprintf(&o.text, format+"\n", args...) }

func (o *page) budget() {
	p := o.plan
	if p.Budget.Armed {
		o.line("grace period   %v (%s), of which %v are kept to be gone in time", p.Budget.Grace, p.Budget.Source, p.Budget.Grace-o.done)
	} else {
		o.line("grace period   not set: %v assumed for hooks (%s), and no service is killed for it", p.Budget.Grace, p.Budget.Source)
	}
	o.line("stop signals   %s", strings.ReplaceAll(p.StopOn.String(), ",", ", "))
	o.line("")
}

func (o *page) start() {
	o.line("start")
	o.hooks("  pre-start", o.plan.PreStart, 0)
	n, later := 0, []string{}
	for _, tier := range o.below.tiers() {
		var atOnce []string
		for _, i := range tier {
			switch s := &o.plan.Services[i]; {
			case o.like(i):
			case s.Timetable != nil:
				later = append(later, fmt.Sprintf("%s (next at %s)", s.Name, s.Timetable.Next(time.Now()).Format("2006-01-02 15:04:05 MST")))
			default:
				atOnce = append(atOnce, o.called(i)+waits(s))
			}
		}
		if len(atOnce) > 0 {
			n++
			o.line("  %d  %s", n, strings.Join(atOnce, ", "))
		}
	}
	o.hooks("  post-start", o.plan.PostStart, 0)
	for _, service := range later {
		o.line("  by schedule  %s", service)
	}
	o.line("")
}

// like reports whether a service is told of with the one before it.
func (o *page) like(i int) bool {
	s := &o.plan.Services[i]
	return s.Of != "" && i > 0 && (s.Spare || o.plan.Services[i-1].Of == s.Of)
}

// called is a service's name, its replicas included.
func (o *page) called(i int) string {
	s := &o.plan.Services[i]
	if s.Of == "" {
		return s.Name
	}
	replicas := 0
	for j := range o.plan.Services {
		if o.plan.Services[j].Of == s.Of {
			replicas++
		}
	}
	return fmt.Sprintf("%s × %d", s.Of, replicas)
}

// waits is what a service waits for before it starts.
func waits(s *supervisor.Service) string {
	var on []string
	for _, d := range s.DependsOn {
		on = append(on, d.On+[...]string{" started", " healthy", " completed"}[d.Until])
	}
	if len(on) == 0 {
		return ""
	}
	return " (" + strings.Join(on, ", ") + ")"
}

func (o *page) stop() {
	o.line("stop           at most until")
	o.line("  pre-stop     %v", o.preStop)
	o.hooks("    hook", o.plan.PreStop, o.preStop)
	o.own(preStops, o.preStop)
	if o.plan.Budget.Armed {
		o.line("  stop         %v", o.services)
	} else {
		o.line("  stop         the platform kills")
	}
	for n, tier := range o.above.tiers() {
		for _, i := range tier {
			if !o.like(i) {
				o.line("    %d  %-16s %s", n+1, o.called(i), o.leaves(i))
			}
		}
	}
	if o.plan.Budget.Armed {
		o.line("  terminate    %-9v everyone else, then killed", o.everyone)
		o.line("  kill, flush  %v", o.kill)
		o.line("  post-stop    %v", o.done)
	} else {
		o.line("  the rest     %-9v after the last service", o.reserve)
	}
	o.own(postStops, o.reserve)
	o.hooks("    hook", o.plan.PostStop, o.reserve)
	o.line("")
}

// own lists the hooks of services.
func (o *page) own(list func(*supervisor.Service) []hooks.Hook, limit time.Duration) {
	for i := range o.plan.Services {
		if s := &o.plan.Services[i]; !o.like(i) {
			o.hooks("    "+o.called(i), list(s), limit)
		}
	}
}

// leaves is what a service is sent, and when it is killed.
func (o *page) leaves(i int) string {
	s := &o.plan.Services[i]
	var rungs []string
	for _, rung := range s.StopSignal {
		if rung.For > 0 {
			rungs = append(rungs, fmt.Sprintf("%v %v", rung.Signal, rung.For))
		} else {
			rungs = append(rungs, rung.Signal.String())
		}
	}
	if len(rungs) == 0 {
		rungs = []string{signals.TERM.String()}
	}
	if o.killed[i] == 0 {
		return fmt.Sprintf("%s; not killed", strings.Join(rungs, ", "))
	}
	return fmt.Sprintf("%s; killed at %v", strings.Join(rungs, ", "), o.killed[i].Round(time.Millisecond))
}

// hooks lists hooks with what each may take; 0 is no limit but its own.
func (o *page) hooks(what string, list []hooks.Hook, limit time.Duration) {
	for i := range list {
		h := &list[i]
		takes := most(o.plan, h, false)
		cut := ""
		if limit > 0 && takes > limit {
			cut = fmt.Sprintf(", cut at %v", limit)
		}
		o.line("%s  %s, at most %v%s", what, h.Name, takes, cut)
	}
}

// ending compares the worst case with the budget.
func (o *page) ending() {
	if !o.plan.Budget.Armed && !slices.ContainsFunc(o.killed, func(at time.Duration) bool { return at > 0 }) {
		o.line("worst case     until the platform kills: set a grace period to have everyone told and killed before")
		return
	}
	o.line("worst case     %v of %v", o.done, o.plan.Budget.Grace)
}
