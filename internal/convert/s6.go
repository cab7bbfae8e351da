package convert

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"exeunt/hooks"
	"exeunt/signals"
)

// A tree is a folder of s6-rc's service definitions: a folder for each, with a
// file for each thing that is said of it.
type tree struct {
	document
	fs     fs.FS
	path   string // as it was named, for errors
	inside string // in the image
	all    []*definition
}

// A definition is one folder.
type definition struct {
	name, kind string
	wants      []string // its dependencies, or the contents of a bundle
	service    *service
	started    bool // with the container
	notifies   int  // its notification-fd, or 0
	state      int  // of the search for circles
}

// overlay is where s6-overlay has its definitions.
const overlay = "/etc/s6-overlay/s6-rc.d"

// services converts a folder of s6-rc.
func services(folder string, files fs.FS) (string, error) {
	t := &tree{fs: files, path: folder}
	if t.inside = filepath.ToSlash(folder); strings.Contains(t.inside+"/", overlay+"/") {
		t.inside = overlay // of an image that is still to be built
	} else if absolute, err := filepath.Abs(folder); err == nil {
		t.inside = filepath.ToSlash(absolute)
	}
	if err := t.definitions(); err != nil {
		return "", err
	}
	for _, d := range t.all {
		if d.kind == "bundle" {
			continue
		}
		if err := t.convert(d); err != nil {
			return "", err
		}
	}
	for _, d := range t.all {
		if err := t.connect(d); err != nil {
			return "", err
		}
	}
	t.say("Made by exeunt convert from %s. See what it does with exeunt check -c FILE.", filepath.Base(folder))
	t.say("The run scripts stay where they are. Those for execlineb, and those that call s6 programs, need these in the image; with-contenv does not: a service has the container's environment.")
	t.say("s6 starts a service again whenever it ends, and so does this: restart: always. A oneshot that fails ends the start, and the container with its exit code. A command of the image (CMD) goes after --, as in exeunt run -c FILE -- COMMAND: it is the service main.")
	t.say("grace_period is not set: write down what the platform gives (30s: Kubernetes, 10s: Docker) and everyone is told and killed before.")
	return t.write(folder)
}

// definitions reads what there is, and marks what starts with the container.
func (t *tree) definitions() error {
	entries, err := fs.ReadDir(t.fs, ".")
	if err != nil {
		return fmt.Errorf("cannot read %q: %w", t.path, cause(err))
	}
	for _, e := range entries {
		info, err := fs.Stat(t.fs, e.Name())
		if err != nil || !info.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		d := &definition{name: e.Name()}
		if d.kind, err = t.line(d, "type"); err != nil {
			return err
		}
		switch d.kind {
		case "longrun", "oneshot":
			d.wants = t.names(d, "dependencies")
		case "bundle":
			d.wants = t.names(d, "contents")
		default:
			return mistake(t.at(d, "type"), 1, "%q is neither longrun, oneshot nor bundle", shortened(d.kind))
		}
		t.all = append(t.all, d)
	}
	if len(t.all) == 0 {
		return fmt.Errorf("%s: no folder in it with a type: is it an s6-rc.d?", t.path)
	}
	user := t.find("user")
	for _, d := range t.all {
		if user == nil || user.kind != "bundle" || d.name == "user" || d.name == "user2" {
			t.mark(d)
		}
	}
	return nil
}

// mark marks a definition, and what it needs, as started.
func (t *tree) mark(d *definition) {
	if d == nil || d.started {
		return
	}
	d.started = true
	for _, name := range d.wants {
		t.mark(t.find(name))
	}
}

func (t *tree) find(name string) *definition {
	for _, d := range t.all {
		if d.name == name {
			return d
		}
	}
	return nil
}

// at is a file of a definition, for errors.
func (t *tree) at(d *definition, file string) string { return filepath.Join(t.path, d.name, file) }

// has reports whether a definition has a file.
func (t *tree) has(d *definition, file string) bool {
	_, err := fs.Stat(t.fs, path.Join(d.name, file))
	return err == nil
}

// text is a file of a definition.
func (t *tree) text(d *definition, file string) (string, error) {
	text, err := fs.ReadFile(t.fs, path.Join(d.name, file))
	switch {
	case err != nil:
		return "", fmt.Errorf("cannot read %q: %w", t.at(d, file), cause(err))
	case len(text) > longest:
		return "", fmt.Errorf("cannot read %q: it has more than %d KiB", t.at(d, file), longest>>10)
	}
	return proper(t.at(d, file), string(text))
}

// line is a file of one line.
func (t *tree) line(d *definition, file string) (string, error) {
	text, err := t.text(d, file)
	return strings.TrimSpace(text), err
}

// names are those of the files in a folder NAME.d, and the lines of a file NAME.
func (t *tree) names(d *definition, file string) (names []string) {
	entries, _ := fs.ReadDir(t.fs, path.Join(d.name, file+".d"))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	text, _ := t.text(d, file)
	for row := range strings.Lines(text) {
		if row = strings.TrimSpace(row); row != "" && row[0] != '#' {
			names = append(names, row)
		}
	}
	return names
}

// convert makes a service of a definition.
func (t *tree) convert(d *definition) (err error) {
	if d.service, err = t.add(d.name, 1, d.started); err != nil {
		return fmt.Errorf("%s: %w", t.path, err)
	}
	s := d.service
	if d.kind == "oneshot" {
		err = t.oneshot(d)
	} else {
		err = t.longrun(d)
	}
	if err != nil {
		return err
	}
	if !d.started {
		s.note("It is not among the contents of user.")
		s.set("enabled", "false")
	}
	if text, ok := t.optional(d, "down-signal"); ok {
		if sig, err := signals.Parse(text); err == nil && sig != signals.STOP {
			s.set("stop_signal", sig.String())
		} else {
			s.note("down-signal: %q is no signal that ends a program here; it gets TERM.", text)
		}
	}
	if after, ok := t.milliseconds(d, "timeout-kill"); ok {
		s.set("stop_grace_period", after)
	}
	if after, ok := t.milliseconds(d, "timeout-up"); ok && d.notifies > 0 {
		s.set("start_timeout", after)
	} else if ok {
		s.note("timeout-up (%s): start_timeout is for services with a healthcheck.", after)
	}
	t.others(d)
	return nil
}

// longrun runs its run script.
func (t *tree) longrun(d *definition) error {
	s := d.service
	script, err := t.text(d, "run")
	if err != nil {
		return err
	}
	s.list("command", []string{t.inside + "/" + d.name + "/run"})
	first, _, _ := strings.Cut(script, "\n")
	switch {
	case strings.Contains(first, "with-contenv"):
		s.note(`run: its first line, %q, can be "#!/bin/sh" here.`, first)
	case strings.Contains(first, "execlineb"):
		s.note("run: is for execlineb, which has to stay in the image; or write what it runs as command.")
	case !strings.HasPrefix(first, "#!"):
		s.note("run: has no #! line, and can't be run without.")
	}
	s.set("restart", "always")
	if text, ok := t.optional(d, "notification-fd"); ok {
		if fd, err := strconv.Atoi(text); err == nil && fd >= 3 && fd <= 1023 {
			d.notifies = fd
			s.set("healthcheck", fmt.Sprintf("{fd: %d}", fd))
		} else {
			s.note("notification-fd: %q is none from 3 to 1023.", text)
		}
	}
	return nil
}

// oneshot runs its up file, a line for execlineb.
func (t *tree) oneshot(d *definition) error {
	s := d.service
	up, err := t.line(d, "up")
	if err != nil {
		return err
	}
	s.set("type", "oneshot")
	words, err := hooks.Split(up)
	if err != nil && up == "" {
		return mistake(t.at(d, "up"), 1, "%v", errors.New("no command"))
	}
	if err != nil || strings.ContainsAny(up, "{}$#\\\"'\n") {
		s.note("up: is a script for execlineb, which has to stay in the image.")
		words = []string{"execlineb", "-P", "-c", up}
	}
	s.list("command", words)
	return nil
}

// optional is a file of one line that need not be there.
func (t *tree) optional(d *definition, file string) (string, bool) {
	text, err := t.line(d, file)
	return text, err == nil && text != ""
}

// milliseconds is a file that holds a number of them; 0 is for ever, which is
// the default here too.
func (t *tree) milliseconds(d *definition, file string) (string, bool) {
	text, ok := t.optional(d, file)
	if !ok {
		return "", false
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > int(24*time.Hour/time.Millisecond) {
		d.service.note("%s: %q is no number of milliseconds, or more than a day.", file, text)
		return "", false
	}
	if n%1000 == 0 {
		return strconv.Itoa(n/1000) + "s", n > 0
	}
	return strconv.Itoa(n) + "ms", true
}

// others are the files that nothing here stands for.
func (t *tree) others(d *definition) {
	for _, other := range []struct{ file, text string }{
		{"finish", "finish: does not run here. Write what it does as a hook: post_stop: [COMMAND]. Where it ends the container, leave restart out."},
		{"down", "down: does not run here. Write it as a hook of the container: post_stop, at the top of this file."},
		{"timeout-down", "timeout-down: the stop has grace_period in all, and a service stop_grace_period."},
		{"timeout-finish", "timeout-finish: a hook has timeout."},
		{"data/check", "data/check: write it as a healthcheck: {test: [CMD, …]}."},
		{"flag-timeout-killpg", "flag-timeout-killpg: what is left of its process group is told, and killed, anyway."},
		{"flag-essential", "flag-essential: keeps s6-rc from stopping it alone; exeunt stop does what it is told."},
		{"flag-recommended", "flag-recommended: means nothing here."},
		{"max-death-tally", "max-death-tally: restart: on-failure:N gives up after N in a row."},
		{"producer-for", "producer-for: there are no pipes between services. Its output goes to the container's; see stdout."},
		{"consumer-for", "consumer-for: there are no pipes between services. One that only writes logs is not needed."},
		{"pipeline-name", "pipeline-name: there are no bundles."},
		{"nosetsid", "nosetsid: a service has a process group of its own."},
		{"lock-fd", "lock-fd: there is none."},
	} {
		if t.has(d, other.file) {
			d.service.note("%s", other.text)
		}
	}
}
