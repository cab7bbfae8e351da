package supervisor

import (
	"context"
	"fmt"
	"iter"
	"os"
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
	// Inbox is where performed hooks answer.
	Inbox *Inbox
	// Answers takes the answer to an Asked; it must not block. Nil drops them.
	Answers func(token int, err string, now Snapshot)
	// Standing takes how the run as a whole stands, whenever that changes; it
	// must not block. Nil drops it.
	Standing func(Standing)
	// Stream gives what descriptor 1 or 2 of a service is to be; nil is our own.
	// The System closes it once the service has been started. Nil, the func,
	// leaves all of them our own.
	Stream func(service string, number int, to Stream) (*os.File, error)
	// Drain writes what services have said until now, until by at the latest, and
	// returns how many bytes of it were lost. Nil is nothing to be written.
	Drain func(by time.Time) (lost int)
	// Ears hear what services say of themselves; nil where none is to be heard.
	Ears Ears
	// Processes lists those whose listening sockets are ours, on any goroutine;
	// nil lists our descendants.
	Processes func() ([]int, error)
	// Adopted is the only service's PID if it runs already, or ran; else 0. The
	// Reaper knows of it.
	Adopted int
	// OOMKills is how often memory has run out in our cgroup so far, and whether
	// that was made for this container. Nil is never.
	OOMKills func() (kills int, own bool)
	// Prewarm is called once, when the first process has been started. Nil is
	// nothing to be done.
	Prewarm func()

	null     *os.File
	services int // started so far
	counted  bool
	kills    int // of OOMKills that have been accounted for
	cancels  map[ID]context.CancelFunc
	watchdog watchdog
	ports    chan []uint16 // that we listened on when the stop began
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

// started does what the start of the first process would be held up by.
func (s *System) started() {
	s.count()
	if s.Prewarm != nil {
		s.Prewarm()
		s.Prewarm = nil
	}
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

// frozen is how late a timer is that was not late for want of a processor, and
// how long the loop then has to say and do what is left.
const frozen = 500 * time.Millisecond

// arm sets the time at which bite is called, in place of an earlier one.
func (w *watchdog) arm(at time.Time, bite func()) {
	if w.times == nil {
		w.times = make(chan time.Time, 1)
		go func() {
			at := <-w.times
			timer := time.NewTimer(time.Until(at))
			for {
				select {
				case at = <-w.times:
					timer.Reset(time.Until(at))
				case <-timer.C:
					// Where all of the container was frozen past its end, the
					// loop knows as little as we did: it shall have a moment.
					if now := time.Now(); now.Sub(at) > frozen {
						at = now.Add(frozen)
						timer.Reset(time.Until(at))
						continue
					}
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
