package main

import (
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	treeSize = 1_000
	deafOnes = 100
	// graceGiven is the grace period of the subject with options, and after it
	// the suite kills what is left, as a platform would.
	graceGiven = 2 * time.Second
	graceLong  = 10 * time.Second
)

var stops = measure{
	name: "stop", about: "TERM to the container gone: an app alone, the head of 1,000 well-behaved processes, and of 1,000 of which 100 ignore TERM, killed by the suite after 2 s. Bare: the kernel's own kill of the namespace",
	rounds: 7, quick: 2, bare: true,
	metrics: []metric{
		{key: "stop-1", title: "TERM to gone, 1 process", unit: "ms"},
		{key: "stop-1000", title: "TERM to gone, 1,000 processes", unit: "ms"},
		{key: "handled-1000", title: "handlers run of 1,000", unit: ""},
		{key: "slowest-1000", title: "TERM to gone / TERM to the slowest handler"},
		{key: "stop-deaf", title: "TERM to gone, 1,000 of which 100 deaf, 2 s", unit: "ms"},
		{key: "handled-deaf", title: "handlers run of 900", unit: ""},
		{key: "killed-deaf", title: "the platform had to kill", unit: ""},
	},
	round: inTurn(func(_ int, s subject, t *tally) error {
		one, err := stop(s, 0, 0, graceLong)
		if err != nil {
			return err
		}
		t.take(s, "stop-1", milli(one.took))
		all, err := stop(s, treeSize-1, 0, graceLong)
		if err != nil {
			return err
		}
		t.take(s, "stop-1000", milli(all.took))
		if s.name == bare {
			return nil
		}
		t.take(s, "handled-1000", float64(all.handled))
		if all.handled > 0 {
			t.take(s, "slowest-1000", float64(all.took)/float64(all.slowest))
		}
		deaf, err := stop(s, treeSize-deafOnes-1, deafOnes, graceGiven)
		if err != nil {
			return err
		}
		t.take(s, "stop-deaf", milli(deaf.took))
		t.take(s, "handled-deaf", float64(deaf.handled))
		t.take(s, "killed-deaf", map[bool]float64{true: 1}[deaf.killed])
		return nil
	}),
}

// A stopping is what a TERM led to.
type stopping struct {
	took    time.Duration // until everybody was gone
	handled int           // processes whose handler ran to its end
	slowest time.Duration // the last of them
	killed  bool          // by us, at the end of the grace period
}

// stop stops an app that has so many descendants.
func stop(s subject, well, deaf int, grace time.Duration) (stopping, error) {
	var r stopping
	sp, err := enter(s, time.Minute, probe, "tree", strconv.Itoa(well), strconv.Itoa(deaf))
	if err != nil {
		return r, err
	}
	defer sp.close()
	if _, err := sp.readN(2); err != nil {
		return r, err
	}
	sp.hold()
	sleepUntil(now().add(50 * time.Millisecond))
	sig := unix.SIGTERM
	if s.name == bare {
		sig = unix.SIGKILL
	}
	sent := now()
	if err := sp.signal(sig); err != nil {
		return r, err
	}
	e, ok := sp.wait(sent.add(grace))
	if !ok {
		r.killed = true
		if err := sp.signal(unix.SIGKILL); err != nil {
			return r, err
		}
		if e, ok = sp.wait(sp.deadline); !ok {
			return r, sp.failed("outlived SIGKILL")
		}
	}
	r.took = e.at.since(sent)
	for _, rec := range sp.rest() {
		r.handled++
		r.slowest = max(r.slowest, rec.at.since(sent))
	}
	return r, nil
}
