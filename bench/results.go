package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// results are one run of the suite.
type results struct {
	Command  string          `json:"command"`
	Began    time.Time       `json:"began"`
	Took     float64         `json:"took_s"`
	Entry    string          `json:"entry"` // ELF entry that exeunt was built with
	Machine  machine         `json:"machine"`
	Subjects []subjectResult `json:"subjects"`
	Figures  []figure        `json:"figures"`
	Failures []failure       `json:"failures,omitempty"`
}

type machine struct {
	CPU        string `json:"cpu"`
	CPUs       int    `json:"cpus"`
	Kernel     string `json:"kernel"`
	Go         string `json:"go"`
	LoadBefore string `json:"load_before"`
	LoadAfter  string `json:"load_after"`
}

type subjectResult struct {
	Name    string   `json:"name"`
	Version string   `json:"version,omitempty"`
	Command []string `json:"command,omitempty"`
}

// A figure is one metric of one subject.
type figure struct {
	Metric   string    `json:"metric"`
	Subject  string    `json:"subject"`
	Unit     string    `json:"unit,omitempty"`
	Value    float64   `json:"value"`           // the median of the readings, or their sum
	Spread   float64   `json:"spread"`          // scaled median absolute deviation
	Ratio    *ratio    `json:"ratio,omitempty"` // to tini; of several processes, to s6
	Readings []float64 `json:"readings"`
}

type failure struct {
	Measure string `json:"measure"`
	Subject string `json:"subject"`
	Err     string `json:"err"`
}

// add takes what a measure brought.
func (r *results) add(m *measure, t *tally) {
	for _, metric := range m.metrics {
		of := t.readings[metric.key]
		for _, s := range r.Subjects {
			v := of[s.Name]
			if len(v) == 0 {
				continue
			}
			f := figure{Metric: metric.key, Subject: s.Name, Unit: metric.unit, Value: metric.of(v), Readings: v}
			if !metric.sum && !metric.least {
				f.Spread = spread(v)
			}
			if to, ok := metric.compare(v, of[m.base()]); ok && !metric.sum && s.Name != m.base() && metric.unit != "" {
				f.Ratio = &to
			}
			r.Figures = append(r.Figures, f)
		}
	}
	for name, err := range t.failures {
		r.Failures = append(r.Failures, failure{m.name, name, err.Error()})
	}
}

// find is the figure of a metric and a subject, or nil.
func (r *results) find(metric, subject string) *figure {
	for i := range r.Figures {
		if f := &r.Figures[i]; f.Metric == metric && f.Subject == subject {
			return f
		}
	}
	return nil
}

// save writes the results with all readings.
func (r *results) save(path string) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// markdown writes the tables: what ran where, the floors, the figures.
func (r *results) markdown(w io.Writer) {
	fmt.Fprintf(w, "Command: `%s`, %s, %.0f s. Machine: %s, %d CPUs, Linux %s, %s; load average %s before, %s after.\n\n",
		r.Command, r.Began.UTC().Format("2006-01-02 15:04 UTC"), r.Took, r.Machine.CPU, r.Machine.CPUs, r.Machine.Kernel, r.Machine.Go, r.Machine.LoadBefore, r.Machine.LoadAfter)
	for _, s := range r.Subjects {
		line := strings.Join(s.Command, " ")
		if s.Name == bare {
			line = "the app itself as PID 1"
		}
		fmt.Fprintf(w, "- **%s** %s: `%s`\n", s.Name, s.Version, line)
	}
	r.markdownFloors(w)
	fmt.Fprint(w, "\nMedian ± spread (scaled median absolute deviation), and in brackets the ratio to tini, of several processes to s6, in the same rounds with its 95 % interval.\n")
	r.markdownTable(w, false)
	r.markdownTable(w, true)
	for _, f := range r.Failures {
		fmt.Fprintf(w, "\n%s: %s left out: %s\n", f.Measure, f.Subject, f.Err)
	}
}

// markdownTable writes the figures of one app, or of several processes.
func (r *results) markdownTable(w io.Writer, several bool) {
	var metrics []metric
	for i := range measures {
		if measures[i].several == several {
			metrics = append(metrics, measures[i].metrics...)
		}
	}
	has := func(m metric, name string) bool { return r.find(m.key, name) != nil }
	var columns []string
	for _, s := range r.Subjects {
		if slices.ContainsFunc(metrics, func(m metric) bool { return has(m, s.Name) }) {
			columns = append(columns, s.Name)
		}
	}
	if len(columns) == 0 {
		return
	}
	fmt.Fprintf(w, "\n| measure | %s |\n|---|%s\n", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	for _, m := range metrics {
		if slices.ContainsFunc(columns, func(name string) bool { return has(m, name) }) {
			r.markdownRow(w, m, columns)
		}
	}
}

func (r *results) markdownRow(w io.Writer, m metric, columns []string) {
	cells := ""
	for _, name := range columns {
		cell := "–"
		if f := r.find(m.key, name); f != nil {
			cell = f.String()
		}
		cells += " " + cell + " |"
	}
	title := m.title
	if m.unit != "" {
		title += ", " + m.unit
	}
	fmt.Fprintf(w, "| %s |%s\n", title, cells)
}

// String is the figure as a cell of the table, without its unit.
func (f *figure) String() string {
	text := digits(f.Value)
	if f.Spread > 0 {
		text += " ± " + digits(f.Spread)
	}
	if f.Ratio == nil {
		return text
	}
	text += fmt.Sprintf(" (%.2f", f.Ratio.Value)
	if len(f.Readings) >= enough {
		text += fmt.Sprintf(" [%.2f–%.2f]", f.Ratio.Low, f.Ratio.High)
	}
	return text + ")"
}

// enough rounds make an interval; below it says nothing.
const enough = 5

// digits writes three significant digits, and integers whole.
func digits(v float64) string {
	switch a := math.Abs(v); {
	case v == math.Trunc(v) || a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// thisMachine tells where the suite runs.
func thisMachine(goVersion string, cpus int) machine {
	m := machine{CPU: "unknown CPU", CPUs: cpus, Go: goVersion, LoadBefore: loadAverage()}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:]) + " " + unix.ByteSliceToString(u.Machine[:])
	}
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			m.CPU = strings.TrimSpace(value)
			break
		}
	}
	return m
}

func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg")
	load, _, _ := strings.Cut(string(text), " ")
	return load
}
