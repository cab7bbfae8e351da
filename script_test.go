package main_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var binary = flag.String("exeunt", "", "run the scripts against this binary, not one built from this directory")

// bin holds exeunt and the programs of testdata/programs, each under its name.
var bin string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(withPrograms(m))
}

// withPrograms builds what the scripts run. exeunt is not the test binary in
// disguise: what package testing brings along would be in the app's inheritance.
func withPrograms(m *testing.M) int {
	var err error
	if bin, err = os.MkdirTemp("", "exeunt-scripts-"); err == nil {
		defer os.RemoveAll(bin)
		err = os.Chmod(bin, 0o755) // for apps that run as another user
	}
	for variant, flags := range variants() {
		if err == nil {
			err = provide(filepath.Join(bin, variant), flags)
		}
	}
	if err == nil {
		err = build(filepath.Join(bin, "programs"), "./testdata/programs")
	}
	for _, name := range []string{"daemon", "deaf", "hungry", "knock", "limited", "listen", "masked", "nopidns", "outer", "pid1", "pid1-set", "rlimit", "slow"} {
		if err == nil {
			err = os.Symlink("programs", filepath.Join(bin, name))
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// provide puts exeunt into the directory: the binary that was given, or a build.
func provide(dir string, flags []string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if *binary == "" {
		return build(filepath.Join(dir, "exeunt"), ".", flags...)
	}
	path, err := filepath.Abs(*binary)
	if err != nil {
		return err
	}
	return os.Symlink(path, filepath.Join(dir, "exeunt"))
}

func build(output, from string, flags ...string) error {
	args := append([]string{"build", "-o", output}, flags...)
	cmd := exec.Command("go", append(args, from)...)
	if raceFlags() == nil {
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as a release is, and no entry of our own goes with cgo
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot build %q: %w\n%s", from, err, out)
	}
	return nil
}

// hasEntry tells where releases have an ELF entry of our own.
const hasEntry = runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64"

// variants are the builds of exeunt that the scripts run, in which nobody may
// see a difference, with their flags: what is released, and the ordinary program
// without an ELF entry of our own. The race detector does not go with one.
func variants() map[string][]string {
	switch race := raceFlags(); {
	case race != nil:
		return map[string][]string{"race": race}
	case *binary == "" && hasEntry:
		return map[string][]string{
			"released": {"-trimpath", "-ldflags", "-E exeunt/internal/lean.start"},
			"ordinary": {"-trimpath"},
		}
	}
	return map[string][]string{"released": {"-trimpath"}}
}

func raceFlags() []string {
	info, _ := debug.ReadBuildInfo()
	for _, s := range info.Settings {
		if s.Key == "-race" && s.Value == "true" {
			return []string{"-race"}
		}
	}
	return nil
}

// TestScripts runs the binary as its users do: see testdata/script/README.
func TestScripts(t *testing.T) {
	lookAtSources(t)
	namespaces := exec.Command(filepath.Join(bin, "pid1"), "true").Run() == nil
	memory := exec.Command(filepath.Join(bin, "limited"), "64", "true").Run() == nil
	if !namespaces && os.Getenv("CI") != "" {
		t.Fatal("no PID namespaces: the scripts would show nothing")
	}
	for variant := range variants() {
		t.Run(variant, func(t *testing.T) { runScripts(t, variant, namespaces, memory) })
	}
}

func runScripts(t *testing.T, variant string, namespaces, memory bool) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			// Not the caller's: one unreadable directory in it makes "not found" a
			// "permission denied", as under execvp(3).
			e.Setenv("PATH", filepath.Join(bin, variant)+":"+bin+":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
			if raceFlags() != nil {
				e.Setenv("GORACE", "atexit_sleep_ms=0") // else every exit takes a second
			}
			e.Values[lastRun] = new(time.Duration)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"run": run, "took": took, "json": jsonIs, "between": between, "lines": lines,
		},
		Condition: func(condition string) (bool, error) {
			switch condition {
			case "pidns":
				return namespaces, nil
			case "memory": // a cgroup can be made that limits it
				return memory, nil
			case "entry": // the binary notes what it inherits before the runtime changes it
				return hasEntry && variant == "released", nil
			case "root":
				return os.Getuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", condition)
		},
		RequireExplicitExec: true,
	})
}

// lookAtSources opens every directory of the module. The binary is not linked
// into this test, and go test takes a result from its cache unless something
// that the test itself has looked at is another.
func lookAtSources(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() && len(path) > 1 && path[0] == '.' {
			return filepath.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// lastRun is the key of how long the last run took.
var lastRun any = "last run"

// run CODE PROGRAM ARG... wants this exit code.
func run(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: run CODE PROGRAM [ARG...]")
	}
	began := time.Now()
	err := ts.Exec(args[1], args[2:]...)
	*ts.Value(lastRun).(*time.Duration) = time.Since(began)
	code := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		ts.Fatalf("cannot run: %v", err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// took MIN MAX wants the last run to have taken so long.
func took(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: took MIN MAX")
	}
	within(ts, "the last run took", *ts.Value(lastRun).(*time.Duration), args[0], args[1])
}

// lines COUNT FILE PATTERN wants so many lines of the file to match. FILE may
// be stdout or stderr.
func lines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: lines COUNT FILE PATTERN")
	}
	pattern, err := regexp.Compile(args[2])
	ts.Check(err)
	count := 0
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		if pattern.MatchString(strings.TrimSuffix(line, "\n")) {
			count++
		}
	}
	if strconv.Itoa(count) != args[0] {
		ts.Fatalf("%d lines match %q, want %s", count, args[2], args[0])
	}
}

// json FILE PATH PATTERN wants the value at PATH to match, whole. PATH is made
// of keys, indices, and name=VALUE for the element with that name; len is a list's length.
func jsonIs(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: json FILE PATH PATTERN")
	}
	pattern, err := regexp.Compile("^(?:" + args[2] + ")$")
	ts.Check(err)
	got := fmt.Sprint(at(ts, args[0], args[1]))
	if pattern.MatchString(got) == neg {
		ts.Fatalf("%s is %s", args[1], got)
	}
}

// between FILE FROM TO MIN MAX wants so much time between two times in the file.
func between(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 5 {
		ts.Fatalf("usage: between FILE FROM TO MIN MAX")
	}
	var times [2]time.Time
	for i, path := range args[1:3] {
		text, _ := at(ts, args[0], path).(string)
		var err error
		times[i], err = time.Parse(time.RFC3339Nano, text)
		ts.Check(err)
	}
	within(ts, fmt.Sprintf("from %s to %s it is", args[1], args[2]), times[1].Sub(times[0]), args[3], args[4])
}

func within(ts *testscript.TestScript, what string, d time.Duration, low, high string) {
	least, err := time.ParseDuration(low)
	ts.Check(err)
	most, err := time.ParseDuration(high)
	ts.Check(err)
	if d < least || d > most {
		ts.Fatalf("%s %v, want %v to %v", what, d, least, most)
	}
}

// at is the value at a path of a JSON file, nil where there is none.
func at(ts *testscript.TestScript, file, path string) any {
	var value any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(file)), &value))
	for step := range strings.SplitSeq(path, ".") {
		value = into(value, step)
	}
	return value
}

func into(value any, step string) any {
	switch v := value.(type) {
	case nil:
		if step == "len" {
			return 0 // encoding/json's word for an empty list
		}
	case map[string]any:
		return v[step]
	case []any:
		if step == "len" {
			return len(v)
		}
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(v) {
			return v[i]
		}
		key, want, _ := strings.Cut(step, "=")
		for _, element := range v {
			if m, ok := element.(map[string]any); ok && fmt.Sprint(m[key]) == want {
				return element
			}
		}
	}
	return nil
}
