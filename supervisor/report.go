package supervisor

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"exeunt/signals"
)

// A Report is the run as it happened. It is what --report writes, what the
// summary is made of, and what rehearse judges. Times are wall-clock times in
// JSON; within the process they are monotonic.
type Report struct {
	Grace  Milliseconds   `json:"grace_ms"`
	Armed  bool           `json:"grace_set"`
	Source string         `json:"grace_source"`
	Reason Reason         `json:"reason"`
	Signal signals.Signal `json:"signal,omitempty"` // that began the stop
	From   int32          `json:"from,omitempty"`   // its sender
	By     string         `json:"by,omitempty"`     // its sender in words
	Code   int            `json:"code"`             // what we exit with

	Began      time.Time       `json:"began,omitzero"` // the stop
	Ended      time.Time       `json:"ended,omitzero"`
	Phases     []PhaseReport   `json:"phases"` // of the stop
	Services   []ServiceReport `json:"services"`
	Hooks      []HookReport    `json:"hooks"`
	Strays     []StrayReport   `json:"strays"`      // the first 1,000 of those told or killed
	StrayCount int             `json:"stray_count"` // all of them
	Reaped     int             `json:"reaped"`      // orphans collected
	Entries    []Entry         `json:"entries"`     // the last 1,000 before the stop, the first 10,000 of it
	Dropped    int             `json:"dropped"`     // entries beyond that
}

// Reason is why the run ended: the value of EXEUNT_REASON.
type Reason string

// The reasons.
const (
	ReasonSignal  Reason = "signal"  // asked to stop
	ReasonRequest Reason = "request" // the same, over the control socket
	ReasonExit    Reason = "exit"    // an essential service ended by itself
	ReasonFailure Reason = "failure" // start-up failed
)

// asked reports whether somebody asked for the stop.
func (r Reason) asked() bool { return r == ReasonSignal || r == ReasonRequest }

// Milliseconds is a duration that JSON shows as a whole number of milliseconds.
type Milliseconds time.Duration

// MarshalJSON implements json.Marshaler.
func (d Milliseconds) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(d).Milliseconds())
}

// UnmarshalJSON implements json.Unmarshaler.
func (d *Milliseconds) UnmarshalJSON(b []byte) error {
	var ms int64
	err := json.Unmarshal(b, &ms)
	*d = Milliseconds(time.Duration(ms) * time.Millisecond)
	return err
}

// A PhaseReport is one phase of the stop and how long it took.
type PhaseReport struct {
	Phase Phase     `json:"phase"`
	Began time.Time `json:"began"`
	Ended time.Time `json:"ended"`
}

// A ServiceReport is one service's life.
type ServiceReport struct {
	Name    string         `json:"name"`
	PID     int            `json:"pid,omitempty"`
	State   State          `json:"state"`
	Started time.Time      `json:"started,omitzero"`
	Told    time.Time      `json:"told,omitzero"` // first stop signal
	Ended   time.Time      `json:"ended,omitzero"`
	Signal  signals.Signal `json:"signal,omitempty"` // the last stop signal it was sent
	Code    int            `json:"code"`             // exit code, or 128+n
	Killed  bool           `json:"killed"`           // by us
	OOM     bool           `json:"oom,omitempty"`    // by the kernel, as memory had run out
	Err     string         `json:"err,omitempty"`    // why it could not be started
	// Restarts counts the starts but the first; the times are of the last life.
	Restarts int `json:"restarts,omitempty"`
}

// A HookReport is one hook's last run, and its tries in all lives of its service.
type HookReport struct {
	ID      ID        `json:"id"`
	Name    string    `json:"name"`
	Began   time.Time `json:"began"`
	Ended   time.Time `json:"ended"`
	Tries   int       `json:"tries"`
	Skipped bool      `json:"skipped,omitempty"` // its service had gone
	Killed  bool      `json:"killed,omitempty"`  // did not leave when told
	Err     string    `json:"err,omitempty"`     // of the last try
}

// A StrayReport is a process that was neither service nor hook and had to be
// told or killed, or that we may not signal.
type StrayReport struct {
	PID        int            `json:"pid"`
	Name       string         `json:"name"`
	Told       time.Time      `json:"told,omitzero"`
	Signal     signals.Signal `json:"signal,omitempty"`
	Killed     bool           `json:"killed"`
	OutOfReach bool           `json:"out_of_reach,omitempty"`
}

// An Entry is one line of the report and of the log: an event or an action.
// Zero fields do not apply.
type Entry struct {
	At      time.Time      `json:"at"`
	Level   Level          `json:"level"`
	Message string         `json:"message"`
	Phase   Phase          `json:"phase"`
	Service string         `json:"service,omitempty"`
	Hook    string         `json:"hook,omitempty"`
	PID     int            `json:"pid,omitempty"`
	Signal  signals.Signal `json:"signal,omitempty"`
	From    int32          `json:"from,omitempty"`
	Code    int            `json:"code,omitempty"`
	Took    time.Duration  `json:"-"` // took_ms in JSON
	Left    time.Duration  `json:"-"` // left_ms in JSON
	Strays  int            `json:"strays,omitempty"`
	// Restarts is how often the service was started but the first time.
	Restarts int    `json:"restarts,omitempty"`
	Err      string `json:"err,omitempty"`
}

// entry has Entry's fields without its methods.
type entry Entry

type entryJSON struct {
	entry
	Took Milliseconds `json:"took_ms,omitempty"`
	Left Milliseconds `json:"left_ms,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (e Entry) MarshalJSON() ([]byte, error) {
	return json.Marshal(entryJSON{entry(e), Milliseconds(e.Took), Milliseconds(e.Left)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (e *Entry) UnmarshalJSON(b []byte) error {
	var j entryJSON
	err := json.Unmarshal(b, &j)
	*e = Entry(j.entry)
	e.Took, e.Left = time.Duration(j.Took), time.Duration(j.Left)
	return err
}

// Level is how much an Entry matters. Info and above are shown by default.
type Level int8

// The levels; the zero Level is Info.
const (
	Debug Level = iota - 1
	Info
	Warn
	Error
)

var levelNames = []string{"debug", "info", "warn", "error"}

func (l Level) String() string { return levelNames[l+1] }

// MarshalText implements encoding.TextMarshaler.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Level) UnmarshalText(b []byte) error {
	i, err := named(levelNames, "level", b)
	*l = Level(i) - 1
	return err
}

// MarshalText implements encoding.TextMarshaler.
func (p Phase) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Phase) UnmarshalText(b []byte) error {
	i, err := named(phaseNames[:], "phase", b)
	*p = Phase(i)
	return err
}

var standingNames = [...]string{"starting", "ready", "stopping"}

func (s Standing) String() string { return standingNames[s] }

// MarshalText implements encoding.TextMarshaler.
func (s Standing) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Standing) UnmarshalText(b []byte) error {
	i, err := named(standingNames[:], "standing", b)
	*s = Standing(i)
	return err
}

// MarshalText implements encoding.TextMarshaler.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *State) UnmarshalText(b []byte) error {
	i, err := named(stateNames[:], "state", b)
	*s = State(i)
	return err
}

func named(names []string, what string, b []byte) (int, error) {
	i := slices.Index(names, string(b))
	if i < 0 {
		return 0, fmt.Errorf("unknown %s %q", what, b)
	}
	return i, nil
}

const (
	entriesBefore = 1000   // kept of the time before the stop
	entriesStop   = 10_000 // of the stop itself
	mostSummed    = 10     // services that the summary names
)

// note adds an entry to the report and hands it to the log.
func (m *Machine) note(e Entry) {
	e.At, e.Phase = m.now, m.phase
	m.fresh = append(m.fresh, e)
	r := &m.report
	switch {
	case m.reason == "":
		if len(r.Entries) >= 2*entriesBefore { // now and then, not at each
			r.Dropped += len(r.Entries) - entriesBefore
			r.Entries = append(r.Entries[:0], r.Entries[len(r.Entries)-entriesBefore:]...)
		}
	case len(r.Entries) >= 2*entriesBefore+entriesStop && e.Level < Warn:
		r.Dropped++
		return
	}
	r.Entries = append(r.Entries, e)
}

// closePhase notes how long the phase took that now ends.
func (m *Machine) closePhase() {
	if m.phase < PreStop {
		return
	}
	m.report.Phases = append(m.report.Phases, PhaseReport{m.phase, m.began, m.now})
	if took := m.now.Sub(m.began); took >= time.Millisecond {
		empty := m.phase == Terminate && m.report.StrayCount == 0 && took < 100*time.Millisecond
		m.note(Entry{Level: quiet(empty || m.uneventful()), Message: m.phase.String() + " over", Took: took})
	}
}

// Summary is the run in one line.
func (r *Report) Summary() string {
	var b strings.Builder
	took := r.Ended.Sub(r.Began)
	switch r.Reason {
	case ReasonSignal, ReasonRequest:
		fmt.Fprintf(&b, "stopped in %s", seconds(took))
		if r.Armed {
			fmt.Fprintf(&b, " of %s", seconds(time.Duration(r.Grace)))
		}
	case ReasonFailure:
		fmt.Fprintf(&b, "start failed, over in %s", seconds(took))
	default:
		fmt.Fprintf(&b, "ended by itself, over in %s", seconds(took))
	}
	sep := ": "
	add := func(format string, args ...any) {
		fmt.Fprintf(&b, sep+format, args...)
		sep = ", "
	}
	if d := r.took(PreStop); d >= time.Millisecond {
		add("pre-stop %s", seconds(d))
	}
	services := r.ran()
	for _, s := range services[:min(len(services), mostSummed)] {
		add("%s %s (%s)", s.Name, seconds(s.took(r.Ended)), s.outcome())
	}
	if more := len(services) - mostSummed; more > 0 {
		add("and %d more", more)
	}
	add("stragglers %d", r.StrayCount)
	if killed := r.killed(); len(killed) > 0 {
		fmt.Fprintf(&b, " (killed %s)", strings.Join(killed, ", "))
	}
	if d := r.took(PostStop); d >= time.Millisecond {
		add("post-stop %s", seconds(d))
	}
	if r.By != "" {
		b.WriteString("; asked by " + r.By)
	}
	return b.String()
}

// ran is the services that ran when the stop began: whose end was before is none of
// its story. Of more than the summary
// names, those come first that somebody will ask about.
func (r *Report) ran() (list []*ServiceReport) {
	for i := range r.Services {
		if s := &r.Services[i]; s.PID != 0 && (s.Ended.IsZero() || !s.Ended.Before(r.Began)) {
			list = append(list, s)
		}
	}
	if len(list) > mostSummed {
		slices.SortStableFunc(list, func(a, b *ServiceReport) int {
			return cmp.Or(b.severity()-a.severity(), cmp.Compare(b.took(r.Ended), a.took(r.Ended)))
		})
	}
	return list
}

// took is how long the phase took, all in all.
func (r *Report) took(p Phase) (d time.Duration) {
	for _, ph := range r.Phases {
		if ph.Phase == p {
			d += ph.Ended.Sub(ph.Began)
		}
	}
	return d
}

// took is from the service's stop signal, else its start, to its end.
func (s *ServiceReport) took(until time.Time) time.Duration {
	from := s.Told
	if from.IsZero() {
		from = s.Started
	}
	if !s.Ended.IsZero() {
		until = s.Ended
	}
	return until.Sub(from)
}

// severity is 2 for one that was not let go, 1 for one that failed. The signal
// that it was told by is no failure.
func (s *ServiceReport) severity() int {
	switch {
	case s.Killed, s.State != Exited, s.OOM:
		return 2
	case s.Code != 0 && s.Code != 128+int(s.Signal):
		return 1
	}
	return 0
}

func (s *ServiceReport) outcome() string {
	switch {
	case s.Killed:
		return "killed"
	case s.State != Exited:
		return "still there"
	case s.OOM:
		return fmt.Sprintf("exit %d, out of memory", s.Code)
	}
	return fmt.Sprintf("exit %d", s.Code)
}

// killed names the strays that were killed, the first five of them.
func (r *Report) killed() (names []string) {
	n := 0
	for _, s := range r.Strays {
		if !s.Killed {
			continue
		}
		if n++; n <= 5 {
			names = append(names, fmt.Sprintf("%s pid %d", s.Name, s.PID))
		}
	}
	if n > 5 {
		names = append(names, fmt.Sprintf("%d more", n-5))
	}
	return names
}

// seconds shows a duration as a person reads it: 6.7s, 0.04s, 2h3m0s.
func seconds(d time.Duration) string {
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d < time.Second:
		return fmt.Sprintf("%.2fs", max(d.Seconds(), 0))
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}
