package config

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"exeunt/hooks"
	"exeunt/signals"
	"exeunt/supervisor"
)

var update = flag.Bool("update", false, "rewrite the golden files; read the diff before you commit it")

var docker = Host{PID1: true, Platform: "docker", Grace: 10 * time.Second}

func mustParse(t *testing.T, args []string, env ...string) *Invocation {
	t.Helper()
	inv, err := Parse(args, env, docker)
	if err != nil {
		t.Fatalf("Parse(%q, %q): %v", args, env, err)
	}
	return inv
}

func TestTheCommandLineIsCutIntoVerbFlagsAndProgram(t *testing.T) {
	for text, want := range map[string]struct {
		verb    Verb
		program string
	}{
		"ls -l":                                {Run, "ls -l"},
		"-- ls -l":                             {Run, "ls -l"},
		"-- version":                           {Run, "version"},
		"-- -- x":                              {Run, "-- x"},
		"run ls --help":                        {Run, "ls --help"},
		"run -- rehearse":                      {Run, "rehearse"},
		"run version":                          {Run, "version"},
		"check ls -l":                          {Check, "ls -l"},
		"-- check":                             {Run, "check"},
		"run check":                            {Run, "check"},
		"- x":                                  {Run, "- x"},
		"--quiet ls --quiet -- x":              {Run, "ls --quiet -- x"},
		"--grace-period 5s ls":                 {Run, "ls"},
		"--grace-period=5s -- --grace-period":  {Run, "--grace-period"},
		"--quiet rehearse --after 2 sh -c x":   {Rehearse, "sh -c x"},
		"rehearse --no-new-privs -- run":       {Rehearse, "run"},
		"--user 1:1 --quiet --tty init -- a b": {Run, "a b"},
	} {
		inv := mustParse(t, strings.Fields(text))
		if got := strings.Join(inv.Plan.Services[0].Command.Args, " "); inv.Verb != want.verb || got != want.program {
			t.Errorf("%q: verb %s, program %q, want %s, %q", text, inv.Verb, got, want.verb, want.program)
		}
	}
	for _, args := range [][]string{{"version"}, {"--quiet", "version"}} {
		if inv := mustParse(t, args, "EXEUNT_NONSENSE=1"); inv.Verb != Version {
			t.Errorf("%q: verb %s", args, inv.Verb)
		}
	}
}

func TestThePlanWithoutOptionsHasTheDefaults(t *testing.T) {
	for _, env := range [][]string{{"A=1"}, {"A=1", "EXEUNT_LOG=auto"}} { // without kong, and with it
		inv := mustParse(t, []string{"ls"}, env...)
		want := &Invocation{
			Verb: Run, Env: []string{"A=1"}, Log: "auto", After: time.Second, RunArgs: []string{"--", "ls"},
			Plan: &supervisor.Plan{
				Budget:    supervisor.Budget{Grace: 10 * time.Second, Source: "docker"},
				Straggler: -1, OnStopExit: -1, PID1: true,
				StopOn: signals.SetOf(signals.TERM, signals.INT, 37, signals.PWR),
			},
		}
		s := supervisor.Service{Name: "main", Essential: true}
		s.Command.Args, s.Command.Env = []string{"ls"}, []string{"A=1"}
		s.Command.Terminal, s.Command.Descriptors = true, true
		want.Plan.Services = []supervisor.Service{s}
		if !reflect.DeepEqual(inv, want) {
			t.Errorf("env %q:\n got %+v\nplan %+v\nwant %+v\nplan %+v", env, inv, inv.Plan, want, want.Plan)
		}
	}
}

// A platform's default is a guess, which kills nobody; its own word is not.
func TestTheGracePeriodIsTheFlagsElseThePlatformsWordElseItsDefault(t *testing.T) {
	fly := Host{Platform: "fly", Grace: 5 * time.Second}
	railway := Host{Platform: "railway", Grace: 45 * time.Second, GraceVariable: "RAILWAY_DRAINING"}
	for _, c := range []struct {
		host Host
		args string
		want supervisor.Budget
	}{
		{Host{Grace: 10 * time.Second}, "ls", supervisor.Budget{Grace: 10 * time.Second, Source: "default"}},
		{fly, "ls", supervisor.Budget{Grace: 5 * time.Second, Source: "fly"}},
		{fly, "--grace-period auto ls", supervisor.Budget{Grace: 5 * time.Second, Armed: true, Source: "--grace-period auto, fly"}},
		{fly, "--grace-period 7 ls", supervisor.Budget{Grace: 7 * time.Second, Armed: true, Source: "--grace-period"}},
		{railway, "ls", supervisor.Budget{Grace: 45 * time.Second, Armed: true, Source: "RAILWAY_DRAINING"}},
		{railway, "--grace-period auto ls", supervisor.Budget{Grace: 45 * time.Second, Armed: true, Source: "--grace-period auto, RAILWAY_DRAINING"}},
		{railway, "--grace-period 7 ls", supervisor.Budget{Grace: 7 * time.Second, Armed: true, Source: "--grace-period"}},
	} {
		inv, err := Parse(strings.Fields(c.args), nil, c.host)
		if err != nil || inv.Plan.Budget != c.want {
			t.Errorf("%q on %q: %+v, %v, want %+v", c.args, c.host.Platform, inv.Plan.Budget, err, c.want)
		}
	}
}

func TestProbeAndCopyHaveWordsOfTheirOwn(t *testing.T) {
	for text, want := range map[string]hooks.Hook{
		"probe http://localhost/x":              {Name: "http://localhost/x", HTTP: &hooks.HTTP{URL: "http://localhost/x"}},
		"probe POST http://localhost/x":         {Name: "POST http://localhost/x", HTTP: &hooks.HTTP{URL: "http://localhost/x", Method: "POST"}},
		"probe tcp://db:5432 --timeout 2":       {Name: "tcp://db:5432", TCP: &hooks.TCP{Addr: "db:5432"}, Timeout: 2 * time.Second},
		"probe --timeout=300ms tcp://db:5432":   {Name: "tcp://db:5432", TCP: &hooks.TCP{Addr: "db:5432"}, Timeout: 300 * time.Millisecond},
		"--timeout 1s probe drain:80,443":       {Name: "drain:80,443", Drain: &hooks.Drain{Ports: []uint16{80, 443}}, Timeout: time.Second},
		"probe drain":                           {Name: "drain", Drain: &hooks.Drain{}},
		"probe tcp://run:1 --timeout 1m":        {Name: "tcp://run:1", TCP: &hooks.TCP{Addr: "run:1"}, Timeout: time.Minute},
		"probe --timeout 1s http://h/?x=--help": {Name: "http://h/?x=--help", HTTP: &hooks.HTTP{URL: "http://h/?x=--help"}, Timeout: time.Second},
	} {
		inv := mustParse(t, strings.Fields(text), "A=1", "EXEUNT_TIMEOUT=9s", "EXEUNT_GRACE_PERIOD=3s")
		if !strings.Contains(text, "--timeout") {
			want.Timeout = 9 * time.Second // no flag, so the variable
		}
		if inv.Verb != Probe || !reflect.DeepEqual(inv.Probe, want) || !slices.Equal(inv.Env, []string{"A=1"}) {
			t.Errorf("%q: %s %+v, environment %q", text, inv.Verb, inv.Probe, inv.Env)
		}
	}
	if inv := mustParse(t, []string{"probe", "tcp://db:1"}); inv.Probe.Timeout != 5*time.Second {
		t.Errorf("a probe has %v", inv.Probe.Timeout)
	}
	for _, dest := range []string{"/bin-volume", "x", "run", "a b"} {
		if inv := mustParse(t, []string{"copy", dest}); inv.Verb != Copy || inv.Dest != dest {
			t.Errorf("copy %q: %s to %q", dest, inv.Verb, inv.Dest)
		}
	}
	// Elsewhere they are words like any other.
	for text, program := range map[string]string{"-- probe x": "probe x", "run copy x": "copy x", "-- copy": "copy", "sh probe": "sh probe"} {
		inv := mustParse(t, strings.Fields(text))
		if got := strings.Join(inv.Plan.Services[0].Command.Args, " "); inv.Verb != Run || got != program {
			t.Errorf("%q: verb %s, program %q", text, inv.Verb, got)
		}
	}
}

// TestGoodValuesReachThePlan gives each flag each way, as a flag and as its
// variable, and looks for the same effect.
func TestGoodValuesReachThePlan(t *testing.T) {
	main := func(i *Invocation) supervisor.Service { return i.Plan.Services[0] }
	for _, c := range []struct {
		flag, value string
		got         func(*Invocation) any
		want        any
	}{
		{"grace-period", "30", func(i *Invocation) any { return i.Plan.Budget.Grace }, 30 * time.Second},
		{"grace-period", "1m30s", func(i *Invocation) any { return i.Plan.Budget.Grace }, 90 * time.Second},
		{"grace-period", "0", func(i *Invocation) any { return i.Plan.Budget.Armed }, true},
		{"grace-period", "auto", func(i *Invocation) any { return i.Plan.Budget.Grace }, 10 * time.Second},
		{"grace-period", "auto", func(i *Invocation) any { return i.Plan.Budget.Armed }, true},
		{"stop-on", "QUIT, sigusr1,15", func(i *Invocation) any { return i.Plan.StopOn }, signals.SetOf(signals.QUIT, signals.USR1, signals.TERM)},
		{"stop-signal", "QUIT", func(i *Invocation) any { return main(i).StopSignal }, []supervisor.Rung{{Signal: signals.QUIT}}},
		{"stop-signal", "QUIT 1500ms,INT 2, KILL", func(i *Invocation) any { return main(i).StopSignal },
			[]supervisor.Rung{{Signal: signals.QUIT, For: 1500 * time.Millisecond}, {Signal: signals.INT, For: 2 * time.Second}, {Signal: signals.KILL}}},
		{"rewrite", "TERM:QUIT", func(i *Invocation) any { to, _ := i.Plan.Rewrites.Apply(signals.TERM); return to }, signals.QUIT},
		{"rewrite", "HUP:drop", func(i *Invocation) any { _, ok := i.Plan.Rewrites.Apply(signals.HUP); return ok }, false},
		{"kill-mode", "cascade", func(i *Invocation) any { return main(i).KillMode }, supervisor.Cascade},
		{"kill-mode", "group", func(i *Invocation) any { return main(i).KillMode }, supervisor.Group},
		{"kill-mode", "main", func(i *Invocation) any { return main(i).KillMode }, supervisor.Main},
		{"straggler-timeout", "0", func(i *Invocation) any { return i.Plan.Straggler }, time.Duration(0)},
		{"straggler-timeout", "2s", func(i *Invocation) any { return i.Plan.Straggler }, 2 * time.Second},
		{"pre-start", "true", func(i *Invocation) any { return i.Plan.PreStart }, []hooks.Hook{{Name: "true", Command: []string{"true"}}}},
		{"post-start", "sleep:1", func(i *Invocation) any { return i.Plan.PostStart }, []hooks.Hook{{Name: "sleep:1", Sleep: time.Second}}},
		{"pre-stop", "signal:USR2", func(i *Invocation) any { return i.Plan.PreStop }, []hooks.Hook{{Name: "signal:USR2", Signal: signals.USR2}}},
		{"pre-stop", `a 'b,\c'`, func(i *Invocation) any { return i.Plan.PreStop[0].Command }, []string{"a", `b,\c`}},
		{"post-stop", "a b", func(i *Invocation) any { return i.Plan.PostStop[0].Command }, []string{"a", "b"}},
		{"hook-timeout", "7s", func(i *Invocation) any { return i.Plan.HookTimeout }, 7 * time.Second},
		{"user", "1234:567", func(i *Invocation) any { return main(i).Command.User.UID }, uint32(1234)},
		{"user", "1234:567", func(i *Invocation) any { return main(i).Command.User.GID }, uint32(567)},
		{"working-dir", "/x y", func(i *Invocation) any { return main(i).Command.Dir }, "/x y"},
		{"no-new-privs", "true", func(i *Invocation) any { return main(i).Command.NoNewPrivs }, true},
		{"no-new-privs", "no", func(i *Invocation) any { return main(i).Command.NoNewPrivs }, false},
		{"tty", "app", func(i *Invocation) any { return main(i).Command.Terminal }, true},
		{"tty", "init", func(i *Invocation) any { return main(i).Command.Terminal }, false},
		{"exit-codes", "143=0,137:1", func(i *Invocation) any { return i.Plan.ExitCodes }, map[int]int{143: 0, 137: 1}},
		{"remap-exit", "143", func(i *Invocation) any { return i.Plan.ExitCodes }, map[int]int{143: 0}},
		{"on-stop-exit", "3", func(i *Invocation) any { return i.Plan.OnStopExit }, 3},
		{"log", "json", func(i *Invocation) any { return i.Log }, "json"},
		{"log", "console", func(i *Invocation) any { return i.Log }, "console"},
		{"log-level", "debug", func(i *Invocation) any { return i.Level }, supervisor.Debug},
		{"log-level", "error", func(i *Invocation) any { return i.Level }, supervisor.Error},
		{"quiet", "1", func(i *Invocation) any { return i.Level }, supervisor.Warn},
		{"report", "/tmp/r.json", func(i *Invocation) any { return i.Report }, "/tmp/r.json"},
		{"after", "250ms", func(i *Invocation) any { return i.After }, 250 * time.Millisecond},
	} {
		byFlag := []string{"rehearse", "--" + c.flag + "=" + c.value, "--", "true"}
		if got := c.got(mustParse(t, byFlag)); !reflect.DeepEqual(got, c.want) {
			t.Errorf("--%s=%s: %#v, want %#v", c.flag, c.value, got, c.want)
		}
		variable := "EXEUNT_" + strings.ToUpper(strings.ReplaceAll(c.flag, "-", "_")) + "=" + c.value
		if got := c.got(mustParse(t, []string{"rehearse", "true"}, variable)); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %#v, want %#v", variable, got, c.want)
		}
	}
}

func TestBadValuesAreOneClearLine(t *testing.T) {
	for _, c := range []struct{ flag, value, want string }{
		{"grace-period", "-5s", "is negative"},
		{"grace-period", "abc", "is not a duration: write 30s"},
		{"grace-period", "25h", "longer than 24h"},
		{"grace-period", "AUTO", "is not a duration"},
		{"stop-on", "TREM", "did you mean TERM?"},
		{"stop-on", "TERM,KILL", "KILL can't begin the stop"},
		{"stop-on", "17", "CHLD can't begin the stop"},
		{"stop-on", "TERM,,INT", "unknown signal"},
		{"stop-signal", "FOO", "unknown signal"},
		{"stop-signal", "QUIT, TERM", "QUIT needs its time"},
		{"stop-signal", "QUIT 5s", "write QUIT without 5s"},
		{"stop-signal", "QUIT 5x, TERM", "is not a duration"},
		{"stop-signal", "QUIT 5s 6s, TERM", "is not a signal and its time"},
		{"stop-signal", "QUIT 5s,", "no signal given"},
		{"stop-signal", "STOP", "would freeze"},
		{"rewrite", "TERM", "want FROM:TO"},
		{"rewrite", "KILL:TERM", "no process can catch KILL"},
		{"kill-mode", "all", `"all" is neither cascade, group nor main`},
		{"straggler-timeout", "-1", "is negative"},
		{"pre-start", "'", "is not closed"},
		{"post-start", "sleep:x", "is not a duration"},
		{"pre-stop", "drain:web", "is not a port"},
		{"post-stop", "signal:NOPE", "unknown signal"},
		{"hook-timeout", "1y", "is not a duration"},
		{"user", "no-such-user-here", "no-such-user-here"},
		{"no-new-privs", "maybe", "bool value must be"},
		{"tty", "both", `neither app nor init`},
		{"exit-codes", "143", "is not CODE=CODE"},
		{"exit-codes", "143=256", "is not an exit code"},
		{"exit-codes", "1=2,1=3", "1 is mapped twice"},
		{"remap-exit", "-1", "is not an exit code"},
		{"on-stop-exit", "x", "is not an exit code"},
		{"log", "xml", "neither auto, json nor console"},
		{"log-level", "loud", "neither debug, info, warn nor error"},
		{"quiet", "very", "bool value must be"},
		{"after", "soon", "is not a duration"},
	} {
		variable := "EXEUNT_" + strings.ToUpper(strings.ReplaceAll(c.flag, "-", "_"))
		_, byFlag := Parse([]string{"rehearse", "--" + c.flag + "=" + c.value, "--", "x"}, nil, docker)
		_, byVariable := Parse([]string{"x"}, []string{variable + "=" + c.value}, docker)
		for name, err := range map[string]error{"--" + c.flag: byFlag, variable: byVariable} {
			if err == nil || !strings.HasPrefix(err.Error(), name+": ") || !strings.Contains(err.Error(), c.want) ||
				strings.Contains(err.Error(), "\n") {
				t.Errorf("%s = %q: %v, want one line with %q", name, c.value, err, c.want)
			}
		}
	}
}

func TestBadCommandLinesSayWhatToDo(t *testing.T) {
	for _, c := range []struct {
		args, env []string
		want      string
	}{
		{nil, nil, `no command given: write "exeunt -- COMMAND [ARG...]", or try "exeunt help"`},
		{[]string{"--"}, nil, "no command given"},
		{[]string{"rehearse"}, nil, "no command given"},
		{[]string{"--quiet"}, nil, "no command given"},
		{[]string{"--grace-perid", "5s", "x"}, nil, `unknown flag --grace-perid, did you mean "--grace-period"?`},
		{[]string{"-e", "143", "x"}, nil, `unknown flag -e`},
		{[]string{"--nonsense", "x"}, nil, `unknown flag --nonsense, see "exeunt help"`},
		{[]string{"x"}, []string{"EXEUNT_NONSENSE=1"}, `unknown variable EXEUNT_NONSENSE, see "exeunt help"`},
		{[]string{"--user"}, nil, "--user needs a value"},
		{[]string{"--user", "--", "x"}, nil, "--user needs a value"},
		{[]string{"--working-dir=", "x"}, nil, "--working-dir: the path is empty"},
		{[]string{"--report=", "x"}, nil, "--report: the path is empty"},
		{[]string{"--after", "1s", "x"}, nil, "--after is a flag of rehearse"},
		{[]string{"--exit-codes", "1=2", "--remap-exit", "1", "x"}, nil, "--remap-exit: 1 is mapped to 2 by --exit-codes"},
		{[]string{"--rewrite", "HUP:USR1", "--rewrite", "HUP:USR2", "x"}, nil, "--rewrite: cannot rewrite"},
		{[]string{"x"}, []string{"EXEUNT_GRACE_PERIO=1"}, `unknown variable EXEUNT_GRACE_PERIO, did you mean "EXEUNT_GRACE_PERIOD"?`},
		{[]string{"x"}, []string{"EXEUNT_grace_period=1"}, "unknown variable EXEUNT_grace_period"},
		{[]string{"x"}, []string{"EXEUNT_=1"}, "unknown variable EXEUNT_,"},
		{[]string{"x"}, []string{"EXEUNT_HELP=1"}, "unknown variable EXEUNT_HELP"},
	} {
		if _, err := Parse(c.args, c.env, docker); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Parse(%q, %q): %v, want %q", c.args, c.env, err, c.want)
		}
	}
}

func TestAFlagGoesBeforeItsVariable(t *testing.T) {
	env := []string{"EXEUNT_GRACE_PERIOD=20s", "EXEUNT_PRE_STOP=a\nb", "EXEUNT_QUIET=true", "EXEUNT_GRACE_PERIOD=1s"}
	inv := mustParse(t, []string{"--grace-period", "5s", "--pre-stop", "c", "--quiet=false", "x"}, env...)
	if inv.Plan.Budget != (supervisor.Budget{Grace: 5 * time.Second, Armed: true, Source: "--grace-period"}) {
		t.Errorf("budget %+v", inv.Plan.Budget)
	}
	if len(inv.Plan.PreStop) != 1 || inv.Plan.PreStop[0].Name != "c" || inv.Level != supervisor.Info {
		t.Errorf("pre-stop %+v, level %d", inv.Plan.PreStop, inv.Level)
	}
	inv = mustParse(t, []string{"x"}, env...)
	if inv.Plan.Budget != (supervisor.Budget{Grace: 20 * time.Second, Armed: true, Source: "EXEUNT_GRACE_PERIOD"}) {
		t.Errorf("budget %+v", inv.Plan.Budget)
	}
	// A bad variable is nobody's business where the flag was given.
	mustParse(t, []string{"--user", "1:1", "x"}, "EXEUNT_USER=no-such-user-here")
	mustParse(t, []string{"x"}, "EXEUNT_USER=", "EXEUNT_NONSENSE=")
}

func TestAVariableOfARepeatableFlagHoldsOneEntryALine(t *testing.T) {
	inv := mustParse(t, []string{"x"}, "EXEUNT_PRE_STOP=\na 'b, c'\r\n\n  sleep 1\nsleep:2s\n", "EXEUNT_REWRITE=HUP:USR1\nUSR1:HUP", "EXEUNT_REMAP_EXIT=143\n130")
	want := [][]string{{"a", "b, c"}, {"sleep", "1"}, nil}
	for i, hook := range inv.Plan.PreStop {
		if i >= len(want) || !slices.Equal(hook.Command, want[i]) {
			t.Errorf("hook %d: %q", i, hook.Command)
		}
	}
	if len(inv.Plan.PreStop) != 3 || inv.Plan.PreStop[2].Sleep != 2*time.Second {
		t.Errorf("hooks %+v", inv.Plan.PreStop)
	}
	if to, _ := inv.Plan.Rewrites.Apply(signals.USR1); to != signals.HUP {
		t.Errorf("USR1 becomes %v", to)
	}
	if !maps.Equal(inv.Plan.ExitCodes, map[int]int{143: 0, 130: 0}) {
		t.Errorf("exit codes %v", inv.Plan.ExitCodes)
	}
	inv = mustParse(t, []string{"--pre-stop", "a\n,b", "--pre-stop", "c", "x"})
	if len(inv.Plan.PreStop) != 2 || !slices.Equal(inv.Plan.PreStop[0].Command, []string{"a", ",b"}) {
		t.Errorf("a flag was cut at its newline or comma: %+v", inv.Plan.PreStop)
	}
}

func TestTheAppsEnvironmentIsOursLessOurVariables(t *testing.T) {
	env := []string{"A=1", "EXEUNT_LOG=json", "A=2", "odd", "=x", "EXEUNT", "EXEUNT_", "EXEUNT_REASON=signal",
		"EXEUNT_MAIN_PID=7", "EXEUNT_QUIET", "\xff=\xfe", "XEXEUNT_A=1", "B="}
	want := []string{"A=1", "A=2", "odd", "=x", "EXEUNT", "\xff=\xfe", "XEXEUNT_A=1", "B="}
	inv := mustParse(t, []string{"x"}, env...)
	if got := inv.Plan.Services[0].Command.Env; !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	inv = mustParse(t, []string{"--user", "1234:567", "x"}, "A=1", "HOME=/root")
	if !slices.Equal(inv.Env, []string{"A=1", "HOME=/root"}) {
		t.Errorf("hooks get %q", inv.Env)
	}
	home := slices.DeleteFunc(slices.Clone(inv.Plan.Services[0].Command.Env), func(e string) bool { return !strings.HasPrefix(e, "HOME=") })
	if len(home) != 1 || home[0] == "HOME=/root" {
		t.Errorf("with a user HOME is %q", home)
	}
}

func TestWhatTheGracePeriodCannotHoldIsAWarning(t *testing.T) {
	for args, want := range map[string][]string{
		"--grace-period 10s --pre-stop a --hook-timeout 20s x":       {"--hook-timeout: 4s of 20s fit into a grace period of 10s: shortened"},
		"--grace-period 10s --pre-stop sleep:3 --pre-stop sleep:3 x": {"sleep in --pre-stop: 4s of 6s fit into a grace period of 10s: shortened"},
		"--grace-period 10s --pre-stop sleep:2 --pre-stop sleep:2 x": nil,
		"--grace-period 10s --hook-timeout 20s x":                    nil, // no hook
		"--pre-stop sleep:1h x":                                      nil, // no grace period
		"--grace-period 0 --pre-stop sleep:1 x":                      {"sleep in --pre-stop: 0s of 1s fit into a grace period of 0s: shortened"},
	} {
		if inv := mustParse(t, strings.Fields(args)); !slices.Equal(inv.Warnings, want) {
			t.Errorf("%s: %q, want %q", args, inv.Warnings, want)
		}
	}
	inv := mustParse(t, []string{"--grace-period=10s", "--stop-signal=QUIT 15s, TERM", "x"})
	if want := []string{"--stop-signal: 8s of 15s fit into a grace period of 10s: shortened"}; !slices.Equal(inv.Warnings, want) {
		t.Errorf("%q, want %q", inv.Warnings, want)
	}
}

func TestTheRehearsedRunHasTheSameFlags(t *testing.T) {
	inv := mustParse(t, []string{"--user", "1:1", "rehearse", "--after", "2s", "--pre-stop", "a b", "--quiet", "sh", "-c", "x"})
	want := []string{"--user=1:1", "--pre-stop=a b", "--quiet", "--", "sh", "-c", "x"}
	if !slices.Equal(inv.RunArgs, want) {
		t.Errorf("%q, want %q", inv.RunArgs, want)
	}
}

func TestTheTerminalIsTheAppsUnlessInitKeepsIt(t *testing.T) {
	host := docker
	host.Terminal = true
	for tty, want := range map[string]bool{"app": true, "init": false} {
		inv, err := Parse([]string{"--tty", tty, "x"}, nil, host)
		if err != nil || inv.Plan.Console != want {
			t.Errorf("--tty %s: console %v, %v", tty, inv.Plan.Console, err)
		}
	}
	if mustParse(t, []string{"x"}).Plan.Console {
		t.Error("a console without a terminal")
	}
}

func TestEveryFlagThatTakesNoValueIsKnownToSplit(t *testing.T) {
	for _, flag := range newParser().kong.Model.Flags {
		if takesValue("--"+flag.Name) == flag.IsBool() {
			t.Errorf("--%s: split and kong differ about its value", flag.Name)
		}
	}
}

func TestHelpIsAsPrinted(t *testing.T) {
	t.Setenv("COLUMNS", "80")
	golden := filepath.Join("testdata", "help.txt")
	for _, args := range [][]string{{"help"}, {"--help"}, {"-h"}, {"--quiet", "-h", "ls"}, {"rehearse", "--help"}} {
		inv := mustParse(t, args)
		if *update {
			if err := os.WriteFile(golden, []byte(inv.Text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || inv.Verb != Help || inv.Text != string(want) {
			t.Errorf("%q: %s differs from the help text (%v); see -update\n%s", args, golden, err, inv.Text)
		}
	}
}

// FuzzParse holds Parse to one line for whatever is wrong, and to a program
// that is the tail of the arguments for whatever is right.
func FuzzParse(f *testing.F) {
	f.Add("--grace-period\x005s\x00--\x00ls", "EXEUNT_USER=1")
	f.Add("rehearse\x00--after=1\x00x", "EXEUNT_PRE_STOP=a\nb")
	f.Fuzz(func(t *testing.T, line, entry string) {
		args := strings.Split(line, "\x00")
		if strings.Contains(line, "-c") || strings.HasPrefix(entry, "EXEUNT_CONFIG=") {
			return // what a file says is FuzzConfig's
		}
		inv, err := Parse(args, []string{entry}, docker)
		if err != nil {
			return
		}
		if inv.Plan == nil {
			if inv.Verb != Version && inv.Text == "" {
				t.Fatalf("Parse(%q): neither plan nor text", args)
			}
			return
		}
		program := inv.Plan.Services[0].Command.Args
		if !slices.Equal(program, args[len(args)-len(program):]) {
			t.Fatalf("Parse(%q): program %q", args, program)
		}
	})
}

func TestAnINTThatWeWereGivenIgnoredIsNotForUs(t *testing.T) {
	host := docker
	host.Ignored = signals.SetOf(signals.INT, signals.HUP)
	for args, want := range map[string]bool{"-- x": false, "--stop-on INT -- x": true} {
		inv, err := Parse(strings.Fields(args), nil, host)
		if err != nil {
			t.Fatal(err)
		}
		if got := inv.Plan.StopOn.Has(signals.INT); got != want {
			t.Errorf("%s: INT begins the stop: %v, want %v", args, got, want)
		}
	}
}
