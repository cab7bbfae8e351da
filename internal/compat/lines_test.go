package compat

import (
	"fmt"
)

const (
	ownOptions = "getopt(3) takes the program's options for the init's; we leave them to the program"
	names      = "signals may be written as people write them"
	strict     = "a number with letters behind it is a slip of the pen"
)

// commandLines are flags, variables and bad input.
var commandLines = []row{
	{peer: "tini", name: "version", args: "--version", where: asChild, story: texts},
	{peer: "tini", name: "version is no option", args: "--version true", where: asChild, story: texts},
	{peer: "tini", name: "help", args: "-h", where: asChild, story: texts},
	{peer: "tini", name: "help among others", args: "-gh -z", where: asChild, story: texts},
	{peer: "tini", name: "licence", args: "-l", where: asChild, story: texts},
	{peer: "tini", name: "no long help", args: "--help", where: asChild, story: texts},
	{peer: "tini", name: "unknown option", args: "-z true", where: asChild, story: texts},
	{peer: "tini", name: "unknown option among others", args: "-gz true", where: asChild, story: texts},
	{peer: "tini", name: "no program", args: "", where: asChild, story: texts},
	{peer: "tini", name: "no program after an option", args: "-s", where: asChild, story: texts},
	{peer: "tini", name: "no program after --", args: "-g --", where: asChild, story: texts},
	{peer: "tini", name: "-p without a signal", args: "-p", where: asChild, story: texts},
	{peer: "tini", name: "-p with no signal", args: "-p SIGNONE true", where: asChild, story: texts},
	{peer: "tini", name: "-p with an empty signal", args: "|-p||true", where: asChild, story: texts},
	{peer: "tini", name: "-p with a short name", args: "-p TERM true", where: asChild, story: texts,
		differs: names, ours: "exit 0, nothing on stdout, nothing on stderr"},
	{peer: "tini", name: "-p with a real-time signal", args: "-p SIGRTMIN+3 true", where: asChild, story: texts,
		differs: names, ours: "exit 0, nothing on stdout, nothing on stderr"},
	{peer: "tini", name: "-p with a signal tini forgot", args: "-p SIGPWR true", where: asChild, story: texts,
		differs: names, ours: "exit 0, nothing on stdout, nothing on stderr"},
	{peer: "tini", name: "-e without a code", args: "-e", where: asChild, story: texts},
	{peer: "tini", name: "-e too large", args: "-e 256 true", where: asChild, story: texts},
	{peer: "tini", name: "-e negative", args: "-e -1 true", where: asChild, story: texts},
	{peer: "tini", name: "-e a word", args: "-e x true", where: asChild, story: texts},
	{peer: "tini", name: "-e with letters behind", args: "-e 3x true", where: asChild, story: texts},
	{peer: "tini", name: "-e hexadecimal", args: "-e 0x3 true", where: asChild, story: texts},
	{peer: "tini", name: "-e a blank", args: "|-e| |true", where: asChild, story: texts},
	{peer: "tini", name: "-e enormous", args: "-e 99999999999999999999 true", where: asChild, story: texts},
	{peer: "tini", name: "-e empty", args: "|-e||--|sh|-c|exit 3", story: outcome},
	{peer: "tini", name: "-e with a blank before", args: "|-e| 3|--|sh|-c|exit 3", story: outcome},
	{peer: "tini", name: "-e with a plus", args: "|-e|+3|--|sh|-c|exit 3", story: outcome},
	{peer: "tini", name: "-e stuck to its value", args: "|-e3|--|sh|-c|exit 3", story: outcome},
	{peer: "tini", name: "-e behind other letters", args: "|-sge3|--|sh|-c|exit 3", story: outcome},
	{peer: "tini", name: "several -e", args: "|-e|4|-e|3|-e|3|--|sh|-c|exit 3", story: outcome},
	{peer: "tini", name: "-e of another code", args: "|-e|4|--|sh|-c|exit 3", story: outcome},
	{peer: "tini", name: "-e 143 after TERM", args: "|-e|143|--|sh|-c|kill -TERM $$", story: outcome},
	{peer: "tini", name: "-e 0", args: "-e 0 true", story: outcome},
	{peer: "tini", name: "-p stuck to its value", args: "|-pSIGUSR1|--|echo|-n|a", story: outcome},
	{peer: "tini", name: "-- ends the options", args: "-s -- echo -e -g -- a", story: outcome},
	{peer: "tini", name: "second -- is the program", args: "-- -- a", story: outcome},
	{peer: "tini", name: "single dash is the program", args: "-- -", story: outcome},
	{peer: "tini", name: "PROGRAM -- ARGS, as its usage says", args: "echo -- -n -- a", story: outcome},
	{peer: "tini", name: "words before -- stay", args: "echo a b -- -s c", story: outcome},
	{peer: "tini", name: "the program's own letters", args: "echo -s a", story: outcome,
		differs: ownOptions, ours: `exit 0 "-s a\n"`},
	{peer: "tini", name: "ls -l", args: "ls -l DIR", story: func(b *box) string { return fmt.Sprint(b.ends(), " licence ", len(b.out.all()) > 100) },
		differs: ownOptions, ours: "exit 0 licence false"},
	{peer: "tini", name: "the program's --version", args: "printf %s --version", story: outcome,
		differs: ownOptions, ours: `exit 0 "--version"`},
	{peer: "tini", name: "a variable of TINI's reaches the app", args: "|--|sh|-c|echo $TINI_SUBREAPER", at: place{env: []string{"TINI_SUBREAPER=0"}}, story: outcome},
	{peer: "tini", name: "TINI_VERBOSITY is no number", args: "-- echo a", at: place{env: []string{"TINI_VERBOSITY=x"}}, story: outcome},
	{peer: "tini", name: "silent where it collects orphans", args: "-s -- true", story: said},
	{peer: "tini", name: "silent with TINI_SUBREAPER set to nothing", args: "-- true", at: place{env: []string{"TINI_SUBREAPER="}}, story: said},
	{peer: "tini", name: "warns that it is not PID 1", args: "-- true", where: asChild, story: said,
		differs: "we collect orphans anyway, so there is nothing to warn of", ours: "exit 0, silent"},
	{peer: "tini", name: "warning switched off", args: "-- true", where: asChild, at: place{env: []string{"TINI_VERBOSITY=0"}}, story: said},
	{peer: "tini", name: "a failed start is said", args: "-s -- /none", story: said},
	{peer: "tini", name: "a failed start is said even so", args: "-s -- /none", at: place{env: []string{"TINI_VERBOSITY=0"}}, story: said},
	{peer: "tini", name: "-v says what happens", args: "-sv -- true", story: said,
		differs: "tini's is on stdout, among what the app prints; ours is on stderr, and at -v only of the end", ours: "exit 0, silent"},
	{peer: "tini", name: "-vvv says all", args: "-svvv -- true", story: said,
		differs: "tini's is on stdout, among what the app prints; ours is on stderr", ours: "exit 0, speaks on stderr"},

	{peer: "dumb-init", name: "version", args: "-V", where: asChild, story: texts},
	{peer: "dumb-init", name: "long version", args: "--version", where: asChild, story: texts},
	{peer: "dumb-init", name: "help", args: "-h", where: asChild, story: texts},
	{peer: "dumb-init", name: "long help", args: "--help", where: asChild, story: texts},
	{peer: "dumb-init", name: "the first of two counts", args: "-Vh", where: asChild, story: texts},
	{peer: "dumb-init", name: "name cut short", args: "--vers", where: asChild, story: texts},
	{peer: "dumb-init", name: "name cut too short", args: "--ver", where: asChild, story: texts},
	{peer: "dumb-init", name: "unknown option", args: "-z true", where: asChild, story: texts},
	{peer: "dumb-init", name: "unknown long option", args: "--none true", where: asChild, story: texts},
	{peer: "dumb-init", name: "value that is not wanted", args: "--verbose=yes true", where: asChild, story: texts},
	{peer: "dumb-init", name: "no program", args: "", where: asChild, story: texts},
	{peer: "dumb-init", name: "no program after options", args: "-c --", where: asChild, story: texts},
	{peer: "dumb-init", name: "-r without a value", args: "-r", where: asChild, story: texts},
	{peer: "dumb-init", name: "-r empty", args: "|-r||true", where: asChild, story: texts},
	{peer: "dumb-init", name: "-r half", args: "-r 15 true", where: asChild, story: texts},
	{peer: "dumb-init", name: "-r half with a colon", args: "-r 15: true", where: asChild, story: texts},
	{peer: "dumb-init", name: "-r from nothing", args: "-r :15 true", where: asChild, story: texts},
	{peer: "dumb-init", name: "-r from 0", args: "-r 0:15 true", where: asChild, story: texts},
	{peer: "dumb-init", name: "-r negative", args: "-r -1:15 true", where: asChild, story: texts},
	{peer: "dumb-init", name: "-r to a negative", args: "-r 15:-1 true", where: asChild, story: texts},
	{peer: "dumb-init", name: "-r to what is no signal", args: "-r 15:1000000 true", where: asChild, story: texts},
	{peer: "dumb-init", name: "-r to a word", args: "-r 15:derp true", where: asChild, story: texts},
	{peer: "dumb-init", name: "-r of words", args: "-r derp true", where: asChild, story: texts},
	{peer: "dumb-init", name: "-r by name", args: "-r TERM:QUIT true", where: asChild, story: texts,
		differs: names, ours: "exit 0, nothing on stdout, nothing on stderr"},
	{peer: "dumb-init", name: "-r to a real-time signal", args: "-r 15:64 true", where: asChild, story: texts,
		differs: names, ours: "exit 0, nothing on stdout, nothing on stderr"},
	{peer: "dumb-init", name: "-r with letters behind", args: "-r 15:3xyz true", where: asChild, story: texts,
		differs: strict, ours: "exit 1, nothing on stdout, a text on stderr"},
	{peer: "dumb-init", name: "-r of what is never passed on", args: "-r 9:15 -r 17:15 -r 19:2 true", where: asChild, story: texts},
	{peer: "dumb-init", name: "-r to itself", args: "-r 31:31 true", where: asChild, story: texts},
	{peer: "dumb-init", name: "-r with a blank before", args: "|-r| 15:3|true", where: asChild, story: texts},
	{peer: "dumb-init", name: "the program's own letters", args: "echo -c -r a", story: outcome},
	{peer: "dumb-init", name: "-- ends the options", args: "-c -- echo -v", story: outcome},
	{peer: "dumb-init", name: "-- among the program's words", args: "echo a -- b", story: outcome},
	{peer: "dumb-init", name: "silent", args: "true", story: said},
	{peer: "dumb-init", name: "-v speaks on stderr", args: "-v true", story: said},
	{peer: "dumb-init", name: "DUMB_INIT_DEBUG=1 speaks", args: "true", at: place{env: []string{"DUMB_INIT_DEBUG=1"}}, story: said},
	{peer: "dumb-init", name: "DUMB_INIT_DEBUG=yes does not", args: "true", at: place{env: []string{"DUMB_INIT_DEBUG=yes"}}, story: said},
	{peer: "dumb-init", name: "a failed start is said", args: "/none", story: said},

	{peer: "catatonit", name: "version", args: "-V", where: asChild, story: texts},
	{peer: "catatonit", name: "long version", args: "--version", where: asChild, story: texts},
	{peer: "catatonit", name: "name cut short", args: "--vers", where: asChild, story: texts},
	{peer: "catatonit", name: "help", args: "-h", where: asChild, story: texts},
	{peer: "catatonit", name: "no long help", args: "--help", where: asChild, story: texts},
	{peer: "catatonit", name: "licence", args: "-L", where: asChild, story: texts},
	{peer: "catatonit", name: "unknown option", args: "-z true", where: asChild, story: texts},
	{peer: "catatonit", name: "no program", args: "", where: asChild, story: texts},
	{peer: "catatonit", name: "no program after options", args: "-g --", where: asChild, story: texts},
	{peer: "catatonit", name: "CATATONIT_LOG is refused", args: "true", where: asChild, at: place{env: []string{"CATATONIT_LOG="}}, story: texts},
	{peer: "catatonit", name: "ls -l", args: "|sh|-c|echo a", story: outcome,
		differs: ownOptions, ours: `exit 0 "a\n"`},
	{peer: "catatonit", name: "PROGRAM -- ARGS", args: "echo -- -n a", story: outcome},
	{peer: "catatonit", name: "-- ends the options", args: "-g -- echo -n a", story: outcome},
	{peer: "catatonit", name: "silent", args: "-- true", story: said},
	{peer: "catatonit", name: "CATATONIT_DEBUG speaks", args: "-- true", at: place{env: []string{"CATATONIT_DEBUG="}}, story: said},
	{peer: "catatonit", name: "a failed start is said", args: "/none", story: said},
}

// said is the exit code and whether the init itself had something to say.
func said(b *box) string {
	end := b.ends() + ","
	out, err := b.out.all(), b.err.all()
	if out != "" {
		end += " speaks on stdout"
	}
	if err != "" {
		end += " speaks on stderr"
	}
	if out+err == "" {
		end += " silent"
	}
	return end
}

// codes are the exit codes of apps and of starts that fail.
func codes() (rows []row) {
	for code := range 256 {
		exit := fmt.Sprintf("|--|sh|-c|exit %d", code)
		for _, peer := range []string{"tini", "dumb-init", "catatonit"} {
			// Each code in one of the two places: 1,500 runs are enough.
			place := []where{asFirst, asChild}[code%2]
			rows = append(rows, row{peer: peer, name: fmt.Sprint("exit code ", code), args: exit, where: place, story: outcome})
		}
		rows = append(rows,
			row{peer: "tini", name: fmt.Sprint("exit code made 0: ", code), where: asChild, story: outcome,
				args: fmt.Sprintf("|-s|-e|%d%s", code, exit)},
			row{peer: "tini", name: fmt.Sprint("exit code left alone: ", code), where: asChild, story: outcome,
				args: fmt.Sprintf("|-s|-e|%d%s", (code+1)%256, exit)})
	}
	for _, sig := range []int{1, 2, 3, 4, 6, 8, 9, 10, 11, 13, 15, 24, 31, 34, 64} {
		for _, peer := range []string{"tini", "dumb-init", "catatonit"} {
			rows = append(rows, row{peer: peer, name: fmt.Sprint("app killed by ", sig), story: outcome,
				args: fmt.Sprintf("|--|sh|-c|ulimit -c 0; kill -%d $$", sig)})
		}
	}
	script := "printf 'echo %s' ran >DIR/s; chmod +x DIR/s; printf '#!/none\\n' >DIR/bad; chmod +x DIR/bad; ln -s loop DIR/loop; "
	for _, failure := range []struct{ name, program, tini string }{
		{name: "is not there", program: "/none"},
		{name: "is not in PATH", program: "no-such-program"},
		{name: "is a folder", program: "/etc"},
		{name: "is not executable", program: "/etc/passwd"},
		{name: "has no name", program: ""},
		{name: "is below a file", program: "/etc/passwd/x", tini: "exit 127 \"\""},
		{name: "is a loop of links", program: "DIR/loop", tini: "exit 126 \"\""},
		{name: "has a bad interpreter", program: "DIR/bad"},
		{name: "has no first line", program: "DIR/s"},
	} {
		for _, peer := range []string{"tini", "dumb-init", "catatonit"} {
			// The files are made by a shell that becomes the init.
			r := row{peer: peer, name: "program that " + failure.name, story: outcome, args: "|--|" + failure.program}
			if peer == "tini" && failure.tini != "" {
				r.differs, r.ours = "we use 126 and 127 as a shell does; tini has 1 for all it does not name", failure.tini
			}
			if failure.program != "" && failure.program[0] == 'D' {
				r.at.set = []string{"BEFORE=" + script}
			}
			rows = append(rows, r)
		}
	}
	return rows
}
