package supervisor

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"exeunt/signals"
)

var update = flag.Bool("update", false, "rewrite the timelines of testdata/sequence")

// run lives the story through, time going from one event or deadline to the next.
func (s *story) run() error {
	w := s.world
	w.m = New(&s.plan)
	killed := map[int]time.Time{}
	var boot bool
	for steps := 0; w.m.phase != Done; steps++ {
		if steps == 100_000 {
			return errors.New("no end")
		}
		at, ok := w.m.Deadline()
		var do func() error
		if !boot { // before the first event, but after what was said of 0s
			at, ok = epoch, true
		}
		do = func() error {
			if !boot {
				boot = true
				w.step(Booted{})
			} else {
				w.tick(at)
			}
			return nil
		}
		for i := range w.procs {
			p := &w.procs[i]
			if dies := killed[p.pid]; !dies.IsZero() && p.alive && (!ok || dies.Before(at)) {
				at, ok, do = dies, true, func() error { s.end(p.pid, byKILL); return nil }
			}
		}
		if len(s.events) > 0 && (!ok || !s.events[0].at.After(at)) && (boot || s.events[0].words[0] == "refuse") {
			e := s.events[0]
			s.events = s.events[1:]
			at, ok, do = e.at, true, func() error { return s.happen(e.words) }
		}
		if !ok || at.Sub(epoch) > s.until {
			fmt.Fprintf(&s.out, "%8s  still in phase %v\n", "", w.m.phase)
			return nil
		}
		w.now = latest(w.now, at)
		if err := do(); err != nil {
			return fmt.Errorf("at %v: %w", at.Sub(epoch), err)
		}
		s.settle()
		for i := range w.procs {
			if p := &w.procs[i]; p.killed && p.alive && killed[p.pid].IsZero() && !s.stuck[p.pid] {
				killed[p.pid] = w.now.Add(time.Millisecond)
			}
		}
	}
	return nil
}

// settle writes down the step just taken, and answers its question until there
// is none.
func (s *story) settle() {
	w := s.world
	for s.record(); s.unanswered(); s.record() {
		if ask, ok := w.ask.(Spawn); ok && s.refused[ask.ID] {
			delete(s.refused, ask.ID)
			w.refuse(ask.ID, syscall.ENOENT)
			continue
		}
		if !w.answer() {
			w.perform(s.flush(), nil)
		}
	}
}

// unanswered reports whether something is asked that is answered at once: a
// question, or the flush where the story does not say otherwise.
func (s *story) unanswered() bool {
	return s.world.ask != nil || s.flush() >= 0 && !s.slowFlush
}

// flush is which of the hooks being performed is the flush, or -1.
func (s *story) flush() int {
	return slices.IndexFunc(s.world.performing, func(p Perform) bool { return p.ID == flushID })
}

// record adds the last step to the timeline: entries first, then actions.
func (s *story) record() {
	w := s.world
	at := fmt.Sprintf("%7.3fs", w.now.Sub(epoch).Seconds())
	for _, e := range w.entries {
		fmt.Fprintf(&s.out, "%s  %-9v %-5v %s%s\n", at, e.Phase, e.Level, e.Message, fields(e))
	}
	for _, a := range w.actions {
		switch a := a.(type) {
		case Survey, Watch: // too many, and seen by what follows
		case Announce:
			fmt.Fprintf(&s.out, "%s  > announce %v\n", at, a.Standing)
		case Answer:
			fmt.Fprintf(&s.out, "%s  > answer %d: %s\n", at, a.Token, either(a.Err, "done"))
		case Spawn:
			fmt.Fprintf(&s.out, "%s  > spawn %s\n", at, a.ID)
		case Perform:
			if a.ID == flushID && !s.slowFlush {
				continue
			}
			fmt.Fprintf(&s.out, "%s  > perform %s\n", at, a.ID)
		case Cancel:
			fmt.Fprintf(&s.out, "%s  > cancel %s\n", at, a.ID)
		case Send:
			caught := ""
			if a.IfCaught {
				caught = " if it handles it"
			}
			fmt.Fprintf(&s.out, "%s  > send %v to %v%s\n", at, a.Signal, a.To, caught)
		case Arm:
			fmt.Fprintf(&s.out, "%s  > arm the watchdog for %.3fs\n", at, a.At.Sub(epoch).Seconds())
		case Finish:
			fmt.Fprintf(&s.out, "%s  > finish with %d\n", at, a.Code)
		default:
			fmt.Fprintf(&s.out, "%s  > %T\n", at, a)
		}
	}
	w.entries, w.actions = nil, nil
}

// fields are those of an entry that are not zero.
func fields(e Entry) string {
	var b strings.Builder
	add := func(key, value string, present bool) {
		if present {
			fmt.Fprintf(&b, " %s=%s", key, value)
		}
	}
	add("service", e.Service, e.Service != "")
	add("hook", fmt.Sprintf("%q", e.Hook), e.Hook != "")
	add("pid", fmt.Sprint(e.PID), e.PID != 0)
	add("signal", e.Signal.String(), e.Signal != 0)
	add("code", fmt.Sprint(e.Code), e.Code != 0)
	add("took", e.Took.String(), e.Took != 0)
	add("left", e.Left.String(), e.Left != 0)
	add("restarts", fmt.Sprint(e.Restarts), e.Restarts != 0)
	add("strays", fmt.Sprint(e.Strays), e.Strays != 0)
	add("err", fmt.Sprintf("%q", e.Err), e.Err != "")
	return b.String()
}

// TestSequence lives through the stories of testdata/sequence. If one fails,
// run go test ./supervisor -run Sequence -update and inspect the diff: a
// timeline is what users see of a stop. Commit only changes that you understand
// and want.
func TestSequence(t *testing.T) {
	files, err := filepath.Glob("../testdata/sequence/*.txt")
	if err != nil || len(files) < 25 {
		t.Fatalf("%d stories: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			told, want, _ := strings.Cut(string(raw), separator)
			s := &story{}
			if err := s.read(told); err != nil {
				t.Fatal(err)
			}
			if err := s.run(); err != nil {
				t.Fatalf("%v\n%s", err, s.out.String())
			}
			for _, b := range s.world.broken {
				t.Error(b)
			}
			got := s.out.String()
			switch {
			case got == want:
			case *update:
				if err := os.WriteFile(file, []byte(told+separator+got), 0o666); err != nil {
					t.Fatal(err)
				}
			default:
				t.Errorf("the timeline is now\n%s\nand was\n%s", got, want)
			}
			if len(s.events) > 0 {
				t.Errorf("the story ended before %v", s.events[0].words)
			}
		})
	}
}

// TestStoriesWithMistakesAreRefused keeps a slip in a story from making it pass.
func TestStoriesWithMistakesAreRefused(t *testing.T) {
	for _, text := range []string{
		"grce 30s", "grace thirty", "service web size=3", "service web stop=NOPE", "pre_stop x timeout=soon", "stop_on NOPE",
		"service web\n1s dance web", "service web\n1s exit nobody 3", "service web\n1s stray x", "service web\n1s stray 50 colour=red", "service web\n1s exit web often",
	} {
		s := &story{}
		err := s.read(text)
		if err == nil {
			err = s.run()
		}
		if err == nil {
			t.Errorf("no complaint about %q", text)
		}
	}
	if _, err := signals.Parse("exit"); err == nil {
		t.Error("a signal has the name of an event")
	}
}
