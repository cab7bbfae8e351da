package output

import (
	"bytes"
	"sync"
	"time"
)

// limit is how many bytes of lines may wait for a reader that does not read.
const limit = 1 << 20

// A queue is a writer of lines that never blocks: a goroutine of its own writes
// them to the sink, which may be full, closed or broken for as long as it likes.
// What does not fit is dropped by whole lines and counted.
type queue struct {
	out    *sink
	notice func(dropped int) []byte // a line that tells of dropped ones

	mu      sync.Mutex
	waiting []byte // lines that nobody writes yet
	spare   []byte // the buffer that waiting becomes next
	busy    int    // bytes that are being written
	dropped int    // lines since the last notice
	noticed int    // lines that the notice at the end of the batch tells of
	idle    []chan struct{}
	wake    chan struct{} // nil until the first line
}

// Write takes one or more whole lines; it always succeeds.
func (q *queue) Write(lines []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.wake == nil {
		q.wake = make(chan struct{}, 1)
		go q.run()
	}
	if len(q.waiting)+q.busy+len(lines) > limit {
		q.dropped += bytes.Count(lines, []byte{'\n'})
	} else {
		q.waiting = append(q.waiting, lines...)
	}
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return len(lines), nil
}

// run writes whatever waits, for ever.
func (q *queue) run() {
	works := true
	for range q.wake {
		for {
			batch := q.take(works)
			if len(batch) == 0 {
				break
			}
			q.out.turn.Lock()
			n, err := q.out.write(batch)
			q.out.turn.Unlock()
			works = err == nil
			q.finished(batch, n)
		}
	}
}

// take begins a batch, empty if there is nothing to write. A descriptor that
// works is told of dropped lines at once, a broken one only with the next line:
// else the notice, which is lost as well, would call for a notice.
func (q *queue) take(works bool) []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	batch := q.waiting
	q.noticed = 0
	if q.dropped > 0 && (works || len(batch) > 0) {
		batch = append(batch, q.notice(q.dropped)...)
		q.noticed, q.dropped = q.dropped, 0
	}
	if len(batch) == 0 {
		for _, done := range q.idle {
			close(done)
		}
		q.idle = nil
		return nil
	}
	q.waiting, q.spare, q.busy = q.spare[:0], nil, len(batch)
	return batch
}

// finished ends a batch of which n bytes were written. A lost notice gives its
// count back.
func (q *queue) finished(batch []byte, n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	lost := bytes.Count(batch[n:], []byte{'\n'})
	if lost > 0 && q.noticed > 0 {
		lost += q.noticed - 1
	}
	q.dropped += lost
	q.busy = 0
	if cap(batch) <= limit/16 { // after a burst its memory need not stay
		q.spare = batch
	}
}

// Flush waits until everything has been written or has failed, but not beyond
// the deadline, and reports whether it was in time.
func (q *queue) Flush(deadline time.Time) bool {
	q.mu.Lock()
	if len(q.waiting) == 0 && q.busy == 0 && len(q.wake) == 0 {
		q.mu.Unlock()
		return true
	}
	done := make(chan struct{})
	q.idle = append(q.idle, done)
	q.mu.Unlock()
	late := time.NewTimer(time.Until(deadline))
	defer late.Stop()
	select {
	case <-done:
		return true
	case <-late.C:
		return false
	}
}
