// Package output is what exeunt prints: its log, the output of its hooks under
// their names, and that of services whose lines are to bear theirs.
//
// Nothing in it can hold up the caller. Lines of the log and of hooks go to a
// bounded queue with a writer of its own; what a reader does not take in time is
// dropped and counted. A service's lines are never dropped: while nobody reads,
// they wait in its own pipe, and in the end the service does.
package output

import (
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"exeunt/supervisor"
)

// keys are the only keys of a line besides level, time and message, in the
// order in which they are shown.
var keys = [...]string{"service", "hook", "pid", "phase", "state", "signal", "from", "code", "took_ms", "left_ms",
	"restarts", "strays", "dropped", "err"}

// A Log writes entries of the report as lines, JSON or for people. Its methods
// may be called from any goroutine.
type Log struct {
	queue   queue
	console bool
	color   bool
	level   supervisor.Level

	// set sets the logger up with the first line: a run of which there is
	// nothing to say does not pay for it.
	set    sync.Once
	logger zerolog.Logger

	mu       sync.Mutex
	captures map[*capture]bool // that are open
}

// New returns a log that writes to the descriptor fd. Entries below level are
// not shown. Console lines are for people, in color if asked for.
func New(fd int, console, color bool, level supervisor.Level) *Log {
	l := &Log{console: console, color: color, level: level, captures: map[*capture]bool{}}
	l.queue.out, l.queue.notice = newSink(fd), l.dropped
	return l
}

// Note writes one entry of the report. It does not block.
func (l *Log) Note(e supervisor.Entry) {
	if e.Level < l.level {
		return
	}
	l.pull() // what hooks said before comes before
	event := l.event(e.Level, e.At)
	str := func(key, value string) {
		if value != "" {
			event.Str(key, value)
		}
	}
	num := func(key string, value int64) {
		if value != 0 {
			event.Int64(key, value)
		}
	}
	str("service", e.Service)
	str("hook", e.Hook)
	num("pid", int64(e.PID))
	str("phase", e.Phase.String())
	if e.Signal != 0 {
		str("signal", e.Signal.String())
	}
	num("from", int64(e.From))
	num("code", int64(e.Code))
	num("took_ms", e.Took.Milliseconds())
	num("left_ms", e.Left.Milliseconds())
	num("strays", int64(e.Strays))
	str("err", e.Err)
	event.Msg(e.Message)
}

// Close writes what hooks have said so far and waits until every line is
// written, but not beyond the deadline. The log stays usable.
func (l *Log) Close(deadline time.Time) {
	l.pull()
	l.mu.Lock()
	for c := range l.captures {
		c.end()
	}
	l.mu.Unlock()
	l.queue.Flush(deadline)
}

// event begins a line.
func (l *Log) event(level supervisor.Level, at time.Time) *zerolog.Event {
	l.set.Do(func() {
		l.logger = zerolog.New(&l.queue)
		if l.console {
			l.logger = zerolog.New(l.people())
		}
	})
	return l.logger.WithLevel(zerolog.Level(level)+zerolog.InfoLevel).Str(zerolog.TimestampFieldName, at.UTC().Format(timeFormat))
}

// timeFormat is RFC 3339 in UTC, with milliseconds.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

// people is the writer that makes console lines of JSON ones.
func (l *Log) people() zerolog.ConsoleWriter {
	return zerolog.ConsoleWriter{
		Out: &l.queue, NoColor: !l.color, FieldsOrder: keys[:],
		TimeFormat: "15:04:05.000", TimeLocation: time.UTC,
	}
}

// dropped is the line that tells of lines that were dropped. It is called with
// the queue locked and so can't be written through the queue.
func (l *Log) dropped(n int) []byte {
	now := time.Now().UTC()
	text := fmt.Sprintf("dropped %d lines: nobody read them in time", n)
	if l.console {
		return fmt.Appendf(nil, "%s WRN %s dropped=%d\n", now.Format("15:04:05.000"), text, n)
	}
	return fmt.Appendf(nil, "{%q:%q,%q:%q,%q:%d,%q:%q}\n", zerolog.LevelFieldName, zerolog.LevelWarnValue,
		zerolog.TimestampFieldName, now.Format(timeFormat), "dropped", n, zerolog.MessageFieldName, text)
}
