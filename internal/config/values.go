package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"exeunt/hooks"
	"exeunt/reaper"
	"exeunt/signals"
	"exeunt/supervisor"
)

// The values of flags: each reads itself, so that kong names the flag in front
// of whatever is wrong with it.
type (
	duration struct{ time.Duration }
	stopOn   struct{ signals.Set }
	ladder   struct{ rungs []supervisor.Rung }
	killMode struct{ supervisor.KillMode }
	user     struct {
		*reaper.User
		text string
	}
	hook      struct{ hooks.Hook }
	path      string
	control   string
	address   string
	tty       string
	exitCode  int
	exitCodes struct{ to map[int]int }
	logFormat string
	logLevel  struct{ supervisor.Level }
	grace     struct {
		time.Duration
		auto bool
	}
)

const toApp tty = "app"

func (d *duration) UnmarshalText(text []byte) (err error) {
	d.Duration, err = hooks.ParseDuration(string(text))
	return err
}

func (g *grace) UnmarshalText(text []byte) (err error) {
	if g.auto = string(text) == "auto"; !g.auto {
		g.Duration, err = hooks.ParseDuration(string(text))
	}
	return err
}

func (s *stopOn) UnmarshalText(text []byte) (err error) {
	if s.Set, err = signals.ParseSet(strings.ReplaceAll(string(text), " ", "")); err != nil {
		return err
	}
	for _, never := range []signals.Signal{signals.KILL, signals.STOP, signals.CHLD} {
		if s.Has(never) {
			return fmt.Errorf("%s can't begin the stop: it never reaches an init as a request", never)
		}
	}
	if s.Set == 0 {
		return errors.New("no signal given")
	}
	return nil
}

func (l *ladder) UnmarshalText(text []byte) error {
	l.rungs = nil
	steps := strings.Split(string(text), ",")
	for i, step := range steps {
		words, last := strings.Fields(step), i == len(steps)-1
		if len(words) == 0 {
			return errors.New("no signal given")
		}
		sig, err := signals.Parse(words[0])
		switch {
		case err != nil:
			return err
		case sig == signals.STOP:
			return errors.New("STOP would freeze the program, not end it")
		case len(words) > 2:
			return fmt.Errorf("%q is not a signal and its time, as in \"QUIT 15s\"", strings.TrimSpace(step))
		case last && len(words) == 2:
			return fmt.Errorf("the last signal has what is left of the grace period: write %s without %s", words[0], words[1])
		case !last && len(words) == 1:
			return fmt.Errorf("%s needs its time before the next signal, as in \"%s 15s, TERM\"", words[0], words[0])
		}
		rung := supervisor.Rung{Signal: sig}
		if !last {
			if rung.For, err = hooks.ParseDuration(words[1]); err != nil {
				return err
			}
		}
		l.rungs = append(l.rungs, rung)
	}
	return nil
}

func (m *killMode) UnmarshalText(text []byte) (err error) {
	m.KillMode, err = choose(string(text), []string{"cascade", "group", "main"},
		supervisor.Cascade, supervisor.Group, supervisor.Main)
	return err
}

func (u *user) UnmarshalText(text []byte) (err error) {
	u.text = string(text)
	u.User, err = reaper.LookupUser(u.text)
	return err
}

func (h *hook) UnmarshalText(text []byte) (err error) {
	h.Hook, err = hooks.Parse(string(text))
	return err
}

func (p *path) UnmarshalText(text []byte) error {
	if *p = path(text); *p == "" {
		return errors.New("the path is empty")
	}
	return nil
}

func (t *tty) UnmarshalText(text []byte) (err error) {
	*t, err = choose(string(text), []string{"app", "init"}, toApp, "init")
	return err
}

func (c *exitCode) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 8)
	if err != nil {
		return fmt.Errorf("%q is not an exit code, 0 to 255", text)
	}
	*c = exitCode(n)
	return nil
}

func (e *exitCodes) UnmarshalText(text []byte) error {
	e.to = map[int]int{}
	for entry := range strings.SplitSeq(string(text), ",") {
		i := strings.IndexAny(entry, "=:")
		if i < 0 {
			return fmt.Errorf("%q is not CODE=CODE, as in 143=0", entry)
		}
		var from, to exitCode
		if err := from.UnmarshalText([]byte(strings.TrimSpace(entry[:i]))); err != nil {
			return err
		}
		if err := to.UnmarshalText([]byte(strings.TrimSpace(entry[i+1:]))); err != nil {
			return err
		}
		if _, twice := e.to[int(from)]; twice {
			return fmt.Errorf("%d is mapped twice", from)
		}
		e.to[int(from)] = int(to)
	}
	return nil
}

func (f *logFormat) UnmarshalText(text []byte) (err error) {
	*f, err = choose[logFormat](string(text), []string{"auto", "json", "console"}, "auto", "json", "console")
	return err
}

func (l *logLevel) UnmarshalText(text []byte) (err error) {
	l.Level, err = choose(string(text), []string{"debug", "info", "warn", "error"},
		supervisor.Debug, supervisor.Info, supervisor.Warn, supervisor.Error)
	return err
}

// choose is the value whose word was given.
func choose[T any](word string, words []string, values ...T) (T, error) {
	for i, known := range words {
		if word == known {
			return values[i], nil
		}
	}
	var none T
	last := len(words) - 1
	return none, fmt.Errorf("%q is neither %s nor %s", word, strings.Join(words[:last], ", "), words[last])
}

// budget is the grace period and where it came from.
func (f *flags) budget(host Host) supervisor.Budget {
	b := supervisor.Budget{Grace: host.Grace, Source: host.Platform}
	switch {
	case host.GraceVariable != "":
		b.Armed, b.Source = true, host.GraceVariable
	case b.Source == "":
		b.Source = "default"
	}
	if g := f.GracePeriod; g != nil {
		b.Armed = true
		if g.auto {
			b.Source = f.sources["grace-period"] + " auto, " + b.Source
		} else {
			b.Grace, b.Source = g.Duration, f.sources["grace-period"]
		}
		b.Source = strings.Replace(b.Source, ": grace_period", "", 1) // of the file, its place will do
	}
	return b
}

// exitCodes is --exit-codes and --remap-exit in one.
func (f *flags) exitCodes() (map[int]int, error) {
	codes := or(f.ExitCodes, exitCodes{}).to
	for _, code := range f.RemapExit {
		if to, mapped := codes[int(code)]; mapped && to != 0 {
			return nil, fmt.Errorf("%s: %d is mapped to %d by %s", f.sources["remap-exit"], code, to, f.sources["exit-codes"])
		}
		if codes == nil {
			codes = map[int]int{}
		}
		codes[int(code)] = 0
	}
	return codes, nil
}

func (f *flags) level() supervisor.Level {
	level := or(f.LogLevel, logLevel{}).Level
	if f.Quiet {
		level = max(level, supervisor.Warn)
	}
	return level
}

// list unwraps hooks.
func list(from []hook) []hooks.Hook {
	var to []hooks.Hook
	for _, h := range from {
		to = append(to, h.Hook)
	}
	return to
}
