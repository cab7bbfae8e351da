package supervisor

import (
	"slices"
	"time"
)

// A Snapshot is how things are at one moment: what status shows. It shares
// nothing with the Machine.
type Snapshot struct {
	Phase    Phase           `json:"phase"`
	Standing Standing        `json:"standing"`
	Reason   Reason          `json:"reason,omitempty"`
	At       time.Time       `json:"at"`
	Deadline time.Time       `json:"deadline,omitzero"` // our own, once the stop has begun
	Reaped   int             `json:"reaped"`            // orphans collected
	Services []ServiceStatus `json:"services"`
	Hooks    []HookReport    `json:"hooks"`
}

// A ServiceStatus is how one service is.
type ServiceStatus struct {
	Name      string       `json:"name"`
	State     State        `json:"state"`
	PID       int          `json:"pid,omitempty"`
	Started   time.Time    `json:"started,omitzero"` // the last start
	Ended     time.Time    `json:"ended,omitzero"`   // the last end
	Next      time.Time    `json:"next,omitzero"`    // when it will be started
	Restarts  int          `json:"restarts"`
	Ready     bool         `json:"ready"`
	Unhealthy bool         `json:"unhealthy,omitempty"`
	Held      bool         `json:"held,omitempty"`   // stopped by an order
	Code      int          `json:"code"`             // of the last end
	Killed    bool         `json:"killed,omitempty"` // by us, at the last end
	OOM       bool         `json:"oom,omitempty"`
	StopTook  Milliseconds `json:"stop_took_ms,omitempty"` // the last end, from its stop signal on
	Status    string       `json:"status,omitempty"`       // in its own words, or why it could not be started
}

// Snapshot is how things are as of the last Step.
func (m *Machine) Snapshot() Snapshot {
	s := Snapshot{
		Phase: m.phase, Standing: m.standing, Reason: m.reason, At: m.now, Deadline: m.schedule.Done, Reaped: m.report.Reaped,
		Services: make([]ServiceStatus, 0, len(m.services)), Hooks: slices.Clone(m.report.Hooks),
	}
	for i := range m.services {
		r := &m.report.Services[i]
		v := &m.services[i]
		if m.plan.Services[i].Spare && r.PID == 0 {
			continue
		}
		end := r
		if r.Ended.IsZero() {
			end = &m.before[i]
		}
		status := ServiceStatus{
			Name: r.Name, State: v.state, PID: v.pid, Started: r.Started, Ended: end.Ended, Restarts: v.restarts,
			Ready: v.state == Ready && !v.unhealthy, Unhealthy: v.unhealthy, Held: v.held,
			Code: end.Code, Killed: end.Killed, OOM: end.OOM, Status: v.text,
		}
		if v.reloading && v.text == "" {
			status.Status = "reloading"
		}
		if r.Err != "" {
			status.Status = r.Err
		}
		if !v.alive() {
			status.PID = 0
		}
		if m.phase <= Run && !v.held {
			status.Next = earliest(v.againAt, v.nextAt)
		}
		if !end.Told.IsZero() {
			status.StopTook = Milliseconds(end.Ended.Sub(end.Told))
		}
		s.Services = append(s.Services, status)
	}
	return s
}
