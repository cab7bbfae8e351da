package main

import (
	"math"
	"math/rand/v2"
	"slices"
)

// quantile is the q-quantile of v, 0 to 1, between the two nearest values in
// proportion. Of nothing it is NaN.
func quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(v))
	at := q * float64(len(s)-1)
	low := int(at)
	if low >= len(s)-1 {
		return s[len(s)-1]
	}
	return s[low] + (at-float64(low))*(s[low+1]-s[low])
}

func median(v []float64) float64 { return quantile(v, 0.5) }

// spread is the median absolute deviation from the median, scaled so that it
// estimates the standard deviation of a normal distribution.
func spread(v []float64) float64 {
	m := median(v)
	off := make([]float64, len(v))
	for i, x := range v {
		off[i] = math.Abs(x - m)
	}
	return 1.4826 * median(off)
}

// A ratio compares two subjects measured in the same rounds.
type ratio struct {
	Value float64 `json:"value"` // of the figures
	Low   float64 `json:"low"`   // the interval that holds it with 95 % confidence
	High  float64 `json:"high"`
}

// resamples of the bootstrap; more would change the third digit.
const resamples = 2_000

// compare gives a's figure relative to b's. The interval is a bootstrap over
// rounds: a round is drawn with both its readings, so that what disturbed both
// cancels out. ok is false where there is nothing to compare: no rounds,
// unequal numbers of them, or a b of zero.
func (m metric) compare(a, b []float64) (r ratio, ok bool) {
	if len(a) == 0 || len(a) != len(b) || m.of(b) == 0 {
		return ratio{}, false
	}
	random := rand.New(rand.NewPCG(1, 2)) // the same readings give the same interval
	x, y := make([]float64, len(a)), make([]float64, len(b))
	var drawn []float64
	for range resamples {
		for i := range x {
			n := random.IntN(len(a))
			x[i], y[i] = a[n], b[n]
		}
		if than := m.of(y); than != 0 {
			drawn = append(drawn, m.of(x)/than)
		}
	}
	return ratio{m.of(a) / m.of(b), quantile(drawn, 0.025), quantile(drawn, 0.975)}, true
}
