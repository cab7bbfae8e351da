package config

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"exeunt/hooks"
	"exeunt/reaper"
	"exeunt/signals"
	"exeunt/supervisor"
)

// A file is what exeunt.yaml says: flags in another form, and services.
type file struct {
	flags
	dir      string // that its paths are relative to
	services []*service
}

// object is the file as a whole. Its keys that are flags are their flags'
// words, with _ for -.
func (f *file) object() object {
	return object{topLevel, slices.Concat(f.stopKeys(), f.outcomeKeys(), []key{
		{"services", "The processes, by their names. COMMAND, if one is given, is the service main.", table{"services by their names", f.service,
			fmt.Sprintf("^[A-Za-z0-9][A-Za-z0-9._-]{0,%d}$", longestName-1)}},
	}), nil, true}
}

// service adds a service of that name.
func (f *file) service(name string, _ *node) (value, error) {
	s := &service{name: name, enabled: true}
	if !properName(name) {
		return s.object(), fmt.Errorf("%q is no name of a service: letters, digits and . _ - after a letter or digit, at most %d", name, longestName)
	}
	f.services = append(f.services, s)
	return s.object(), nil
}

// stopKeys are those of the start and the stop.
func (f *file) stopKeys() []key {
	return []key{
		{"grace_period", "From the first stop signal to the platform's SIGKILL; auto takes the platform's default at its word. Default: that too, but only hooks are cut for it and nobody is killed.", asFlag(&f.GracePeriod, "a duration, as in 30s, or auto", either(durationShape, "auto"))},
		{"stop_on", "Signals that begin the stop. Default: TERM, INT, RTMIN+3, PWR. All others are forwarded.", joined{word: asFlag(&f.StopOn, "signals", signalShape), part: signalShape}},
		{"rewrite", "What is forwarded instead of a signal: FROM: TO, or FROM: drop.", rewriting(&f.Rewrite)},
		{"straggler_timeout", "How long everyone else may live when the last service has ended by itself. Default: 5s, or the grace period if that is less.", asFlag(&f.StragglerTimeout, aDuration, durationShape)},
		{"pre_start", "Before the services start; a failure means they are not started.", flagHooks(&f.PreStart)},
		{"post_start", "Once all services are ready; a failure stops them.", flagHooks(&f.PostStart)},
		{"pre_stop", "When the stop begins, while the services still serve.", flagHooks(&f.PreStop)},
		{"post_stop", "When everyone has gone, after a crash too.", flagHooks(&f.PostStop)},
		{"hook_timeout", "How long a hook may take that says nothing else. Default: 5s.", asFlag(&f.HookTimeout, aDuration, durationShape)},
	}
}

// outcomeKeys are those of what others see of a run.
func (f *file) outcomeKeys() []key {
	return []key{
		{"tty", "Who gets the terminal's signals: app (the default) is COMMAND or the only service; init begins the stop with Ctrl-C.", asFlag(&f.TTY, "app or init", enumShape("app", "init"))},
		{"exit_codes", "Exit with another code than the services': a mapping, as in 143: 0.", joined{word: asFlag(&f.ExitCodes, "a mapping of exit codes", patternShape("^[0-9]+[=:][0-9]+(,[0-9]+[=:][0-9]+)*$")), pairs: true, part: numberShape(0, 255)}},
		{"remap_exit", "Exit with 0 instead of these codes.", each("an exit code", numberShape(0, 255), func(t string) error {
			var code exitCode
			err := code.UnmarshalText([]byte(t))
			f.RemapExit = append(f.RemapExit, code)
			return err
		})},
		{"on_stop_exit", "Exit with this code after every stop that was asked for.", asFlag(&f.OnStopExit, "an exit code", numberShape(0, 255))},
		{"log", "auto (the default) is console on a terminal, else json.", asFlag(&f.Log, "auto, json or console", enumShape("auto", "json", "console"))},
		{"log_level", "The least that is shown. Default: info.", asFlag(&f.LogLevel, "debug, info, warn or error", enumShape("debug", "info", "warn", "error"))},
		{"quiet", "Warnings and errors only.", boolean(&f.Quiet)},
		{"report", "Write what happened there, as JSON.", asFlag(&f.Report, "a path", textShape)},
		{"control", "The control socket: auto (the default with services), off, or its path.", asFlag(&f.Control, "auto, off or a path", textShape)},
		{"http", "Serve /livez, /readyz and /metrics at HOST:PORT or unix:PATH.", asFlag(&f.HTTP, "HOST:PORT or unix:PATH", textShape)},
	}
}

// longestName bounds the name of a service, which stands in front of its lines.
const longestName = 63

func properName(name string) bool {
	for i, c := range []byte(name) {
		alphanumeric := c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if !alphanumeric && (i == 0 || !strings.ContainsRune("._-", rune(c))) {
			return false
		}
	}
	return name != "" && len(name) <= longestName
}

func flagHooks(to *[]hook) value {
	return hookList(func(h hooks.Hook) { *to = append(*to, hook{h}) })
}

// A service is what the file says of one.
type service struct {
	name string
	node *node

	command     []string
	oneshot     bool
	enabled     bool
	replicas    *int
	user        *user
	dir         *path
	environment []setting
	envFiles    []string
	umask       *int
	limits      []reaper.Limit
	oomScore    *int
	noNewPrivs  bool

	dependsOn    []dependency
	health       *health
	startTimeout time.Duration

	restart         supervisor.Restart
	delay, maxDelay *time.Duration
	essential       *bool
	successCodes    []int

	stopSignal   *ladder
	stopGrace    *time.Duration
	killMode     *killMode
	signals      map[signals.Signal]signals.Signal
	reloadSignal signals.Signal

	schedule string
	overlap  supervisor.Overlap

	preStart, postStart, preStop, postStop []hooks.Hook

	stdout, stderr *supervisor.Stream
}

// A dependency is one and where it stands.
type dependency struct {
	supervisor.Dependency
	node *node
}

func (s *service) object() object {
	return object{"service", s.keys(), func(n *node) { s.node = n }, true}
}

func (s *service) keys() []key {
	return []key{
		{"command", "What to run: a list of words, or a string that is split as a shell does. No shell is run.", words(&s.command)},
		{"type", "service (the default) runs until it is stopped; oneshot runs to its end, once, and those that depend on its end wait for it.", enum(&s.oneshot, []string{"service", "oneshot"}, false, true)},
		{"enabled", "false leaves it out, and others need not wait for it. Default: true.", boolean(&s.enabled)},
		{"replicas", "Run so many, as NAME-1, NAME-2 and so on, each with its number in EXEUNT_INSTANCE; 0 leaves it out. Default: 1.", maybeNumber(&s.replicas, 0, mostReplicas)},
		{"user", "Run as this USER[:GROUP], names or numbers; sets HOME, USER and LOGNAME. Default: who exeunt is.", asFlag(&s.user, "a user", textShape)},
		{"working_dir", "Run in this directory. Default: ours.", asFlag(&s.dir, "a directory", textShape)},
		{"environment", "Variables besides ours: a mapping, or a list of NAME=VALUE. One without value is as ours.", environment(&s.environment)},
		{"env_file", "Files of NAME=VALUE lines, read before environment; relative to this file.", paths(&s.envFiles)},
		{"umask", "The file mode creation mask, octal, as in 0027.", mask(&s.umask)},
		{"ulimits", "Limits of resources, as in nofile: 65536 or nofile: {soft: 1024, hard: unlimited}.", limits(&s.limits)},
		{"oom_score_adj", "How willingly the kernel kills it as memory runs out: -1000 (never) to 1000.", maybeNumber(&s.oomScore, -1000, 1000)},
		{"no_new_privs", "Set-user-ID programs gain nothing.", boolean(&s.noNewPrivs)},
		{"depends_on", "Services that come before it, and stop after it: a list, or a mapping to the condition to wait for.", dependencies(s)},
		{"healthcheck", "How it is known to be ready and well. Default: it is ready as soon as it runs.", healthcheck(&s.health)},
		{"start_timeout", "A start that takes longer has failed. Default: no limit.", someSpan(&s.startTimeout, "nothing is ready at once: leave it out for no limit")},
		{"restart", "When it is started again: no (the default), on-failure, on-failure:N (N times in a row), always.", restarting(&s.restart)},
		{"restart_delay", "Before the first restart in a row; it doubles with each. Default: 500ms.", maybeSpan(&s.delay)},
		{"restart_max_delay", "The longest delay. A row ends when the service has run so long, but 10s at the least. Default: 30s.", maybeSpan(&s.maxDelay)},
		{"essential", "Whether its end is the container's, with its exit code. Default: true; of a scheduled one false.", maybeBoolean(&s.essential)},
		{"success_exit_codes", "Exit codes that are no failure, besides 0.", each("an exit code", numberShape(0, 255), func(t string) error {
			var code exitCode
			err := code.UnmarshalText([]byte(t))
			s.successCodes = append(s.successCodes, int(code))
			return err
		})},
		{"stop_signal", "What it is sent to stop: a signal, or several with the time each has, as in [QUIT 15s, TERM]. Default: TERM, or what rewrite makes of the signal received.", joined{word: asFlag(&s.stopSignal, "a signal, or several with their times", signalShape), part: signalShape}},
		{"stop_grace_period", "From its stop signal to SIGKILL. Default: what the grace period of the container leaves.", maybeSpan(&s.stopGrace)},
		{"kill_mode", "Whom the stop signal reaches first: cascade (the default) is the main process and, when it has gone, its process group; group all at once; main it alone.", asFlag(&s.killMode, "cascade, group or main", enumShape("cascade", "group", "main"))},
		{"signals", "Signals that it is forwarded: a list, or a mapping to what it is sent instead, or drop. The only service gets all others as well.", forwarding(&s.signals)},
		{"reload_signal", "What exeunt reload sends. Default: HUP.", aSignal(&s.reloadSignal)},
		{"schedule", "When it runs: minute, hour, day of month, month, day of week, as in cron, or @hourly, @daily, @weekly, @monthly, @yearly, @every 90s. By its TZ, else ours.", filled(&s.schedule, "a schedule, as in */5 * * * *")},
		{"concurrency", "What a run does that is due while the last one goes on: forbid (the default) leaves it out, allow runs it beside, replace stops the last one.", enum(&s.overlap, []string{"forbid", "allow", "replace"}, supervisor.Forbid, supervisor.Allow, supervisor.Replace)},
		{"pre_start", "Before each of its starts; a failure means that it is not started.", serviceHooks(&s.preStart)},
		{"post_start", "Once it runs; a failure stops it.", serviceHooks(&s.postStart)},
		{"pre_stop", "When it is to stop, while it still serves.", serviceHooks(&s.preStop)},
		{"post_stop", "When it has ended, after a crash too.", serviceHooks(&s.postStop)},
		{"stdout", "inherit (the default of the only service), prefix (of several: each line with its name), null, or a file to append to.", stream(&s.stdout)},
		{"stderr", "The same for its standard error.", stream(&s.stderr)},
	}
}

// mostReplicas bounds a slip of the keyboard.
const mostReplicas = 256

func serviceHooks(to *[]hooks.Hook) value {
	return hookList(func(h hooks.Hook) { *to = append(*to, h) })
}

func mask(to **int) value {
	return word{"a mask in octal, as in 0027", func(t string) error {
		n, err := strconv.ParseUint(strings.TrimPrefix(t, "0o"), 8, 32)
		if err != nil || n > 0o777 {
			return fmt.Errorf("%q is not a mask in octal, 0 to 0777", t)
		}
		mask := int(n)
		*to = &mask
		return nil
	}, patternShape("^(0o)?[0-7]+$")}
}

// A bound is a limit as Compose writes it.
type bound struct{ soft, hard uint64 }

func limits(to *[]reaper.Limit) value {
	amount := func(to *uint64) word {
		return word{"a number or unlimited", func(t string) (err error) {
			if *to = math.MaxUint64; t == "unlimited" || t == "-1" {
				return nil
			}
			if *to, err = strconv.ParseUint(t, 10, 63); err != nil {
				err = fmt.Errorf("%q is neither a number nor unlimited", t)
			}
			return err
		}, patternShape("^(-1|[0-9]+|unlimited)$")}
	}
	return table{"limits by their names", func(name string, _ *node) (value, error) {
		resource, known := -1, []string{}
		for i, word := range reaper.LimitNames() {
			if known = append(known, word); word == name {
				resource = i
			}
		}
		b := &bound{}
		form := limit{b, func() { *to = append(*to, reaper.Limit{Resource: resource, Soft: b.soft, Hard: b.hard}) }, choice{
			single: word{"a number or unlimited", func(t string) error {
				err := amount(&b.soft).parse(t)
				b.hard = b.soft
				return err
			}, amount(&b.soft).form},
			pairs: object{name: "ulimit", keys: []key{
				{"soft", "What applies.", amount(&b.soft)},
				{"hard", "What it may be raised to.", amount(&b.hard)},
			}},
		}}
		if resource >= 0 {
			return form, nil
		}
		if near := nearest(name, known); near != "" {
			return form, fmt.Errorf("unknown limit, did you mean %s?", near)
		}
		return form, fmt.Errorf("unknown limit: want one of %s", strings.Join(known, ", "))
	}, ""}
}

// A limit is stored once both its bounds are known.
type limit struct {
	*bound
	done func()
	value
}

func (l limit) read(r *reader, n *node) {
	switch {
	case !r.all(n, l.value):
	case n.kind == mapping && len(n.entries) < 2:
		r.wrong(n, "want both soft and hard")
	case l.soft > l.hard:
		r.wrong(n, "soft is more than hard")
	default:
		l.done()
	}
}

func dependencies(s *service) value {
	add := func(on string, n *node) *supervisor.Dependency {
		s.dependsOn = append(s.dependsOn, dependency{supervisor.Dependency{On: on}, n})
		return &s.dependsOn[len(s.dependsOn)-1].Dependency
	}
	return choice{
		single: named{add}, many: listing{func() value { return named{add} }},
		pairs: table{"services and conditions", func(name string, n *node) (value, error) {
			d := add(name, n)
			return object{name: "dependency", keys: []key{
				{"condition", "How far it must have come: service_started (the default), service_healthy, service_completed_successfully (a oneshot).",
					enum(&d.Until, []string{"service_started", "service_healthy", "service_completed_successfully"},
						supervisor.Started, supervisor.Healthy, supervisor.Completed)},
			}}, nil
		}, ""},
	}
}

// A named dependency is one of a list.
type named struct {
	add func(string, *node) *supervisor.Dependency
}

func (d named) read(r *reader, n *node) {
	word{"the name of a service", func(t string) error { d.add(t, n); return nil }, nil}.read(r, n)
}

func (d named) shape(*schema) shape { return shape{"type": "string"} }

func restarting(to *supervisor.Restart) value {
	form := either(patternShape("^on-failure:[0-9]+$"), "no", "on-failure", "always", "unless-stopped", false)
	return word{"no, on-failure or always", func(t string) error {
		*to = supervisor.Restart{}
		when, most, counted := strings.Cut(t, ":")
		switch when {
		case "no", "false":
		case "on-failure":
			to.When = supervisor.OnFailure
		case "always", "unless-stopped":
			to.When = supervisor.Always
		default:
			return fmt.Errorf("%q is neither no, on-failure, on-failure:N nor always", t)
		}
		if !counted {
			return nil
		}
		n, err := strconv.ParseUint(most, 10, 31)
		if err != nil || n == 0 || to.When != supervisor.OnFailure {
			return fmt.Errorf("%q: want on-failure:N, N restarts in a row", t)
		}
		to.Max = int(n)
		return nil
	}, form}
}

func stream(to **supervisor.Stream) value {
	set := func(s supervisor.Stream) error { *to = &s; return nil }
	single := word{"inherit, prefix, null or a path", func(t string) error {
		switch {
		case t == "inherit":
			return set(supervisor.Stream{Mode: supervisor.Inherit})
		case t == "prefix":
			return set(supervisor.Stream{Mode: supervisor.Prefix})
		case t == "null":
			return set(supervisor.Stream{Mode: supervisor.Null})
		case strings.Contains(t, "/"):
			return set(supervisor.Stream{Mode: supervisor.ToFile, Path: t})
		case t == "":
			return errors.New("is empty: want inherit, prefix, null or a path")
		}
		return fmt.Errorf("%q is neither inherit, prefix, null nor a path with a slash", t)
	}, either(patternShape("/"), "inherit", "prefix", "null")}
	return choice{single: single, nothing: func() { _ = set(supervisor.Stream{Mode: supervisor.Null}) }}
}
