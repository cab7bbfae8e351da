package output

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const patience = 20 * time.Second // far beyond what any of it takes

// pipe is a pipe as a container's output: both ends block.
func pipe(t testing.TB) (read, write int) {
	t.Helper()
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	return ends[0], ends[1]
}

func notice(n int) []byte { return fmt.Appendf(nil, "dropped %d\n", n) }

// writeLines gives the queue n numbered lines of about size bytes.
func writeLines(q *queue, from, n, size int) {
	for i := from; i < from+n; i++ {
		_, _ = q.Write(fmt.Appendf(nil, "%d %s\n", i, strings.Repeat("x", size)))
	}
}

func TestLinesArriveWholeAndInOrder(t *testing.T) {
	read, write := pipe(t)
	q := &queue{out: newSink(write), notice: notice}
	const lines = 20_000
	go func() {
		writeLines(q, 0, lines/2, 10)
		writeLines(q, lines/2, lines/2, 10) // together less than the limit
	}()
	in := bufio.NewScanner(os.NewFile(uintptr(read), "read"))
	for i := range lines {
		if !in.Scan() || in.Text() != fmt.Sprintf("%d xxxxxxxxxx", i) {
			t.Fatalf("line %d is %q, %v", i, in.Text(), in.Err())
		}
	}
	if !q.Flush(time.Now().Add(patience)) {
		t.Error("not flushed though all was read")
	}
	unix.Close(write)
}

// TestFullPipeDropsWholeLinesAndCountsThem writes far more than pipe and queue
// hold while nobody reads, then reads: each line is there or counted.
func TestFullPipeDropsWholeLinesAndCountsThem(t *testing.T) {
	for _, nonblocking := range []bool{false, true} { // somebody else's O_NONBLOCK
		read, write := pipe(t)
		if err := unix.SetNonblock(write, nonblocking); err != nil {
			t.Fatal(err)
		}
		q := &queue{out: newSink(write), notice: notice}
		const lines = 3000
		writeLines(q, 0, lines, 1000) // returning at all is half of the test
		if q.Flush(time.Now()) {
			t.Fatal("3 MB were flushed into a pipe that nobody reads")
		}
		in := bufio.NewScanner(os.NewFile(uintptr(read), "read"))
		last, seen, dropped := -1, 0, 0
		for seen+dropped < lines && in.Scan() {
			var n int
			if _, err := fmt.Sscanf(in.Text(), "dropped %d", &n); err == nil {
				dropped += n
				continue
			}
			if _, err := fmt.Sscanf(in.Text(), "%d", &n); err != nil || n <= last || !strings.HasSuffix(in.Text(), " "+strings.Repeat("x", 1000)) {
				t.Fatalf("after line %d came %.20q, %v", last, in.Text(), err)
			}
			last = n
			seen++
		}
		if seen+dropped != lines || dropped == 0 || seen < limit/1010 {
			t.Errorf("non-blocking %v: %d lines seen, %d counted as dropped, of %d", nonblocking, seen, dropped, lines)
		}
		writeLines(q, lines, 1, 1)
		if !in.Scan() || in.Text() != "3000 x" {
			t.Errorf("afterwards: %q", in.Text())
		}
		if err := unix.Close(write); err != nil {
			t.Error(err)
		}
	}
}

// TestGoneReaderCostsNothing takes the reader away, and the descriptor too: the
// queue goes on taking lines, counts them, and is idle again each time: to
// tell of lost lines again and again would be to burn CPU.
func TestGoneReaderCostsNothing(t *testing.T) {
	read, write := pipe(t)
	gone, _ := pipe(t)
	unix.Close(read)
	for name, fd := range map[string]int{"no reader": write, "never open": -1, "not for writing": gone} {
		q := &queue{out: newSink(fd), notice: notice}
		for i := range 3 {
			writeLines(q, i, 1000, 100)
			if !q.Flush(time.Now().Add(patience)) {
				t.Errorf("%s: the queue is never idle again", name)
			}
		}
		q.mu.Lock()
		if q.dropped != 3000 || len(q.waiting) != 0 {
			t.Errorf("%s: %d dropped, %d bytes wait", name, q.dropped, len(q.waiting))
		}
		q.mu.Unlock()
	}
}

func TestFlushOfNothingReturnsAtOnce(t *testing.T) {
	q := &queue{out: newSink(-1), notice: notice}
	if !q.Flush(time.Now()) {
		t.Error("nothing to write, and yet not flushed")
	}
}

func TestQueueLeavesTheDescriptorBlocking(t *testing.T) {
	read, write := pipe(t)
	q := &queue{out: newSink(write), notice: notice}
	_, _ = q.Write([]byte("a\n"))
	if got, err := io.ReadAll(io.LimitReader(os.NewFile(uintptr(read), "read"), 2)); err != nil || !bytes.Equal(got, []byte("a\n")) {
		t.Fatalf("%q, %v", got, err)
	}
	if flags, err := unix.FcntlInt(uintptr(write), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("flags %#x, %v", flags, err)
	}
	unix.Close(write)
}
