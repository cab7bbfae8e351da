package supervisor

import (
	"strconv"
	"time"
)

// Environment is what a hook that is started at now is told: the EXEUNT_*
// variables of spec section 5.
func (m *Machine) Environment(id ID, now time.Time) []string {
	q := m.hookOf(id)
	if q == nil {
		return nil
	}
	deadline := q.try.by
	if m.reason != "" && !m.schedule.Done.IsZero() {
		deadline = m.schedule.Done
	}
	env := []string{
		"EXEUNT_DEADLINE=" + strconv.FormatInt(deadline.UnixMilli(), 10),
		"EXEUNT_REMAINING_MS=" + strconv.FormatInt(max(deadline.Sub(now), 0).Milliseconds(), 10),
	}
	if i := max(q.service, 0); i < len(m.services) { // a pause has none
		env = append(env, "EXEUNT_SERVICE="+m.plan.Services[i].Name)
		if pid := m.services[i].pid; pid != 0 {
			env = append(env, "EXEUNT_MAIN_PID="+strconv.Itoa(pid))
		}
	}
	if m.reason != "" {
		env = append(env, "EXEUNT_REASON="+string(m.reason))
	}
	if m.signal != 0 {
		env = append(env, "EXEUNT_SIGNAL="+m.signal.String())
	}
	switch {
	case m.phase == PostStop:
		env = append(env, "EXEUNT_EXIT_CODE="+strconv.Itoa(m.exitCode()))
	case q.list == "post_stop": // between two lives
		env = append(env, "EXEUNT_EXIT_CODE="+strconv.Itoa(m.report.Services[q.service].Code))
	}
	return env
}
