package compat

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// published are the scenarios of the peers' own tests that the other rows do
// not have: tini's test/run_inner_tests.py, run_outer_tests.py and
// ci/run_build.sh, dumb-init's tests/*.py. catatonit has none.
func published() (rows []row) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2} {
		rows = append(rows, row{peer: "tini", name: fmt.Sprint("its test: app dies of signal ", int(sig)),
			args: "|-s|--|sh|-c|echo ready; exec sleep 300", story: told(sig)})
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
		for _, setsid := range []string{"0", "1"} {
			rows = append(rows, row{peer: "dumb-init", name: fmt.Sprintf("its test: app dies of signal %d, setsid %s", sig, setsid),
				args: "|sh|-c|ulimit -c 0; echo ready; exec sleep 300", at: place{env: []string{"DUMB_INIT_SETSID=" + setsid}}, story: told(sig)})
		}
	}
	for _, debug := range []string{"0", "1"} {
		env := []string{"DUMB_INIT_DEBUG=" + debug}
		rows = append(rows,
			row{peer: "dumb-init", name: "its test: TERM ends a shell and its children, debug " + debug, args: brood, where: asChild, at: place{env: env}, story: survivors(syscall.SIGTERM)},
			row{peer: "dumb-init", name: "its test: children end when their shell dies, debug " + debug, args: brood, where: asChild, at: place{env: env}, story: survivors(0)},
			row{peer: "dumb-init", name: "its test: TERM leaves a shell's children, single child, debug " + debug, args: "|-c" + brood, where: asChild,
				at: place{env: env}, story: survivors(syscall.SIGTERM),
				differs: time4All, ours: "exit 143, 0 survive"})
	}
	return append(rows, []row{
		{peer: "tini", name: "its test: subreaper by proxy", args: orphan, at: place{proxy: true}, where: asChild, story: parent},
		{peer: "tini", name: "its test: subreaper by proxy, silent", args: "-- true", at: place{proxy: true}, where: asChild, story: said},
		{peer: "tini", name: "its test: Ctrl-C ends cat", args: "|-s|--|sh|-c|echo ready; exec cat", at: place{tty: true}, story: interrupted},
		{peer: "tini", name: "its test: exit typed in a shell", args: "-s -- sh -i", at: place{tty: true}, story: leftShell},
		{peer: "dumb-init", name: "its test: folder of init and app", args: "|--|sh|-c|pwd -P; echo ready; exec cat", story: folders,
			differs: "paths in hooks and of the report stay what they are", ours: "app here, init here"},
		{peer: "dumb-init", name: "its test: tac on a terminal", args: "|--|sh|-c|echo ready; exec tac", at: place{tty: true}, where: asFirst, story: reversed},
		{peer: "dumb-init", name: "its test: job control in bash", args: "|--|bash|--norc|-ic|echo [$-]", at: place{tty: true}, where: asFirst, story: monitors},
		{peer: "dumb-init", name: "its test: first HUP and CONT on a terminal", args: "-- CAST patient", at: place{tty: true}, where: asFirst, story: hangUps},
	}...)
}

const brood = `|--|sh|-c|sleep 300 & sleep 300 & sleep 300 & sleep 300 & wait`

// survivors waits for a shell with four children, tells the init or kills the
// shell, and counts those who live when the init has gone and they had time.
func survivors(sig syscall.Signal) func(*box) string {
	return func(b *box) string {
		var init int
		var app []int
		b.until("all of them run", func() bool {
			if list := children(b.first); len(list) == 1 {
				init = list[0]
				app = children(init)
			}
			return len(app) == 1 && strings.Count(fmt.Sprint(named(children(app[0]))), "sleep") == 4
		})
		if sig != 0 {
			b.kill(init, sig)
		} else {
			b.kill(app[0], syscall.SIGKILL)
		}
		end := b.ends()
		alive := 0
		// TERM was sent before the init's end, if at all: they are dead or dying.
		for _, pid := range children(b.first) {
			if s := status(pid, "State"); s != "" && s[0] != 'Z' && !has(pending(pid), int(syscall.SIGTERM)) {
				alive++
			}
		}
		return fmt.Sprintf("%s, %d survive", end, alive)
	}
}

func named(pids []int) (names []string) {
	for _, pid := range pids {
		names = append(names, status(pid, "Name"))
	}
	return names
}

func interrupted(b *box) string {
	b.out.await("ready")
	fmt.Fprint(b.in, "\x03")
	return b.ends()
}

func leftShell(b *box) string {
	fmt.Fprintln(b.in, "exit 6")
	return b.ends()
}

// folders says where the init and its app are.
func folders(b *box) string {
	b.out.await("ready")
	where := func(path string) string {
		switch path {
		case b.dir:
			return "here"
		case "/":
			return "in /"
		}
		return path
	}
	init := b.init()
	var folder string
	b.until("it has made its mind up", func() bool {
		folder, _ = os.Readlink(fmt.Sprintf("/proc/%d/cwd", init))
		return b.ours || folder == "/"
	})
	app, _, _ := strings.Cut(b.out.String(), "\n")
	return fmt.Sprintf("app %s, init %s", where(app), where(folder))
}

func reversed(b *box) string {
	b.out.await("ready")
	fmt.Fprint(b.in, "a\nb\n\x04")
	end := b.ends()
	return fmt.Sprintf("%s %v", end, strings.HasSuffix(b.out.all(), "b\r\na\r\n"))
}

func monitors(b *box) string {
	end := b.ends()
	_, flags, _ := strings.Cut(b.out.all(), "[")
	flags, _, _ = strings.Cut(flags, "]")
	return fmt.Sprintf("%s, monitor %v", end, strings.Contains(flags, "m"))
}

// hangUps sends one HUP and one CONT and counts them.
func hangUps(b *box) string {
	b.out.await("ready")
	init := b.init()
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGCONT} {
		b.kill(init, sig)
		b.out.await(fmt.Sprintf("got %d\r\n", sig))
	}
	fmt.Fprintln(b.in)
	end := b.ends()
	return fmt.Sprint(end, strings.Count(b.out.all(), "got 1\r"), strings.Count(b.out.all(), "got 18\r"))
}
