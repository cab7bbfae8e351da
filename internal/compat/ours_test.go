package compat

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestOurVariablesWorkUnderEveryName is what no peer can be compared with.
func TestOurVariablesWorkUnderEveryName(t *testing.T) {
	for _, c := range []struct {
		name, args, env string
		story           func(*box) string
		want            string
	}{
		{name: "hooks run at the stop", args: "-- CAST tally", env: "EXEUNT_PRE_STOP=touch DIR/drained", story: func(b *box) string {
			return told(syscall.SIGTERM)(b) + left(b)
		}, want: "exit 143 drained"},
		{name: "hooks run at the end", args: "|--|sh|-c|exit 3", env: "EXEUNT_POST_STOP=touch DIR/over", story: func(b *box) string {
			return b.ends() + left(b)
		}, want: "exit 3 over"},
		{name: "hooks run where strays are left alone", args: "|--|sh|-c|sleep 300 & exit 3", env: off + ",EXEUNT_POST_STOP=touch DIR/over", story: func(b *box) string {
			return b.ends() + left(b)
		}, want: "exit 3 over"},
		{name: "grace period kills", args: deaf, env: "EXEUNT_GRACE_PERIOD=1s", story: told(syscall.SIGTERM), want: "exit 137"},
		{name: "stop signal", args: "-- CAST tally", env: "EXEUNT_STOP_SIGNAL=KILL", story: told(syscall.SIGTERM), want: "exit 137"},
		{name: "exit codes", args: "|--|sh|-c|exit 3", env: "EXEUNT_EXIT_CODES=3=9", story: outcome, want: `exit 9 ""`},
		{name: "user", args: "|--|id|-u", env: "EXEUNT_USER=1234", story: outcome, want: `exit 0 "1234\n"`},
		{name: "variables are not the app's", args: "|--|sh|-c|env; exit 4", env: "EXEUNT_LOG=json", story: func(b *box) string {
			return fmt.Sprintf("%s %v", b.ends(), strings.Contains(b.out.all(), "EXEUNT"))
		}, want: "exit 4 false"},
		{name: "bad variable is our error", args: "-- true", env: "EXEUNT_KILL_MODE=all", story: func(b *box) string {
			return fmt.Sprintf("%s %d", b.ends(), strings.Count(b.err.all(), "EXEUNT_KILL_MODE"))
		}, want: "exit 125 1"},
		{name: "failed start with a hook", args: "|--|sh|-c|exit 3", env: "EXEUNT_PRE_START=false", story: outcome, want: `exit 125 ""`},
		{name: "straggler that stays is killed at its time", args: `|sh|-c|mkfifo DIR/f; sh -c 'trap "" TERM; echo r >DIR/f; sleep 300' & read x <DIR/f; exit 3`,
			env: "EXEUNT_STRAGGLER_TIMEOUT=300ms", story: outcome, want: `exit 3 ""`},
	} {
		for _, name := range []string{"tini", "docker-init", "dumb-init", "catatonit"} {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				r := row{args: c.args, at: place{env: strings.Split(c.env, ",")}, story: c.story}
				if got := r.seen(t, filepath.Join(ours, name), true); got != c.want {
					t.Errorf("got %s, want %s", got, c.want)
				}
			})
		}
	}
}

// left is the names of the files that hooks made.
func left(b *box) (names string) {
	files, err := filepath.Glob(filepath.Join(b.dir, "*"))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, file := range files {
		names += " " + filepath.Base(file)
	}
	return names
}

func TestPreStopHookIsNotUndercutByARepeat(t *testing.T) {
	for _, name := range []string{"tini", "dumb-init", "catatonit"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := row{args: "-- CAST tally", at: place{env: []string{"EXEUNT_PRE_STOP=sh -c 'echo begun; read x <DIR/f; touch DIR/drained'"},
				set: []string{"BEFORE=mkfifo DIR/f"}}, story: func(b *box) string {
				b.out.await("ready")
				for range 2 {
					b.kill(b.first, syscall.SIGTERM)
					b.err.await("begun")
				}
				if err := os.WriteFile(filepath.Join(b.dir, "f"), []byte("go on\n"), 0); err != nil {
					b.t.Fatal(err)
				}
				return b.ends() + left(b)
			}}
			if got := r.seen(t, filepath.Join(ours, name), true); got != "exit 143 drained f" {
				t.Errorf("got %s, want the hook's file and then the app's end", got)
			}
		})
	}
}
