package config

import (
	"slices"
	"strings"

	"exeunt/supervisor"
)

// check tells what does not go together in a service, or between them.
func (c *cast) check() {
	for _, s := range c.services {
		if s.node != nil {
			c.checkOne(s)
			c.checkDependencies(s)
		}
	}
	c.checkCircles()
}

// has reports whether a key is written in the file.
func (s *service) has(name string) bool { return s.node.at(name) != s.node }

// meant reports whether a key is there, or one that is probably it.
func (s *service) meant(name string) bool {
	return slices.ContainsFunc(s.node.entries, func(e *entry) bool {
		instead, _ := elsewhere(e.name)
		return instead == name || nearest(e.name, []string{name}) != ""
	})
}

func (c *cast) checkOne(s *service) {
	wrong := func(when bool, at, format string, args ...any) {
		if when {
			c.wrong(s.node.at(at), format, args...)
		}
	}
	scheduled := s.has("schedule")
	wrong(s.command == nil && !s.meant("command") && s.node.kind == mapping, "", "has no command")
	wrong(s.oneshot && s.restart.When == supervisor.Always, "restart", "a oneshot that is always restarted never completes: write on-failure")
	wrong(s.oneshot && s.health != nil, "healthcheck", "a oneshot is ready when it has completed")
	wrong(scheduled && s.restart.When == supervisor.Always, "restart", "a scheduled service runs when it is due: write on-failure")
	wrong(scheduled && or(s.replicas, 1) > 1, "replicas", "a scheduled service has no replicas")
	wrong(!scheduled && s.has("concurrency"), "concurrency", "only a service with a schedule has runs that could overlap")
	wrong(s.startTimeout > 0 && !s.has("healthcheck"), "start_timeout", "without a healthcheck it is ready at once")
	wrong(s.delay != nil && s.maxDelay != nil && *s.delay > *s.maxDelay, "restart_max_delay", "is less than restart_delay")
}

func (c *cast) checkDependencies(s *service) {
	var known []string
	for _, other := range c.services {
		known = append(known, other.name)
	}
	seen := map[string]bool{}
	for _, d := range s.dependsOn {
		on := c.find(d.On)
		switch {
		case on == nil && nearest(d.On, known) != "":
			c.wrong(d.node, "no service %q, did you mean %s?", d.On, nearest(d.On, known))
		case on == nil:
			c.wrong(d.node, "no service %q", d.On)
		case seen[d.On]:
			c.wrong(d.node, "%s is there twice", d.On)
		case !on.runs():
		case on.schedule != "":
			c.wrong(d.node, "%s runs by a schedule: nothing can wait for it", d.On)
		case d.Until == supervisor.Healthy && on.health == nil && (on.node == nil || !on.has("healthcheck") || len(c.problems) == 0):
			c.wrong(d.node, "%s has no healthcheck that it could pass", d.On)
		case d.Until == supervisor.Completed && !on.oneshot:
			c.wrong(d.node, "%s runs until it is stopped, and never completes: is it a oneshot?", d.On)
		}
		seen[d.On] = true
	}
}

// checkCircles finds services that wait for each other.
func (c *cast) checkCircles() {
	done := map[*service]bool{}
	var path []*service
	var visit func(s *service, by dependency)
	visit = func(s *service, by dependency) {
		if i := slices.Index(path, s); i >= 0 {
			var circle []string
			for _, on := range append(path[i:len(path):len(path)], s) {
				circle = append(circle, on.name)
			}
			c.wrong(by.node, "the services wait for each other: %s", strings.Join(circle, " → "))
			return
		}
		if done[s] {
			return
		}
		path = append(path, s)
		for _, d := range s.dependsOn {
			if on := c.find(d.On); on != nil {
				visit(on, d)
			}
		}
		path = path[:len(path)-1]
		done[s] = true
	}
	for _, s := range c.services {
		visit(s, dependency{})
	}
}
