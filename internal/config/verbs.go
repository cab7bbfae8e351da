package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"exeunt/hooks"
)

// probeTime is what a probe gets to succeed in if nobody says otherwise, as a
// hook does.
const probeTime = 5 * time.Second

// ownWords reports whether the words after the verb are the verb's own; else
// they are a program to be run.
func (v Verb) ownWords() bool { return v == Probe || v == Copy || v == Convert || v.Asks() }

// misplaced complains of a flag that is another verb's.
func (l line) misplaced() error {
	for _, o := range l.flags {
		switch {
		case asker(o.name) != "" && l.verb != asker(o.name):
			return fmt.Errorf("%s is a flag of %s", o.name, asker(o.name))
		case l.verb.Asks() && (o.name == "--control" || o.name == "--config" || asker(o.name) != ""):
		case l.verb.ownWords() && (l.verb != Probe || o.name != "--timeout"):
			return fmt.Errorf("%s is no flag of %s", o.name, l.verb)
		case (l.verb == Run || l.verb == Check) && o.name == "--after":
			return errors.New(`--after is a flag of rehearse: write "exeunt rehearse --after … -- COMMAND"`)
		case l.verb != Check && o.name == "--schema":
			return errors.New("--schema is a flag of check")
		case !l.verb.ownWords() && o.name == "--timeout":
			return errors.New(`--timeout is a flag of probe: write "exeunt probe URL --timeout 5s"`)
		}
	}
	if l.verb.ownWords() && len(l.program) > 0 {
		return fmt.Errorf(`%s runs no program: what follows "--" is one`, l.verb)
	}
	return nil
}

// probe reads the words of exeunt probe: a hook that asks or looks, in its
// short form.
func (l line) probe(f *flags, env []string) (*Invocation, error) {
	const usage = `write "exeunt probe http://127.0.0.1:8080/healthz", tcp://HOST:PORT or drain:PORT`
	if len(l.words) == 0 {
		return nil, errors.New("nothing to probe: " + usage)
	}
	hook, err := hooks.Parse(strings.Join(l.words, " "))
	if err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	if !hook.Remote() {
		return nil, fmt.Errorf("cannot probe %q: %s", hook.Name, usage)
	}
	if hook.Timeout = or(f.Timeout, duration{probeTime}).Duration; hook.Timeout == 0 {
		return nil, fmt.Errorf("%s: a probe that has no time never succeeds", f.sources["timeout"])
	}
	return &Invocation{Verb: Probe, Probe: hook, Env: env}, nil
}

// copying reads the words of exeunt copy.
func (l line) copying() (*Invocation, error) {
	if len(l.words) != 1 || l.words[0] == "" {
		return nil, errors.New(`copy takes one file or folder: write "exeunt copy /bin-volume"`)
	}
	return &Invocation{Verb: Copy, Dest: l.words[0]}, nil
}

// converting reads the words of exeunt convert.
func (l line) converting() (*Invocation, error) {
	if len(l.words) != 1 || l.words[0] == "" {
		return nil, errors.New(`convert takes one file or folder: write "exeunt convert supervisord.conf", Procfile or s6-rc.d`)
	}
	return &Invocation{Verb: Convert, From: l.words[0]}, nil
}
