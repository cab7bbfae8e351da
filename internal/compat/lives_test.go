package compat

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

const (
	time4All  = "everyone has time before the end"
	leftAlone = `exit 3 "", alive 1`
	// lingering is a main that ends by itself while a child in its group needs a
	// moment to end at TERM.
	lingering = `|sh|-c|mkfifo DIR/f; CAST slow DIR/f & read x <DIR/f; exit 3`
	// apart is the same with a child in a session of its own.
	apart = `|sh|-c|mkfifo DIR/f; setsid CAST slow DIR/f & read x <DIR/f; exit 3`
	// off is how to have strays treated as the peers treat them.
	off = "EXEUNT_STRAGGLER_TIMEOUT=0"
)

// lives are the tree, and how it ends.
var lives = []row{
	{peer: "tini", name: "child of a main that ended", args: "|-s|--" + lingering, where: asFirst, story: outcome,
		differs: time4All, ours: `exit 3 "saved\n"`},
	{peer: "tini", name: "child of a main that ended, in a session of its own", args: "|-s|--" + apart, where: asFirst, story: outcome,
		differs: time4All, ours: `exit 3 "saved\n"`},
	{peer: "dumb-init", name: "child of a main that ended", args: "|--" + lingering, where: asFirst, story: outcome,
		differs: time4All, ours: `exit 3 "saved\n"`},
	{peer: "dumb-init", name: "child of a main that ended, in a session of its own", args: "|--" + apart, where: asFirst, story: outcome,
		differs: time4All, ours: `exit 3 "saved\n"`},
	{peer: "catatonit", name: "child of a main that ended", args: "|--" + lingering, where: asFirst, story: outcome,
		differs: time4All, ours: `exit 3 "saved\n"`},
	{peer: "tini", name: "strays switched off", args: "|-s|--" + lingering, where: asFirst, at: place{env: []string{off}}, story: outcome},
	{peer: "catatonit", name: "strays switched off", args: "|--" + lingering, where: asFirst, at: place{env: []string{off}}, story: outcome},
	{peer: "dumb-init", name: "strays switched off", args: "|--" + lingering, where: asFirst, at: place{env: []string{off}}, story: outcome},
	{peer: "tini", name: "orphan of a main that ended", args: "|--" + lingering, where: asChild, story: leaves,
		differs: time4All, ours: `exit 3 "saved\n", alive 0`},
	{peer: "catatonit", name: "orphan of a main that ended", args: "|--" + lingering, where: asChild, story: leaves,
		differs: time4All, ours: `exit 3 "saved\n", alive 0`},
	{peer: "tini", name: "orphan left alone", args: "|--" + lingering, where: asChild, at: place{env: []string{off}}, story: leaves},
	{peer: "catatonit", name: "orphan left alone", args: "|--" + lingering, where: asChild, at: place{env: []string{off}}, story: leaves},
	{peer: "dumb-init", name: "orphan of its session left alone", args: "|--" + apart, where: asChild, at: place{env: []string{off}}, story: leaves},
	{peer: "dumb-init", name: "orphan of its group", args: "|--" + lingering, where: asChild, story: saves},
	{peer: "dumb-init", name: "orphan of its group, strays switched off", args: "|--" + lingering, where: asChild, at: place{env: []string{off}}, story: leaves,
		differs: "switched off is off: nobody is told", ours: leftAlone},

	{peer: "tini", name: "orphan comes to us, -s", args: "|-s|--|sh|-c|(sleep 300 & echo ready); exec cat", story: parent},
	{peer: "tini", name: "orphan comes to us, TINI_SUBREAPER", args: orphan, at: place{env: []string{"TINI_SUBREAPER=0"}}, story: parent},
	{peer: "tini", name: "orphan comes to PID 1", args: orphan, where: asFirst, story: parent},
	{peer: "tini", name: "orphan comes to us", args: orphan, where: asChild, story: parent,
		differs: "we are always the subreaper of what we start", ours: "the init's"},
	{peer: "dumb-init", name: "orphan comes to PID 1", args: orphan, where: asFirst, story: parent},
	{peer: "dumb-init", name: "orphan comes to us", args: orphan, where: asChild, story: parent,
		differs: "we are always the subreaper of what we start", ours: "the init's"},
	{peer: "catatonit", name: "orphan comes to us", args: orphan, story: parent},

	{peer: "tini", name: "a hundred orphans are collected", args: "|-s|--" + hundred, story: collects},
	{peer: "dumb-init", name: "a hundred orphans are collected", args: "|--" + hundred, where: asFirst, story: collects},
	{peer: "catatonit", name: "a hundred orphans are collected", args: "|--" + hundred, story: collects},
	{peer: "tini", name: "-w warns of each orphan", args: "|-s|-w|--" + three, story: warnings},
	{peer: "tini", name: "-w and TINI_VERBOSITY=0", args: "|-s|-w|--" + three, at: place{env: []string{"TINI_VERBOSITY=0"}}, story: warnings},
	{peer: "tini", name: "no -w, no warnings", args: "|-s|--" + three, story: warnings},

	{peer: "tini", name: "parent dies", args: "-- CAST blocked", where: asChild, at: place{mother: true}, story: bereaved(64)},
	{peer: "tini", name: "parent dies, -p SIGUSR1", args: "-p SIGUSR1 -- CAST blocked", where: asChild, at: place{mother: true}, story: bereaved(10)},
	{peer: "tini", name: "parent dies, -p SIGTERM", args: "-p SIGTERM -- CAST blocked", where: asChild, at: place{mother: true}, story: bereaved(15)},
	{peer: "tini", name: "parent dies, -p SIGHUP -g", args: "-gp SIGHUP -- CAST blocked", where: asChild, at: place{mother: true}, story: bereaved(1)},

	{peer: "catatonit", name: "pause ends at TERM", args: "-P", at: pause, story: pauses(syscall.SIGTERM)},
	{peer: "catatonit", name: "pause ends at INT", args: "-P", at: pause, story: pauses(syscall.SIGINT)},
	{peer: "catatonit", name: "pause ignores the rest", args: "-P", at: pause, story: pauses(syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGQUIT, syscall.SIGALRM, syscall.SIGTERM)},
	{peer: "catatonit", name: "pause runs no program", args: "-gP -- echo a", at: pause, story: pauses(syscall.SIGTERM)},

	{peer: "tini", name: "deaf app is not killed", args: deaf, story: patient},
	{peer: "dumb-init", name: "deaf app is not killed", args: deaf, story: patient},
	{peer: "catatonit", name: "deaf app is not killed", args: deaf, story: patient},

	{peer: "tini", name: "TERM ends an app", args: "-- CAST tally", story: told(syscall.SIGTERM)},
	{peer: "dumb-init", name: "TERM ends an app", args: "-- CAST tally", story: told(syscall.SIGTERM)},
	{peer: "catatonit", name: "TERM ends an app", args: "-- CAST tally", story: told(syscall.SIGTERM)},
	{peer: "tini", name: "TERM ends a group", args: "|-g|--|sh|-c|sleep 300; CAST tally", story: toldAtWork},
	{peer: "dumb-init", name: "TERM ends a group", args: "|--|sh|-c|sleep 300; CAST tally", story: toldAtWork},
	{peer: "catatonit", name: "TERM ends a group", args: "|-g|--|sh|-c|sleep 300; CAST tally", story: toldAtWork},
	{peer: "tini", name: "KILL of the app", args: "-- CAST tally", story: killed},
	{peer: "dumb-init", name: "KILL of the app", args: "-- CAST tally", story: killed},
	{peer: "catatonit", name: "KILL of the app", args: "-- CAST tally", story: killed},
}

var pause = place{env: []string{"EXEUNT_POST_START=echo ready"}}

const (
	orphan  = `|--|sh|-c|(sleep 300 & echo ready); exec cat`
	hundred = `|sh|-c|i=0; while [ $i -lt 100 ]; do sh -c 'true & '; i=$((i+1)); done; echo ready; exec cat`
	three   = `|sh|-c|for i in 1 2 3; do sh -c 'sleep .05 & '; done; echo ready; exec cat`
	deaf    = `|--|sh|-c|trap '' TERM INT HUP; echo ready; read x; exit 5`
)

// saves is outcome, of an init that does not wait for the last words.
func saves(b *box) string { return outcome(b) }

// leaves is the outcome, and how many are alive when the init has gone and
// they had time to go.
func leaves(b *box) string {
	end := b.ends()
	b.out.reaches(time.Second, "saved")
	alive := 0
	b.until("the dead are collected", func() bool {
		alive = 0
		for _, pid := range children(b.first) {
			if s := status(pid, "State"); s != "" && s[0] != 'Z' {
				alive++
			}
		}
		return alive == 0 || b.out.String() == ""
	})
	return fmt.Sprintf("%s %q, alive %d", end, b.out, alive)
}

// parent says whose an orphan becomes.
func parent(b *box) (whose string) {
	b.out.await("ready")
	init, app := b.init(), b.app()
	b.until("there is an orphan", func() bool {
		for pid, name := range map[int]string{init: "the init's", b.first: "PID 1's"} {
			for _, child := range children(pid) {
				if child != init && child != app && status(child, "Name") == "sleep" {
					whose = name
				}
			}
		}
		return whose != ""
	})
	return whose
}

// collects waits until the init has no zombies.
func collects(b *box) string {
	b.out.await("ready")
	init := b.init()
	b.until("no zombies are left", func() bool { return len(children(init)) == 1 })
	if zombies := children(b.first); len(zombies) != 1 {
		return fmt.Sprintf("%d went to PID 1", len(zombies)-1)
	}
	return outcome(b)
}

// warnings counts those of orphans that were collected.
func warnings(b *box) string {
	b.out.await("ready")
	init := b.init()
	b.until("they are collected", func() bool { return len(children(init)) == 1 })
	end := outcome(b)
	return fmt.Sprint(end, " warnings ", strings.Count(strings.ToLower(b.err.all()), "reaped"))
}

// bereaved kills the init's parent and waits for the signal to arrive.
func bereaved(sig int) func(*box) string {
	return func(b *box) string {
		b.out.await("ready")
		mother := b.only(b.first)
		init := b.only(mother)
		app := b.only(init)
		b.kill(mother, syscall.SIGKILL)
		b.until("the parent has gone", func() bool { return status(init, "PPid") == fmt.Sprint(b.first) })
		b.kill(init, 64)
		b.until("it arrives", func() bool { return has(pending(app), sig) && has(pending(app), 64) })
		return list(pending(app))
	}
}

// pauses sends the signals to an init without an app.
func pauses(signals ...syscall.Signal) func(*box) string {
	return func(b *box) string {
		var init int
		// It has no app to say that it is ready. A peer is when it blocks TERM.
		if b.ours {
			b.err.await("ready") // from a hook of ours
		}
		b.until("it receives TERM", func() bool {
			init = b.first
			if list := children(b.first); !b.pid1 && len(list) == 1 {
				init = list[0]
			}
			exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", init)) // empty while it comes to be
			if b.ours || exe == cast || exe == "" {
				return b.ours && (b.pid1 || init != b.first)
			}
			var blocked uint64
			_, _ = fmt.Sscanf(status(init, "SigBlk"), "%x", &blocked) // empty is none
			return has(blocked, int(syscall.SIGTERM))
		})
		for i, sig := range signals {
			b.kill(init, sig)
			if i < len(signals)-1 {
				b.until("it is taken", func() bool { return !has(pending(init), int(sig)) })
			}
		}
		return outcome(b)
	}
}

// patient sends stop signals that the app ignores.
func patient(b *box) string {
	b.out.await("ready")
	init := b.init()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT, syscall.SIGINT} {
		b.kill(init, sig)
		b.until("it is taken", func() bool { return !has(pending(init), int(sig)) })
	}
	if !b.staysFor(time.Second) {
		return "killed, " + b.ends()
	}
	return outcome(b)
}

// told sends the init a signal and waits for its end.
func told(sig syscall.Signal) func(*box) string {
	return func(b *box) string {
		b.out.await("ready")
		b.kill(b.init(), sig)
		return b.ends()
	}
}

// toldAtWork sends TERM to a shell that waits for its child.
func toldAtWork(b *box) string {
	var init int
	b.until("the shell's child runs", func() bool {
		init = b.first
		if list := children(b.first); !b.pid1 && len(list) > 0 {
			init = list[0]
		}
		for _, app := range children(init) {
			for _, child := range children(app) {
				if name := status(child, "Name"); name == "sleep" {
					return true
				}
			}
		}
		return false
	})
	b.kill(init, syscall.SIGTERM)
	return b.ends()
}

func killed(b *box) string {
	b.out.await("ready")
	b.kill(b.app(), syscall.SIGKILL)
	return b.ends()
}
