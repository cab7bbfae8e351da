package compat

import (
	"fmt"
	"strings"

	"exeunt/signals"
	"exeunt/supervisor"
)

const dumbInitVersion = "dumb-init v1.2.5_exeunt\n"

const dumbInitUsage = `Usage: dumb-init [OPTIONS] PROGRAM [ARGS]

  -c, --single-child  Pass signals on to the program alone, not to its whole session
  -r, --rewrite S:R   Pass on signal R instead of S, by number or name; 0 passes on
                      nothing; repeatable
  -v, --verbose       Say what happens
  -h, --help          Show this text
  -V, --version       Show the version

Variables: DUMB_INIT_SETSID=0 is -c, DUMB_INIT_DEBUG=1 is -v, and every variable
of exeunt's.
This is exeunt, which behaves as dumb-init.
`

var dumbInitOptions = []option{
	{letter: 'c', long: "single-child"}, {letter: 'r', long: "rewrite", valued: true},
	{letter: 'v', long: "verbose"}, {letter: 'h', long: "help"}, {letter: 'V', long: "version"},
}

// parseDumbInit reads dumb-init 1.2's command line (Yelp/dumb-init,
// dumb-init.c). Its texts are on stderr, version and help too.
func parseDumbInit(args []string, env environment) (*request, error) {
	want := &request{
		group: true, session: true, rewrites: map[signals.Signal]string{},
		codes: supervisor.StartCodes{NotFound: 2, NotExecutable: 2, Other: 2},
	}
	debug := supervisor.Debug
	rest, _, err := options(dumbInitOptions, args, func(letter byte, value string) error {
		switch letter {
		case 'h':
			return &Ending{Stderr: dumbInitUsage}
		case 'V':
			return &Ending{Stderr: dumbInitVersion}
		case 'c':
			want.group, want.session = false, false
		case 'v':
			want.level = &debug
		case 'r':
			return want.rewriteOne(value)
		}
		return nil
	})
	if err == nil && len(rest) == 0 {
		err = mistake("no program given")
	}
	if problem, ok := err.(mistake); ok {
		return nil, wrong(DumbInit, problem.Error(), dumbInitUsage)
	}
	if err != nil {
		return nil, err
	}
	want.program = rest
	if value, _ := env.lookup("DUMB_INIT_SETSID"); value == "0" {
		want.group, want.session = false, false
	}
	if value, _ := env.lookup("DUMB_INIT_DEBUG"); value == "1" {
		want.level = &debug
	}
	want.jobControl()
	return want, nil
}

// rewriteOne takes S:R. The last one for a signal counts. KILL, STOP and
// CHLD are taken and change nothing, as they never reach an init to be passed
// on.
func (r *request) rewriteOne(value string) error {
	before, to, ok := strings.Cut(strings.TrimLeft(value, " \t"), ":")
	if !ok {
		return mistake(fmt.Sprintf("-r: %q is not S:R, such as 15:3", value))
	}
	from, err := signals.Parse(before)
	if err == nil && to != "0" && to != "drop" {
		_, err = signals.Parse(to)
	}
	if err != nil {
		return mistake("-r: " + err.Error())
	}
	if from != signals.KILL && from != signals.STOP && from != signals.CHLD {
		r.rewrites[from] = to
	}
	return nil
}

// jobControl makes a shell's Ctrl-Z and bg work: its TSTP, TTIN and TTOU stop
// the program and then us; CONT is passed on as any other signal. The kernel
// drops the three in a session of its own, whose groups are orphaned, unless
// they are handled: there STOP takes their place where no rewrite does.
func (r *request) jobControl() {
	r.suspendOn = signals.SetOf(signals.TSTP, signals.TTIN, signals.TTOU)
	if r.session {
		r.defaults = all("STOP", signals.TSTP, signals.TTIN, signals.TTOU)
	}
}
