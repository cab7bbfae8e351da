package rehearse

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"exeunt/reaper"
	"exeunt/supervisor"
)

// A verdict is what came of it.
type verdict struct {
	plan *supervisor.Plan

	began, stopped, ended time.Time // stopped is zero if the app ended before
	status                reaper.Status
	overdue               bool    // killed when the grace period was over, as the platform does
	impatient             bool    // killed on a second signal to us
	lost                  []actor // alive when we killed

	report   supervisor.Report
	reported error // why there is no report, or nil
	killed   []string
}

// read takes from exeunt's report whom it killed.
func (v *verdict) read(path string) {
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &v.report)
	}
	if v.reported = err; err != nil {
		return
	}
	for _, s := range v.report.Services {
		if s.Killed {
			v.killed = append(v.killed, fmt.Sprintf("%s (%spid %d)", s.Name, v.program(s.Name), s.PID))
		}
	}
	for _, s := range v.report.Strays {
		if s.Killed {
			v.killed = append(v.killed, fmt.Sprintf("%s (pid %d)", s.Name, s.PID))
		}
		if s.OutOfReach {
			v.killed = append(v.killed, fmt.Sprintf("%s (pid %d, out of reach)", s.Name, s.PID))
		}
	}
	for _, h := range v.report.Hooks {
		if h.Killed {
			v.killed = append(v.killed, fmt.Sprintf("hook %s", h.Name))
		}
	}
}

// program is what the service runs, for a list; empty if the plan does not have
// it, the file having been edited meanwhile.
func (v *verdict) program(service string) string {
	for i := range v.plan.Services {
		if p := &v.plan.Services[i]; p.Name == service {
			return filepath.Base(p.Command.Args[0]) + ", "
		}
	}
	return ""
}

// early reports whether the app ended before it was asked to.
func (v *verdict) early() bool {
	return !v.overdue && !v.impatient &&
		(v.stopped.IsZero() || v.reported == nil && v.report.Reason != supervisor.ReasonSignal)
}

func (v *verdict) exitCode() int {
	switch {
	case v.overdue || v.impatient || len(v.killed) > 0:
		return 1
	case v.early():
		return v.status.Shell()
	case v.reported != nil:
		return Failure
	}
	return 0
}

// String is the last line of a rehearsal.
func (v verdict) String() string {
	code := v.status.Shell()
	took := v.ended.Sub(v.stopped)
	if v.reported == nil && !v.report.Began.IsZero() {
		took = v.report.Ended.Sub(v.report.Began)
	}
	outcome := fmt.Sprintf("the container would have exited with %d", code)
	switch {
	case v.impatient:
		return fmt.Sprintf("killed on a second signal, with %s; %s", v.alive(), outcome)
	case v.overdue:
		return fmt.Sprintf("the platform would have killed the container after %s, with %s; exit code %d",
			seconds(v.plan.Budget.Grace), v.alive(), code)
	case v.early():
		return fmt.Sprintf("the app ended by itself after %s, before it was told to stop; %s%s",
			seconds(v.ended.Sub(v.began)), v.victims("", "; "), outcome)
	case v.reported != nil:
		return fmt.Sprintf("no word from exeunt (%v); %s", v.reported, outcome)
	}
	return fmt.Sprintf("stopped in %s of %s: %s; %s", seconds(took), seconds(v.plan.Budget.Grace), v.victims("nobody was killed", ""), outcome)
}

// victims names who was killed, with tail behind, or is nobody if none was.
func (v *verdict) victims(nobody, tail string) string {
	if len(v.killed) == 0 {
		return nobody
	}
	return "killed " + strings.Join(v.killed, ", ") + tail
}

func (v *verdict) alive() string {
	if len(v.lost) == 0 {
		return "nobody but exeunt alive"
	}
	names := make([]string, len(v.lost))
	for i, a := range v.lost {
		names[i] = a.String()
	}
	return strings.Join(names, ", ") + " still alive"
}

func seconds(d time.Duration) string {
	unit := 100 * time.Millisecond
	if d < time.Second {
		unit = 10 * time.Millisecond
	}
	return fmt.Sprintf("%gs", d.Round(unit).Seconds())
}
