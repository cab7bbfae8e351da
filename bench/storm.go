package main

import (
	"strconv"
	"time"
)

const (
	orphansMade = 50_000
	forksMade   = 1_000
)

var orphans = measure{
	name: "orphans", about: "50,000 dead orphans left to the init one after the other, at most 4,000 unreaped",
	rounds: 5, quick: 2,
	metrics: []metric{
		{key: "orphans-wall", title: "50,000 orphans reaped, wall", unit: "ms"},
		{key: "orphans-cpu", title: "50,000 orphans reaped, CPU of init", unit: "ms"},
		{key: "orphans-peak", title: "most zombies at once", unit: ""},
	},
	round: inTurn(func(_ int, s subject, t *tally) error {
		sp, err := enter(s, time.Minute, probe, "storm", strconv.Itoa(orphansMade))
		if err != nil {
			return err
		}
		defer sp.close()
		begun, err := sp.readN(2)
		if err != nil {
			return err
		}
		before := sp.cpu()
		ended, err := sp.read()
		if err != nil {
			return err
		}
		t.take(s, "orphans-wall", milli(ended.at.since(begun[1].at)))
		t.take(s, "orphans-cpu", milli(sp.cpu()-before))
		t.take(s, "orphans-peak", float64(ended.value))
		return nil
	}),
}

var forking = measure{
	name: "forks", about: "an app that forks, executes and waits for 1,000 children: what the init costs it",
	rounds: 20, quick: 5, bare: true,
	metrics: []metric{{key: "fork", title: "fork + exec + wait in the app", unit: "µs"}},
	round: inTurn(func(_ int, s subject, t *tally) error {
		sp, err := enter(s, time.Minute, probe, "fork", strconv.Itoa(forksMade))
		if err != nil {
			return err
		}
		defer sp.close()
		if _, ok := sp.wait(sp.deadline); !ok {
			return sp.failed("did not end")
		}
		records, err := sp.readN(3)
		if err != nil {
			return err
		}
		t.take(s, "fork", micro(records[2].at.since(records[1].at))/forksMade)
		return nil
	}),
}
