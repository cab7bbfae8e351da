package main

import (
	"fmt"
	"io"
)

// before marks the subjects of the older binary that the guard compares with.
const before = "older "

// guarded are the figures that a change must not make worse, and by what factor
// they may grow unnoticed. Measured of equal programs in the same rounds, on a busy
// machine: page faults differ by up to 3 %, the least of seven counts of
// instructions by 6 %, CPU time by 17 %.
var guarded = map[string]float64{
	"size": 1.05, "true-faults": 1.05, "dirty-1": 1.10, "instructions": 1.15,
	"start": 1.25, "true-cpu": 1.25, "exit": 1.25, "signal-p50": 1.25, "orphans-cpu": 1.25, "fork": 1.25,
}

// guardedBy are those that the measure takes.
func (m *measure) guardedBy() (keys []string) {
	for _, x := range m.metrics {
		if guarded[x.key] != 0 {
			keys = append(keys, x.key)
		}
	}
	return keys
}

// A regression is a figure that became worse, beyond what is tolerated and beyond
// the noise: the whole interval of the paired ratio is above.
type regression struct {
	metric, subject string
	ratio           ratio
}

// regressions compares exeunt with its older self in the same rounds.
func (r *results) regressions(keys []string) (worse []regression) {
	for _, key := range keys {
		for _, name := range []string{plain, options} {
			of, than := r.find(key, name), r.find(key, before+name)
			if of == nil || than == nil {
				continue
			}
			if to, ok := metricOf(key).compare(of.Readings, than.Readings); ok && to.Low > guarded[key] {
				worse = append(worse, regression{key, name, to})
			}
		}
	}
	return worse
}

// guard writes what became of each of the figures, and reports whether all were
// measured and none became worse.
func (r *results) guard(w io.Writer, keys []string) bool {
	measured := true
	for _, key := range keys {
		for _, name := range []string{plain, options} {
			of, than := r.find(key, name), r.find(key, before+name)
			if of == nil || than == nil {
				fmt.Fprintf(w, "%s (%s): not measured\n", title(key), name)
				measured = false
				continue
			}
			if to, ok := metricOf(key).compare(of.Readings, than.Readings); ok {
				fmt.Fprintf(w, "%s (%s): %.2f [%.2f–%.2f] of the older one's\n", title(key), name, to.Value, to.Low, to.High)
			}
		}
	}
	worse := r.regressions(keys)
	for _, x := range worse {
		fmt.Fprintf(w, "worse: %s (%s) by a factor of at least %.2f\n", title(x.metric), x.subject, x.ratio.Low)
	}
	return measured && len(worse) == 0
}
