package compat

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// passes sends the signals one by one to an init whose app has every signal
// blocked, and says what became of each.
func passes(sent ...int) func(*box) string {
	return func(b *box) string {
		b.out.await("ready")
		init, app := b.init(), b.app()
		for _, sig := range sent {
			b.kill(init, syscall.Signal(sig))
		}
		// Whatever follows is decided upon after what came before. Two, since
		// threads of one process may take two signals in any order.
		markers := [2]int{64, 63}
		for i := range markers {
			for strings.Contains(fmt.Sprint(sent), fmt.Sprint(markers[i])) {
				markers[i] -= 2
			}
		}
		stopped := func(pid int) bool { return strings.HasPrefix(status(pid, "State"), "T") }
		for _, marker := range markers {
			if b.gone() || stopped(init) {
				break
			}
			_ = syscall.Kill(init, syscall.Signal(marker)) // it may have died since
			b.until("the marker arrives", func() bool {
				return b.gone() || stopped(init) || has(pending(app), marker)
			})
		}
		if stopped(init) {
			b.until("the app has got it", func() bool { return stopped(app) || pending(app) != 0 })
			seen := "init stopped, " + state(b, app, markers)
			b.kill(init, syscall.SIGCONT)
			b.until("it goes on", func() bool { return !stopped(init) && has(pending(app), int(syscall.SIGCONT)) || b.gone() })
			return seen
		}
		if b.gone() {
			return "init " + b.ends()
		}
		return state(b, app, markers)
	}
}

func state(b *box, app int, without [2]int) string {
	b.until("STOP has been taken", func() bool { return !has(pending(app), int(syscall.SIGSTOP)) })
	stopped := strings.HasPrefix(status(app, "State"), "T")
	set := pending(app)
	for _, sig := range without {
		set &^= 1 << (sig - 1)
	}
	if stopped {
		return "app stopped " + list(set)
	}
	return list(set)
}

// signalRows are all signals that can be sent, to each init in each place.
func signalRows() (rows []row) {
	faults := " 4 5 6 7 8 11 31 "
	in := func(sig int, set string) bool { return strings.Contains(set, fmt.Sprintf(" %d ", sig)) }
	for _, peer := range []string{"tini", "dumb-init", "catatonit"} {
		for sig := 1; sig <= 64; sig++ {
			if sig == 9 || sig == 19 {
				continue // nobody can receive those
			}
			r := row{peer: peer, name: fmt.Sprint("signal ", sig), args: "-- CAST blocked", story: passes(sig)}
			switch {
			case in(sig, " 32 33 "):
				r.differs, r.ours = "libc keeps it from the peer; we have no libc", fmt.Sprintf("[%d]", sig)
			case peer == "tini" && sig == 20:
				r.differs, r.ours = "nobody is frozen who does not handle it", "[]"
			case peer != "dumb-init" && in(sig, faults):
				r.where = asFirst
				dies := r
				dies.where, dies.differs, dies.ours = asChild, "the peer dies of it, the app lives on without an init", "[]"
				rows = append(rows, dies)
			}
			rows = append(rows, r)
		}
	}
	for _, sig := range []int{20, 21, 22} {
		rows = append(rows,
			row{peer: "dumb-init", name: fmt.Sprint("single child, signal ", sig), args: "-c -- CAST blocked", story: passes(sig)},
			row{peer: "dumb-init", name: fmt.Sprint("rewritten, signal ", sig), args: fmt.Sprintf("-r %d:10 -- CAST blocked", sig), story: passes(sig)},
			row{peer: "dumb-init", name: fmt.Sprint("dropped, signal ", sig), args: fmt.Sprintf("-r %d:0 -r 2:1 -- CAST blocked", sig), where: asFirst, story: passes(2, sig)})
	}
	for _, r := range []struct{ args, name string }{
		{"-r 15:3", "rewritten"}, {"-r15:3", "rewritten, stuck"}, {"--rewrite 15:3", "rewritten, long"},
		{"--rewrite=15:3", "rewritten, with ="}, {"--rew=15:3", "rewritten, cut short"}, {"-r 15:0", "dropped"},
		{"-r 15:2 -r 15:3", "the last one counts"}, {"-r 15:10 -r 10:15", "swapped"}, {"-c -r 15:3", "rewritten, single child"},
		{"-r 15:0 -r 1:15", "dropped, and the target of another"}, {"-r 15:28", "to what is ignored"},
	} {
		rows = append(rows, row{peer: "dumb-init", name: "TERM " + r.name, args: r.args + " -- CAST blocked", story: passes(15)},
			row{peer: "dumb-init", name: "TERM, HUP and USR1 " + r.name, args: r.args + " -- CAST blocked", story: passes(15, 1, 10)})
	}
	return append(rows, groups()...)
}

// groups are whom signals are for.
func groups() (rows []row) {
	for _, r := range []struct{ peer, args, env string }{
		{"tini", "", ""}, {"tini", "-g", ""}, {"tini", "", "TINI_KILL_PROCESS_GROUP=0"}, {"tini", "-sg", ""},
		{"tini", "", "TINI_KILL_PROCESS_GROUP="},
		{"dumb-init", "", ""}, {"dumb-init", "-c", ""}, {"dumb-init", "", "DUMB_INIT_SETSID=0"},
		{"dumb-init", "--single-child", ""}, {"dumb-init", "", "DUMB_INIT_SETSID=no"}, {"dumb-init", "", "DUMB_INIT_SETSID="},
		{"catatonit", "", ""}, {"catatonit", "-g", ""},
	} {
		for _, sig := range []int{1, 10, 15} {
			rows = append(rows, row{
				peer: r.peer, name: fmt.Sprintf("who gets %d, %s %s", sig, r.args, r.env), args: r.args + " -- CAST family",
				at: place{env: []string{r.env}}, story: reaches(sig),
			})
		}
	}
	return rows
}

// reaches sends a signal and says who in the family got it.
func reaches(sig int) func(*box) string {
	return func(b *box) string {
		b.out.await("ready")
		init, app := b.init(), b.app()
		var family []int
		b.until("all three are there", func() bool {
			family = append([]int{app}, children(app)...)
			return len(family) == 3
		})
		for _, sent := range []int{sig, 64, 63} {
			b.kill(init, syscall.Signal(sent))
			b.until("it arrives", func() bool { return has(pending(app), sent) })
		}
		return fmt.Sprintf("main %v, group %v, session %v", has(pending(family[0]), sig),
			has(pending(family[1]), sig), has(pending(family[2]), sig))
	}
}

// TestEveryRepeatIsPassedOn is for apps that take a signal for something else
// than their end.
func TestEveryRepeatIsPassedOn(t *testing.T) {
	for _, name := range []string{"tini", "dumb-init", "catatonit"} {
		for _, pid1 := range []bool{true, false} {
			r := row{peer: name, args: "-- CAST patient", story: func(b *box) string {
				b.out.await("ready")
				init := b.init()
				for n := range 3 {
					for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1} {
						b.kill(init, sig)
						want := n + 1
						b.until("it arrives", func() bool {
							return strings.Count(b.out.String(), fmt.Sprintf("got %d\n", sig)) == want
						})
					}
				}
				return outcome(b)
			}}
			r.name, r.where = "repeats", asFirst
			if !pid1 {
				r.where = asChild
			}
			r.check(t)
		}
	}
}
