package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// A subject is an init: the words of its command line up to the app's.
type subject struct {
	name    string
	command []string // absolute path first; empty for bare
	version string
	tree    layout   // of a supervisor of several processes; command is its program alone
	only    []string // the measures it takes part in; nil is all
}

// limit tells that no init or supervisor is at work.
func (s subject) limit() bool { return s.name == bare || s.name == cat }

// Names with a meaning of their own.
const (
	bare    = "bare" // no init: the app itself is PID 1, the physical limit
	plain   = "exeunt"
	timed   = "exeunt+grace"   // a grace period, for which the lean start is enough
	options = "exeunt+options" // any other option needs the runtime
	several = "exeunt run"     // of services
	cat     = "cat"            // output without a supervisor
)

// peers are the inits for a single app, then the supervisors of several, and the
// Debian packages they are in.
var peers = []struct {
	name, packaged string
	programs       []string // the first one found
	tree           layout
}{
	{"tini", "tini", []string{"tini"}, nil},
	{"docker-init", "tini", []string{"docker-init", "tini-static"}, nil},
	{"dumb-init", "dumb-init", []string{"dumb-init"}, nil},
	{"catatonit", "catatonit", []string{"catatonit"}, nil},
	{"s6", "s6", []string{"s6-svscan"}, servicesOfS6},
	{"runit", "runit", []string{"runsvdir"}, servicesOfRunit},
	{"supervisord", "supervisor", []string{"supervisord"}, servicesOfSupervisord},
	{cat, "coreutils", []string{"cat"}, pipeOf},
}

// findPeers looks the peers up, and installs what is missing if asked to.
func findPeers(install bool) ([]subject, error) {
	var found []subject
	missing := map[string]bool{}
	for _, p := range peers {
		s := subject{name: p.name, tree: p.tree}
		for _, program := range p.programs {
			if path, err := exec.LookPath(program); err == nil {
				// docker-init may be a link to tini-static; what is run is what is weighed.
				if path, err = filepath.EvalSymlinks(path); err == nil {
					s.command, s.version = []string{path}, debianVersion(path)
					if p.tree == nil {
						s.command = append(s.command, "--")
					}
					break
				}
			}
		}
		if s.command == nil {
			missing[p.packaged] = true
			continue
		}
		found = append(found, s)
	}
	if len(missing) == 0 {
		return found, nil
	}
	args := []string{"install", "-y"}
	for _, p := range peers {
		if missing[p.packaged] {
			args = append(args, p.packaged)
			delete(missing, p.packaged)
		}
	}
	if !install {
		return nil, fmt.Errorf("some peers are not installed; run: apt-get %s (or give -install)", strings.Join(args, " "))
	}
	if err := command(".", "apt-get", args...); err != nil {
		return nil, err
	}
	return findPeers(false)
}

// debianVersion is the version of the package that the file belongs to, or
// empty.
func debianVersion(path string) string {
	owner, err := exec.Command("dpkg-query", "-S", path).Output()
	if err != nil {
		if owner, err = exec.Command("dpkg-query", "-S", strings.TrimPrefix(path, "/usr")).Output(); err != nil {
			return ""
		}
	}
	name, _, _ := strings.Cut(string(owner), ":")
	version, _ := exec.Command("dpkg-query", "-W", "-f", "${Version}", name).Output()
	return string(version)
}

// named is a subject from the command line: NAME=COMMAND, split at spaces.
func named(arg string) (subject, error) {
	name, line, ok := strings.Cut(arg, "=")
	words := strings.Fields(line)
	if !ok || name == "" || len(words) == 0 {
		return subject{}, fmt.Errorf("a further subject is NAME=COMMAND, not %q", arg)
	}
	path, err := exec.LookPath(words[0])
	if err != nil {
		return subject{}, fmt.Errorf("cannot find the subject %q: %w", name, err)
	}
	if words[0], err = filepath.Abs(path); err != nil {
		return subject{}, fmt.Errorf("cannot find the subject %q: %w", name, err)
	}
	return subject{name: name, command: words}, nil
}

// ourselves are the two ways in which a build of exeunt is run for one app: as
// plainly as can be, and with options.
func ourselves(prefix, path, version string) []subject {
	return []subject{
		{name: prefix + plain, command: []string{path, "--"}, version: version},
		{name: prefix + options, command: []string{path, "--grace-period", graceGiven.String(), "--stop-signal", "TERM", "--"}, version: version},
	}
}

// buildLimits compiles the least that a program of Go can be, by itself and with
// all that exeunt links: see command limit.
func buildLimits(dir, version string) ([]subject, error) {
	least, linked, overlay := filepath.Join(dir, "least"), filepath.Join(dir, "linked"), filepath.Join(dir, "overlay.json")
	source, err := filepath.Abs("limit/init.go")
	if err != nil {
		return nil, err
	}
	target, err := filepath.Abs("../limit.go") // which does not exist: it is added
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": {target: source}})
	if err == nil {
		err = os.WriteFile(overlay, text, 0o600)
	}
	if err == nil {
		err = command(".", "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", least, "./limit")
	}
	if err == nil {
		err = build("", linked, "-overlay", overlay)
	}
	// Linked, the signals would go to exeunt's handler.
	return []subject{
		{name: "least Go", command: []string{least, "--"}, only: []string{"size", "start", "true", "exit", "memory", "signal", "early"}},
		{name: "least Go linked", command: []string{linked, "--"}, version: version, only: []string{"size", "start", "true", "exit", "memory"}},
	}, err
}

// buildProbe compiles the probe into dir.
func buildProbe(dir string) (string, error) {
	path := filepath.Join(dir, "probe")
	return path, command(".", "go", "build", "-trimpath", "-ldflags", "-s -w -E main.start", "-o", path, "./probe")
}

// buildExeunt compiles the release build of the module around this one, with
// an ELF entry of its own on the architectures that have one.
func buildExeunt(dir, entry string) (path, version string, err error) {
	path = filepath.Join(dir, "exeunt")
	if err := build(entry, path); err != nil {
		return "", "", err
	}
	describe, _ := exec.Command("git", "describe", "--always", "--dirty").Output()
	return path, string(bytes.TrimSpace(describe)), nil
}

// build compiles the module around this one as in .ci/run.
func build(entry, path string, more ...string) error {
	flags := "-s -w"
	if entry != "" && (runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64") {
		flags += " -E " + entry
	}
	if runtime.GOARCH == "amd64" {
		flags += " -funcalign=16"
	}
	args := append([]string{"GOEXPERIMENT=nogreenteagc", "go", "build", "-trimpath", "-ldflags", flags, "-o", path}, more...)
	return command("..", "env", append(args, ".")...)
}

// command runs a program of the tool chain or the system, in a directory.
func command(dir, name string, args ...string) error {
	c := exec.Command(name, args...)
	c.Dir, c.Stderr, c.Env = dir, os.Stderr, append(os.Environ(), "CGO_ENABLED=0")
	if err := c.Run(); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return fmt.Errorf("%s %s failed: %w", name, strings.Join(args, " "), err)
		}
		return fmt.Errorf("cannot run %s: %w", name, err)
	}
	return nil
}
