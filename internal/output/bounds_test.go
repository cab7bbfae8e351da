package output

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"exeunt/reaper"
	"exeunt/supervisor"
)

// crowd fills every pipe of so many services, and the log's queue, while nobody
// reads our stdout and stderr. It tells on descriptor 3 how many threads there
// were before and are then, with the runtime warmed as main does it.
func crowd(args []string) error {
	runtime.LockOSThread()
	runtime.GOMAXPROCS(2)
	reaper.Prewarm(number(args[1]))
	before, err := threads()
	if err != nil {
		return err
	}
	l := New(2, true, false, supervisor.Info)
	s := l.Streams(nil, false)
	var pipes []*os.File
	for i := range number(args[0]) {
		for number := 1; number <= 2; number++ {
			w, err := s.Open(fmt.Sprint(i), number, prefixed)
			if err != nil {
				return err
			}
			if err := unix.SetNonblock(int(w.Fd()), true); err != nil { // a service's blocked write is not ours
				return err
			}
			pipes = append(pipes, w)
		}
	}
	line := []byte(strings.Repeat("x", 63) + "\n")
	for stuck, deadline := 0, time.Now().Add(patience); stuck < len(pipes); {
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of %d pipes are full", stuck, len(pipes))
		}
		stuck = 0
		for _, w := range pipes {
			for range batch / len(line) {
				if _, err := unix.Write(int(w.Fd()), line); err != nil {
					stuck++
					break
				}
			}
		}
		l.Note(supervisor.Entry{Message: "more"})
		runtime.GC() // its goroutines want threads, too
	}
	if s.Drain(time.Now().Add(10*time.Millisecond)) == 0 {
		return fmt.Errorf("nothing is waiting")
	}
	l.Close(time.Now().Add(10 * time.Millisecond))
	after, err := threads()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(os.NewFile(3, "result"), before, after)
	return err
}

func threads() (int, error) {
	tasks, err := os.ReadDir("/proc/self/task")
	return len(tasks), err
}

// TestStuckReadersNeedNoNewThread is what main's number of warmed threads rests
// on: one for each of two processors, one for each of our two descriptors, and
// three for those that are on their way from one to the other. On two busy
// processors 4 were too few in 21 of 30 runs, 5 in 12, 6 in 1, and 7 in none.
func TestStuckReadersNeedNoNewThread(t *testing.T) {
	const services, warmed = 50, 7
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=crowd %d %d", roleVariable, services, warmed))
	unread, stdout := pipe(t)
	defer unix.Close(unread)
	unread, stderr := pipe(t)
	defer unix.Close(unread)
	cmd.Stdout, cmd.Stderr = os.NewFile(uintptr(stdout), "stdout"), os.NewFile(uintptr(stderr), "stderr")
	result, tell, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer result.Close()
	cmd.ExtraFiles = []*os.File{tell}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tell.Close()
	ended(t, cmd)
	var before, after int
	if _, err := fmt.Fscan(result, &before, &after); err != nil || after > before {
		t.Errorf("%d threads became %d, %v", before, after, err)
	}
}

// TestMemoryIsBoundedByTheNumberOfStreams has the streams of 200 services say
// half a line as long as a line may be, and much before.
func TestMemoryIsBoundedByTheNumberOfStreams(t *testing.T) {
	const services, rounds = 200, 10
	s := newStage(t, true, "service-000")
	before := memory()
	var pipes []*os.File
	for i := range services {
		for number := 1; number <= 2; number++ {
			w := s.stream(fmt.Sprintf("service-%03d", i), number)
			defer w.Close()
			pipes = append(pipes, w)
		}
	}
	idle := (memory() - before) / len(pipes)
	go func() { _, _ = s.stderr.file.WriteTo(discard{}) }()
	go func() { _, _ = s.stdout.file.WriteTo(discard{}) }()
	text := []byte(strings.Repeat(strings.Repeat("x", 99)+"\n", 300) + strings.Repeat("y", longest-1))
	for range rounds {
		for _, w := range pipes {
			if _, err := w.Write(text); err != nil {
				t.Fatal(err)
			}
		}
	}
	until(t, "all has been read", func() bool { return s.waiting() == len(pipes)*(longest-1) })
	full := (memory() - before) / len(pipes)
	t.Logf("%d streams: %d bytes each, %d with half a line", len(pipes), idle, full)
	if idle > 16<<10 || full > 64<<10 {
		t.Errorf("%d bytes a stream, %d with half a line of %d", idle, full, longest)
	}
}

// discard drops what it is given.
type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// memory is what the runtime has in use.
func memory() int {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.HeapInuse + stats.StackInuse)
}

func TestLinesAllocateNothing(t *testing.T) {
	for _, json := range []bool{false, true} {
		s := &stream{service: "web", number: 1, sink: newSink(-1), json: json}
		s.head = s.newHead(0)
		text := []byte(strings.Repeat("0123456789 \"ä\"\n", 1000) + "half")
		s.write(text)
		if n := testing.AllocsPerRun(100, func() { s.write(text) }); n != 0 {
			t.Errorf("json %v: %v allocations for a batch", json, n)
		}
	}
}
