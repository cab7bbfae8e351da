package main

import (
	"os"
	"runtime"
	"sync"
	"time"

	"exeunt/internal/config"
	"exeunt/internal/control"
	"exeunt/internal/lean"
	"exeunt/internal/notify"
	"exeunt/internal/output"
	"exeunt/internal/platform"
	"exeunt/reaper"
	"exeunt/supervisor"
)

// flushTime is what the last lines of the log get to be read in. A reader that
// takes longer has stopped reading; it must not cost the margin of a short
// grace period.
const flushTime = 100 * time.Millisecond

// idle are the threads that the runtime is to have beyond those that are busy and
// one for each processor: one for the writer of the log, which may block, and one
// on its way.
const idle = 2

// run carries the plan out.
func run(inv *config.Invocation) (code int) {
	children, err := reaper.New()
	if err != nil {
		return fail(err)
	}
	if err := platform.DieWith(parent, inv.Plan.DeathSignal); err != nil {
		return fail(err)
	}
	if lean.Main != 0 && lean.Ended {
		children.Mourn(reaper.Exit{PID: lean.Main, Status: reaper.Status(lean.Status)})
	} else if lean.Main != 0 {
		children.Adopt(lean.Main)
	}
	log := newLog(inv)
	for _, warning := range inv.Warnings {
		log.Note(supervisor.Entry{At: time.Now(), Level: supervisor.Warn, Message: warning})
	}
	inv.Plan.Seed, inv.Plan.Adopted = uint64(time.Now().UnixNano()), lean.Main != 0
	machine := supervisor.New(inv.Plan)
	inbox := supervisor.NewInbox()
	kernel := &supervisor.System{
		Plan: inv.Plan, Reaper: children, Env: inv.Env, Output: log.Capture, Log: log.Note,
		Inbox: inbox, Adopted: lean.Main, OOMKills: platform.OOMKills,
	}
	server, err := control.Open(control.Options{
		Control: inv.Control, HTTP: inv.HTTP, Plan: inv.Plan, Put: inbox.Put, Sender: kernel.Sender, Note: log.Note,
	})
	if err != nil {
		return fail(err)
	}
	threads := processors(inv.Plan, server != nil)
	runtime.GOMAXPROCS(threads)
	threads += idle
	if server != nil {
		defer server.Close()
		kernel.Answers, kernel.Standing = server.Answer, server.Stand
		threads++
	}
	if inv.Plan.PID1 {
		kernel.Processes = platform.Processes
	}
	if inv.Plan.Managed {
		defer serve(kernel, inv.Plan, log, server, inv.Log == "json")()
		threads += 3 // for what blocks in writes to our standard output and error
	}
	warm(kernel, threads)
	code = supervisor.Drive(machine, kernel, inbox)
	report := machine.Report()
	if inv.Report != "" {
		if err := output.Save(inv.Report, report); err != nil {
			log.Note(supervisor.Entry{At: time.Now(), Level: supervisor.Error, Message: err.Error(), Phase: supervisor.Done})
		}
	}
	if abnormal(report) {
		output.LastWords(output.TerminationLog, report.Summary())
	}
	log.Close(time.Now().Add(flushTime))
	return code
}

// warm makes the threads. The runtime starts one whenever it has work for a
// processor and none is idle, and aborts where the app has used up the pids limit.
// So they are made before the app exists; or, since that takes 0.3 ms, as soon as
// it exists where no limit is in sight. Of one that is out of sight, on a pod as a
// whole, the app would have to take all that is left before it has done anything.
func warm(kernel *supervisor.System, threads int) {
	if lean.Unlimited {
		kernel.Prewarm = func() { reaper.Prewarm(threads) }
		return
	}
	reaper.Prewarm(threads)
}

// processors is how many the runtime is to use: one as long as all there is to do
// is to wait for the app and the signals, so that the memory of a second is not
// needed; else two, since nothing may hold up the loop.
func processors(p *supervisor.Plan, asked bool) int {
	hooks := len(p.PreStart) + len(p.PostStart) + len(p.PreStop) + len(p.PostStop)
	for i := range p.Services {
		s := &p.Services[i]
		hooks += len(s.PreStart) + len(s.PostStart) + len(s.PreStop) + len(s.PostStop)
	}
	if p.Managed || asked || hooks > 0 {
		return min(2, runtime.NumCPU())
	}
	return 1
}

// serve gives the services of a file what those of a command line do not have:
// streams of their own and somebody who hears them. It returns what is to be
// done at the end. What they print is theirs, so that it is JSON only where that
// was asked for, and not for want of a terminal.
func serve(kernel *supervisor.System, plan *supervisor.Plan, log *output.Log, server *control.Server, json bool) (end func()) {
	var names []string
	for i := range plan.Services {
		names = append(names, plan.Services[i].Name)
	}
	streams := log.Streams(names, json)
	kernel.Stream, kernel.Drain = streams.Open, streams.Drain
	ears := notify.New(func(service string, pid int, n supervisor.Notice) {
		kernel.Inbox.Put(supervisor.Notified{ID: supervisor.ID(service), PID: pid, Notice: n})
	}, func(service, text string) {
		log.Note(supervisor.Entry{At: time.Now(), Level: supervisor.Warn, Service: service, Message: text})
	})
	kernel.Ears = ears
	above := os.Getenv(notify.Variable)
	kernel.Standing = func(s supervisor.Standing) {
		if s == supervisor.Up {
			defer giveBack()
		}
		if server != nil {
			server.Stand(s)
		}
		if state := map[supervisor.Standing]string{supervisor.Up: "READY=1", supervisor.Falling: "STOPPING=1"}[s]; above != "" && state != "" {
			if err := notify.Send(above, state); err != nil {
				log.Note(supervisor.Entry{At: time.Now(), Level: supervisor.Warn, Message: err.Error()})
			}
		}
	}
	return ears.Close
}

// giveBack is for the end of the start. It keeps the loop for the 1 to 3 ms that
// it takes, as a crowd of deaths would.
var giveBack = sync.OnceFunc(platform.GiveBack)

// abnormal tells an end that somebody will ask about: a crash, a failed start,
// or a service that had to be killed.
func abnormal(r *supervisor.Report) bool {
	for _, service := range r.Services {
		if service.Killed {
			return true
		}
	}
	return r.Reason != supervisor.ReasonSignal && r.Reason != supervisor.ReasonRequest && r.Code != 0
}

// newLog is the log that the command line asks for.
func newLog(inv *config.Invocation) *output.Log {
	const stderr = 2
	terminal := platform.Terminal(stderr)
	console := inv.Log == "console" || inv.Log == "auto" && terminal
	color := terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return output.New(stderr, console, color, inv.Level)
}
