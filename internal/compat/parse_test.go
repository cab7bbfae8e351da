package compat

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"exeunt/internal/config"
	"exeunt/signals"
	"exeunt/supervisor"
)

func TestPersonalityIsTheNameOfTheFile(t *testing.T) {
	for argv0, want := range map[string]Personality{
		"tini": Tini, "/sbin/docker-init": Tini, "/usr/bin/tini-static": Tini, "./tini": Tini,
		"dumb-init": DumbInit, "/usr/libexec/podman/catatonit": Catatonit,
		"exeunt": "", "/tini/exeunt": "", "tini2": "", "": "", "TINI": "",
	} {
		if got, ok := Named(argv0); got != want || ok != (want != "") {
			t.Errorf("Named(%q) = %q, %v", argv0, got, ok)
		}
	}
}

// parsed is a plan, of a command line that is right.
func parsed(t *testing.T, p Personality, args string, env ...string) *config.Invocation {
	t.Helper()
	inv, err := p.Parse(strings.Fields(args), env, config.Host{PID1: true})
	if err != nil {
		t.Fatalf("%s %s: %v", p, args, err)
	}
	return inv
}

func TestOptionsEndAtTheProgram(t *testing.T) {
	for _, c := range []struct {
		p             Personality
		args, program string
	}{
		{Tini, "ls -l", "ls -l"},
		{Tini, "-g -- ls -l", "ls -l"},
		{Tini, "-gs ls -g -- -l", "ls -g -- -l"},
		{Tini, "ls -- -l", "ls -l"},
		{Tini, "ls a -- -l -- b", "ls a -l -- b"},
		{Tini, "-- ls -- -l", "ls -- -l"},
		{Tini, "ls --version", "ls --version"},
		{Tini, "- a", "- a"},
		{DumbInit, "ls -- -l", "ls -- -l"},
		{DumbInit, "--rewrite 15:3 ls -c", "ls -c"},
		{Catatonit, "-g ls -V", "ls -V"},
		{Catatonit, "ls -- -V", "ls -V"},
	} {
		got := strings.Join(parsed(t, c.p, c.args).Plan.Services[0].Command.Args, " ")
		if got != c.program {
			t.Errorf("%s %s runs %q, want %q", c.p, c.args, got, c.program)
		}
	}
}

// facts is what a plan has of the other init, in words.
func facts(inv *config.Invocation) string {
	p := inv.Plan
	said := fmt.Sprintf("level %v", inv.Level)
	if p.Pause {
		return said + " pause"
	}
	main := p.Services[0]
	said += map[supervisor.KillMode]string{supervisor.Main: " main", supervisor.Group: " group", supervisor.Cascade: " cascade"}[main.KillMode]
	for word, is := range map[string]bool{" session": main.Command.Session, " as-received": p.AsReceived, " leaves": p.LeaveStrays, " warns": p.WarnReaped} {
		if is {
			said += word
		}
	}
	words := strings.Fields(said)
	slices.Sort(words[2:])
	said = strings.Join(words, " ")
	if p.DeathSignal != 0 {
		said += " death " + p.DeathSignal.String()
	}
	if len(p.ExitCodes) > 0 {
		said += fmt.Sprint(" ", p.ExitCodes)
	}
	return said + " stop on " + p.StopOn.String()
}

func TestFlagsBeforeVariablesBeforeHabits(t *testing.T) {
	const stop = " stop on INT,TERM,PWR,RTMIN+3"
	for _, c := range []struct {
		p         Personality
		args, env string
		want      string
	}{
		{Tini, "a", "", "level warn as-received main" + stop},
		{Tini, "-g a", "", "level warn as-received group" + stop},
		{Tini, "a", "TINI_KILL_PROCESS_GROUP=", "level warn as-received group" + stop},
		{Tini, "-g a", "EXEUNT_KILL_MODE=cascade", "level warn as-received cascade" + stop},
		{Tini, "-v a", "", "level info as-received main" + stop},
		{Tini, "-vv a", "", "level debug as-received main" + stop},
		{Tini, "-vvvv a", "TINI_VERBOSITY=0", "level error as-received main" + stop},
		{Tini, "a", "TINI_VERBOSITY= 2x", "level info as-received main" + stop},
		{Tini, "a", "TINI_VERBOSITY=-1", "level error as-received main" + stop},
		{Tini, "a", "EXEUNT_LOG_LEVEL=debug", "level debug as-received main" + stop},
		{Tini, "-v a", "EXEUNT_LOG_LEVEL=error", "level info as-received main" + stop},
		{Tini, "a", "EXEUNT_QUIET=true", "level warn as-received main" + stop},
		{Tini, "-w -p RTMIN+2 a", "", "level warn as-received main warns death RTMIN+2" + stop},
		{Tini, "-e 3 -e 4 a", "EXEUNT_EXIT_CODES=143=0", "level warn as-received main map[3:0 4:0 143:0]" + stop},
		{Tini, "a", "EXEUNT_STRAGGLER_TIMEOUT=0", "level warn as-received leaves main" + stop},
		{Tini, "a", "EXEUNT_STOP_ON=QUIT", "level warn as-received main stop on QUIT"},
		{DumbInit, "a", "", "level warn as-received group session" + stop},
		{DumbInit, "-c a", "", "level warn as-received main" + stop},
		{DumbInit, "a", "DUMB_INIT_SETSID=0", "level warn as-received main" + stop},
		{DumbInit, "a", "DUMB_INIT_SETSID=00", "level warn as-received group session" + stop},
		{DumbInit, "-v a", "", "level debug as-received group session" + stop},
		{DumbInit, "a", "DUMB_INIT_DEBUG=1", "level debug as-received group session" + stop},
		{DumbInit, "-r 15:0 a", "", "level warn as-received group session stop on INT,PWR,RTMIN+3"},
		{DumbInit, "-r 15:0 a", "EXEUNT_STOP_ON=TERM", "level warn as-received group session stop on TERM"},
		{Catatonit, "-g a", "", "level warn as-received group" + stop},
		{Catatonit, "a", "CATATONIT_DEBUG=", "level debug as-received main" + stop},
		{Catatonit, "-P", "", "level warn pause"},
	} {
		var env []string
		if c.env != "" {
			env = []string{c.env}
		}
		if got := facts(parsed(t, c.p, c.args, env...)); got != c.want {
			t.Errorf("%s %s, %s:\n  got  %s\n  want %s", c.p, c.args, c.env, got, c.want)
		}
	}
}

func TestRewritesOfAll(t *testing.T) {
	becomes := func(inv *config.Invocation) string {
		var list []string
		for sig := signals.Signal(1); sig <= signals.RTMAX; sig++ {
			if to, ok := inv.Plan.Rewrites.Apply(sig); !ok {
				list = append(list, sig.String()+":drop")
			} else if to != sig {
				list = append(list, sig.String()+":"+to.String())
			}
		}
		return strings.Join(list, " ")
	}
	const faults = "ILL:drop TRAP:drop ABRT:drop BUS:drop FPE:drop SEGV:drop "
	for _, c := range []struct {
		p               Personality
		args, env, want string
	}{
		{Tini, "a", "", faults + "TTIN:drop TTOU:drop SYS:drop"},
		{Tini, "a", "EXEUNT_REWRITE=HUP:TERM", "HUP:TERM"},
		{DumbInit, "a", "", "TSTP:STOP TTIN:STOP TTOU:STOP"},
		{DumbInit, "-c a", "", ""},
		{DumbInit, "-r 20:10 -r 1:0 a", "", "HUP:drop TSTP:USR1 TTIN:STOP TTOU:STOP"},
		{DumbInit, "-r 1:2 -r 1:3 -r 9:1 a", "EXEUNT_REWRITE=HUP:TERM", "HUP:QUIT TSTP:STOP TTIN:STOP TTOU:STOP"},
		{DumbInit, "a", "EXEUNT_REWRITE=HUP:TERM", "HUP:TERM"},
		{Catatonit, "a", "", faults + "TSTP:drop TTIN:drop TTOU:drop SYS:drop"},
	} {
		if got := becomes(parsed(t, c.p, c.args, c.env)); got != c.want {
			t.Errorf("%s %s %s: %s, want %s", c.p, c.args, c.env, got, c.want)
		}
	}
}

func TestBadVariableOfOursIsOurError(t *testing.T) {
	for _, p := range []Personality{Tini, DumbInit, Catatonit} {
		_, err := p.Parse([]string{"a"}, []string{"EXEUNT_GRACE_PERIOD=x"}, config.Host{})
		var ending *Ending
		if err == nil || errors.As(err, &ending) || !strings.Contains(err.Error(), "EXEUNT_GRACE_PERIOD") {
			t.Errorf("%s: %v", p, err)
		}
	}
}

func TestTerminalKeepsItsSession(t *testing.T) {
	inv, err := DumbInit.Parse([]string{"a"}, nil, config.Host{Terminal: true})
	if err != nil || inv.Plan.Services[0].Command.Session || !inv.Plan.Console {
		t.Errorf("%+v, %v", inv.Plan, err)
	}
}

// FuzzParse wants a plan with the program's words, or an error that says
// something, of whatever is typed.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"-g\x00--\x00ls", "-e\x003\x00a", "--rewrite=15:3\x00a", "-p", "--ver", "-", "a\x00--\x00-b", "-r\x00:", "-P", "-\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, "\x00")
		for _, p := range []Personality{Tini, DumbInit, Catatonit} {
			inv, err := p.Parse(args, nil, config.Host{})
			var ending *Ending
			switch {
			case errors.As(err, &ending):
				if ending.Stdout+ending.Stderr == "" || ending.Error() == "" || ending.Code != 0 && ending.Code != 1 {
					t.Errorf("%s %q: %+v", p, args, ending)
				}
			case err != nil:
				t.Errorf("%s %q: %v, which is no Ending", p, args, err)
			case !inv.Plan.Pause:
				program := inv.Plan.Services[0].Command.Args
				last := args[len(args)-1]
				if len(program) == 0 || program[len(program)-1] != last && last != "--" {
					t.Errorf("%s %q runs %q", p, args, program)
				}
			}
		}
	})
}
