package main

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// of makes results from readings: metric, subject, rounds.
func of(m *measure, readings map[string]map[string][]float64, failures map[string]error, names ...string) *results {
	r := &results{}
	for _, name := range names {
		r.Subjects = append(r.Subjects, subjectResult{Name: name})
	}
	r.add(m, &tally{readings, failures})
	return r
}

func TestFigureIsTheMedianAndItsRatioRatioInTheSameRounds(t *testing.T) {
	r := of(&starts, map[string]map[string][]float64{"start": {
		"tini":  {100, 200, 300},
		options: {150, 300, 450},
	}}, nil, "tini", options, "absent")
	if f := r.find("start", "tini"); f == nil || f.Value != 200 || f.Ratio != nil {
		t.Errorf("tini: %+v", f)
	}
	f := r.find("start", options)
	if f == nil || f.Value != 300 || f.Ratio == nil || f.Ratio.Low != 1.5 || f.Ratio.High != 1.5 {
		t.Errorf("%s: %+v", options, f)
	}
	if f := r.find("start", "absent"); f != nil {
		t.Errorf("a subject without readings has a figure: %+v", f)
	}
}

func TestTriesAreCountedTogether(t *testing.T) {
	r := of(&earlies, map[string]map[string][]float64{"early-dropped": {"tini": {1, 0, 0, 1, 0}}}, nil, "tini")
	if f := r.find("early-dropped", "tini"); f == nil || f.Value != 2 || f.Spread != 0 {
		t.Errorf("two of five tries: %+v", f)
	}
}

func TestFailedSubjectLosesAllItsReadingsAndIsNamed(t *testing.T) {
	bad, good := subject{name: "bad"}, subject{name: "good"}
	rounds := 0
	m := measure{name: "m", metrics: []metric{{key: "k", unit: "µs"}}, round: inTurn(func(n int, s subject, t *tally) error {
		if s.name == bad.name && n == 1 {
			return errors.New("broke")
		}
		rounds++
		t.take(s, "k", 1)
		return nil
	})}
	got := m.run(3, []subject{bad, good})
	if v := got.readings["k"]; len(v["bad"]) != 0 || len(v["good"]) != 3 || got.failures["bad"] == nil || rounds != 4 {
		t.Errorf("readings %v, failures %v, after %d of 4 turns", v, got.failures, rounds)
	}
	r := &results{Subjects: []subjectResult{{Name: "bad"}, {Name: "good"}}}
	r.add(&m, got)
	if len(r.Failures) != 1 || r.Failures[0] != (failure{"m", "bad", "broke"}) {
		t.Errorf("failures: %+v", r.Failures)
	}
}

func TestBareTakesPartOnlyWhereThereIsSomethingToMeasure(t *testing.T) {
	for _, with := range []bool{true, false} {
		saw := false
		m := measure{bare: with, round: func(_ int, over []subject, _ *tally) {
			for _, s := range over {
				saw = saw || s.name == bare
			}
		}}
		m.run(1, []subject{{name: bare}, {name: "tini"}})
		if saw != with {
			t.Errorf("bare: %v, took part: %v", with, saw)
		}
	}
}

func TestLimitsTakePartOnlyInTheirMeasures(t *testing.T) {
	saw := map[string]bool{}
	for _, name := range []string{"start", "orphans"} {
		m := measure{name: name, round: func(_ int, over []subject, _ *tally) { saw[name] = len(over) == 1 }}
		m.run(1, []subject{{name: "least", only: []string{"start"}}})
	}
	if !saw["start"] || saw["orphans"] {
		t.Errorf("took part: %v", saw)
	}
}

func TestFloorsAreJudged(t *testing.T) {
	for _, c := range []struct {
		metric, subject string
		value, relative float64
		held            bool
	}{
		{"start", "tini", 200, 100, true},
		{"start", "tini", 201, 100, false},
		{"wakeups", "", 0, 0, true},
		{"wakeups", "", 1, 0, false},
		{"handled-1000", "", 1000, 0, true},
		{"handled-1000", "", 999, 0, false},
		{"fork", bare, 105, 100, true},
		{"fork", bare, 106, 100, false},
	} {
		r := &results{Figures: []figure{
			{Metric: c.metric, Subject: options, Value: c.value},
			{Metric: c.metric, Subject: c.subject, Value: c.relative},
		}}
		v := r.judge()
		if len(v) != 1 || v[0].held != c.held {
			t.Errorf("%s of %v (relative to %v): %+v, want held: %v", c.metric, c.value, c.relative, v, c.held)
		}
	}
	if v := (&results{Figures: []figure{{Metric: "start", Subject: options, Value: 1}}}).judge(); len(v) != 0 {
		t.Errorf("a floor relative to nothing was judged: %+v", v)
	}
}

func TestFloorWithinNoiseIsJudgedByTheIntervalOfThePairedRatio(t *testing.T) {
	base := []float64{100, 50, 200, 100, 150, 80, 120, 100}
	for factor, held := range map[float64]bool{1: true, 1.2: false} {
		worse := make([]float64, len(base))
		for i := range base {
			worse[i] = factor * base[i]
		}
		r := &results{Figures: []figure{
			{Metric: "fork", Subject: options, Value: median(worse), Readings: worse},
			{Metric: "fork", Subject: bare, Value: median(base), Readings: base},
		}}
		if v := r.judge(); len(v) != 1 || v[0].held != held {
			t.Errorf("%v times bare in every round: %+v", factor, v)
		}
	}
	// The medians differ by half, the rounds say nothing either way.
	r := &results{Figures: []figure{
		{Metric: "fork", Subject: options, Value: 150, Readings: []float64{150, 60, 300, 150, 70}},
		{Metric: "fork", Subject: bare, Value: 100, Readings: []float64{100, 210, 90, 80, 250}},
	}}
	if v := r.judge(); len(v) != 1 || !v[0].held {
		t.Errorf("noise: %+v", v)
	}
}

func TestLeanFloorsAreThoseOfABuildWithTheLeanStart(t *testing.T) {
	r := &results{Figures: []figure{{Metric: "dirty-1", Subject: plain, Value: 40}}}
	if v := r.judge(); len(v) != 0 {
		t.Errorf("judged without the lean start: %+v", v)
	}
	r.Entry = "exeunt/internal/lean.start"
	if v := r.judge(); len(v) != 1 || v[0].held {
		t.Errorf("40 KiB of at most 32: %+v", v)
	}
}

func TestEveryFloorAndGuardIsOfAMetricThatIsMeasured(t *testing.T) {
	for _, f := range slices.Concat(floors, leanFloors) {
		if title(f.metric) == f.metric {
			t.Errorf("no measure takes the floor's %q", f.metric)
		}
	}
	for key := range guarded {
		if title(key) == key {
			t.Errorf("no measure takes the guarded %q", key)
		}
	}
}

// guardedBy makes results in which exeunt is by so much slower than it was.
func guardedBy(factor, noise float64) *results {
	r := &results{}
	for key := range guarded {
		for _, name := range []string{plain, options} {
			was, is := make([]float64, 40), make([]float64, 40)
			for i := range was {
				was[i] = 100 + noise*float64(i*7%11-5)
				is[i] = factor * (100 + noise*float64(i*5%13-6))
			}
			r.Figures = append(r.Figures, figure{Metric: key, Subject: before + name, Readings: was}, figure{Metric: key, Subject: name, Readings: is})
		}
	}
	return r
}

func TestGuardFailsOnlyWhereAFigureIsWorseBeyondToleranceAndNoise(t *testing.T) {
	for _, c := range []struct {
		factor, noise float64
		passes        bool
	}{
		{1, 0, true}, {0.5, 0, true}, {1.04, 0, true}, {1.06, 0, false}, {1.3, 2, false}, {1.06, 10, true},
	} {
		var page strings.Builder
		if got := guardedBy(c.factor, c.noise).guard(&page, slices.Sorted(maps.Keys(guarded))); got != c.passes {
			t.Errorf("slower by %v with noise %v: passes %v, want %v\n%s", c.factor, c.noise, got, c.passes, &page)
		}
	}
}

func TestGuardFailsWhereAFigureIsMissing(t *testing.T) {
	r := guardedBy(1, 0)
	r.Figures = r.Figures[1:]
	var page strings.Builder
	if r.guard(&page, slices.Sorted(maps.Keys(guarded))) || !strings.Contains(page.String(), "not measured") {
		t.Errorf("passes without a figure:\n%s", &page)
	}
}

func TestWhatPeopleWroteInTheResultsIsKept(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "RESULTS.md")
	if err := os.WriteFile(path, []byte("old tables"+byHand+"\nlinker order: 3 %\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := of(&starts, map[string]map[string][]float64{"start": {"tini": {100}}}, nil, "tini")
	if err := (&flags{out: dir}).write(r); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if s := string(text); strings.Contains(s, "old tables") || !strings.Contains(s, "| 100 |") || !strings.HasSuffix(s, byHand+"\nlinker order: 3 %\n") {
		t.Errorf("RESULTS.md is now:\n%s", s)
	}
}

func TestPartOfTheSuiteDoesNotReplaceTheCommittedResults(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, f := range []flags{{only: "start"}, {quick: true}, {rounds: 1}, {exeunt: "/x"}} {
		if err := f.write(&results{}); err != nil {
			t.Fatal(err)
		}
		if left, _ := filepath.Glob("*"); len(left) != 0 {
			t.Errorf("%+v wrote %v", f, left)
		}
	}
}

func TestDigitsAreThreeAndIntegersWhole(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 3: "3", 1234567: "1234567", 123.4: "123", 12.34: "12.3", 1.234: "1.23", 0.056: "0.06"} {
		if got := digits(v); got != want {
			t.Errorf("digits(%v) = %q, want %q", v, got, want)
		}
	}
}

func TestBadFlagsAndSubjectsAreRefused(t *testing.T) {
	for _, f := range []flags{{only: "strat"}, {only: "start,nothing"}, {rounds: -1}} {
		if _, err := f.selected(); err == nil {
			t.Errorf("%+v was accepted", f)
		}
	}
	if m, err := (&flags{only: "start,exit"}).selected(); err != nil || len(m) != 2 {
		t.Errorf("-only start,exit selects %v, %v", m, err)
	}
	for _, arg := range []string{"", "x", "=sh", "x=", "x=   ", "x=no-such-program-here --"} {
		if s, err := named(arg); err == nil {
			t.Errorf("%q was accepted as %+v", arg, s)
		}
	}
	if s, err := named("x=sh -c"); err != nil || s.name != "x" || !filepath.IsAbs(s.command[0]) || s.command[1] != "-c" {
		t.Errorf("x=sh -c is %+v, %v", s, err)
	}
}
