package output

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"exeunt/supervisor"
)

// TestMillionLinesArriveWholeAndInOrder has four services write to one
// descriptor, in pieces that end anywhere.
func TestMillionLinesArriveWholeAndInOrder(t *testing.T) {
	lines := 250_000
	if testing.Short() {
		lines = 25_000
	}
	names := []string{"a", "web", "clock", "the-fourth"}
	s := newStage(t, true, names...)
	var cmds []*exec.Cmd
	for _, name := range names {
		cmds = append(cmds, s.start(name, "lines", name, lines, 5000))
	}
	next := map[string]int{}
	for range lines * len(names) {
		head, text, _ := strings.Cut(s.stdout.line(), " | ")
		name := strings.TrimSpace(head)
		if len(head) != len("the-fourth") || text != numbered(name, next[name]) {
			t.Fatalf("%q | %q in the place of line %d of %q", head, text, next[name], name)
		}
		next[name]++
	}
	for i, cmd := range cmds {
		ended(t, cmd)
		if next[names[i]] != lines {
			t.Errorf("%s: %d lines", names[i], next[names[i]])
		}
	}
	if lost := s.Drain(time.Now().Add(patience)); lost != 0 || s.stdout.waiting() != 0 {
		t.Errorf("%d bytes lost, %d too many", lost, s.stdout.waiting())
	}
}

func TestBytewiseLinesStayWhole(t *testing.T) {
	const lines = 500
	s := newStage(t, true, "a", "b")
	cmds := []*exec.Cmd{s.start("a", "lines", "a", lines, 1), s.start("b", "lines", "b", lines, 1)}
	next := map[string]int{}
	for range 2 * lines {
		name, text, _ := strings.Cut(s.stdout.line(), " | ")
		if text != numbered(name, next[name]) {
			t.Fatalf("%q | %q in the place of line %d", name, text, next[name])
		}
		next[name]++
	}
	for _, cmd := range cmds {
		ended(t, cmd)
	}
}

// TestOthersThatWriteToOurDescriptorSplitNoLine writes to it as services do that
// have inherited it, and as docker exec does to /proc/1/fd/1.
func TestOthersThatWriteToOurDescriptorSplitNoLine(t *testing.T) {
	const lines, others = 20_000, 5000
	s := newStage(t, true, "a")
	s.start("a", "lines", "a", lines, 5000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range others {
			if _, err := unix.Write(s.stdout.fd, []byte(numbered("other", i)+"\n")); err != nil {
				t.Error(err)
			}
		}
	}()
	ours, theirs := 0, 0
	for ours+theirs < lines+others {
		switch line := s.stdout.line(); line {
		case "a | " + numbered("a", ours):
			ours++
		case numbered("other", theirs):
			theirs++
		default:
			t.Fatalf("after %d and %d lines: %q", ours, theirs, line)
		}
	}
	<-done
}

// TestOneFileIsWrittenByOneAtATime has stdout and stderr be the same.
func TestOneFileIsWrittenByOneAtATime(t *testing.T) {
	e := newEnd(t)
	defer e.file.Close()
	twin, err := unix.Dup(e.fd)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(twin)
	defer unix.Close(e.fd)
	l := New(twin, true, false, supervisor.Info)
	s := l.streams(e.fd, twin, []string{"a"}, false)
	if s.sinks[1] != s.sinks[2] || s.sinks[1] != l.queue.out {
		t.Fatal("two sinks of one pipe")
	}
	const lines = 200
	long := strings.Repeat("y", 2*pipeBuf) // more than a pipe takes in one go
	var pipes []*os.File
	for number := 1; number <= 2; number++ {
		w, err := s.Open("a", number, prefixed)
		if err != nil {
			t.Fatal(err)
		}
		if lost := s.Drain(time.Now().Add(patience)); lost != 0 { // nor does this make two of them
			t.Fatalf("%d bytes lost of nothing", lost)
		}
		pipes = append(pipes, w)
	}
	var wait sync.WaitGroup
	for _, w := range pipes {
		wait.Go(func() {
			for range lines {
				fmt.Fprintln(w, long)
			}
			w.Close()
		})
	}
	for range 2 * lines {
		e.want("a | " + long)
	}
	wait.Wait()
}

// TestSlowReaderHoldsUpOnlyWhoWritesToIt leaves stdout unread: stderr and the log
// go on, the service waits, and in the end nothing is lost.
func TestSlowReaderHoldsUpOnlyWhoWritesToIt(t *testing.T) {
	const lines = 20_000
	s := newStage(t, true, "loud", "quiet")
	loud := s.start("loud", "lines", "loud", lines, 5000)
	until(t, "the service's own pipe is full", func() bool { return isFull(t, s.stdout.fd) && isFull(t, s.runs()[0].fd) })
	quiet := s.stream("quiet", 2)
	for i := range 1000 {
		fmt.Fprintln(quiet, i)
		s.stderr.want(fmt.Sprintf("quiet | %d", i))
	}
	quiet.Close()
	s.log.Note(supervisor.Entry{Message: "the log goes on"})
	if line := s.stderr.line(); !strings.HasSuffix(line, "the log goes on phase=start") {
		t.Errorf("%q", line)
	}
	for i := range lines {
		s.stdout.want("loud  | " + numbered("loud", i))
	}
	ended(t, loud)
}

// isFull tells whether a pipe of ours, of which fd is either end, has no room.
func isFull(t *testing.T, fd int) bool {
	t.Helper()
	end, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(end)
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(end), Events: unix.POLLOUT}}, 0)
	if err != nil && err != unix.EINTR {
		t.Fatal(err)
	}
	return n == 0 && err == nil
}

func TestDrainLeavesAtItsDeadlineAndSaysWhatIsLost(t *testing.T) {
	s := newStage(t, true, "web")
	w := s.stream("web", 1)
	said := 0
	for said < batch*3/2 { // more than one pipe holds, and less than two
		n, _ := fmt.Fprintln(w, numbered("web", said))
		said += n
	}
	w.Close()
	by := time.Now().Add(50 * time.Millisecond)
	lost := s.Drain(by)
	if over := time.Since(by); over < 0 || over > time.Second {
		t.Errorf("it took until %v after the deadline", over)
	}
	// A batch of which a part is written counts as lost.
	if came := s.stdout.waiting(); lost < said-came || lost > said {
		t.Errorf("%d bytes lost of %d, of which, prefixed, %d were written", lost, said, came)
	}
}

func TestReaderThatHasGoneHarmsNobody(t *testing.T) {
	const lines = 20_000
	s := newStage(t, true, "a", "b")
	s.stdout.file.Close()
	a := s.start("a", "lines", "a", lines, 5000)
	ended(t, a)
	b := s.stream("b", 2)
	fmt.Fprintln(b, "still here")
	b.Close()
	s.stderr.want("b | still here")
	if lost := s.Drain(time.Now().Add(patience)); lost != 0 {
		t.Errorf("%d bytes were waiting for nobody", lost)
	}
}

func TestDescriptorThatWasNeverOpenHarmsNobody(t *testing.T) {
	s := New(-1, true, false, supervisor.Info).streams(-1, -1, nil, false)
	w, err := s.Open("a", 1, prefixed)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(w, strings.Repeat("x", 3*batch))
	w.Close()
	until(t, "the stream ends", func() bool { return len(s.runs()) == 0 })
}

// TestPipeThatAnOrphanHoldsIsNotWaitedFor has a service leave a process behind
// with its stdout, in the middle of a line.
func TestPipeThatAnOrphanHoldsIsNotWaitedFor(t *testing.T) {
	s := newStage(t, true, "web")
	leaver, orphan := s.leave("web")
	defer orphan.Close()
	ended(t, leaver)
	start := time.Now()
	if lost := s.Drain(start.Add(patience)); lost != 0 || time.Since(start) > patience/2 {
		t.Errorf("%d bytes lost, after %v", lost, time.Since(start))
	}
	s.stdout.want("web | first", "web | half")
	fmt.Fprintln(orphan, "later")
	s.stdout.want("web | later")
}

// leave starts a service that leaves a process behind, and returns what that
// process copies to the service's stdout.
func (s *stage) leave(service string) (*exec.Cmd, *os.File) {
	s.t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	defer read.Close()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVariable+"=leave")
	out := s.stream(service, 1)
	defer out.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = read, out, os.Stderr
	s.run(cmd)
	return cmd, write
}

// TestEarlierRunsOutputComesFirst restarts a service while nobody has read what
// it said before, and something that it left behind still has its pipe.
func TestEarlierRunsOutputComesFirst(t *testing.T) {
	s := newStage(t, true, "web")
	filler := strings.Repeat("z", pipeBuf-1) + "\n"
	for range batch / pipeBuf {
		if _, err := unix.Write(s.stdout.fd, []byte(filler)); err != nil {
			t.Fatal(err)
		}
	}
	first := s.stream("web", 1)
	defer first.Close()
	lines := 0
	for said := 0; said < batch-2*pipeBuf; lines++ {
		n, _ := fmt.Fprintln(first, numbered("first", lines))
		said += n
	}
	fmt.Fprint(first, "half")
	second := s.stream("web", 1)
	fmt.Fprintln(second, "second")
	second.Close()
	for range batch / pipeBuf {
		s.stdout.want(filler[:pipeBuf-1])
	}
	for i := range lines {
		s.stdout.want("web | " + numbered("first", i))
	}
	s.stdout.want("web | half", "web | second")
}

// TestNoisyOrphanDoesNotKeepTheNextRunWaiting has it write without a pause.
func TestNoisyOrphanDoesNotKeepTheNextRunWaiting(t *testing.T) {
	s := newStage(t, true, "web")
	first := s.stream("web", 1)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		noise := []byte(strings.Repeat("noise\n", batch/6))
		for {
			select {
			case <-stop:
				return
			default:
				_, _ = first.Write(noise)
			}
		}
	}()
	s.stdout.want("web | noise")
	second := s.stream("web", 1)
	fmt.Fprintln(second, "second")
	second.Close()
	for tries := 0; ; tries++ {
		line := s.stdout.line()
		if line == "web | second" {
			break
		}
		if line != "web | noise" && !strings.HasPrefix("web | noise", line) || tries > 10*batch {
			t.Fatalf("line %d: %q", tries, line)
		}
	}
	close(stop)
	first.Close()
	s.stdout.file.Close()
	<-stopped
}

// TestManyRestartsStayInOrder has each run end with half a line.
func TestManyRestartsStayInOrder(t *testing.T) {
	const runs = 300
	s := newStage(t, true, "web")
	var held []*os.File
	for i := range runs {
		w := s.stream("web", 1)
		fmt.Fprintf(w, "%d begins\n%d ends", i, i)
		if i%10 == 0 {
			held = append(held, w) // by a process that it left behind
		} else {
			w.Close()
		}
	}
	for i := range runs {
		s.stdout.want(fmt.Sprintf("web | %d begins", i))
		if i < runs-1 || i%10 != 0 {
			s.stdout.want(fmt.Sprintf("web | %d ends", i))
		}
	}
	for _, w := range held {
		w.Close()
	}
	until(t, "all pipes are closed", func() bool { return len(s.runs()) == 0 })
}

func TestLineOfAMegabyteIsCutIntoSeveral(t *testing.T) {
	s := newStage(t, true, "web")
	w := s.stream("web", 1)
	text := strings.Repeat("0123456789abcde\xc3\xa9", 1<<16)
	go func() {
		fmt.Fprintln(w, text)
		fmt.Fprintln(w, text[:longest]) // just fits
		w.Close()
	}()
	var got strings.Builder
	for got.Len() < len(text) {
		piece, ok := strings.CutPrefix(s.stdout.line(), "web | ")
		if !ok || len(piece) > longest || strings.HasPrefix(piece, "\xa9") {
			t.Fatalf("a piece of %d bytes: %.20q", len(piece), piece)
		}
		got.WriteString(piece)
	}
	if got.String() != text {
		t.Error("the pieces are not the line")
	}
	s.stdout.want("web | " + text[:longest])
}

func TestBytesPassAsTheyAre(t *testing.T) {
	s := newStage(t, true, "web")
	w := s.stream("web", 1)
	var all []byte
	for c := range 256 {
		if c != '\n' {
			all = append(all, byte(c))
		}
	}
	_, _ = w.Write(append(bytes.Repeat(all, 60), '\n', '\n', '\r', '\n'))
	w.Close()
	s.stdout.want("web | "+strings.Repeat(string(all), 60), "web | ", "web | \r")
}

func TestServiceGetsABlockingPipeThatNobodyElseInherits(t *testing.T) {
	s := newStage(t, true, "web")
	w := s.stream("web", 1)
	defer w.Close()
	fd := w.Fd()
	if flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("flags %#x, %v", flags, err)
	}
	if flags, err := unix.FcntlInt(fd, unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("descriptor flags %#x, %v", flags, err)
	}
	fmt.Fprintln(w, "x")
	s.stdout.want("web | x")
	if flags, err := unix.FcntlInt(uintptr(s.stdout.fd), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("our own descriptor has flags %#x, %v", flags, err)
	}
}

// TestDescriptorThatIsNonBlockingIsWaitedFor is of what others may have made of
// it before.
func TestDescriptorThatIsNonBlockingIsWaitedFor(t *testing.T) {
	const lines = 10_000
	s := newStage(t, true, "web")
	if err := unix.SetNonblock(s.stdout.fd, true); err != nil {
		t.Fatal(err)
	}
	web := s.start("web", "lines", "web", lines, 5000)
	until(t, "stdout is full", func() bool { return isFull(t, s.stdout.fd) })
	for i := range lines {
		s.stdout.want("web | " + numbered("web", i))
	}
	ended(t, web)
}
