package compat

import (
	"exeunt/signals"
	"exeunt/supervisor"
)

// The version of catatonit whose command line this is, in the form in which
// catatonit gives it: as tini's, for Docker's sake.
const catatonitVersion = "tini version 0.1.7_catatonit_exeunt\n"

const catatonitUsage = `Usage: catatonit [-ghLPV] [--] PROGRAM [ARGS]

  -g             Pass signals on to the program's process group
  -h             Show this text
  -L             Show where the licence is
  -P             Run no program, and end on TERM or INT
  -V, --version  Show the version

Variables: CATATONIT_DEBUG (present is on), and every variable of exeunt's.
This is exeunt, which behaves as catatonit.
`

var catatonitOptions = []option{
	{letter: 'g'}, {letter: 'h'}, {letter: 'L'}, {letter: 'P'}, {letter: 'V', long: "version"},
}

// parseCatatonit reads catatonit 0.1 and 0.2's command line
// (openSUSE/catatonit, catatonit.c).
func parseCatatonit(args []string, env environment) (*request, error) {
	if _, set := env.lookup("CATATONIT_LOG"); set {
		return nil, wrong(Catatonit, "CATATONIT_LOG is reserved for the future and must not be set", "")
	}
	want := &request{
		defaults: all("drop", append([]signals.Signal{signals.TSTP, signals.TTIN, signals.TTOU}, faults...)...),
		codes:    supervisor.StartCodes{NotFound: 1, NotExecutable: 1, Other: 1},
	}
	rest, ended, err := options(catatonitOptions, args, func(letter byte, _ string) error {
		switch letter {
		case 'h':
			return &Ending{Stderr: catatonitUsage}
		case 'L':
			return &Ending{Stdout: licence}
		case 'V':
			return &Ending{Stdout: catatonitVersion}
		case 'g':
			want.group = true
		case 'P':
			want.pause = true
		}
		return nil
	})
	if err == nil && len(rest) == 0 && !want.pause {
		err = mistake("no program given")
	}
	if problem, ok := err.(mistake); ok {
		return nil, wrong(Catatonit, problem.Error(), catatonitUsage)
	}
	if err != nil {
		return nil, err
	}
	if want.program = rest; !ended {
		want.program = unpermuted(rest)
	}
	if _, on := env.lookup("CATATONIT_DEBUG"); on {
		debug := supervisor.Debug
		want.level = &debug
	}
	return want, nil
}
