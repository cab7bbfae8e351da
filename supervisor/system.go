package supervisor

import (
	"context"
	"fmt"
	"iter"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"exeunt/hooks"
	"exeunt/reaper"
	"exeunt/signals"
)

// A System is the real Kernel: our own children, by way of a Reaper. It is used
// by the goroutine that runs Drive, locked to the main thread.
type System struct {
	Plan   *Plan
	Reaper *reaper.Reaper
	// Env is the environment of command hooks, before their own and EXEUNT_*.
	Env []string
	// Output gives what a command hook's output is written to, under its name.
	// The System closes it once the hook has been started.
	Output func(hook string) (*os.File, error)
	// Log takes each entry of the report; nil drops them.
	Log func(Entry)
	// Events is where performed hooks answer: Inputs.Events. It needs room, since
	// the run may be over when one does.
	Events chan Event
	// Answers takes the answer to an Asked; it must not block. Nil drops them.
	Answers func(token int, err string, now Snapshot)
	// Standing takes how the run as a whole stands, whenever that changes; it
	// must not block. Nil drops it.
	Standing func(Standing)
	// Adopted is the only service's PID if it runs already, or ran; else 0. The
	// Reaper knows of it.
	Adopted int
	// OOMKills is how often memory has run out in our cgroup so far, and whether
	// that was made for this container. Nil is never.
	OOMKills func() (kills int, own bool)

	null     *os.File
	services int // started so far
	counted  bool
	kills    int // of OOMKills that have been accounted for
	cancels  map[ID]context.CancelFunc
	watchdog watchdog
}

// Spawn implements Kernel.
func (s *System) Spawn(id ID, env []string) (int, error) {
	defer s.count() // after the fork, which it would hold up
	for i := range s.Plan.Services {
		if p := &s.Plan.Services[i]; ID(p.Name) == id {
			pid, err := s.Adopted, error(nil)
			if pid == 0 {
				pid, err = s.Reaper.Start(&p.Command)
			}
			if s.services++; s.services == len(s.Plan.Services) {
				s.Reaper.CloseInherited() // the app's alone from now on
			}
			return pid, err
		}
	}
	h, ok := s.Plan.hook(id)
	if !ok {
		return 0, fmt.Errorf("no service or hook %q in the plan", id)
	}
	return s.spawnHook(h, env)
}

func (s *System) spawnHook(h *hooks.Hook, env []string) (pid int, err error) {
	c := reaper.Command{Args: h.Command, Dir: h.WorkingDir, Env: slices.Concat(s.Env, h.Env, env)}
	if h.User != "" {
		if c.User, err = reaper.LookupUser(h.User); err != nil {
			return 0, err
		}
		c.Env = c.User.Environ(c.Env)
	}
	if s.null == nil {
		// Without /dev/null a hook gets a closed stdin's worth: nothing to read.
		if s.null, err = os.Open(os.DevNull); err != nil {
			return 0, fmt.Errorf("cannot give the hook an empty stdin: %w", err)
		}
	}
	c.Stdin = s.null
	out, err := s.Output(h.Name)
	if err != nil {
		return 0, err
	}
	defer out.Close()
	c.Stdout, c.Stderr = out, out
	return s.Reaper.Start(&c)
}

// Perform implements Kernel.
func (s *System) Perform(id ID, try int, by time.Time, env []string) {
	h, ok := s.Plan.hook(id)
	if !ok {
		return // only commands, services and these have IDs
	}
	around := hooks.Surroundings{
		Env:       slices.Concat(s.Env, h.Env, env),
		Processes: s.processes(h),
		Note:      func(text string) { s.Events <- Remarked{id, text} },
	}
	ctx, cancel := context.WithDeadline(context.Background(), by)
	if s.cancels == nil {
		s.cancels = map[ID]context.CancelFunc{}
	}
	s.Cancel(id)
	s.cancels[id] = cancel
	go func() {
		err := h.Perform(ctx, around)
		cancel()
		s.Events <- Performed{id, try, err}
	}()
}

// processes gives a drain of the ports that we listen on who we are. It looks
// now: the Reaper is of the loop's goroutine.
func (s *System) processes(h *hooks.Hook) func() ([]int, error) {
	if h.Drain == nil {
		return nil
	}
	strays, err := s.Reaper.Strays()
	var pids []int
	for _, p := range strays {
		pids = append(pids, p.PID)
	}
	return func() ([]int, error) { return pids, err }
}

// Cancel implements Kernel.
func (s *System) Cancel(id ID) {
	if cancel := s.cancels[id]; cancel != nil {
		cancel()
	}
}

// hook finds the hook that id names.
func (p *Plan) hook(id ID) (*hooks.Hook, bool) {
	for service := container; service < len(p.Services); service++ {
		for list, hooks := range p.lists(service) {
			for n := range hooks {
				if hookID(p, list, service, n) == id {
					return &hooks[n], true
				}
			}
		}
	}
	return nil, false
}

// Signal implements Kernel.
func (s *System) Signal(to reaper.Target, sig signals.Signal, ifCaught bool) error {
	return s.Reaper.Signal(to, sig, ifCaught)
}

// count notes once how often memory had run out before us. If the app ran
// before us and the cgroup is the container's own, it was never: what is counted
// may be the app's end.
func (s *System) count() {
	if s.counted || s.OOMKills == nil {
		return
	}
	s.counted = true
	if kills, own := s.OOMKills(); s.Adopted == 0 || !own {
		s.kills = kills
	}
}

// OOM implements Kernel. Each kill that was counted explains one death.
func (s *System) OOM() bool {
	if s.OOMKills == nil {
		return false
	}
	kills, _ := s.OOMKills()
	if kills <= s.kills {
		return false
	}
	s.kills++
	return true
}

// Sender implements Kernel.
func (s *System) Sender(r signals.Received) string {
	switch {
	case r.Code == kernelSent:
		return "the terminal"
	case r.PID > 0:
		if name := processName(int(r.PID)); name != "" {
			return fmt.Sprintf("pid %d (%s)", r.PID, name)
		}
		return fmt.Sprintf("pid %d", r.PID)
	case r.PID == 0 && s.Plan.PID1 && signals.Senders():
		return "the container runtime"
	}
	return ""
}

// processName is what /proc calls a process, or empty where it has gone or
// /proc can't tell. Processes name themselves: it is made fit for a line.
func processName(pid int) string {
	if self, err := os.Readlink("/proc/self"); err != nil || self != strconv.Itoa(os.Getpid()) {
		return "" // another namespace's numbers
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, strings.TrimSuffix(string(name), "\n"))
}

// Exited implements Kernel.
func (s *System) Exited(limit int) iter.Seq[reaper.Exit] { return s.Reaper.Exited(limit) }

// Childless implements Kernel.
func (s *System) Childless() bool { return s.Reaper.Childless() }

// Strays implements Kernel.
func (s *System) Strays() ([]reaper.Stray, error) { return s.Reaper.Strays() }

// Suspend implements Kernel.
func (s *System) Suspend() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP) // to ourselves it is always allowed
}

// Arm implements Kernel.
func (s *System) Arm(at time.Time) {
	s.watchdog.arm(at, func() {
		if s.Plan.PID1 {
			_ = s.Reaper.Signal(reaper.Everyone(), signals.KILL, false) // the exit that follows kills them too
		}
		os.Exit(128 + int(signals.KILL))
	})
}

// Answer implements Kernel.
func (s *System) Answer(token int, err string, now Snapshot) {
	if s.Answers != nil {
		s.Answers(token, err, now)
	}
}

// Announce implements Kernel.
func (s *System) Announce(to Standing) {
	if s.Standing != nil {
		s.Standing(to)
	}
}

// Watch implements Kernel.
func (s *System) Watch() {}

// Note implements Kernel.
func (s *System) Note(e Entry) {
	if s.Log != nil {
		s.Log(e)
	}
}

// A watchdog ends the process when the loop has not: it runs on a goroutine of
// its own, which the loop only tells when. The zero watchdog sleeps.
type watchdog struct {
	times chan time.Time
}

// arm sets the time at which bite is called, in place of an earlier one.
func (w *watchdog) arm(at time.Time, bite func()) {
	if w.times == nil {
		w.times = make(chan time.Time, 1)
		go func() {
			timer := time.NewTimer(time.Until(<-w.times))
			for {
				select {
				case at := <-w.times:
					timer.Reset(time.Until(at))
				case <-timer.C:
					bite()
					return
				}
			}
		}()
	}
	select {
	case <-w.times: // not taken yet, and replaced
	default:
	}
	w.times <- at
}
