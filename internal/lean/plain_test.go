//go:build amd64 || arm64

package lean

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"exeunt/internal/compat"
	"exeunt/internal/config"
	"exeunt/signals"
	"exeunt/supervisor"

	"golang.org/x/sys/unix"
)

// onStack lays arguments and environment out as execve(2) does.
func onStack(args, env []string) unsafe.Pointer {
	list := make([]unsafe.Pointer, 1, len(args)+len(env)+3)
	for _, strings := range [][]string{args, env} {
		pointers, err := syscall.SlicePtrFromStrings(strings)
		if err != nil {
			panic(err)
		}
		for _, p := range pointers {
			list = append(list, unsafe.Pointer(p))
		}
	}
	*(*uintptr)(unsafe.Pointer(&list[0])) = uintptr(len(args))
	return unsafe.Pointer(&list[0])
}

// isPlain is what plain says, and the program's words and variables if it says
// yes.
func isPlain(args, env []string) (program, variables []string, yes bool) {
	as, argv, envp, path, grace = exeunt, nil, nil, nil, 0
	stack := onStack(args, env)
	yes = plain(stack)
	if yes {
		first := (uintptr(argv)-uintptr(stack))/word - 1
		program = args[first:]
		for i := uintptr(0); at(envp, i) != nil; i++ {
			variables = append(variables, unix.BytePtrToString((*byte)(at(envp, i))))
		}
	}
	return program, variables, yes
}

func TestPlainIsWhatAsksForNothing(t *testing.T) {
	for _, c := range []struct {
		line  string
		env   []string
		plain bool
	}{
		{"exeunt -- app", nil, true},
		{"/sbin/exeunt -- app -x --", nil, true},
		{"exeunt app", nil, true},
		{"exeunt ls -l -- run", nil, true},
		{"exeunt -- run", nil, true},
		{"exeunt", nil, false},
		{"exeunt --", nil, false},
		{"exeunt - x", nil, false},
		{"exeunt run app", nil, false},
		{"exeunt check", nil, false},
		{"exeunt --quiet -- app", nil, false},
		{"exeunt --grace-period 30s -- app", nil, true},
		{"exeunt --grace-period=5 app", nil, true},
		{"exeunt --grace-period 30s --", nil, false},
		{"exeunt --grace-period 30s", nil, false},
		{"exeunt --grace-period", nil, false},
		{"exeunt --grace-period -- app", nil, false},
		{"exeunt --grace-period 30s run app", nil, false},
		{"exeunt --grace-period 30s --quiet -- app", nil, false},
		{"exeunt --grace-period 3 --grace-period 4 -- app", nil, false},
		{"exeunt --grace-periods 30s -- app", nil, false},
		{"exeunt --grace-period 0 -- app", nil, false}, // nobody is to be told
		{"exeunt --grace-period= -- app", nil, false},
		{"exeunt --grace-period s -- app", nil, false},
		{"exeunt --grace-period 3ss -- app", nil, false},
		{"exeunt --grace-period 3x -- app", nil, false},
		{"exeunt --grace-period 12345 -- app", nil, false},
		{"exeunt --grace-period 500ms -- app", nil, false},
		{"exeunt --grace-period auto -- app", nil, false},
		{"tini --grace-period 3 -- app", nil, false},
		{"exeunt app", []string{"A=b", "EXEUNT_GRACE_PERIOD=30s"}, true},
		{"exeunt --grace-period 3 app", []string{"EXEUNT_GRACE_PERIOD=30s"}, true},
		{"exeunt app", []string{"EXEUNT_GRACE_PERIOD="}, false},
		{"exeunt app", []string{"EXEUNT_GRACE_PERIOD=auto"}, false},
		{"exeunt app", []string{"EXEUNT_GRACE_PERIODS=3"}, false},
		{"exeunt app", []string{"EXEUNT_GRACE_PERIOD=3", "EXEUNT_GRACE_PERIOD=3"}, false},
		{"exeunt app", []string{"EXEUNT_GRACE_PERIOD=3", "EXEUNT_QUIET=1"}, false},
		{"tini app", []string{"EXEUNT_GRACE_PERIOD=30s"}, false},
		{"exeunt app", []string{"EXEUNT_QUIET=1"}, false},
		{"exeunt app", []string{"EXEUNT_SIGNAL=TERM"}, false}, // it is not for the app
		{"exeunt app", []string{"LISTEN_PID=1"}, false},
		{"exeunt app", []string{"TINI_VERBOSITY=3", "EXEUNT=1", "LISTEN_PID", "XEXEUNT_QUIET=1"}, true},
		{"/usr/bin/docker-init -- app", []string{"TINI_VERSION=v0.19.0"}, true},
		{"tini app", nil, true},
		{"tini -g -- app", nil, false},
		{"tini -- app -- x", nil, true},
		{"tini app -- x", nil, false}, // "--" is taken away
		{"catatonit app -- x", nil, false},
		{"dumb-init app -- x", nil, true},
		{"tini run", nil, true},
		{"tini app", []string{"TINI_VERBOSITY=3"}, false},
		{"tini-static app", []string{"TINI_KILL_PROCESS_GROUP="}, false},
		{"dumb-init app", []string{"DUMB_INIT_SETSID=0"}, false},
		{"catatonit app", []string{"CATATONIT_LOG=1"}, false},
		{"catatonit -P", nil, false},
		{"/ app", nil, false},
	} {
		if _, _, got := isPlain(strings.Fields(c.line), c.env); got != c.plain {
			t.Errorf("%q with %q: plain is %v", c.line, c.env, got)
		}
	}
	if _, _, got := isPlain([]string{"exeunt", ""}, nil); got {
		t.Error("an empty program is plain")
	}
	if _, _, got := isPlain(nil, nil); got {
		t.Error("no argument at all is plain")
	}
}

// parsed is how the ordinary program reads a command line.
func parsed(args, env []string, terminal bool) (*config.Invocation, error) {
	host := config.Host{PID1: true, Terminal: terminal, Grace: 10 * time.Second}
	if p, ok := compat.Named(args[0]); ok {
		return p.Parse(args[1:], env, host)
	}
	return config.Parse(args[1:], env, host)
}

func TestWhatIsPlainTheOrdinaryProgramReadsTheSame(t *testing.T) {
	names := []string{"exeunt", "/x/tini", "docker-init", "tini-static", "dumb-init", "catatonit", "anything"}
	options := []string{"--grace-period", "--grace-period=", "--grace-period=10", "3", "7s", "0", "-1", "1m", "--", "app"}
	words := []string{"--", "-", "-g", "-h", "--version", "app", "run", "help", "check", "", "-c", "--quiet", "x=y"}
	variables := []string{"EXEUNT_GRACE_PERIOD=20", "EXEUNT_GRACE_PERIOD=1s", "EXEUNT_GRACE_PERIOD=0", "A=b", "PATH=/x", "PATH=", "EXEUNT_QUIET=1", "EXEUNT_", "LISTEN_PID=7", "TINI_VERBOSITY=3",
		"TINI_SUBREAPER=1", "TINI_VERSION=1", "DUMB_INIT_SETSID=0", "DUMB_INIT_DEBUG=1", "CATATONIT_DEBUG=1", "CATATONIT_LOG=x", "odd"}
	yes, timed := 0, 0
	for seed := range uint64(20000) {
		dice := rand.New(rand.NewPCG(seed, 0))
		pick := func(from []string, n int) (list []string) {
			for range n {
				list = append(list, from[dice.IntN(len(from))])
			}
			return list
		}
		args := append(pick(names, 1), pick(options, dice.IntN(3))...)
		args = append(args, pick(words, dice.IntN(5))...)
		env := pick(variables, dice.IntN(4))
		program, left, plain := isPlain(args, env)
		if !plain {
			continue
		}
		yes++
		if first := slices.IndexFunc(env, func(entry string) bool { return strings.HasPrefix(entry, "PATH=") }); first < 0 != (path == nil) ||
			first >= 0 && !is(path, env[first][len("PATH="):]) {
			t.Fatalf("the wrong PATH of %q", env)
		}
		got, err := parsed(args, env, false)
		if err != nil {
			t.Fatalf("%q with %q is plain: %v", args, env, err)
		}
		want, err := parsed([]string{args[0], "--", "app"}, nil, false)
		if err != nil {
			t.Fatal(err)
		}
		if grace != 0 {
			timed++
			want.Plan.Budget = supervisor.Budget{Grace: time.Duration(grace) * time.Second, Armed: true, Source: got.Plan.Budget.Source}
		}
		command := &want.Plan.Services[0].Command
		want.Env, command.Env, command.Args = got.Env, got.Plan.Services[0].Command.Env, program
		if show(got) != show(want) || !slices.Equal(got.Env, left) || !slices.Equal(command.Env, left) {
			t.Fatalf("%q with %q is plain, but\n%s\nis not\n%s", args, env, show(got), show(want))
		}
	}
	if yes < 1000 || timed < 200 {
		t.Errorf("only %d of the lines are plain, %d with a grace period", yes, timed)
	}
}

// show is all of an invocation, in which nil and empty are one.
func show(inv *config.Invocation) string {
	rest := *inv
	rest.Plan, rest.RunArgs = nil, nil // the latter is for rehearsals
	return fmt.Sprintf("%+v %+v", rest, *inv.Plan)
}

func TestEverySignalIsTreatedAsByTheOrdinaryProgram(t *testing.T) {
	for name, p := range map[string]personality{"exeunt": exeunt, "tini": tini, "dumb-init": dumbInit, "catatonit": catatonit} {
		as = p
		inv, err := parsed([]string{name, "--", "app"}, nil, false)
		if err != nil {
			t.Fatal(err)
		}
		passed := 0
		for sig := signals.Signal(1); sig <= signals.RTMAX; sig++ {
			to, kept := inv.Plan.Rewrites.Apply(sig)
			got := treat(int(sig), 0)
			switch {
			case got == decide:
			case inv.Plan.StopOn.Has(sig), inv.Plan.SuspendOn.Has(sig), freezing>>(sig-1)&1 != 0:
				t.Errorf("%s: %v is not for lean to decide", name, sig)
			case got == pass && (!kept || to != sig), got == drop && kept:
				t.Errorf("%s: %v becomes %v, %v, not %v", name, sig, to, kept, got)
			default:
				passed++
			}
			if treat(int(sig), 0x80) != decide {
				t.Errorf("%s: %v from the kernel is not left to the ordinary program", name, sig)
			}
		}
		if passed != 64-7 {
			t.Errorf("%s: %d signals are treated here", name, passed)
		}
		for _, tty := range []bool{false, true} {
			inv, err := parsed([]string{name, "--", "app"}, nil, tty)
			if want := p == dumbInit && !tty; err != nil || inv.Plan.Services[0].Command.Session != want {
				t.Errorf("%s: a session with terminal %v: not %v", name, tty, want)
			}
		}
	}
	as = exeunt
}

// A word that is a verb to package config must not be a program here.
func TestEveryVerbIsKnown(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../config/config.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	verbs := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); !ok || name.Name != "Verb" {
			return true
		}
		for _, value := range spec.Values {
			verb, err := strconv.Unquote(value.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			verbs++
			if _, _, plain := isPlain([]string{"exeunt", verb}, nil); plain {
				t.Errorf("%q is a verb", verb)
			}
		}
		return true
	})
	if verbs < 4 {
		t.Errorf("found %d verbs", verbs)
	}
}
