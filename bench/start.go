package main

import (
	"fmt"
	"os"
	"time"
)

var sizes = measure{
	name: "size", about: "the binary on disk; a dynamic one needs its libraries too",
	rounds: 1, quick: 1,
	metrics: []metric{{key: "size", title: "binary", unit: "KiB"}},
	round: inTurn(func(_ int, s subject, t *tally) error {
		file, err := os.Stat(s.command[0])
		if err != nil {
			return fmt.Errorf("cannot measure the binary: %w", err)
		}
		t.take(s, "size", float64(file.Size())/1024)
		return nil
	}),
}

var starts = measure{
	name: "start", about: "exec of the init to the first instruction of a static app",
	rounds: 300, quick: 60, bare: true,
	metrics: []metric{{key: "start", title: "exec to the app's first instruction", unit: "µs"}},
	round: inTurn(func(_ int, s subject, t *tally) error {
		sp, err := enter(s, 10*time.Second, probe, "app")
		if err != nil {
			return err
		}
		defer sp.close()
		sp.release()
		// The records are read when all is over: being woken by the first one
		// would disturb what follows it.
		if _, ok := sp.wait(sp.deadline); !ok {
			return sp.failed("did not end")
		}
		records, err := sp.readN(2)
		if err != nil {
			return err
		}
		t.take(s, "start", micro(records[1].at.since(records[0].at)))
		return nil
	}),
}

var trues = measure{
	name: "true", about: "the init and /bin/true, from exec to the end of the namespace",
	rounds: 200, quick: 40, bare: true,
	metrics: []metric{
		{key: "true-wall", title: "init + /bin/true, wall", unit: "µs"},
		{key: "true-cpu", title: "init + /bin/true, CPU", unit: "µs"},
		{key: "true-faults", title: "init + /bin/true, page faults", unit: "count"},
	},
	round: inTurn(func(_ int, s subject, t *tally) error {
		sp, err := enter(s, 10*time.Second, "/bin/true")
		if err != nil {
			return err
		}
		defer sp.close()
		e, ok := sp.wait(sp.deadline)
		if !ok {
			return sp.failed("did not end")
		}
		begin, err := sp.read()
		if err != nil {
			return err
		}
		if e.status != 0 {
			return sp.failed("did not end with 0")
		}
		t.take(s, "true-wall", micro(e.at.since(begin.at)))
		t.take(s, "true-cpu", micro(e.cpu-time.Duration(begin.value)))
		t.take(s, "true-faults", float64(e.faults))
		return nil
	}),
}

var exits = measure{
	name: "exit", about: "the app's exit to the init's, after 5 idle milliseconds",
	rounds: 200, quick: 40, bare: true,
	metrics: []metric{{key: "exit", title: "app's exit to init's exit", unit: "µs"}},
	round: inTurn(func(_ int, s subject, t *tally) error {
		sp, err := enter(s, 10*time.Second, probe, "app")
		if err != nil {
			return err
		}
		defer sp.close()
		if _, err := sp.readN(2); err != nil {
			return err
		}
		sp.hold()
		sleepUntil(now().add(5 * time.Millisecond))
		sp.release()
		e, ok := sp.wait(sp.deadline)
		if !ok {
			return sp.failed("did not end")
		}
		last, err := sp.read()
		if err != nil {
			return err
		}
		t.take(s, "exit", micro(e.at.since(last.at)))
		return nil
	}),
}

func micro(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
func milli(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
