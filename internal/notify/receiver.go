package notify

import (
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"exeunt/supervisor"
)

const (
	// noticePace keeps a service that talks without end from keeping the loop busy.
	noticePace  = 10 * time.Millisecond
	noticeBurst = 16
	// readPace keeps it from keeping a processor busy: it has to wait until we
	// have read what it said. At some 20 µs each that is a fifth of one.
	readPace  = 100 * time.Microsecond
	readBurst = 64
	readNap   = readBurst / 2 * readPace
)

// A Receiver hears what services say. Any goroutine may call its methods; they
// wait at most for the datagrams that are being looked at.
type Receiver struct {
	deliver func(service string, pid int, n supervisor.Notice)
	remark  func(service, text string)

	mu       sync.Mutex
	services map[string]*service
	wake     chan struct{} // a source has something to deliver; capacity 1, nil before the first Main
	closed   bool
	datagram [longestDatagram]byte
	control  []byte // see receive
}

// A service is what outlives a restart.
type service struct {
	sources [2]*source // of its present life; nil where it has none
	refused int
	told    bool
}

// The sources of a service.
const (
	socket = iota
	pipe
)

// New returns a Receiver that tells deliver what the services say. The pid is
// whom the service was started as, by which what an earlier life has said can be
// told from what is new. Deliver is called from a goroutine of its own and may
// block: meanwhile what a service says is added up, so that it costs no memory
// and a flood is a few Notices. Remark gets a line for the log, once a service;
// it must neither block nor call the Receiver. Nothing runs before the first
// Main.
func New(deliver func(service string, pid int, n supervisor.Notice), remark func(service, text string)) *Receiver {
	return &Receiver{
		deliver: deliver, remark: remark, services: map[string]*service{},
		control: make([]byte, unix.CmsgSpace(unix.SizeofUcred)),
	}
}

// Socket makes the socket of a service that is about to be started as that user,
// in place of the one of its earlier life, and returns its address, the value of
// Variable. It has no file, so that a read-only root will do; a service in
// another network namespace cannot reach it. It is read from Main on.
func (r *Receiver) Socket(service string, uid uint32) (address string, err error) {
	fd, address, err := abstract()
	if err != nil {
		return "", fmt.Errorf("cannot make an abstract unix socket for what %q has to say: %w", service, err)
	}
	s := &source{name: service, uid: uid, file: os.NewFile(uintptr(fd), service)}
	s.take = func(fd int) error { return r.receive(s, fd) }
	r.begin(s, socket)
	return address, nil
}

// Pipe makes the pipe to which a service that is about to be started writes a
// newline when it is ready, as under s6. The caller gives the returned end to
// the service and closes it. What comes beside the first newline is ignored, and
// that there was none is not told. It is read from Main on.
func (r *Receiver) Pipe(service string) (write *os.File, err error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return nil, fmt.Errorf("cannot make a pipe for the readiness of %q: %w", service, err)
	}
	read, write := ends[0], os.NewFile(uintptr(ends[1]), service) // which blocks, as programs expect
	if err := unix.SetNonblock(read, true); err != nil {
		_, _ = unix.Close(read), write.Close()
		return nil, fmt.Errorf("cannot read the readiness of %q: %w", service, err)
	}
	s := &source{name: service, file: os.NewFile(uintptr(read), service)}
	s.take = func(fd int) error { return r.read(s, fd) }
	r.begin(s, pipe)
	return write, nil
}

// begin puts a source in the place of that of an earlier life.
func (r *Receiver) begin(s *source, kind int) {
	r.mu.Lock()
	of := r.services[s.name]
	if of == nil {
		of = &service{}
		r.services[s.name] = of
	}
	s.of = of
	old := of.sources[kind]
	of.sources[kind] = s
	r.mu.Unlock()
	old.drop() // waits for its reader, which may wait for the lock
}

// Main tells who the main process of a service is: whom it was started as, and
// later whom it has named by MAINPID.
func (r *Receiver) Main(service string, pid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	of := r.services[service]
	if of == nil || r.closed {
		return
	}
	if r.wake == nil {
		r.wake = make(chan struct{}, 1)
		go r.run(r.wake)
	}
	for _, s := range of.sources {
		if s == nil {
			continue
		}
		if s.main = pid; s.pid == 0 {
			s.pid = pid
			go r.listen(s)
		}
	}
}

// Refused is how many datagrams for a service were not its own.
func (r *Receiver) Refused(service string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if of := r.services[service]; of != nil {
		return of.refused
	}
	return 0
}

// Close ends the Receiver; one delivery may still be under way.
func (r *Receiver) Close() {
	r.mu.Lock()
	var old []*source
	for _, of := range r.services {
		old = append(old, of.sources[:]...)
		of.sources = [2]*source{}
	}
	if r.wake != nil && !r.closed {
		close(r.wake)
	}
	r.closed = true
	r.mu.Unlock()
	for _, s := range old {
		s.drop()
	}
}

// run delivers.
func (r *Receiver) run(wake <-chan struct{}) {
	for open := true; open; {
		s, n, wait := r.next(time.Now())
		if s != nil {
			r.deliver(s.name, s.pid, n)
			continue
		}
		var later <-chan time.Time
		if wait > 0 {
			later = time.After(wait)
		}
		select {
		case _, open = <-wake:
		case <-later:
		}
	}
}

// next takes what may be delivered now. Where there is nothing, wait is when
// there will be; zero is that nobody has said anything.
func (r *Receiver) next(now time.Time) (due *source, n supervisor.Notice, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, of := range r.services {
		for _, s := range of.sources {
			if s == nil || !s.pending {
				continue
			}
			early := s.noticed.early(now, noticePace, noticeBurst)
			if early <= 0 {
				n, s.said, s.pending = s.said, supervisor.Notice{}, false
				return s, n, 0
			}
			if wait == 0 || early < wait {
				wait = early
			}
		}
	}
	return nil, supervisor.Notice{}, wait
}

// A meter bounds how often something happens: a burst at once, and in the long
// run one each pace. It holds the time at which all is paid for.
type meter struct{ paid time.Time }

// early is how much too early it is for one more. It is only counted where it is
// not.
func (m *meter) early(now time.Time, pace time.Duration, burst int) time.Duration {
	if m.paid.Before(now) {
		m.paid = now
	}
	early := m.paid.Sub(now) - time.Duration(burst-1)*pace
	if early <= 0 {
		m.paid = m.paid.Add(pace)
	}
	return early
}
