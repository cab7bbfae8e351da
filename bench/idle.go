package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// settle is how long an init is left alone before its memory is read or its
// idleness begins: what it does lazily after the start is done by then.
const settle = 500 * time.Millisecond

var memories = measure{
	name: "memory", about: "the init's memory and threads with one child, and with 50",
	rounds: 10, quick: 2,
	metrics: slices.Concat(memoryMetrics("1", "one child"), memoryMetrics("50", "50 children")),
	round: inTurn(func(_ int, s subject, t *tally) error {
		if err := remember(s, t, "1", 2, probe, "pause"); err != nil {
			return err
		}
		return remember(s, t, "50", 2, probe, "crowd", "49")
	}),
}

var reaped = measure{
	name: "reaped", about: "the init's memory and threads after 100,000 orphans",
	rounds: 3, quick: 1,
	metrics: memoryMetrics("100k", "after 100,000 reaps"),
	round: inTurn(func(_ int, s subject, t *tally) error {
		return remember(s, t, "100k", 3, probe, "storm", "100000")
	}),
}

func memoryMetrics(key, title string) []metric {
	return []metric{
		{key: "rss-" + key, title: "RSS, " + title, unit: "KiB"},
		{key: "pss-" + key, title: "PSS, " + title, unit: "KiB"},
		{key: "dirty-" + key, title: "private dirty, " + title, unit: "KiB"},
		{key: "threads-" + key, title: "threads, " + title, unit: ""},
	}
}

// remember takes the memory of an init once its app has said so many records.
func remember(s subject, t *tally, key string, records int, command ...string) error {
	sp, err := enter(s, 2*time.Minute, command...)
	if err != nil {
		return err
	}
	defer sp.close()
	if _, err := sp.readN(records); err != nil {
		return err
	}
	sleepUntil(now().add(settle))
	dir := "/proc/" + strconv.Itoa(sp.pid)
	for _, field := range []struct{ file, name, metric string }{
		{"smaps_rollup", "Rss", "rss-"},
		{"smaps_rollup", "Pss", "pss-"},
		{"smaps_rollup", "Private_Dirty", "dirty-"},
		{"status", "Threads", "threads-"},
	} {
		v, err := procField(filepath.Join(dir, field.file), field.name)
		if err != nil {
			return err
		}
		t.take(s, field.metric+key, v)
	}
	return nil
}

// procField reads the number after "name:" in a file of /proc.
func procField(path, name string) (float64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, rest, ok := strings.Cut(lines.Text(), ":"); ok && key == name {
			if words := strings.Fields(rest); len(words) > 0 {
				return strconv.ParseFloat(words[0], 64)
			}
		}
	}
	return 0, fmt.Errorf("no %q in %s", name, path)
}

const (
	idleFor = 30 * time.Second
	// settleIdle is longer than settle: on a busy machine the threads of a
	// runtime take their time to find that there is nothing to do.
	settleIdle = 3 * time.Second
)

var idles = measure{
	name: "idle", about: "wake-ups (context switches of all threads) and CPU of the init in 30 s in which nothing happens",
	rounds: 3, quick: 1,
	metrics: []metric{
		{key: "wakeups", title: "wake-ups in 30 idle s", unit: ""},
		{key: "idle-cpu", title: "CPU in 30 idle s", unit: "µs"},
	},
	// All at once: the idle do not disturb each other.
	round: func(_ int, over []subject, t *tally) {
		type watched struct {
			*space
			switches float64
			cpu      time.Duration
		}
		var all []watched
		for _, s := range over {
			sp, err := enter(s, idleFor+20*time.Second, probe, "pause")
			if err == nil {
				defer sp.close()
				_, err = sp.readN(2)
			}
			if err != nil {
				t.fail(s, err)
				continue
			}
			all = append(all, watched{space: sp})
		}
		sleepUntil(now().add(settleIdle))
		for i := range all {
			all[i].switches, all[i].cpu = all[i].contextSwitches(), all[i].space.cpu()
		}
		sleepUntil(now().add(idleFor))
		for i := range all {
			w := &all[i]
			t.take(w.subject, "wakeups", w.contextSwitches()-w.switches)
			t.take(w.subject, "idle-cpu", micro(w.space.cpu()-w.cpu))
		}
	},
}

// contextSwitches sums those of all threads of PID 1, asked for or not.
func (sp *space) contextSwitches() (sum float64) {
	threads, _ := filepath.Glob("/proc/" + strconv.Itoa(sp.pid) + "/task/*/status")
	for _, path := range threads {
		for _, name := range []string{"voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"} {
			v, err := procField(path, name)
			if err == nil { // else the thread has gone, with what it counted
				sum += v
			}
		}
	}
	return sum
}
