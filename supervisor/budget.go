package supervisor

import "time"

// A Budget is the grace period G and where it came from.
type Budget struct {
	Grace time.Duration // first stop signal to the platform's SIGKILL
	// Armed is true when somebody set G. A G that nobody set bounds hooks only:
	// no service is killed for it, since guessing low loses data.
	Armed  bool
	Source string // for the first line of the stop: "--grace-period", "docker", …
}

// A Schedule is a budget laid out from the moment the stop began: the end of
// each phase. The fields never decrease in the order given, whatever the budget.
type Schedule struct {
	Begin    time.Time // t0
	PreStop  time.Time // pre-stop work is cut
	Services time.Time // services are killed
	Everyone time.Time // everyone is killed
	Kill     time.Time // waiting for the killed ends
	Done     time.Time // our own deadline D = t0 + G - margin
	Margin   time.Duration
	Reserve  time.Duration
}

// Schedule lays the budget out from t0 (spec section 4):
//
//	margin  = clamp(5 % of G, 0.2 s, 3 s)    kept between us and the platform's SIGKILL
//	reserve = clamp(15 % of G, 0.3 s, 5 s)   of phases 3 to 6, never spent earlier
//	floor   = min(10 s, 40 % of G)           kept for phase 2 whatever the hooks do
//
// Below one second each part is its value at 1 s times G; a negative G is 0.
func (b Budget) Schedule(t0 time.Time) Schedule {
	g := max(b.Grace, 0)
	margin := clamp(g/20, 200*time.Millisecond, 3*time.Second)
	reserve := clamp(g*3/20, 300*time.Millisecond, 5*time.Second)
	floor := min(g*2/5, 10*time.Second)
	if g < time.Second {
		margin, reserve, floor = g/5, g*3/10, g*2/5
	}
	end := t0.Add(g - margin)
	return Schedule{
		Begin:    t0,
		PreStop:  end.Add(-reserve - floor),
		Services: end.Add(-reserve),
		Everyone: end.Add(-reserve * 3 / 10),
		Kill:     end.Add(-reserve * 3 / 20),
		Done:     end,
		Margin:   margin,
		Reserve:  reserve,
	}
}

func clamp(d, low, high time.Duration) time.Duration { return min(max(d, low), high) }
