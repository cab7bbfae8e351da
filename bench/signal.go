package main

import (
	"time"

	"golang.org/x/sys/unix"
)

const (
	signalsSent    = 2_000
	betweenThem    = 200 * time.Microsecond
	answerPatience = 5 * time.Second
	earlyDelays    = 31
	earlyStep      = 100 * time.Microsecond
	earlySettle    = 250 * time.Millisecond
	earlyPatient   = 2 * time.Second
)

var signalling = measure{
	name: "signal", about: "kill(2) from outside to the app's return from sigtimedwait(2), 2,000 signals, the subjects taking turns at each",
	rounds: 5, quick: 1, bare: true,
	metrics: []metric{
		{key: "signal-p50", title: "signal latency, p50 of 2,000", unit: "µs"},
		{key: "signal-p99", title: "signal latency, p99 of 2,000", unit: "µs"},
	},
	round: func(_ int, over []subject, t *tally) {
		spaces := map[string]*space{}
		latencies := map[string][]float64{}
		for _, s := range over {
			sp, err := enter(s, 2*time.Minute, probe, "echo")
			if err == nil {
				defer sp.close()
				_, err = sp.readN(2)
			}
			if err != nil {
				t.fail(s, err)
			}
			spaces[s.name] = sp
		}
		sleepUntil(now().add(settle))
		for n := range signalsSent {
			for i := range over {
				s := over[(i+n)%len(over)]
				if t.failures[s.name] != nil {
					continue
				}
				sp := spaces[s.name]
				sleepUntil(now().add(betweenThem))
				sent := now()
				// One that forwards nothing must not use up the others' time.
				sp.deadline = sent.add(answerPatience)
				err := sp.signal(unix.SIGUSR1)
				var heard record
				if err == nil {
					heard, err = sp.read()
				}
				if err != nil {
					t.fail(s, err)
					continue
				}
				latencies[s.name] = append(latencies[s.name], micro(heard.at.since(sent)))
			}
		}
		for _, s := range over {
			t.take(s, "signal-p50", quantile(latencies[s.name], 0.50))
			t.take(s, "signal-p99", quantile(latencies[s.name], 0.99))
		}
	},
}

var earlies = measure{
	name: "early", about: "one TERM 0 to 3 ms after the exec of the init, in steps of 0.1 ms",
	rounds: 10 * earlyDelays, quick: 2 * earlyDelays, bare: true,
	metrics: []metric{
		{key: "early-ended", title: "early TERM: the container ends", sum: true},
		{key: "early-dropped", title: "early TERM: dropped", sum: true},
		{key: "early-exit2", title: "early TERM: exit code 2", sum: true},
		{key: "early-hung", title: "early TERM: hung", sum: true},
	},
	round: inTurn(func(n int, s subject, t *tally) error {
		role := "pause"
		if s.name == bare {
			role = "heed"
		}
		sp, err := enter(s, 20*time.Second, probe, role)
		if err != nil {
			return err
		}
		defer sp.close()
		begin, err := sp.read()
		if err != nil {
			return err
		}
		sleepUntil(begin.at.add(time.Duration(n%earlyDelays) * earlyStep))
		if err := sp.signal(unix.SIGTERM); err != nil {
			return err
		}
		outcome, err := sp.fate()
		for _, key := range []string{"early-ended", "early-dropped", "early-exit2", "early-hung"} {
			t.take(s, key, map[bool]float64{true: 1}[key == outcome])
		}
		return err
	}),
}

// fate tells what became of a TERM: the key of a metric.
func (sp *space) fate() (string, error) {
	e, ok := sp.wait(now().add(earlySettle))
	if !ok {
		// Alive: was the signal lost, or is the init? Another one tells.
		if err := sp.signal(unix.SIGTERM); err != nil {
			return "", err
		}
		if _, ok = sp.wait(now().add(earlyPatient)); !ok {
			return "early-hung", nil
		}
		return "early-dropped", nil
	}
	switch e.status.ExitStatus() {
	case 128 + int(unix.SIGTERM):
		return "early-ended", nil
	case 2:
		return "early-exit2", nil
	}
	return "", sp.failed("ended an early TERM with an unexpected code")
}
