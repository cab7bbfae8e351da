package config

import (
	"errors"
	"strings"
	"time"

	"exeunt/hooks"
	"exeunt/supervisor"
)

// Defaults of a healthcheck. A start is never longer than needed: it is looked
// at often. Compose's interval of 30 s is for a daemon that looks after many
// containers; 10 s is what Kubernetes has.
const (
	probeInterval      = 10 * time.Second
	probeStartInterval = 250 * time.Millisecond
	probeStartPeriod   = 30 * time.Second
	probeRetries       = 3
)

// A health is a healthcheck and how it was written.
type health struct {
	supervisor.Health
	probe       hooks.Hook // its action
	timeout     time.Duration
	startPeriod *time.Duration
	disabled    bool
}

// healthcheck reads one; with test NONE or disable it is none.
func healthcheck(to **health) value {
	h := &health{Health: supervisor.Health{Interval: probeInterval, StartInterval: probeStartInterval, Retries: probeRetries}, timeout: probeTime}
	return checked{to, h, object{name: "healthcheck", keys: h.keys()}}
}

// A checked healthcheck is stored if it is one.
type checked struct {
	to **health
	h  *health
	value
}

func (c checked) read(r *reader, n *node) {
	h := c.h
	if !r.all(n, c.value) || h.disabled {
		return
	}
	kinds := 0
	for _, name := range []string{"test", "http", "tcp", "notify", "fd"} {
		if at := n.at(name); at != n && (name != "notify" || h.Notify) {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		r.wrong(n, "a healthcheck has one of test, http, tcp, notify and fd, not %d", kinds)
		return
	case h.Watchdog > 0 && !h.Notify:
		r.wrong(n.at("watchdog"), "only a service with notify: true says WATCHDOG=1")
		return
	case !h.Notify && h.FD == 0:
		if err := h.probe.Check(); err != nil {
			r.wrong(n, "%v", err)
			return
		}
		h.probe.Name, h.probe.Timeout = label(&h.probe), h.timeout
		h.Probe = &h.probe
	}
	h.StartPeriod = or(h.startPeriod, probeStartPeriod)
	*c.to = h
}

func (h *health) keys() []key {
	return []key{
		{"test", "A command that exits with 0 if all is well: a string for sh -c, [CMD, …] without a shell, [CMD-SHELL, …], or [NONE] for no healthcheck.", test(h)},
		{"http", "A URL that answers with 200 to 399, or as in a hook.", request(&h.probe.HTTP)},
		{"tcp", "host:port that accepts a connection, or as in a hook.", connection(&h.probe.TCP)},
		{"notify", "The service says READY=1 by sd_notify(3).", boolean(&h.Notify)},
		{"fd", "The service writes a newline to this descriptor, as to s6's notification-fd.", number(&h.FD, 3, 1023)},
		{"interval", "From one probe to the next. Default: 10s.", someSpan(&h.Interval, "it would never rest")},
		{"timeout", "A probe that takes longer has failed. Default: 5s.", someSpan(&h.timeout, "a probe that has no time never succeeds")},
		{"retries", "Failures in a row that make it unhealthy. Default: 3.", number(&h.Retries, 1, 1000)},
		{"start_period", "So long after its start failures do not count. Default: 30s.", maybeSpan(&h.startPeriod)},
		{"start_interval", "The interval until it is ready. Default: 250ms.", someSpan(&h.StartInterval, "it would never rest")},
		{"on_unhealthy", "What becomes of it: none (the default) only says so; restart; stop ends it for good.", enum(&h.OnUnhealthy, []string{"none", "restart", "stop"}, supervisor.Tolerate, supervisor.RestartUnhealthy, supervisor.StopUnhealthy)},
		{"watchdog", "With notify: it says WATCHDOG=1 at least so often. Default: not asked for.", span(&h.Watchdog)},
		{"disable", "true is no healthcheck.", boolean(&h.disabled)},
	}
}

// test is a command as Compose writes it.
func test(h *health) value {
	shell := func(t string) error {
		if strings.TrimSpace(t) == "" {
			return errors.New("no command")
		}
		h.probe.Command = []string{"sh", "-c", t}
		return nil
	}
	return choice{single: word{"a command", shell, textShape}, many: verbatim{h, shell}}
}

// A verbatim test is a list whose first word says how to run it.
type verbatim struct {
	*health
	shell func(string) error
}

func (v verbatim) shape(*schema) shape {
	first := enumShape("CMD", "CMD-SHELL", "NONE")()
	return shape{"type": "array", "prefixItems": []any{first}, "items": textShape(), "minItems": 1}
}

func (v verbatim) read(r *reader, n *node) {
	words := append(scalars(r, n), "")
	rest := words[1:max(len(words)-1, 1)]
	switch {
	case words[0] == "NONE" && len(rest) == 0:
		v.disabled = true
	case words[0] == "CMD" && len(rest) > 0 && rest[0] != "":
		v.probe.Command = rest
	case words[0] == "CMD-SHELL" && len(rest) == 1:
		if err := v.shell(rest[0]); err != nil {
			r.wrong(n, "%v", err)
		}
	default:
		r.wrong(n, "a test begins with CMD and its words, CMD-SHELL and one line, or is [NONE]")
	}
}
