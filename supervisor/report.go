package supervisor

import (
	"time"

	"exeunt/signals"
)

// A Report is the run as it happened. It is what --report writes, what the
// summary is made of, and what rehearse judges.
type Report struct {
	Grace  time.Duration  `json:"grace_ms"`
	Armed  bool           `json:"grace_set"`
	Source string         `json:"grace_source"`
	Reason Reason         `json:"reason"`
	Signal signals.Signal `json:"signal,omitempty"`
	From   int32          `json:"from,omitempty"` // sender of Signal
	Code   int            `json:"code"`           // what we exit with

	Began    time.Time       `json:"began"` // of the stop; zero if none has begun
	Ended    time.Time       `json:"ended"`
	Phases   []PhaseReport   `json:"phases"`
	Services []ServiceReport `json:"services"`
	Hooks    []HookReport    `json:"hooks"`
	Strays   []StrayReport   `json:"strays"` // everyone else that was told or killed
	Reaped   int             `json:"reaped"` // orphans collected
	Entries  []Entry         `json:"entries"`
	Dropped  int             `json:"dropped"` // entries beyond the bound
}

// Reason is why the run ended: the value of EXEUNT_REASON.
type Reason string

// The reasons.
const (
	ReasonSignal  Reason = "signal"  // asked to stop
	ReasonExit    Reason = "exit"    // an essential service ended by itself
	ReasonFailure Reason = "failure" // start-up failed
)

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
	Started time.Time      `json:"started"`
	Told    time.Time      `json:"told"` // first stop signal
	Ended   time.Time      `json:"ended"`
	Signal  signals.Signal `json:"signal,omitempty"` // the stop signal it was sent
	Code    int            `json:"code"`             // exit code, or 128+n
	Killed  bool           `json:"killed"`           // by us
	Err     string         `json:"err,omitempty"`    // why it could not be started
}

// A HookReport is one hook's attempt, or the last of several.
type HookReport struct {
	ID      ID        `json:"id"`
	Name    string    `json:"name"`
	Began   time.Time `json:"began"`
	Ended   time.Time `json:"ended"`
	Tries   int       `json:"tries"`
	Skipped bool      `json:"skipped,omitempty"`
	Killed  bool      `json:"killed,omitempty"` // did not leave at its timeout
	Err     string    `json:"err,omitempty"`
}

// A StrayReport is a process that was neither service nor hook and had to be
// told or killed.
type StrayReport struct {
	PID        int            `json:"pid"`
	Name       string         `json:"name"`
	Told       time.Time      `json:"told"`
	Signal     signals.Signal `json:"signal,omitempty"`
	Killed     bool           `json:"killed"`
	OutOfReach bool           `json:"out_of_reach,omitempty"`
}

// An Entry is one line of the report: an event or an action, and of the log.
// Zero fields are left out. Took and Left are durations.
type Entry struct {
	At      time.Time      `json:"at"`
	Level   Level          `json:"level"`
	Message string         `json:"message"`
	Phase   Phase          `json:"phase"`
	Service string         `json:"service,omitempty"`
	Hook    string         `json:"hook,omitempty"`
	PID     int            `json:"pid,omitempty"`
	State   string         `json:"state,omitempty"`
	Signal  signals.Signal `json:"signal,omitempty"`
	From    int32          `json:"from,omitempty"`
	Code    int            `json:"code,omitempty"`
	Took    time.Duration  `json:"took_ms,omitempty"`
	Left    time.Duration  `json:"left_ms,omitempty"`
	Strays  int            `json:"strays,omitempty"`
	Err     string         `json:"err,omitempty"`
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
