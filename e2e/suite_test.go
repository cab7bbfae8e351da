// Package e2e runs exeunt with real software: Docker, node, npm, gunicorn,
// celery, bash, terminals. Where other inits lose work, the same test shows
// them losing it, so that the tests are known to notice.
//
// The tests need root, for fresh PID namespaces. What a machine lacks is
// skipped, and is a failure where CI is set.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

var (
	exeunt string // the init under test: $E2E_EXEUNT, else built from this repository
	app    string // testdata/app, static
)

func TestMain(m *testing.M) {
	if os.Args[0] == stage {
		enter()
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "exeunt-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	// Users other than root run what is in it.
	if err := os.Chmod(dir, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	exeunt, app = os.Getenv("E2E_EXEUNT"), filepath.Join(dir, "app")
	builds := [][]string{{"-o", app, "./testdata/app"}}
	if exeunt == "" {
		exeunt = filepath.Join(dir, "exeunt")
		build := []string{"-C", "..", "-o", exeunt}
		if runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64" { // as it is released
			build = append(build, "-ldflags", "-E exeunt/internal/lean.start")
		}
		builds = append(builds, append(build, "."))
	}
	for _, arguments := range builds {
		// -C has to be the first flag.
		build := exec.Command("go", append([]string{"build"}, arguments...)...)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if output, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "cannot build: %v\n%s", err, output)
			return 1
		}
	}
	return m.Run()
}

// need skips the test where one of the programs is missing, and fails it in CI.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			lack(t, program+" is not installed")
		}
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		lack(t, "root is needed for a PID namespace")
	}
}

func lack(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// environment is the test's own, where Debian's programs come first: what they
// are written in ("env python3") has to be Debian's as well.
func environment() []string {
	return append(os.Environ(), "PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin:"+os.Getenv("PATH"))
}

// under returns a command line that runs argv under exeunt with a grace
// period, or with none if that is empty.
func under(grace string, argv ...string) []string {
	init := []string{exeunt}
	if grace != "" {
		init = append(init, "--grace-period", grace)
	}
	return append(append(init, "--"), argv...)
}

// The inits that exeunt is compared with, each as its users call it.
var peers = map[string][]string{
	"tini":         {"tini", "--"},
	"tini -g":      {"tini", "-g", "--"},
	"dumb-init":    {"dumb-init", "--"},
	"dumb-init -c": {"dumb-init", "-c", "--"},
	"catatonit":    {"catatonit", "--"},
}
