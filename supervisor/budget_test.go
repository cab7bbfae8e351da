package supervisor

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestScheduleHasTheFiguresOfTheManual holds the worked figures: each column
// is an offset from the beginning of the stop, in seconds.
func TestScheduleHasTheFiguresOfTheManual(t *testing.T) {
	for _, c := range []struct {
		grace                                              float64
		margin, reserve                                    float64
		preStop, services, everyone, kill, done, untilKill float64
	}{
		{30, 1.5, 4.5, 14, 24, 27.15, 27.825, 28.5, 30},
		{10, 0.5, 1.5, 4, 8, 9.05, 9.275, 9.5, 10},
		{5, 0.25, 0.75, 2, 4, 4.525, 4.6375, 4.75, 5},
		{3600, 3, 5, 3582, 3592, 3595.5, 3596.25, 3597, 3600},
		{120, 3, 5, 102, 112, 115.5, 116.25, 117, 120},
		{2, 0.2, 0.3, 0.7, 1.5, 1.71, 1.755, 1.8, 2},
		{1, 0.2, 0.3, 0.1, 0.5, 0.71, 0.755, 0.8, 1},
		{0.5, 0.1, 0.15, 0.05, 0.25, 0.355, 0.3775, 0.4, 0.5},
		{0, 0, 0, 0, 0, 0, 0, 0, 0},
		{-1, 0, 0, 0, 0, 0, 0, 0, 0},
	} {
		s := Budget{Grace: fromSeconds(c.grace)}.Schedule(epoch)
		for _, f := range []struct {
			name string
			got  time.Duration
			want float64
		}{
			{"margin", s.Margin, c.margin}, {"reserve", s.Reserve, c.reserve},
			{"begin", s.Begin.Sub(epoch), 0}, {"pre-stop", s.PreStop.Sub(epoch), c.preStop},
			{"services", s.Services.Sub(epoch), c.services}, {"everyone", s.Everyone.Sub(epoch), c.everyone},
			{"kill", s.Kill.Sub(epoch), c.kill}, {"done", s.Done.Sub(epoch), c.done},
			{"the platform's kill", s.Done.Add(s.Margin).Sub(epoch), c.untilKill},
		} {
			if f.got != fromSeconds(f.want) {
				t.Errorf("grace %vs: %s = %v, want %vs", c.grace, f.name, f.got, f.want)
			}
		}
	}
}

func TestScheduleNeverDecreasesWhateverTheBudget(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	check := func(g time.Duration) {
		s := Budget{Grace: g}.Schedule(epoch)
		last := s.Begin
		for i, at := range []time.Time{s.PreStop, s.Services, s.Everyone, s.Kill, s.Done, epoch.Add(max(g, 0))} {
			if at.Before(last) {
				t.Fatalf("grace %v: part %d at %v is before its predecessor at %v", g, i, at.Sub(epoch), last.Sub(epoch))
			}
			last = at
		}
		if s.Margin < 0 || s.Reserve < 0 || s.Done.Add(s.Margin) != epoch.Add(max(g, 0)) {
			t.Fatalf("grace %v: margin %v and reserve %v do not add up", g, s.Margin, s.Reserve)
		}
	}
	for g := -2 * time.Millisecond; g < 3*time.Second; g += 333 * time.Microsecond {
		check(g)
	}
	for range 20_000 {
		check(time.Duration(rng.Int64N(int64(48 * time.Hour))))
	}
}

// TestScheduleIsContinuousWhereItsRuleChanges: below one second the parts are
// those of one second times G.
func TestScheduleIsContinuousWhereItsRuleChanges(t *testing.T) {
	below, at := Budget{Grace: time.Second - 1}.Schedule(epoch), Budget{Grace: time.Second}.Schedule(epoch)
	for _, d := range []time.Duration{at.PreStop.Sub(below.PreStop), at.Services.Sub(below.Services), at.Everyone.Sub(below.Everyone), at.Done.Sub(below.Done)} {
		if d.Abs() > time.Microsecond {
			t.Errorf("a step of %v at one second", d)
		}
	}
}

func fromSeconds(s float64) time.Duration { return time.Duration(s*1e6+0.5) * time.Microsecond }
