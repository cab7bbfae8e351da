package compat

import (
	"fmt"
	"strconv"
	"strings"

	"exeunt/signals"
	"exeunt/supervisor"
)

// The version of tini whose command line this is. Docker looks for
// "tini version " at the beginning of the line.
const tiniVersion = "tini version 0.19.0_exeunt"

const tiniUsage = `Usage: tini [OPTIONS] [--] PROGRAM [ARGS] | --version

  --version     Show the version (as the only argument)
  -h            Show this text
  -s            Accepted: we always collect orphans, as a subreaper where not PID 1
  -p SIGNAL     Send us SIGNAL when our parent dies
  -v            Say more; up to three times
  -w            Warn of every orphan that is collected
  -g            Pass signals on to the program's process group
  -e EXIT_CODE  Exit with 0 instead of EXIT_CODE; repeatable
  -l            Show where the licence is

Variables: TINI_SUBREAPER, TINI_KILL_PROCESS_GROUP (present is on), TINI_VERBOSITY
(1 unless set), and every variable of exeunt's.
This is exeunt, which behaves as tini.
`

var tiniOptions = []option{
	{letter: 'h'}, {letter: 's'}, {letter: 'p', valued: true}, {letter: 'v'}, {letter: 'w'},
	{letter: 'g'}, {letter: 'e', valued: true}, {letter: 'l'},
}

// parseTini reads tini 0.19's command line (krallin/tini, src/tini.c).
func parseTini(args []string, env environment) (*request, error) {
	if len(args) == 1 && args[0] == "--version" {
		return nil, &Ending{Stdout: tiniVersion + "\n"}
	}
	want := &request{
		defaults: all("drop", append([]signals.Signal{signals.TTIN, signals.TTOU}, faults...)...),
		codes:    supervisor.StartCodes{NotFound: 127, NotExecutable: 126, Other: 1},
	}
	verbosity, chosen := 1, false
	rest, ended, err := options(tiniOptions, args, func(letter byte, value string) (err error) {
		switch letter {
		case 'h':
			return &Ending{Stdout: tiniUsage}
		case 'l':
			return &Ending{Stdout: licence}
		case 'v':
			verbosity, chosen = verbosity+1, true
		case 'w':
			want.warnReaped = true
		case 'g':
			want.group = true
		case 'p':
			if want.death, err = signals.Parse(value); err != nil {
				return mistake("-p: " + err.Error())
			}
		case 'e':
			return want.remap(value)
		}
		return nil
	})
	if err == nil && len(rest) == 0 {
		err = mistake("no program given")
	}
	if problem, ok := err.(mistake); ok {
		return nil, wrong(Tini, problem.Error(), tiniUsage)
	}
	if err != nil {
		return nil, err
	}
	if want.program = rest; !ended {
		want.program = unpermuted(rest)
	}
	if _, on := env.lookup("TINI_KILL_PROCESS_GROUP"); on {
		want.group = true
	}
	if value, given := env.lookup("TINI_VERBOSITY"); given {
		verbosity, chosen = atoi(value), true
	}
	if chosen {
		want.level = level(verbosity)
	}
	return want, nil
}

// remap takes an exit code as strtol(3) reads it, so that an empty one is 0.
func (r *request) remap(value string) error {
	code, err := strconv.Atoi(strings.TrimLeft(value, " \t\n\v\f\r"))
	if value != "" && err != nil || code < 0 || code > 255 {
		return mistake(fmt.Sprintf("-e: %q is not an exit code, 0 to 255", value))
	}
	r.success = append(r.success, code)
	return nil
}

// level is tini's verbosity: errors, warnings, what happens, everything.
func level(verbosity int) *supervisor.Level {
	of := supervisor.Debug
	switch {
	case verbosity <= 0:
		of = supervisor.Error
	case verbosity == 1:
		of = supervisor.Warn
	case verbosity == 2:
		of = supervisor.Info
	}
	return &of
}

// atoi reads the number that s begins with, 0 if with none, as atoi(3).
func atoi(s string) int {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || end == 0 && (s[0] == '-' || s[0] == '+')) {
		end++
	}
	n, _ := strconv.Atoi(s[:end]) // no number at all is 0
	return n
}

const licence = "exeunt is free software under the Apache License 2.0: https://www.apache.org/licenses/LICENSE-2.0\n"
