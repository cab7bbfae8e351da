package notify

import (
	"bytes"
	"cmp"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"exeunt/supervisor"
)

const (
	longestStatus = 256
	// longestTime is as good as for ever, and can be added to any clock.
	longestTime = 365 * 24 * time.Hour
)

// parse reads one datagram: an assignment a line (sd_notify(3)). What it does
// not know it ignores, numbers that are none too. As under systemd a NUL byte may
// be at the end alone; a text with another one says nothing.
func parse(datagram []byte) (n supervisor.Notice) {
	datagram = bytes.TrimSuffix(datagram, []byte{0})
	if bytes.IndexByte(datagram, 0) >= 0 {
		return n
	}
	for line := range bytes.SplitSeq(datagram, []byte{'\n'}) {
		if key, value, ok := strings.Cut(string(line), "="); ok {
			add(&n, assignment(key, value))
		}
	}
	return n
}

// assignment is what one line says.
func assignment(key, value string) (n supervisor.Notice) {
	switch key {
	case "READY":
		n.Ready = value == "1"
	case "RELOADING":
		n.Reloading = value == "1"
	case "STOPPING":
		n.Stopping = value == "1"
	case "WATCHDOG":
		n.Alive, n.Failed = value == "1", value == "trigger"
	case "WATCHDOG_USEC":
		if every, ok := microseconds(value); ok && every > 0 {
			n.Watchdog = every
		} else if ok {
			n.Watchdog = -1 // none any more
		}
	case "EXTEND_TIMEOUT_USEC":
		n.Extend, _ = microseconds(value)
	case "MAINPID":
		if pid, err := strconv.ParseInt(value, 10, 32); err == nil && pid > 0 {
			n.MainPID = int(pid)
		}
	case "STATUS":
		n.Status = printable(value)
	}
	return n
}

// add adds to n what was said after it. Reloading is what no Ready has ended yet:
// with both, the service got ready and then began to reload.
func add(n *supervisor.Notice, later supervisor.Notice) {
	n.Reloading = n.Reloading && !later.Ready || later.Reloading
	n.Ready = n.Ready || later.Ready
	n.Stopping = n.Stopping || later.Stopping
	n.Alive = n.Alive || later.Alive
	n.Failed = n.Failed || later.Failed
	n.Watchdog = cmp.Or(later.Watchdog, n.Watchdog)
	n.Extend = cmp.Or(later.Extend, n.Extend)
	n.MainPID = cmp.Or(later.MainPID, n.MainPID)
	n.Status = cmp.Or(later.Status, n.Status)
}

// microseconds is a time. Zero and systemd's infinity are both 0, as they are to
// systemd where a service says them.
func microseconds(text string) (time.Duration, bool) {
	n, err := strconv.ParseUint(text, 10, 64)
	switch {
	case err != nil:
		return 0, false
	case n == math.MaxUint64:
		return 0, true
	}
	return time.Duration(min(n, uint64(longestTime/time.Microsecond))) * time.Microsecond, true
}

// printable makes a text fit for a line of ours.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
	if len(text) <= longestStatus {
		return text
	}
	end := longestStatus
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}
