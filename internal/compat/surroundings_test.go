package compat

import (
	"fmt"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	mask = "|--|grep|^Sig[BI]|/proc/self/status"
	kept = "the app gets what the init got"
)

var bothKept = fmt.Sprintf("exit 0 %q", "SigBlk:\t0000000000004a00\nSigIgn:\t0000000000001001\n")

// inheritances are what the app gets of what the init got.
var inheritances = []row{
	{peer: "tini", name: "mask and ignored signals", args: mask, entry: true, at: place{set: []string{"BLOCKED=10 12 15", "IGNORED=1 13"}}, story: outcome},
	{peer: "dumb-init", name: "mask and ignored signals", args: mask, entry: true, at: place{set: []string{"BLOCKED=10 12 15", "IGNORED=1 13"}}, story: outcome,
		differs: kept, ours: bothKept},
	{peer: "catatonit", name: "mask and ignored signals", args: mask, entry: true, at: place{set: []string{"BLOCKED=10 12 15", "IGNORED=1 13"}}, story: outcome,
		differs: kept + "; catatonit blocks TSTP, TTIN and TTOU too", ours: bothKept},
	{peer: "tini", name: "no mask, nothing ignored", args: mask, story: outcome},
	{peer: "dumb-init", name: "no mask, nothing ignored", args: mask, story: outcome},
	{peer: "catatonit", name: "no mask, nothing ignored", args: mask, story: outcome,
		differs: kept + "; catatonit blocks TSTP, TTIN and TTOU", ours: fmt.Sprintf("exit 0 %q", "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n")},
	{peer: "tini", name: "tini's own test: TTOU, SEGV, INT ignored; TTIN, ILL, TERM blocked", args: mask, entry: true,
		at: place{set: []string{"BLOCKED=21 4 15", "IGNORED=22 11 2"}}, story: outcome},

	{peer: "tini", name: "limits, folder, descriptors", args: limits, at: place{set: []string{"NOFILE=256", "OPEN=25 29"}}, story: outcome},
	{peer: "dumb-init", name: "limits, folder, descriptors", args: limits, at: place{set: []string{"NOFILE=256", "OPEN=25 29"}}, story: outcome},
	{peer: "catatonit", name: "limits, folder, descriptors", args: limits, at: place{set: []string{"NOFILE=256", "OPEN=25 29"}}, story: outcome},
	{peer: "tini", name: "environment", args: "-- env", at: place{env: []string{"A=1", "B=", "A=2", "TINI_X=1", "ODD"}}, story: sortedEnv},
	{peer: "dumb-init", name: "environment", args: "-- env", at: place{env: []string{"A=1", "DUMB_INIT_X=1"}}, story: sortedEnv},
	{peer: "catatonit", name: "environment", args: "-- env", at: place{env: []string{"A=1", "CATATONIT_X=1"}}, story: sortedEnv},

	{peer: "tini", name: "group and session", args: "-- CAST who", story: outcome},
	{peer: "tini", name: "group and session, -g", args: "-g -- CAST who", story: outcome},
	{peer: "dumb-init", name: "group and session", args: "-- CAST who", story: outcome},
	{peer: "dumb-init", name: "group and session, single child", args: "-c -- CAST who", story: outcome,
		differs: "the app always has a group of its own, so that the terminal's keys come once", ours: `exit 0 "group true session false\n"`},
	{peer: "catatonit", name: "group and session", args: "-- CAST who", story: outcome},

	{peer: "tini", name: "stdout closed", args: "|--|sh|-c|echo a; exit 3", at: place{set: []string{"CLOSED=1"}}, story: outcome},
	{peer: "dumb-init", name: "stdout closed", args: "|--|sh|-c|echo a; exit 3", at: place{set: []string{"CLOSED=1"}}, story: outcome},
	{peer: "catatonit", name: "stdout closed", args: "|--|sh|-c|echo a; exit 3", at: place{set: []string{"CLOSED=1"}}, story: outcome},
	{peer: "tini", name: "stderr closed", args: "|--|sh|-c|echo a; exit 3", at: place{set: []string{"CLOSED=2"}}, story: outcome},
	{peer: "dumb-init", name: "stdin closed", args: "|--|sh|-c|echo a; exit 3", at: place{set: []string{"CLOSED=0"}}, story: outcome},
	{peer: "catatonit", name: "stdin closed", args: "|--|sh|-c|echo a; exit 3", at: place{set: []string{"CLOSED=0"}}, story: outcome},
	{peer: "tini", name: "stdin is piped through", args: "-- cat", story: func(b *box) string { fmt.Fprintln(b.in, "a b"); return outcome(b) }},
}

const limits = `|--|sh|-c|ulimit -n; ulimit -Hn; [ "$PWD" = "$(pwd)" ] && echo here; ls /proc/self/fd | tr '\n' ' '`

func sortedEnv(b *box) string {
	end := b.ends()
	var kept []string
	for line := range strings.Lines(b.out.all()) {
		if !strings.HasPrefix(line, "PWD=") {
			kept = append(kept, line)
		}
	}
	return fmt.Sprint(end, " ", kept)
}

// press types keys at the app's terminal, each of which raises a signal, and
// says how often that came.
func press(keys string, signals ...int) func(*box) string {
	return func(b *box) string {
		b.out.await("ready")
		for i, key := range []byte(keys) {
			fmt.Fprintf(b.in, "%c", key)
			b.out.await(fmt.Sprintf("got %d", signals[i]))
		}
		fmt.Fprintln(b.in)
		end := b.ends()
		for _, sig := range signals {
			end += fmt.Sprintf(", %d came %d times", sig, strings.Count(b.out.all(), fmt.Sprintf("got %d\r", sig)))
		}
		return end
	}
}

// pressed says whether Ctrl-C comes once each time. Two that come at one moment
// are one, so that it takes several to know.
func pressed(b *box) string {
	const times = 20
	b.out.await("ready")
	init := b.init()
	count := func(sig int) int { return strings.Count(b.out.String(), fmt.Sprintf("got %d\r\n", sig)) }
	for n := range times {
		before := count(2)
		fmt.Fprint(b.in, "\x03")
		b.until("it arrives", func() bool { return count(2) > before })
		b.kill(init, syscall.SIGUSR1) // what came before has been passed on before it
		b.until("the marker arrives", func() bool { return count(10) > n })
	}
	if count(2) > times {
		return "some came twice"
	}
	return "each key came once"
}

// resizes changes the terminal's size.
func resizes(b *box) string {
	b.out.await("ready")
	size := unix.Winsize{Row: 30, Col: 90}
	if err := unix.IoctlSetWinsize(int(b.in.Fd()), unix.TIOCSWINSZ, &size); err != nil {
		b.t.Fatal(err)
	}
	b.out.await("got 28")
	fmt.Fprintln(b.in)
	return fmt.Sprintf("%s, 28 came %d times", b.ends(), strings.Count(b.out.all(), "got 28\r"))
}

// jobs stops a job in an interactive shell by Ctrl-Z.
func jobs(b *box) string {
	fmt.Fprintln(b.in, cast+" tally")
	b.out.await("ready\r\n")
	fmt.Fprint(b.in, "\x1a")
	said := "a job stopped"
	if !b.out.reaches(b.patience(), "Stopped") {
		said = "no job stopped"
	}
	if strings.Contains(b.out.String(), "no job control") {
		said += ", and a warning of it"
	}
	return said
}

// onTerminal is outcome on a terminal, whose text ends with the init.
func onTerminal(b *box) string {
	end := b.ends()
	return fmt.Sprintf("%s %q", end, b.out.all())
}

// terminals are what a terminal's users see.
var terminals = []row{
	{peer: "tini", name: "the app has the terminal", args: "-s -- CAST who", at: place{tty: true}, story: onTerminal},
	{peer: "tini", name: "piped through", args: "|-s|--|sh|-c|read x; echo got $x", at: place{tty: true}, story: typed},
	{peer: "dumb-init", name: "the app has the terminal", args: "-- CAST who", at: place{tty: true}, where: asFirst, story: onTerminal,
		differs: "the terminal stays with its session: to move it would send HUP to whoever holds it", ours: `exit 0 "group true session false foreground true\r\n"`},
	{peer: "catatonit", name: "the app has the terminal", args: "-- CAST who", at: place{tty: true}, story: onTerminal},
	{peer: "tini", name: "Ctrl-C and Ctrl-\\", args: "-s -- CAST tally", at: place{tty: true}, story: press("\x03\x1c", 2, 3)},
	{peer: "dumb-init", name: "Ctrl-C and Ctrl-\\", args: "-- CAST tally", at: place{tty: true}, where: asFirst, story: press("\x03\x1c", 2, 3)},
	{peer: "catatonit", name: "Ctrl-C and Ctrl-\\", args: "-- CAST tally", at: place{tty: true}, story: press("\x03\x1c", 2, 3)},
	{peer: "dumb-init", name: "Ctrl-C, single child", args: "-c -- CAST tally", at: place{tty: true}, where: asFirst, story: pressed,
		differs: "a key is one signal", ours: "each key came once"},
	{peer: "tini", name: "window size", args: "-s -- CAST tally", at: place{tty: true}, story: resizes},
	{peer: "dumb-init", name: "window size", args: "-- CAST tally", at: place{tty: true}, where: asFirst, story: resizes},
	{peer: "catatonit", name: "window size", args: "-- CAST tally", at: place{tty: true}, story: resizes},
	{peer: "tini", name: "Ctrl-Z in bash", args: "-s -- bash --norc -i", at: place{tty: true}, story: jobs},
	{peer: "dumb-init", name: "Ctrl-Z in bash", args: "-- bash --norc -i", at: place{tty: true}, where: asFirst, story: jobs},
	{peer: "catatonit", name: "Ctrl-Z in bash", args: "-- bash --norc -i", at: place{tty: true}, story: jobs,
		differs: "catatonit's app has TSTP blocked, and so have its children", ours: "a job stopped"},
	{peer: "tini", name: "exit code on a terminal", args: "|-s|--|sh|-c|exit 130", at: place{tty: true}, story: onTerminal},
}

func typed(b *box) string {
	fmt.Fprintln(b.in, "a")
	return onTerminal(b)
}

// defects are where the peers fail, and how we do not.
var defects = []row{
	{peer: "tini", name: "a process that it may not signal", args: "-s -- DIR/root root", at: unprivileged, story: forbidden,
		differs: "EPERM is fatal to tini", ours: "exit 7"},
	{peer: "dumb-init", name: "a process that it may not signal", args: "-- DIR/root root", at: unprivileged, story: forbidden},
	{peer: "catatonit", name: "a process that it may not signal", args: "-- DIR/root root", at: unprivileged, story: forbidden},
	{peer: "tini", name: "SIGCHLD ignored by whoever started it", args: "|-s|--|sh|-c|exit 3", at: place{set: []string{"IGNORED=17"}}, story: within,
		differs: "tini hangs for ever", ours: "exit 3"},
	{peer: "dumb-init", name: "SIGCHLD ignored by whoever started it", args: "|--|sh|-c|exit 3", at: place{set: []string{"IGNORED=17"}}, story: within},
	{peer: "catatonit", name: "SIGCHLD ignored by whoever started it", args: "|--|sh|-c|exit 3", at: place{set: []string{"IGNORED=17"}}, story: within,
		differs: "catatonit hangs for ever, or has exit code 1", ours: "exit 3"},
	{peer: "tini", name: "stdin closed", args: "|-s|--|sh|-c|exit 3", at: place{set: []string{"CLOSED=0"}}, story: within,
		differs: "tini's tcsetpgrp fails, and with it the start", ours: "exit 3"},
	{peer: "tini", name: "stopped app is told to end", args: "-s -- CAST tally", story: stopped,
		differs: "a stopped process does not hear TERM until it is continued", ours: "died of it: exit 143"},
	{peer: "dumb-init", name: "stopped app is told to end", args: "-- CAST tally", story: stopped,
		differs: "a stopped process does not hear TERM until it is continued", ours: "died of it: exit 143"},
	{peer: "catatonit", name: "stopped app is told to end", args: "-- CAST tally", story: stopped,
		differs: "a stopped process does not hear TERM until it is continued", ours: "died of it: exit 143"},
	{peer: "dumb-init", name: "reader of the log has gone", args: "|-v|--|sh|-c|exit 3", at: place{deaf: true}, story: within,
		differs: "dumb-init writes of the SIGPIPE that its writing raised, for ever", ours: "exit 3"},
	{peer: "catatonit", name: "reader of the log has gone", args: "|--|sh|-c|sleep .3; exit 3", at: place{deaf: true, env: []string{"CATATONIT_DEBUG=1"}}, story: within,
		differs: "catatonit passes its own SIGPIPE on to the app", ours: "exit 3"},
	{peer: "tini", name: "log is full", args: "|-svvv|--|sh|-c|exit 3", at: place{full: true}, story: within,
		differs: "tini waits for room", ours: "exit 3"},
	{peer: "dumb-init", name: "log is full", args: "|-v|--|sh|-c|exit 3", at: place{full: true}, story: within,
		differs: "dumb-init waits for room", ours: "exit 3"},
	{peer: "catatonit", name: "log is full", args: "|--|sh|-c|exit 3", at: place{full: true, env: []string{"CATATONIT_DEBUG=1"}}, story: within,
		differs: "catatonit waits for room", ours: "exit 3"},
	{peer: "tini", name: "LISTEN_PID", args: `|-s|--|sh|-c|[ "$LISTEN_PID" = $$ ] && echo mine`, at: place{env: []string{"LISTEN_PID=1", "LISTEN_FDS=1"}}, where: asFirst, story: outcome,
		differs: "sockets that were passed to us are the app's (sd_listen_fds(3))", ours: `exit 0 "mine\n"`},
}

// unprivileged is a user who may start a set-user-ID program.
var unprivileged = place{set: []string{"BEFORE=cp CAST DIR/root; chmod 4755 DIR/root; chmod 755 DIR DIR/..", "UID=1000"}}

// forbidden sends a signal that the init may not pass on.
func forbidden(b *box) string {
	b.out.await("ready")
	init := b.init()
	b.kill(init, syscall.SIGUSR1)
	b.until("it is taken", func() bool { return b.gone() || !has(pending(init), int(syscall.SIGUSR1)) })
	if !b.staysFor(time.Second) {
		return b.ends()
	}
	b.in.Close()
	if strings.Contains(b.out.all(), "got") {
		return "it may, after all"
	}
	return b.ends()
}

// within is the init's end, or that it does not come.
func within(b *box) string { return b.endsOrHangs() }

// stopped stops the app and tells it to end.
func stopped(b *box) string {
	b.out.await("ready")
	init, app := b.init(), b.app()
	b.kill(app, syscall.SIGSTOP)
	b.until("it has stopped", func() bool { return strings.HasPrefix(status(app, "State"), "T") })
	b.kill(init, syscall.SIGTERM)
	if end := b.endsOrHangs(); end != "hangs" {
		return "died of it: " + end
	}
	return "hangs"
}
