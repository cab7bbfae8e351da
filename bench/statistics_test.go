package main

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestQuantilesLieBetweenTheNearestValues(t *testing.T) {
	for _, c := range []struct {
		v    []float64
		q    float64
		want float64
	}{
		{[]float64{3}, 0.5, 3},
		{[]float64{3}, 0.99, 3},
		{[]float64{4, 1, 3, 2}, 0.5, 2.5},
		{[]float64{5, 1, 3}, 0.5, 3},
		{[]float64{5, 1, 3}, 0, 1},
		{[]float64{5, 1, 3}, 1, 5},
		{[]float64{0, 10}, 0.25, 2.5},
		{[]float64{0, 10, 20, 30, 40}, 0.99, 39.6},
	} {
		if got := quantile(c.v, c.q); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("quantile(%v, %v) = %v, want %v", c.v, c.q, got, c.want)
		}
	}
	if got := quantile(nil, 0.5); !math.IsNaN(got) {
		t.Errorf("the median of nothing is %v, want NaN", got)
	}
}

func TestQuantileLeavesItsReadingsInTheirOrder(t *testing.T) {
	v := []float64{3, 1, 2}
	median(v)
	if v[0] != 3 || v[1] != 1 || v[2] != 2 {
		t.Errorf("the readings are now %v", v)
	}
}

func TestSpreadIgnoresAnOutlier(t *testing.T) {
	if got := spread([]float64{10, 11, 9, 10, 1e6}); math.Abs(got-1.4826) > 1e-9 {
		t.Errorf("spread = %v, want one scaled deviation", got)
	}
	if got := spread([]float64{7, 7, 7}); got != 0 {
		t.Errorf("spread of equal readings = %v, want 0", got)
	}
}

func TestSpreadEstimatesTheStandardDeviation(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	v := make([]float64, 10_000)
	for i := range v {
		v[i] = 100 + 5*random.NormFloat64()
	}
	if got := spread(v); math.Abs(got-5) > 0.25 {
		t.Errorf("spread = %v of a standard deviation of 5", got)
	}
}

// Both subjects are slowed by the same disturbance, which is far larger than
// what sets them apart. Paired, the ratio is narrow all the same; unpaired it
// could not be.
func TestPairedRatioIsNotWidenedByWhatDisturbsBoth(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	a, b := make([]float64, 101), make([]float64, 101)
	for i := range a {
		disturbance := 1 + 9*random.Float64()
		a[i], b[i] = 2*disturbance, disturbance
	}
	r, ok := (metric{}).compare(a, b)
	if !ok || math.Abs(r.Value-2) > 1e-9 || math.Abs(r.Low-2) > 1e-9 || math.Abs(r.High-2) > 1e-9 {
		t.Errorf("compare = %+v, %v, want 2 in [2, 2]", r, ok)
	}
}

func TestRatioIntervalHoldsTheTruthAboutAsOftenAsItSays(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	const tries = 200
	held := 0
	for range tries {
		a, b := make([]float64, 41), make([]float64, 41)
		for i := range a {
			a[i] = 150 * (1 + 0.1*random.NormFloat64())
			b[i] = 100 * (1 + 0.1*random.NormFloat64())
		}
		r, ok := (metric{}).compare(a, b)
		if !ok || r.Low > r.Value || r.Value > r.High {
			t.Fatalf("compare = %+v, %v: not an interval around its value", r, ok)
		}
		if r.Low <= 1.5 && 1.5 <= r.High {
			held++
		}
	}
	if held < tries*88/100 || held == tries {
		t.Errorf("the truth was in %d of %d intervals of 95 %%", held, tries)
	}
}

func TestNothingIsComparedThatCannotBe(t *testing.T) {
	for _, c := range [][2][]float64{{nil, nil}, {{1}, nil}, {{1, 2}, {1}}, {{1}, {0}}} {
		if r, ok := (metric{}).compare(c[0], c[1]); ok {
			t.Errorf("compare(%v, %v) = %+v", c[0], c[1], r)
		}
	}
}

func TestOfCountsTheLeastIsCompared(t *testing.T) {
	m := metric{least: true}
	if got := m.of([]float64{130, 101, 100, 190}); got != 100 {
		t.Errorf("%v, want the least", got)
	}
	r, ok := m.compare([]float64{130, 106, 106, 190}, []float64{101, 100, 100, 260})
	if !ok || r.Value != 1.06 || r.Low > r.Value || r.High < r.Value {
		t.Errorf("%+v, %v", r, ok)
	}
}

func TestInstructionsAreReadFromWhatValgrindSays(t *testing.T) {
	n, err := refs([]byte("app: hello\n==1== \n==1== I   refs:      2,580,303\n"))
	if n != 2580303 || err != nil {
		t.Errorf("%v, %v", n, err)
	}
	if n, err := refs([]byte("==1== Killed\n")); err == nil {
		t.Errorf("%v of nothing", n)
	}
}
