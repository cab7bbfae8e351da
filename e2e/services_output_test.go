package e2e

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Each writes its lines as fast as it can, in pieces that do not end with them.
const writers = `
grace_period: 10s
services:
  one: {command: "seq -f 'one %.0f' 1 250000", type: oneshot}
  two: {command: "sh -c 'exec seq -f \"two %.0f\" 1 250000 >&2'", type: oneshot}
  three: {command: "awk 'BEGIN { for (i = 1; i <= 250000; i++) print \"three\", i }'", type: oneshot}
  four: {command: "sh -c 'exec awk \"BEGIN { for (i = 1; i <= 250000; i++) print \\\"four\\\", i }\" >&2'", type: oneshot}
`

func TestMillionLinesOfFourAreAllThereAndWhole(t *testing.T) {
	t.Parallel()
	need(t, "seq", "awk")
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	c := servicesIn(t, t.TempDir(), options{output: write}, writers, "")
	write.Close()
	next := map[string]int{}
	var first time.Time
	lines := bufio.NewScanner(read)
	for lines.Scan() {
		if first.IsZero() {
			first = time.Now()
		}
		line := lines.Text()
		if strings.HasPrefix(line, "{") {
			continue // exeunt's own
		}
		prefix, said, _ := strings.Cut(line, " | ")
		name, number, _ := strings.Cut(said, " ")
		if n, err := strconv.Atoi(number); err != nil || n != next[name]+1 || strings.TrimSpace(prefix) != name {
			t.Fatalf("%q after %s %d", line, name, next[name])
		}
		next[name]++
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%.2f million lines a second", 1/time.Since(first).Seconds())
	if r := c.over(bound); r.Code != 0 {
		t.Errorf("exit code %d", r.Code)
	}
	if got := fmt.Sprint(next); got != "map[four:250000 one:250000 three:250000 two:250000]" {
		t.Errorf("lines are lost: %s", got)
	}
}
