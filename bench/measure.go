package main

import (
	"fmt"
	"os"
	"slices"
)

// A metric is one figure of a subject.
type metric struct {
	key, title, unit string
	// sum tells that the rounds are counted together: each brings one try, not
	// one measurement.
	sum bool
	// least tells that the least of the readings counts: what is more is noise.
	least bool
}

// of is the figure that the readings come to.
func (m metric) of(readings []float64) float64 {
	switch {
	case m.sum:
		total := 0.0
		for _, x := range readings {
			total += x
		}
		return total
	case m.least:
		return slices.Min(readings)
	}
	return median(readings)
}

// metricOf finds a metric by its key; the zero metric if there is none.
func metricOf(key string) metric {
	for i := range measures {
		for _, m := range measures[i].metrics {
			if m.key == key {
				return m
			}
		}
	}
	return metric{}
}

// A measure is a way to get readings. A round takes one of each of its metrics
// from every subject, so that what disturbs the machine disturbs all alike.
type measure struct {
	name, about   string
	rounds, quick int
	// bare tells that the figure exists without an init too: the physical limit.
	bare bool
	// several tells that supervisors of several processes are measured.
	several bool
	metrics []metric
	round   func(n int, over []subject, t *tally)
}

// base is the subject that the others are compared with.
func (m *measure) base() string {
	if m.several {
		return "s6"
	}
	return "tini"
}

// measures in the order in which they run.
var measures = []measure{sizes, starts, trues, instructions, exits, signalling, orphans, forking, stops, earlies, memories, reaped, idles, fewServices, manyServices, serviceMemory, writings}

// A tally collects the readings of one measure.
type tally struct {
	readings map[string]map[string][]float64 // metric, subject, round
	failures map[string]error                // subject: dropped from this measure
}

func newTally() *tally {
	return &tally{readings: map[string]map[string][]float64{}, failures: map[string]error{}}
}

func (t *tally) take(s subject, key string, v float64) {
	if t.failures[s.name] != nil {
		return
	}
	if t.readings[key] == nil {
		t.readings[key] = map[string][]float64{}
	}
	t.readings[key][s.name] = append(t.readings[key][s.name], v)
}

// fail drops the subject from the measure with all its readings: figures from
// the rounds that happened to work would not be comparable.
func (t *tally) fail(s subject, err error) {
	t.failures[s.name] = err
	for _, of := range t.readings {
		delete(of, s.name)
	}
}

// inTurn makes a round of what is done with one subject after the other. Every
// round begins with another subject.
func inTurn(one func(n int, s subject, t *tally) error) func(int, []subject, *tally) {
	return func(n int, over []subject, t *tally) {
		for i := range over {
			s := over[(i+n)%len(over)]
			if t.failures[s.name] != nil {
				continue
			}
			if err := one(n, s, t); err != nil {
				t.fail(s, err)
			}
		}
	}
}

// run takes the measure's rounds.
func (m *measure) run(rounds int, over []subject) *tally {
	over = slices.DeleteFunc(slices.Clone(over), func(s subject) bool {
		return (s.tree != nil) != m.several || !m.bare && s.limit() || s.only != nil && !slices.Contains(s.only, m.name)
	})
	t := newTally()
	fmt.Fprintf(os.Stderr, "%s: %d rounds of %d subjects\n", m.name, rounds, len(over))
	for n := range rounds {
		m.round(n, over, t)
	}
	for name, err := range t.failures {
		fmt.Fprintf(os.Stderr, "%s: %s left out: %v\n", m.name, name, err)
	}
	return t
}
