package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// A count of instructions is the same on a busy machine as on a quiet one, but
// for the turns that a runtime's threads take while they wait for each other: so
// the least of several counts.
var instructions = measure{
	name: "instructions", about: "what the init executes around /bin/true, outside the kernel, as valgrind counts it: the least of its rounds",
	rounds: 9, quick: 7,
	metrics: []metric{{key: "instructions", title: "init + /bin/true, instructions", unit: "count", least: true}},
	round: inTurn(func(_ int, s subject, t *tally) error {
		counter, err := exec.LookPath("valgrind")
		if err != nil {
			return fmt.Errorf("cannot count instructions (apt-get install valgrind): %w", err)
		}
		counted := s
		counted.command = append([]string{counter, "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"}, s.command...)
		sp, err := enter(counted, 2*time.Minute, "/bin/true")
		if err != nil {
			return err
		}
		defer sp.close()
		if _, ok := sp.wait(sp.deadline); !ok {
			return sp.failed("did not end")
		}
		n, err := refs(sp.said())
		if err != nil {
			return sp.failed(err.Error())
		}
		t.take(s, "instructions", n)
		return nil
	}),
}

// refs finds the count in what valgrind says: "==1== I   refs:      1,457".
func refs(text []byte) (float64, error) {
	for line := range bytes.Lines(text) {
		if _, count, ok := bytes.Cut(line, []byte("refs:")); ok {
			return strconv.ParseFloat(string(bytes.ReplaceAll(bytes.TrimSpace(count), []byte(","), nil)), 64)
		}
	}
	return 0, fmt.Errorf("was not counted")
}

// said is what was written to standard error, the first 64 KiB of it.
func (sp *space) said() []byte {
	b := make([]byte, 64<<10)
	n, _ := unix.Pread(sp.errors, b, 0)
	return b[:max(n, 0)]
}
