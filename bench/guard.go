package main

import (
	"fmt"
	"io"
)

// before marks the subjects of the older binary that the guard compares with.
const before = "older "

// guarded are the figures that a change must not make worse.
var guarded = []string{"size", "start", "true-cpu", "exit", "signal-p50", "orphans-cpu", "fork", "dirty-1"}

// tolerance is by how much a figure may grow unnoticed.
const tolerance = 1.10

// A regression is a figure that became worse, beyond tolerance and beyond the
// noise: the whole interval of the paired ratio is above.
type regression struct {
	metric, subject string
	ratio           ratio
}

// regressions compares exeunt with its older self in the same rounds.
func (r *results) regressions() (worse []regression) {
	for _, key := range guarded {
		for _, name := range []string{plain, options} {
			of, than := r.find(key, name), r.find(key, before+name)
			if of == nil || than == nil {
				continue
			}
			if to, ok := compare(of.Readings, than.Readings); ok && to.Low > tolerance {
				worse = append(worse, regression{key, name, to})
			}
		}
	}
	return worse
}

// guard writes what became of each guarded figure, and reports whether all
// were measured and none became worse.
func (r *results) guard(w io.Writer) bool {
	measured := true
	for _, key := range guarded {
		for _, name := range []string{plain, options} {
			of, than := r.find(key, name), r.find(key, before+name)
			if of == nil || than == nil {
				fmt.Fprintf(w, "%s (%s): not measured\n", title(key), name)
				measured = false
				continue
			}
			if to, ok := compare(of.Readings, than.Readings); ok {
				fmt.Fprintf(w, "%s (%s): %.2f [%.2f–%.2f] of the older one's\n", title(key), name, to.Value, to.Low, to.High)
			}
		}
	}
	worse := r.regressions()
	for _, x := range worse {
		fmt.Fprintf(w, "worse: %s (%s) by a factor of at least %.2f\n", title(x.metric), x.subject, x.ratio.Low)
	}
	return measured && len(worse) == 0
}
