package config

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"exeunt/hooks"
	"exeunt/reaper"
	"exeunt/signals"
	"exeunt/supervisor"

	"golang.org/x/sys/unix"
)

// inline reads a file that stands in EXEUNT_CONFIG.
func inline(text string, args ...string) (*Invocation, error) {
	env := []string{"HOME=/root", "NAME=value", "EMPTY=", "EXEUNT_CONFIG=" + text}
	return Parse(append([]string{"rehearse"}, args...), env, docker)
}

func mustRead(t *testing.T, text string, args ...string) *Invocation {
	t.Helper()
	inv, err := inline(text, args...)
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return inv
}

// aValue is one key with a value, and what becomes of it.
type aValue struct {
	key, value string
	got        func(*Invocation) any
	want       any
}

// TestEachKeyOfTheContainerReachesThePlan also compares with the flag of that
// name, where there is one.
func TestEachKeyOfTheContainerReachesThePlan(t *testing.T) {
	tried := map[string]bool{"services": true} // by every other test
	for _, c := range []aValue{
		{"grace_period", "30", func(i *Invocation) any { return i.Plan.Budget },
			supervisor.Budget{Grace: 30 * time.Second, Armed: true, Source: "EXEUNT_CONFIG:2:1"}},
		{"grace_period", "auto", func(i *Invocation) any { return i.Plan.Budget },
			supervisor.Budget{Grace: 10 * time.Second, Armed: true, Source: "EXEUNT_CONFIG:2:1 auto, docker"}},
		{"stop_on", "[QUIT, sigusr1]", func(i *Invocation) any { return i.Plan.StopOn }, signals.SetOf(signals.QUIT, signals.USR1)},
		{"stop_on", "QUIT,15", func(i *Invocation) any { return i.Plan.StopOn }, signals.SetOf(signals.QUIT, signals.TERM)},
		{"stop_on", "3", func(i *Invocation) any { return i.Plan.StopOn }, signals.SetOf(signals.QUIT)},
		{"rewrite", "{TERM: QUIT, HUP: drop}", func(i *Invocation) any { return i.Plan.Rewrites }, mustRewrite("TERM:QUIT", "HUP:drop")},
		{"rewrite", "[TERM:QUIT, 'HUP:drop']", func(i *Invocation) any { return i.Plan.Rewrites }, mustRewrite("TERM:QUIT", "HUP:drop")},
		{"rewrite", "HUP:USR1", func(i *Invocation) any { return i.Plan.Rewrites }, mustRewrite("HUP:USR1")},
		{"straggler_timeout", "0", func(i *Invocation) any { return i.Plan.Straggler }, time.Duration(0)},
		{"pre_start", "a 'b c'", func(i *Invocation) any { return i.Plan.PreStart }, []hooks.Hook{{Name: "a 'b c'", Command: []string{"a", "b c"}}}},
		{"post_start", "[{command: [a, b c]}, sleep:1]", func(i *Invocation) any { return i.Plan.PostStart },
			[]hooks.Hook{{Name: "a b c", Command: []string{"a", "b c"}}, {Name: "sleep:1", Sleep: time.Second}}},
		{"pre_stop", "{signal: USR2}", func(i *Invocation) any { return i.Plan.PreStop }, []hooks.Hook{{Name: "signal:USR2", Signal: signals.USR2}}},
		{"post_stop", "[{sleep: 2s, name: rest}]", func(i *Invocation) any { return i.Plan.PostStop }, []hooks.Hook{{Name: "rest", Sleep: 2 * time.Second}}},
		{"hook_timeout", "7s", func(i *Invocation) any { return i.Plan.HookTimeout }, 7 * time.Second},
		{"tty", "init", func(i *Invocation) any { return i.Plan.Services[0].Command.Terminal }, false},
		{"tty", "app", func(i *Invocation) any { return i.Plan.Services[0].Command.Terminal }, true},
		{"exit_codes", "{143: 0, 3: 1}", func(i *Invocation) any { return i.Plan.ExitCodes }, map[int]int{143: 0, 3: 1}},
		{"exit_codes", "143=0", func(i *Invocation) any { return i.Plan.ExitCodes }, map[int]int{143: 0}},
		{"remap_exit", "[143, 130]", func(i *Invocation) any { return i.Plan.ExitCodes }, map[int]int{143: 0, 130: 0}},
		{"remap_exit", "143", func(i *Invocation) any { return i.Plan.ExitCodes }, map[int]int{143: 0}},
		{"on_stop_exit", "3", func(i *Invocation) any { return i.Plan.OnStopExit }, 3},
		{"log", "json", func(i *Invocation) any { return i.Log }, "json"},
		{"log_level", "debug", func(i *Invocation) any { return i.Level }, supervisor.Debug},
		{"quiet", "true", func(i *Invocation) any { return i.Level }, supervisor.Warn},
		{"report", "/tmp/r.json", func(i *Invocation) any { return i.Report }, "/tmp/r.json"},
		{"control", "/run/x.sock", func(i *Invocation) any { return i.Control }, "/run/x.sock"},
		{"http", ":9090", func(i *Invocation) any { return i.HTTP }, ":9090"},
	} {
		tried[c.key] = true
		inv := mustRead(t, "services: {web: {command: x}}\n"+c.key+": "+c.value+"\n")
		if got := c.got(inv); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %s: %#v, want %#v", c.key, c.value, got, c.want)
		}
	}
	for _, k := range new(file).object().keys {
		if !tried[k.name] {
			t.Errorf("%s has not been tried", k.name)
		}
	}
}

func mustRewrite(entries ...string) signals.Rewrites {
	r, err := signals.ParseRewrites(entries...)
	if err != nil {
		panic(err)
	}
	return r
}

func TestEachKeyOfAServiceReachesThePlan(t *testing.T) {
	const health = "{tcp: h:1}"
	of := func(get func(supervisor.Service) any) func(*Invocation) any {
		return func(i *Invocation) any { return get(i.Plan.Services[0]) }
	}
	all := func(i *Invocation) any {
		var names []string
		for _, s := range i.Plan.Services {
			names = append(names, s.Name)
		}
		return strings.Join(names, " ")
	}
	args := of(func(s supervisor.Service) any { return s.Command.Args })
	env := of(func(s supervisor.Service) any { return s.Command.Env })
	limits := of(func(s supervisor.Service) any { return s.Command.Limits })
	forwards := of(func(s supervisor.Service) any { return s.Signals })
	restarts := of(func(s supervisor.Service) any { return s.Restart })
	out := of(func(s supervisor.Service) any { return s.Stdout })
	tried := map[string]bool{"depends_on": true, "env_file": true} // by tests of their own
	usual := supervisor.Restart{Delay: 500 * time.Millisecond, MaxDelay: 30 * time.Second}
	with := func(change func(*supervisor.Restart)) supervisor.Restart { r := usual; change(&r); return r }
	for _, c := range []aValue{
		{"command", "[a, b c, '']", args, []string{"a", "b c", ""}},
		{"command", `a "b c" 'd'`, args, []string{"a", "b c", "d"}},
		{"command", "[a, 1, true]", args, []string{"a", "1", "true"}},
		{"type", "oneshot", of(func(s supervisor.Service) any { return s.Oneshot }), true},
		{"type", "service", of(func(s supervisor.Service) any { return s.Oneshot }), false},
		{"enabled", "'${OFF:-no}'", all, "other"},
		{"enabled", "$EMPTY", all, "other"},
		{"enabled", "yes", all, "web other"},
		{"replicas", "3", all, "web-1 web-2 web-3 other"},
		{"replicas", "0", all, "other"},
		{"replicas", "1", env, []string{"HOME=/root", "NAME=value", "EMPTY=", "EXEUNT_INSTANCE=1"}},
		{"user", "1234:567", of(func(s supervisor.Service) any { return *s.Command.User }), reaper.User{UID: 1234, GID: 567, Home: "/"}},
		{"user", "1234:567", env, []string{"NAME=value", "EMPTY=", "HOME=/"}},
		{"working_dir", "/x y", of(func(s supervisor.Service) any { return s.Command.Dir }), "/x y"},
		{"environment", "{A: 1, B: '${NAME}', NAME: x, HOME: , NONE: }", env, []string{"EMPTY=", "A=1", "B=value", "NAME=x", "HOME=/root"}},
		{"environment", "[A=1, 'B=c=d', HOME]", env, []string{"NAME=value", "EMPTY=", "A=1", "B=c=d", "HOME=/root"}},
		{"umask", "0027", of(func(s supervisor.Service) any { return *s.Command.Umask }), 0o27},
		{"umask", "0o22", of(func(s supervisor.Service) any { return *s.Command.Umask }), 0o22},
		{"ulimits", "{nofile: 1024}", limits, []reaper.Limit{{Resource: unix.RLIMIT_NOFILE, Soft: 1024, Hard: 1024}}},
		{"ulimits", "{core: {soft: 0, hard: unlimited}, memlock: -1}", limits, []reaper.Limit{
			{Resource: unix.RLIMIT_CORE, Soft: 0, Hard: 1<<64 - 1}, {Resource: unix.RLIMIT_MEMLOCK, Soft: 1<<64 - 1, Hard: 1<<64 - 1}}},
		{"oom_score_adj", "-500", of(func(s supervisor.Service) any { return *s.Command.OOMScoreAdj }), -500},
		{"no_new_privs", "on", of(func(s supervisor.Service) any { return s.Command.NoNewPrivs }), true},
		{"healthcheck", "{test: [NONE]}", of(func(s supervisor.Service) any { return s.Health == nil }), true},
		{"start_timeout", "9s, healthcheck: " + health, of(func(s supervisor.Service) any { return s.StartTimeout }), 9 * time.Second},
		{"restart", "no", restarts, usual},
		{"restart", "always", restarts, with(func(r *supervisor.Restart) { r.When = supervisor.Always })},
		{"restart", "unless-stopped", restarts, with(func(r *supervisor.Restart) { r.When = supervisor.Always })},
		{"restart", "on-failure", restarts, with(func(r *supervisor.Restart) { r.When = supervisor.OnFailure })},
		{"restart", "on-failure:5", restarts, with(func(r *supervisor.Restart) { r.When, r.Max = supervisor.OnFailure, 5 })},
		{"restart_delay", "0", restarts, with(func(r *supervisor.Restart) { r.Delay = 0 })},
		{"restart_delay", "1m", restarts, with(func(r *supervisor.Restart) { r.Delay, r.MaxDelay = time.Minute, time.Minute })},
		{"restart_max_delay", "5s", restarts, with(func(r *supervisor.Restart) { r.MaxDelay = 5 * time.Second })},
		{"essential", "false", of(func(s supervisor.Service) any { return s.Essential }), false},
		{"success_exit_codes", "[3, 143]", of(func(s supervisor.Service) any { return s.SuccessExitCodes }), []int{3, 143}},
		{"stop_signal", "SIGQUIT", of(func(s supervisor.Service) any { return s.StopSignal }), []supervisor.Rung{{Signal: signals.QUIT}}},
		{"stop_signal", "[QUIT 15s, TERM]", of(func(s supervisor.Service) any { return s.StopSignal }),
			[]supervisor.Rung{{Signal: signals.QUIT, For: 15 * time.Second}, {Signal: signals.TERM}}},
		{"stop_grace_period", "20s", of(func(s supervisor.Service) any { return s.StopGrace }), 20 * time.Second},
		{"stop_grace_period", "0", of(func(s supervisor.Service) any { return s.StopGrace }), time.Duration(1)},
		{"kill_mode", "group", of(func(s supervisor.Service) any { return s.KillMode }), supervisor.Group},
		{"signals", "{HUP: USR1, USR2: drop}", forwards, map[signals.Signal]signals.Signal{signals.HUP: signals.USR1, signals.USR2: 0}},
		{"signals", "[HUP, 'USR2:WINCH']", forwards, map[signals.Signal]signals.Signal{signals.HUP: signals.HUP, signals.USR2: signals.WINCH}},
		{"signals", "HUP", forwards, map[signals.Signal]signals.Signal{signals.HUP: signals.HUP}},
		{"reload_signal", "USR2", of(func(s supervisor.Service) any { return s.ReloadSignal }), signals.USR2},
		{"schedule", "'0 3 * * *'", of(func(s supervisor.Service) any { return s.Timetable != nil && !s.Essential }), true},
		{"schedule", "'@every 90s', essential: true", of(func(s supervisor.Service) any { return s.Essential }), true},
		{"concurrency", "forbid, schedule: '@daily'", of(func(s supervisor.Service) any { return s.Overlap }), supervisor.Forbid},
		{"concurrency", "replace, schedule: '@daily'", of(func(s supervisor.Service) any { return s.Overlap }), supervisor.Replace},
		{"concurrency", "allow, schedule: '@daily'", all, "web web-2 web-3 web-4 web-5 web-6 web-7 web-8 other"},
		{"pre_start", "a", of(func(s supervisor.Service) any { return s.PreStart[0].Name }), "a"},
		{"post_start", "[a]", of(func(s supervisor.Service) any { return s.PostStart[0].Name }), "a"},
		{"pre_stop", "[{command: a}]", of(func(s supervisor.Service) any { return s.PreStop[0].Name }), "a"},
		{"post_stop", "{command: a}", of(func(s supervisor.Service) any { return s.PostStop[0].Name }), "a"},
		{"stdout", "prefix", out, supervisor.Stream{Mode: supervisor.Prefix}},
		{"stdout", "inherit", out, supervisor.Stream{}},
		{"stdout", "null", out, supervisor.Stream{Mode: supervisor.Null}},
		{"stdout", "'null'", out, supervisor.Stream{Mode: supervisor.Null}},
		{"stdout", "/var/log/x", out, supervisor.Stream{Mode: supervisor.ToFile, Path: "/var/log/x"}},
		{"stderr", "/dev/null", of(func(s supervisor.Service) any { return s.Stderr }), supervisor.Stream{Mode: supervisor.ToFile, Path: "/dev/null"}},
	} {
		tried[c.key] = true
		command := "command: x, "
		if c.key == "command" {
			command = ""
		}
		inv := mustRead(t, "services:\n  web: {"+command+c.key+": "+c.value+"}\n  other: {command: y}\n")
		if got := c.got(inv); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %s: %#v, want %#v", c.key, c.value, got, c.want)
		}
	}
	for _, k := range new(service).keys() {
		if !tried[k.name] {
			t.Errorf("%s has not been tried", k.name)
		}
	}
}

func TestEachHookReachesThePlan(t *testing.T) {
	url := func(h hooks.HTTP) hooks.Hook { h.URL = "http://h/x"; return hooks.Hook{Name: "http://h/x", HTTP: &h} }
	of := func(h hooks.Hook, change func(*hooks.Hook)) hooks.Hook { change(&h); return h }
	a := hooks.Hook{Name: "a", Command: []string{"a"}}
	tried := map[string]bool{}
	for text, want := range map[string]hooks.Hook{
		"{command: a}":                                       a,
		"{command: a, name: b}":                              of(a, func(h *hooks.Hook) { h.Name = "b" }),
		"{command: a, timeout: 2s}":                          of(a, func(h *hooks.Hook) { h.Timeout = 2 * time.Second }),
		"{command: a, interval: 1s}":                         of(a, func(h *hooks.Hook) { h.Interval = time.Second }),
		"{command: a, on_failure: abort}":                    of(a, func(h *hooks.Hook) { h.OnFailure = hooks.Abort }),
		"{command: a, on_failure: continue}":                 of(a, func(h *hooks.Hook) { h.OnFailure = hooks.Continue }),
		"{command: a, user: '1:2'}":                          of(a, func(h *hooks.Hook) { h.User = "1:2" }),
		"{command: a, working_dir: /x}":                      of(a, func(h *hooks.Hook) { h.WorkingDir = "/x" }),
		"{command: a, environment: {B: $NAME, HOME: }}":      of(a, func(h *hooks.Hook) { h.Env = []string{"B=value"} }),
		"{http: http://h/x}":                                 url(hooks.HTTP{}),
		"{http: POST http://h/x}":                            {Name: "POST http://h/x", HTTP: &hooks.HTTP{URL: "http://h/x", Method: "POST"}},
		"{http: {url: http://h/x, method: PUT}}":             {Name: "PUT http://h/x", HTTP: &hooks.HTTP{URL: "http://h/x", Method: "PUT"}},
		"{http: {url: 'http://u:p@h/x'}}":                    {Name: "http://u:xxxxx@h/x", HTTP: &hooks.HTTP{URL: "http://u:p@h/x"}},
		"{http: {url: http://h/x, headers: {A: b, C: '1'}}}": url(hooks.HTTP{Headers: []hooks.Header{{Name: "A", Value: "b"}, {Name: "C", Value: "1"}}}),
		"{http: {url: http://h/x, body: '{}'}}":              url(hooks.HTTP{Body: "{}"}),
		"{http: {url: 'http://h/$${X}'}}":                    {Name: "http://h/${X}", HTTP: &hooks.HTTP{URL: "http://h/${X}"}},
		"{http: {url: http://h/x, status: [204, 4xx]}}":      url(hooks.HTTP{Status: []hooks.Range{{From: 204, To: 204}, {From: 400, To: 499}}}),
		"{http: {url: http://h/x, status: 204}}":             url(hooks.HTTP{Status: []hooks.Range{{From: 204, To: 204}}}),
		"{http: {url: http://h/x, insecure: true}}":          url(hooks.HTTP{Insecure: true}),
		"{http: {url: http://h/x, ca: /ca.pem}}":             url(hooks.HTTP{CA: "/ca.pem"}),
		"{http: {url: http://h/x, unix: /s}}":                url(hooks.HTTP{Unix: "/s"}),
		"{http: {url: http://h/x, proxy: yes}}":              url(hooks.HTTP{Proxy: true}),
		"{tcp: h:1}":                                         {Name: "tcp://h:1", TCP: &hooks.TCP{Addr: "h:1"}},
		"{tcp: {address: h:1, send: 'a\\n', expect: b}}":     {Name: "tcp://h:1", TCP: &hooks.TCP{Addr: "h:1", Send: `a\n`, Expect: "b"}},
		"{sleep: 3}":             {Name: "sleep:3s", Sleep: 3 * time.Second},
		"{signal: SIGUSR1}":      {Name: "signal:USR1", Signal: signals.USR1},
		"{drain: auto}":          {Name: "drain", Drain: &hooks.Drain{}},
		"{drain: 8080}":          {Name: "drain:8080", Drain: &hooks.Drain{Ports: []uint16{8080}}},
		"{drain: [8080, 8443]}":  {Name: "drain:8080,8443", Drain: &hooks.Drain{Ports: []uint16{8080, 8443}}},
		"{drain: {ports: auto}}": {Name: "drain", Drain: &hooks.Drain{}},
		"{drain: {ports: [80], count: open, threshold: 2}}":  {Name: "drain:80", Drain: &hooks.Drain{Ports: []uint16{80}, Count: hooks.Open, Threshold: 2}},
		"{drain: {unix: /s, min: 1s, quiet: 2s}}":            {Name: "drain:/s", Drain: &hooks.Drain{Unix: []string{"/s"}, Min: time.Second, Quiet: 2 * time.Second}},
		"{drain: {settle: 3, interval: 1s, idle_after: 4s}}": {Name: "drain", Drain: &hooks.Drain{Settle: 3, Interval: time.Second, IdleAfter: 4 * time.Second}},
		"drain:80": {Name: "drain:80", Drain: &hooks.Drain{Ports: []uint16{80}}},
	} {
		inv := mustRead(t, "services: {web: {command: x}}\npre_stop: ["+text+"]\n")
		if !reflect.DeepEqual(inv.Plan.PreStop, []hooks.Hook{want}) {
			t.Errorf("%s: %+v", text, inv.Plan.PreStop)
		}
		for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }) {
			tried[word] = true
		}
	}
	for _, name := range slices.Concat(names(new(action).keys()), names(httpKeys(new(hooks.HTTP))), names(drainKeys(new(hooks.Drain)))) {
		if !tried[name] {
			t.Errorf("%s has not been tried", name)
		}
	}
}

func TestEachHealthcheckReachesThePlan(t *testing.T) {
	usual := supervisor.Health{Interval: 10 * time.Second, StartInterval: 250 * time.Millisecond, StartPeriod: 30 * time.Second, Retries: 3}
	probing := func(h hooks.Hook) supervisor.Health {
		health := usual
		if h.Timeout == 0 {
			h.Timeout = 5 * time.Second
		}
		health.Probe = &h
		return health
	}
	with := func(change func(*supervisor.Health)) supervisor.Health {
		h := probing(hooks.Hook{Name: "tcp://h:1", TCP: &hooks.TCP{Addr: "h:1"}})
		change(&h)
		return h
	}
	none := supervisor.Health{}
	for text, want := range map[string]supervisor.Health{
		"{test: a | b}":                     probing(hooks.Hook{Name: "sh -c a | b", Command: []string{"sh", "-c", "a | b"}}),
		"{test: [CMD, a, b c]}":             probing(hooks.Hook{Name: "a b c", Command: []string{"a", "b c"}}),
		"{test: [CMD-SHELL, a b]}":          probing(hooks.Hook{Name: "sh -c a b", Command: []string{"sh", "-c", "a b"}}),
		"{test: [NONE]}":                    none,
		"{disable: true, test: a}":          none,
		"{http: http://h/x, timeout: 1s}":   probing(hooks.Hook{Name: "http://h/x", HTTP: &hooks.HTTP{URL: "http://h/x"}, Timeout: time.Second}),
		"{http: {url: http://h, unix: /s}}": probing(hooks.Hook{Name: "http://h", HTTP: &hooks.HTTP{URL: "http://h", Unix: "/s"}}),
		"{tcp: h:1}":                        with(func(*supervisor.Health) {}),
		"{tcp: h:1, interval: 2s}":          with(func(h *supervisor.Health) { h.Interval = 2 * time.Second }),
		"{tcp: h:1, retries: 7}":            with(func(h *supervisor.Health) { h.Retries = 7 }),
		"{tcp: h:1, start_period: 0s}":      with(func(h *supervisor.Health) { h.StartPeriod = 0 }),
		"{tcp: h:1, start_interval: 1s}":    with(func(h *supervisor.Health) { h.StartInterval = time.Second }),
		"{tcp: h:1, on_unhealthy: restart}": with(func(h *supervisor.Health) { h.OnUnhealthy = supervisor.RestartUnhealthy }),
		"{tcp: h:1, on_unhealthy: stop}":    with(func(h *supervisor.Health) { h.OnUnhealthy = supervisor.StopUnhealthy }),
		"{tcp: h:1, notify: false}":         with(func(*supervisor.Health) {}),
		"{notify: true, watchdog: 3s}": func() supervisor.Health {
			h := usual
			h.Notify, h.Watchdog = true, 3*time.Second
			return h
		}(),
		"{fd: 3}": func() supervisor.Health { h := usual; h.FD = 3; return h }(),
	} {
		inv := mustRead(t, "services: {web: {command: x, healthcheck: "+text+"}}\n")
		got := inv.Plan.Services[0].Health
		if reflect.DeepEqual(want, none) && got != nil || !reflect.DeepEqual(want, none) && !reflect.DeepEqual(got, &want) {
			t.Errorf("%s: %+v", text, got)
		}
	}
	s := mustRead(t, "services: {web: {command: x, user: 1:2, working_dir: /w, environment: [A=1, HOME], healthcheck: {test: a}}}\n").Plan.Services[0]
	if p := s.Health.Probe; p.User != "1:2" || p.WorkingDir != "/w" || !slices.Equal(p.Env, []string{"A=1", "HOME=/root"}) {
		t.Errorf("a test runs as %q in %q with %q", p.User, p.WorkingDir, p.Env)
	}
}

func TestCommandIsTheServiceMainBesideTheFiles(t *testing.T) {
	const beside = "services:\n  helper: {command: h}\n"
	const named = beside + "  main: {depends_on: [helper], user: 1:1, stop_signal: QUIT, environment: {A: 1}}\n"
	host := docker
	host.Terminal = true
	for _, c := range []struct{ text, args, want string }{
		{beside, "", "helper[h] terminal, descriptors, streams 0 0"},
		{beside, "-- a b", "main[a b] terminal, descriptors, streams 0 0; helper[h] streams 1 1"},
		{beside, "--tty=init -- a b", "main[a b] descriptors, streams 1 1; helper[h] streams 1 1"},
		{named, "-- a b", "main[a b] terminal, descriptors, streams 0 0; helper[h] streams 1 1"},
		{beside + "  web: {command: w}\n", "", "helper[h] streams 1 1; web[w] streams 1 1"},
		{beside + "  main: {command: m}\n", "", "helper[h] streams 1 1; main[m] terminal, descriptors, streams 0 0"},
		{beside + "  main: {command: m, enabled: false}\n", "-- a", "main[a] terminal, descriptors, streams 0 0; helper[h] streams 1 1"},
		{"services: {helper: {command: h, stdout: /x, replicas: 2}}", "", "helper-1[h] streams 3 1; helper-2[h] streams 3 1"},
		{beside + "  web: {command: w, enabled: no}\n", "", "helper[h] terminal, descriptors, streams 0 0"},
		{"grace_period: 5s\n", "-- a", "main[a] terminal, descriptors, streams 0 0"},
	} {
		inv, err := Parse(append([]string{"run"}, strings.Fields(c.args)...), []string{"EXEUNT_CONFIG=" + c.text}, host)
		if err != nil {
			t.Errorf("%q with %q: %v", c.text, c.args, err)
			continue
		}
		var got []string
		console := false
		for _, s := range inv.Plan.Services {
			has := ""
			if s.Command.Terminal {
				has, console = "terminal, ", true
			}
			if s.Command.Descriptors {
				has += "descriptors, "
			}
			got = append(got, fmt.Sprintf("%s%v %sstreams %d %d", s.Name, s.Command.Args, has, s.Stdout.Mode, s.Stderr.Mode))
		}
		if got := strings.Join(got, "; "); got != c.want || inv.Plan.Console != console {
			t.Errorf("%q with %q:\n got %s\nwant %s", c.text, c.args, got, c.want)
		}
		if want := strings.Contains(c.text, "services"); inv.Plan.Managed != want {
			t.Errorf("%q: managed %v", c.text, inv.Plan.Managed)
		}
	}
	s := mustRead(t, named, "--user", "2:2", "--stop-signal", "INT", "--", "a").Plan.Services[0]
	if s.Command.User.UID != 2 || s.StopSignal[0].Signal != signals.INT || !slices.Contains(s.Command.Env, "A=1") {
		t.Errorf("flags do not go before the file: %+v", s)
	}
	for _, c := range []struct{ text, args, want string }{
		{named, "", "main: has no command"},
		{beside + "  web: {command: w}\n", "--user=1:1", "--user is about COMMAND, and none is given"},
		{beside + "  main: {command: m, replicas: 2}\n", "-- a", "main.replicas: COMMAND is given, which is one process"},
		{"services: {web: {command: x, enabled: no}}\n", "", "nothing to run"},
		{"grace_period: 5s\n", "", "nothing to run"},
	} {
		if _, err := inline(c.text, strings.Fields(c.args)...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q with %q: %v, want %q", c.text, c.args, err, c.want)
		}
	}
}

func TestAFlagGoesBeforeItsVariableAndThatBeforeTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.yaml")
	text := "grace_period: 1s\nstop_on: HUP\npre_stop: [f]\nrewrite: {USR1: USR2}\nlog: json\nreport: /f\nquiet: true\nexit_codes: {3: 4}\nservices: {web: {command: x}}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	read := func(args []string, env ...string) string {
		inv := mustParse(t, append([]string{"run", "-c", file}, args...), env...)
		p := inv.Plan
		to, _ := p.Rewrites.Apply(signals.USR1)
		return fmt.Sprintf("%v %v %s %v %s %s %d %v", p.Budget.Grace, p.StopOn, p.PreStop[0].Name, to, inv.Log, inv.Report, inv.Level, p.ExitCodes)
	}
	if got, want := read(nil), "1s HUP f USR2 json /f 1 map[3:4]"; got != want {
		t.Errorf("the file: %s, want %s", got, want)
	}
	env := []string{"EXEUNT_GRACE_PERIOD=2s", "EXEUNT_STOP_ON=INT", "EXEUNT_PRE_STOP=v", "EXEUNT_REWRITE=USR1:WINCH", "EXEUNT_LOG=console",
		"EXEUNT_REPORT=/v", "EXEUNT_QUIET=false", "EXEUNT_EXIT_CODES=5=6"}
	if got, want := read(nil, env...), "2s INT v WINCH console /v 0 map[5:6]"; got != want {
		t.Errorf("the variables: %s, want %s", got, want)
	}
	flags := []string{"--grace-period=3s", "--stop-on=QUIT", "--pre-stop=g", "--rewrite=USR1:TERM", "--log=auto", "--report=/g", "--quiet", "--exit-codes=7=8"}
	if got, want := read(flags, env...), "3s QUIT g TERM auto /g 1 map[7:8]"; got != want {
		t.Errorf("the flags: %s, want %s", got, want)
	}
}

func TestTheFileIsTheOneNamedElseTheDefaultOne(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"flag", "variable", "default"} {
		if err := os.WriteFile(at(name), []byte("services: {"+name+": {command: x}}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(at("empty"), []byte("# nothing\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, variable, host, want string }{
		{"run", "", "default", "default"},
		{"run", "variable", "default", "variable"},
		{"run -c FLAG", "variable", "default", "flag"},
		{"-c FLAG -- x", "", "", "main flag"},
		{"--config=FLAG x", "", "", "main flag"},
		{"-c=FLAG x", "", "", "main flag"},
		{"-- x", "", "default", "main default"},
		{"-- x", "", "none", "main"},
		{"-c EMPTY -- x", "", "default", "main"},
		{"run", "", "none", "no command given"},
		{"run -c NONE", "", "default", `--config: cannot read "NONE": no such file or directory`},
		{"run", "none", "default", `EXEUNT_CONFIG: cannot read "NONE": no such file or directory`},
		{"run -c DIR", "", "default", `--config: cannot read "DIR": is a directory`},
		{"run -c", "", "default", `--config needs a value`},
		{"run -c EMPTY", "", "default", `nothing to run`},
	} {
		host := docker
		if c.host != "" {
			host.Config = at(c.host)
		}
		var env []string
		if c.variable != "" {
			env = append(env, "EXEUNT_CONFIG="+at(c.variable))
		}
		fill := strings.NewReplacer("FLAG", at("flag"), "NONE", at("none"), "EMPTY", at("empty"), "DIR", dir)
		inv, err := Parse(strings.Fields(fill.Replace(c.args)), env, host)
		got := fmt.Sprint(err)
		if err == nil {
			var names []string
			for _, s := range inv.Plan.Services {
				names = append(names, s.Name)
			}
			got = strings.Join(names, " ")
		}
		if want := fill.Replace(c.want); got != want && (err == nil || !strings.Contains(got, want)) {
			t.Errorf("%q with %q and %q: %s, want %s", c.args, c.variable, c.host, got, want)
		}
	}
}

func TestTheRehearsedRunHasTheSameFile(t *testing.T) {
	inv := mustRead(t, "services: {web: {command: x}}\n", "--quiet")
	if want := []string{"--quiet"}; !slices.Equal(inv.RunArgs, want) || inv.Verb != Rehearse {
		t.Errorf("%q, want %q", inv.RunArgs, want)
	}
}

func TestServicesOfOneFileSeeOnlyWhatIsTheirs(t *testing.T) {
	inv, err := Parse([]string{"run"}, []string{"A=1", "EXEUNT_LOG=json", "EXEUNT_CONFIG=services: {a: {command: x, environment: [B=2]}, b: {command: y}}"}, docker)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, s := range inv.Plan.Services {
		got[s.Name] = s.Command.Env
	}
	if want := map[string][]string{"a": {"A=1", "B=2"}, "b": {"A=1"}}; !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%q, want %q", got, want)
	}
}
