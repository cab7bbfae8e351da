package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// A floor is what exeunt must not fall short of.
type floor struct {
	metric, subject string
	limit           float64
	relative        string // a subject, or empty: an absolute figure
	least           bool   // the figure must reach the limit rather than stay within it
	noise           bool   // the limit need only be within the interval of the paired ratio
}

// floors are those of a runtime that is live: any option given.
var floors = []floor{
	{metric: "start", subject: options, limit: 2.0, relative: "tini"},
	{metric: "dirty-1", subject: options, limit: 900},
	{metric: "threads-1", subject: options, limit: 10},
	{metric: "wakeups", subject: options, limit: 0},
	{metric: "early-hung", subject: options, limit: 0},
	{metric: "early-dropped", subject: options, limit: 10},
	{metric: "early-exit2", subject: options, limit: 32},
	{metric: "orphans-cpu", subject: options, limit: 1.1, relative: "tini"},
	{metric: "signal-p50", subject: options, limit: 1.5, relative: "tini"},
	{metric: "exit", subject: options, limit: 1.3, relative: "tini"},
	{metric: "fork", subject: options, limit: 1.05, relative: bare, noise: true},
	{metric: "handled-1000", subject: options, limit: treeSize, least: true},
	{metric: "slowest-1000", subject: options, limit: 1.2},
	{metric: "handled-deaf", subject: options, limit: treeSize - deafOnes, least: true},
	{metric: "stop-deaf", subject: options, limit: 1760}, // everyone is killed at 1.71 s of 2
	{metric: "size", subject: options, limit: 9500 * 1000 / 1024.0},
	{metric: "services-10-gone", subject: several, limit: 200},
	{metric: "services-20-up", subject: several, limit: 25},
	{metric: "services-20-back", subject: several, limit: 5},
	{metric: "services-20-gone", subject: several, limit: 10},
	{metric: "services-20-handled", subject: several, limit: 20, least: true},
	{metric: "services-200-handled", subject: several, limit: 200, least: true},
	{metric: "pss-services-50", subject: several, limit: 4096},
	{metric: "lines-prefixed", subject: several, limit: 1.5, least: true},
	{metric: "lines-lost", subject: several, limit: 0},
}

// leanFloors are those of a plain command line in a build with the lean start.
var leanFloors = []floor{
	{metric: "start", subject: plain, limit: 0.5, relative: "tini"},
	{metric: "start", subject: plain, limit: 1.0, relative: "docker-init"},
	{metric: "dirty-1", subject: plain, limit: 32},
	{metric: "threads-1", subject: plain, limit: 1},
	{metric: "wakeups", subject: plain, limit: 0},
	{metric: "early-hung", subject: plain, limit: 0},
	{metric: "early-dropped", subject: plain, limit: 10},
	{metric: "early-exit2", subject: plain, limit: 0},
	{metric: "orphans-cpu", subject: plain, limit: 1.0, relative: "tini"},
	{metric: "signal-p50", subject: plain, limit: 1.0, relative: "tini"},
	{metric: "exit", subject: plain, limit: 1.0, relative: "tini"},
	{metric: "fork", subject: plain, limit: 1.05, relative: bare, noise: true},
	{metric: "handled-1000", subject: plain, limit: treeSize, least: true},
	{metric: "slowest-1000", subject: plain, limit: 1.2},
	{metric: "start", subject: timed, limit: 0.5, relative: "tini"},
	{metric: "dirty-1", subject: timed, limit: 32},
	{metric: "handled-deaf", subject: timed, limit: treeSize - deafOnes, least: true},
	{metric: "stop-deaf", subject: timed, limit: 1760},
}

// A verdict is a floor and what became of it.
type verdict struct {
	floor
	figure *figure
	got    float64 // what the limit is compared with
	held   bool
}

// judge compares the figures with the floors that can be judged from them.
func (r *results) judge() []verdict {
	var all []verdict
	apply := floors
	if strings.Contains(r.Entry, "/lean.") {
		apply = slices.Concat(floors, leanFloors)
	}
	for _, fl := range apply {
		f := r.find(fl.metric, fl.subject)
		if f == nil {
			continue
		}
		got, least := f.Value, f.Value
		if fl.relative != "" {
			base := r.find(fl.metric, fl.relative)
			if base == nil || base.Value == 0 {
				continue
			}
			got /= base.Value
			least = got
			if to, ok := metricOf(fl.metric).compare(f.Readings, base.Readings); ok && fl.noise && len(f.Readings) >= enough {
				least = to.Low
			}
		}
		held := least <= fl.limit
		if fl.least {
			held = got >= fl.limit
		}
		all = append(all, verdict{fl, f, got, held})
	}
	return all
}

func (r *results) markdownFloors(w io.Writer) {
	verdicts := r.judge()
	if len(verdicts) == 0 {
		return
	}
	fmt.Fprint(w, "\n| floor | limit | figure | held |\n|---|---|---|---|\n")
	for _, v := range verdicts {
		fmt.Fprintf(w, "| %s (%s) | %s | %s | %s |\n", title(v.metric), v.subject, v.limitText(), v.gotText(), map[bool]string{true: "yes", false: "**no**"}[v.held])
	}
}

func (v verdict) limitText() string {
	sign := "≤ "
	if v.least {
		sign = "≥ "
	}
	if v.noise {
		return fmt.Sprintf("%s%.2f × %s, within noise", sign, v.limit, v.relative)
	}
	if v.relative != "" {
		return fmt.Sprintf("%s%.2f × %s", sign, v.limit, v.relative)
	}
	return strings.TrimSpace(sign + digits(v.limit) + " " + v.figure.Unit)
}

func (v verdict) gotText() string {
	if v.relative != "" {
		return fmt.Sprintf("%.2f ×", v.got)
	}
	return strings.TrimSpace(digits(v.got) + " " + v.figure.Unit)
}

// title is the metric's, for a table.
func title(key string) string { return cmp.Or(metricOf(key).title, key) }
