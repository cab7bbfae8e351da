package config

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"exeunt/reaper"
	"exeunt/supervisor"
)

// main is the service of the command line, by its name.
const main = "main"

// mostServices bounds what a run has to look after, replicas included.
const mostServices = 1000

// runsAtOnce are the runs of one scheduled service that may overlap.
const runsAtOnce = 8

// Delays of a service of the file that says nothing else.
const (
	restartDelay    = 500 * time.Millisecond
	restartMaxDelay = 30 * time.Second
)

// A cast is all services that there will be, and what they are built from.
type cast struct {
	*reader
	services []*service
	lead     *service // COMMAND, the service main, or the only one; nil is none
	env      []string // ours, less our variables
	dir      string   // that paths in the file are relative to
	terminal bool     // the lead's is one
}

// assemble puts COMMAND and the file's services together. What flags say of
// the program, they say of the lead.
func (f *flags) assemble(r *reader, doc *file, program, env []string) (*cast, error) {
	c := &cast{reader: r, env: env}
	if doc != nil {
		c.services, c.dir = doc.services, doc.dir
	}
	i := slices.IndexFunc(c.services, func(s *service) bool { return s.name == main })
	switch {
	case i >= 0:
		c.lead = c.services[i]
	case len(program) > 0:
		c.lead = &service{name: main}
		c.services = append([]*service{c.lead}, c.services...)
	default:
		c.lead = c.only()
	}
	if len(program) > 0 {
		if i > 0 { // COMMAND comes first, as other inits know no other
			c.services = slices.Insert(slices.Delete(c.services, i, i+1), 0, c.lead)
		}
		c.lead.command, c.lead.enabled = program, true
		if c.lead.replicas != nil {
			c.wrong(c.lead.node.at("replicas"), "COMMAND is given, which is one process")
		}
	}
	return c, f.override(c.lead)
}

// only is the service that runs, if no other does.
func (c *cast) only() (one *service) {
	for _, s := range c.services {
		switch {
		case !s.runs():
		case one != nil:
			return nil
		default:
			one = s
		}
	}
	return one
}

// override gives the lead what flags say of the program.
func (f *flags) override(lead *service) error {
	if lead == nil {
		for _, name := range []string{"user", "working-dir", "no-new-privs", "stop-signal", "kill-mode"} {
			if source := f.sources[name]; source != "" {
				return fmt.Errorf("%s is about COMMAND, and none is given: write it into the services", source)
			}
		}
		return nil
	}
	lead.user = first(f.User, lead.user)
	lead.dir = first(f.WorkingDir, lead.dir)
	lead.stopSignal = first(f.StopSignal, lead.stopSignal)
	lead.killMode = first(f.KillMode, lead.killMode)
	if f.sources["no-new-privs"] != "" {
		lead.noNewPrivs = f.NoNewPrivs
	}
	return nil
}

// first is a, or b where there is no a.
func first[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}

// build makes the services of the plan. Problems are told to the reader.
func (c *cast) build() (built []supervisor.Service) {
	c.check()
	taken := map[string]*service{}
	for _, s := range c.services {
		if !s.runs() {
			continue
		}
		for _, one := range c.instances(s) {
			if other := taken[one.Name]; other != nil {
				c.wrong(s.node, "one of its instances is called %s, as is one of %s", one.Name, other.name)
			}
			taken[one.Name] = s
			built = append(built, one)
		}
	}
	if len(built) > mostServices {
		c.wrong(&node{line: 1, column: 1}, "%d services with their replicas: more than %d", len(built), mostServices)
		return nil
	}
	for i := range built {
		c.connect(&built[i], len(built) > 1)
	}
	return built
}

// runs reports whether the service is in the plan.
func (s *service) runs() bool { return s.enabled && or(s.replicas, 1) > 0 }

// instances are the replicas of a service and the spares of a scheduled one,
// or itself.
func (c *cast) instances(s *service) []supervisor.Service {
	one := c.one(s)
	switch n := or(s.replicas, 1); {
	case s.overlap == supervisor.Allow && s.schedule != "":
		all := []supervisor.Service{one}
		for i := 2; i <= runsAtOnce; i++ {
			spare := one
			spare.Name, spare.Of, spare.Spare, spare.Timetable = numbered(s.name, i), s.name, true, nil
			all = append(all, spare)
		}
		return all
	case n > 1:
		var all []supervisor.Service
		for i := 1; i <= n; i++ {
			replica := one
			replica.Name, replica.Of = numbered(s.name, i), s.name
			replica.Command.Env = with(replica.Command.Env, "EXEUNT_INSTANCE", strconv.Itoa(i))
			all = append(all, replica)
		}
		return all
	case s.replicas != nil:
		one.Command.Env = with(one.Command.Env, "EXEUNT_INSTANCE", "1")
	}
	return []supervisor.Service{one}
}

func numbered(name string, i int) string { return name + "-" + strconv.Itoa(i) }

// one is the service as it is in the plan, before it is told from its like.
func (c *cast) one(s *service) supervisor.Service {
	env, own := c.environ(s)
	one := supervisor.Service{
		Name: s.name,
		Command: reaper.Command{
			Args: s.command, Env: env, Dir: string(or(s.dir, "")), User: or(s.user, user{}).User,
			Umask: s.umask, Limits: s.limits, OOMScoreAdj: s.oomScore, NoNewPrivs: s.noNewPrivs,
		},
		Oneshot:    s.oneshot,
		StopSignal: or(s.stopSignal, ladder{}).rungs,
		KillMode:   or(s.killMode, killMode{}).KillMode,
		Signals:    s.signals, ReloadSignal: s.reloadSignal,
		Health: c.probing(s, own), StartTimeout: s.startTimeout,
		Overlap:   s.overlap,
		Essential: or(s.essential, s.schedule == ""), SuccessExitCodes: s.successCodes,
		PreStart: s.preStart, PostStart: s.postStart, PreStop: s.preStop, PostStop: s.postStop,
		Stdout: or(s.stdout, supervisor.Stream{}), Stderr: or(s.stderr, supervisor.Stream{}),
	}
	if s.stopGrace != nil {
		one.StopGrace = max(*s.stopGrace, 1) // 0 would be the schedule's
	}
	if s.node != nil {
		one.Restart = s.restart
		one.Restart.Delay, one.Restart.MaxDelay = or(s.delay, restartDelay), or(s.maxDelay, max(restartMaxDelay, or(s.delay, 0)))
	}
	for _, d := range s.dependsOn {
		if on := c.find(d.On); on != nil && on.runs() {
			one.DependsOn = append(one.DependsOn, d.Dependency)
		}
	}
	if s.schedule != "" {
		one.Timetable = c.timetable(s, env)
	}
	return one
}

// probing is the healthcheck as the plan has it: a test runs as the service
// does.
func (c *cast) probing(s *service, own []string) *supervisor.Health {
	if s.health == nil {
		return nil
	}
	h := s.health.Health
	if h.Probe != nil && h.Probe.Command != nil {
		probe := *h.Probe
		probe.User, probe.WorkingDir, probe.Env = or(s.user, user{}).text, string(or(s.dir, "")), own
		h.Probe = &probe
	}
	return &h
}

// connect gives a service its terminal, descriptors and streams. Of several
// only the lead has those that we were given.
func (c *cast) connect(one *supervisor.Service, several bool) {
	leads := c.lead != nil && one.Name == c.lead.name
	one.Command.Descriptors = leads
	if !several || leads && c.terminal {
		return
	}
	s := c.find(one.Name)
	if s == nil {
		s = c.find(one.Of)
	}
	if s.stdout == nil {
		one.Stdout.Mode = supervisor.Prefix
	}
	if s.stderr == nil {
		one.Stderr.Mode = supervisor.Prefix
	}
}

// find is the service with that name in the file, or nil.
func (c *cast) find(name string) *service {
	i := slices.IndexFunc(c.services, func(s *service) bool { return s.name == name })
	if i < 0 {
		return nil
	}
	return c.services[i]
}
