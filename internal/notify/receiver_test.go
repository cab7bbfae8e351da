package notify

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"exeunt/supervisor"
)

func TestWhatASlowListenerMissesIsAddedUp(t *testing.T) {
	begun, proceed := make(chan bool, 10), make(chan bool)
	said := make(chan supervisor.Notice, 100)
	r := New(func(_ string, _ int, n supervisor.Notice) {
		said <- n
		begun <- true
		<-proceed
	}, func(string, string) {})
	defer r.Close()
	address, err := r.Socket("web", 0)
	if err != nil {
		t.Fatal(err)
	}
	r.Main("web", os.Getpid())
	speakAll := func(texts ...string) {
		for _, text := range texts {
			if err := speak(address, text); err != nil {
				t.Fatal(err)
			}
		}
	}
	speakAll("STATUS=1")
	receive(t, begun, "nothing is delivered")
	speakAll("READY=1", "STATUS=2", "RELOADING=1", "EXTEND_TIMEOUT_USEC=1", "EXTEND_TIMEOUT_USEC=5", "WATCHDOG=1", "STATUS=3")
	barrier(t, address)
	proceed <- true
	receive(t, begun, "nothing is delivered")
	speakAll("READY=1", "STOPPING=1")
	barrier(t, address)
	proceed <- true
	receive(t, begun, "nothing is delivered")
	close(proceed)
	for _, want := range []supervisor.Notice{
		{Status: "1"},
		{Ready: true, Reloading: true, Status: "3", Extend: 5 * time.Microsecond, Alive: true},
		{Ready: true, Stopping: true},
	} {
		if got := <-said; got != want {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
}

// barrier waits until everything that was said before has been read
// (sd_notify_barrier(3)).
func barrier(t *testing.T, address string) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	if err := speak(address, "BARRIER=1", int(write.Fd())); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	fds := []unix.PollFd{{Fd: int32(read.Fd())}}
	for {
		n, err := unix.Poll(fds, int(patience/time.Millisecond))
		if err == unix.EINTR {
			continue
		}
		if err != nil || n != 1 || fds[0].Revents&unix.POLLHUP == 0 {
			t.Fatalf("the barrier stands: %d %v %#x", n, err, fds[0].Revents)
		}
		return
	}
}

func TestPassedDescriptorsAreNotKept(t *testing.T) {
	l := newListener(t)
	address := l.own("web")
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	barrier(t, address)
	before := descriptors(t)
	for _, count := range []int{1, 2, 3, 253} { // as many as a datagram may carry
		files := make([]int, count)
		for i := range files {
			files[i] = int(null.Fd())
		}
		for range 10 {
			l.speak(address, "FDSTORE=1\nFDNAME=x", files...)
			l.speak(address, "", files...)
			l.speak(address, strings.Repeat("x", 2*longestDatagram), files...)
		}
		l.speak(address, "READY=1", files...)
		l.expect("web", os.Getpid(), ready)
		if after := descriptors(t); after != before {
			t.Errorf("%d descriptors after %d passed with each, were %d", after, count, before)
		}
	}
	barrier(t, address)
	l.silent()
}

func TestTooLongADatagramSaysNothing(t *testing.T) {
	l := newListener(t)
	address := l.own("web")
	l.speak(address, "READY=1\nSTATUS="+strings.Repeat("x", longestDatagram))
	l.speak(address, "")
	l.speak(address, "STATUS=just so\n"+strings.Repeat("y", longestDatagram-len("STATUS=just so\n")))
	l.expect("web", os.Getpid(), supervisor.Notice{Status: "just so"})
	l.silent()
}

func TestFloodIsAFewNoticesAndReadyIsNotLost(t *testing.T) {
	datagrams := 100_000
	if testing.Short() {
		datagrams = 10_000
	}
	l := newListener(t)
	web := start(t, l.socket("web", 0), fmt.Sprintf(`exec "$0" flood %d`, datagrams))
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	begin := time.Now()
	l.Main("web", web.pid())
	deliveries, readies, alive := 0, 0, 0
	for last := ""; last != fmt.Sprint(datagrams); deliveries++ {
		got := l.next()
		if got.Ready {
			readies++
		}
		if got.Alive {
			alive++
		}
		if got.Status != "" {
			last = got.Status
		}
	}
	took := time.Since(begin)
	if most := noticeBurst + 2 + int(took/noticePace); deliveries > most || readies != 1 || alive < deliveries-1 {
		t.Errorf("%d deliveries in %v, at most %d; %d with READY, %d with WATCHDOG", deliveries, took, most, readies, alive)
	}
	if after := heap(); after > before+256<<10 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
	if n := l.Refused("web"); n != 0 {
		t.Errorf("%d refused", n)
	}
	if least := time.Duration(datagrams-readBurst) * readPace; took < least {
		t.Errorf("read in %v, a processor should be left alone for %v", took, least)
	}
	t.Logf("%d datagrams in %v, %d deliveries", datagrams, took, deliveries)
}

func TestFloodOfOneServiceDoesNotKeepAnotherWaiting(t *testing.T) {
	l := newListener(t)
	web := start(t, l.socket("web", 0), `exec "$0" flood 1000000000`)
	l.Main("web", web.pid())
	address := l.own("cache")
	for l.next().pid != web.pid() {
	}
	l.speak(address, "READY=1")
	for begin := time.Now(); ; {
		if got := l.next(); got == (said{"cache", os.Getpid(), ready}) {
			break
		}
		if time.Since(begin) > patience {
			t.Fatal("it waits")
		}
	}
}

func TestAnEarlierLifeIsNotHeard(t *testing.T) {
	proceed := make(chan bool)
	heard := make(chan said, 10)
	r := New(func(service string, pid int, n supervisor.Notice) {
		heard <- said{service, pid, n}
		<-proceed
	}, func(string, string) {})
	defer r.Close()
	socket := func() string {
		t.Helper()
		address, err := r.Socket("web", 0)
		if err != nil {
			t.Fatal(err)
		}
		return address
	}
	first := socket()
	r.Main("web", os.Getpid())
	if err := speak(first, "STATUS=first"); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, heard, "nothing is delivered"); got != (said{"web", os.Getpid(), supervisor.Notice{Status: "first"}}) {
		t.Fatalf("%+v", got)
	}
	if err := speak(first, "READY=1"); err != nil { // is never delivered
		t.Fatal(err)
	}
	barrier(t, first)
	second := socket()
	if err := speak(first, "READY=1"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the first life speaks: %v", err)
	}
	r.Main("web", os.Getpid())
	if err := speak(second, "STATUS=second"); err != nil {
		t.Fatal(err)
	}
	barrier(t, second)
	close(proceed)
	if got := receive(t, heard, "nothing is delivered"); got != (said{"web", os.Getpid(), supervisor.Notice{Status: "second"}}) {
		t.Errorf("%+v", got)
	}
}

func TestWaitingForServicesCostsNoThread(t *testing.T) {
	const services = 200
	l := newListener(t)
	barrier(t, l.own("warm"))
	before, open := threads(t), descriptors(t)
	var pipes []*os.File
	var addresses []string
	for i := range services {
		addresses = append(addresses, l.own(fmt.Sprint("service", i)))
		write, err := l.Pipe(fmt.Sprint("service", i))
		if err != nil {
			t.Fatal(err)
		}
		pipes = append(pipes, write)
		l.Main(fmt.Sprint("service", i), os.Getpid())
	}
	for i, address := range addresses {
		barrier(t, address)
		if _, err := pipes[i].WriteString("\n"); err != nil {
			t.Fatal(err)
		}
		l.expect(fmt.Sprint("service", i), os.Getpid(), ready)
	}
	if after := threads(t); after > before+2*runtime.GOMAXPROCS(0)+8 {
		t.Errorf("%d threads, were %d", after, before)
	}
	l.Close()
	for _, write := range pipes {
		if _, err := write.WriteString("\n"); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("after Close: %v", err)
		}
		_ = write.Close()
	}
	if after := descriptors(t); after != open-1 {
		t.Errorf("%d descriptors, were %d", after, open)
	}
}

// withPipe starts a shell that has the pipe's end as descriptor 3.
func withPipe(l *listener, script string) *exec.Cmd {
	l.t.Helper()
	write, err := l.Pipe("web")
	if err != nil {
		l.t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", script)
	cmd.ExtraFiles = []*os.File{write}
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	_ = write.Close()
	l.Main("web", cmd.Process.Pid)
	return cmd
}

func TestNewlineOnTheDescriptorIsReady(t *testing.T) {
	for _, script := range []string{
		`echo >&3; exec 3>&-; sleep 1000`,
		`echo >&3; sleep 1000`,
		`printf 'starting, ' >&3; echo up >&3; sleep 1000`,
		`sleep 1000 & echo ready >&3`,
	} {
		l := newListener(t)
		cmd := withPipe(l, script)
		l.expect("web", cmd.Process.Pid, ready)
		l.silent()
	}
}

func TestWhatFollowsTheNewlineIsNoHarm(t *testing.T) {
	l := newListener(t)
	// More than a pipe holds, and a SIGPIPE would be its end.
	cmd := withPipe(l, `echo >&3; head -c 1000000 /dev/zero | tr '\0' '\n' >&3 && echo >&3`)
	l.expect("web", cmd.Process.Pid, ready)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	l.silent()
}

func TestDescriptorThatIsClosedWithoutANewlineIsNotReady(t *testing.T) {
	before := descriptors(t)
	l := newListener(t)
	cmd := withPipe(l, `printf starting >&3`)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	wait(t, "the pipe is closed", func() bool { return descriptors(t) <= before })
	l.silent()
}

func TestNobodyIsAskedOfAServiceThatWasNotStarted(t *testing.T) {
	before := descriptors(t)
	l := newListener(t)
	first, second := l.socket("web", 0), l.socket("web", 0)
	l.speak(second, "READY=1")
	if err := speak(first, "READY=1"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the first socket is there: %v", err)
	}
	l.Main("cache", os.Getpid()) // which has no socket
	l.Close()
	l.Main("web", os.Getpid())
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, were %d", after, before)
	}
	l.silent()
}
