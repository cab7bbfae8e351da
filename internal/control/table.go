package control

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"exeunt/supervisor"
)

// table shows how things are: all services, or those of the given names and
// their replicas.
func table(now *supervisor.Snapshot, names []string) (string, error) {
	rows := [][]string{{"SERVICE", "STATE", "PID", "UPTIME", "RESTARTS", "READY", "LAST EXIT", "STATUS"}}
	found := map[string]bool{}
	for i := range now.Services {
		s, wanted := &now.Services[i], len(names) == 0
		for _, name := range names {
			if s.Name == name || replica(s.Name, name) {
				wanted, found[name] = true, true
			}
		}
		if wanted {
			rows = append(rows, row(now, s))
		}
	}
	for _, name := range names {
		if !found[name] {
			return "", fmt.Errorf("no service %q", name)
		}
	}
	return headline(now) + "\n" + align(rows), nil
}

// replica reports whether name is "of-1", "of-2", ….
func replica(name, of string) bool {
	number, ok := strings.CutPrefix(name, of+"-")
	_, err := strconv.ParseUint(number, 10, 16)
	return ok && err == nil
}

// headline is the run as a whole.
func headline(now *supervisor.Snapshot) string {
	switch {
	case now.Standing == supervisor.Falling && now.Deadline.IsZero():
		return fmt.Sprintf("stopping (%s)", now.Phase)
	case now.Standing == supervisor.Falling:
		return fmt.Sprintf("stopping (%s), %s left", now.Phase, span(now.Deadline.Sub(now.At)))
	case now.Standing == supervisor.Up:
		return "ready"
	case now.Phase == supervisor.Run:
		return "not ready"
	}
	return "starting"
}

func row(now *supervisor.Snapshot, s *supervisor.ServiceStatus) []string {
	pid, uptime, ready, last := "-", "-", "-", "-"
	if running(s) {
		pid, uptime, ready = strconv.Itoa(s.PID), span(now.At.Sub(s.Started)), "no"
		switch {
		case s.Unhealthy:
			ready = "unhealthy"
		case s.Ready:
			ready = "yes"
		}
	}
	if !s.Ended.IsZero() {
		how := ""
		if s.OOM {
			how = ", out of memory"
		} else if s.Killed {
			how = ", killed"
		}
		last = fmt.Sprintf("%d%s, %s ago", s.Code, how, span(now.At.Sub(s.Ended)))
	}
	return []string{printable(s.Name), s.State.String(), pid, uptime, strconv.Itoa(s.Restarts), ready, last, remarks(now, s)}
}

// remarks are what there is to say of a service beyond its columns.
func remarks(now *supervisor.Snapshot, s *supervisor.ServiceStatus) string {
	var all []string
	if s.Held {
		all = append(all, "stopped by order")
	}
	if !s.Next.IsZero() {
		all = append(all, "starts in "+span(s.Next.Sub(now.At)))
	}
	if s.Status != "" {
		all = append(all, printable(s.Status))
	}
	return strings.Join(all, "; ")
}

// align makes columns of rows.
func align(rows [][]string) string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		line := ""
		for i, cell := range row {
			line += cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

// span is a time as somebody reads it who wants to know about how long: 0.4s,
// 12s, 3m12s, 5h2m, 12d3h.
func span(d time.Duration) string {
	switch d = max(d, 0); {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Truncate(100*time.Millisecond).Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

// printable is text that is fit for a line of a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}
