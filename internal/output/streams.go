package output

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"exeunt/supervisor"
)

var streamNames = [...]string{1: "stdout", 2: "stderr"}

// Streams is where services' output goes. Its methods may be called from any
// goroutine.
type Streams struct {
	json  bool
	width int      // of the longest name
	sinks [3]*sink // by their number; one and the same if stdout and stderr are

	mu   sync.Mutex
	open []*stream // in the order in which they were opened
}

// Streams returns where the output of services goes, beside the log: each line
// with the service's name, or with json as an object. The names are the
// services', padded to the longest; runs that overlap have different ones. The
// sinks are our descriptors 1 and 2; at most one write to each blocks at a time,
// the log's included, and needs a thread (see reaper.Prewarm).
func (l *Log) Streams(names []string, json bool) *Streams { return l.streams(1, 2, names, json) }

func (l *Log) streams(stdout, stderr int, names []string, json bool) *Streams {
	s := &Streams{json: json}
	for _, name := range names {
		s.width = max(s.width, len(name))
	}
	s.sinks[1] = sinkOf(stdout, l.queue.out)
	s.sinks[2] = sinkOf(stderr, l.queue.out, s.sinks[1])
	return s
}

// Open returns what a service's descriptor of that number, 1 or 2, is to be; nil
// is our own. The caller closes it once the service has been started. It does
// not block. Call it for each start: what earlier runs have said comes before
// what this one says, and a line that they left without an end is ended. Nobody
// waits for a process that an earlier run has left behind; what that says comes
// when it comes.
//
// In mode supervisor.ToFile the file is made if it is not there (mode 0644), and
// appended to. Of a FIFO the service has both ends, so that it waits for a reader
// that is not there instead of failing. /dev/stdout, /dev/stderr and what links
// to them are our own descriptors, whatever they are. An error names the path.
func (s *Streams) Open(service string, number int, to supervisor.Stream) (*os.File, error) {
	var file *os.File
	var err error
	switch to.Mode {
	case supervisor.Prefix:
		if file, err = s.follow(service, number); err != nil {
			err = fmt.Errorf("cannot read %s of %q: %w", streamNames[number], service, err)
		}
	case supervisor.Null:
		to.Path = os.DevNull
		fallthrough
	case supervisor.ToFile:
		if file, err = open(to.Path); err != nil {
			err = fmt.Errorf("cannot write %s of %q to %q: %w", streamNames[number], service, to.Path, err)
		}
	}
	return file, err
}

// follow makes a pipe and begins to take lines from it.
func (s *Streams) follow(service string, number int) (*os.File, error) {
	read, write, err := newPipe(service)
	if err != nil {
		return nil, err
	}
	run := &stream{source: read, service: service, number: number, sink: s.sinks[number], json: s.json}
	run.head = run.newHead(s.width)
	s.mu.Lock()
	var earlier []*stream
	for _, other := range s.open {
		if other.service == service && other.number == number {
			earlier = append(earlier, other)
		}
	}
	s.open = append(s.open, run)
	s.mu.Unlock()
	go func() {
		for _, other := range earlier {
			other.finish()
		}
		earlier = nil // or each run would keep the one before it
		run.follow(run.take)
		s.mu.Lock()
		s.open = slices.DeleteFunc(s.open, func(other *stream) bool { return other == run })
		s.mu.Unlock()
		_ = run.file.Close()
	}()
	return write, nil
}

// Drain writes what services have said until now and returns when that is done,
// but not later than by. It returns how many bytes of it were not written; what
// was dropped because nobody reads is none of them. Call it when nobody is left,
// or nobody is waited for any longer: then all that matters is in the pipes, and
// a process out of our reach that keeps one open is not waited for.
func (s *Streams) Drain(by time.Time) (lost int) {
	open := s.runs()
	if len(open) == 0 {
		return 0
	}
	sinks := s.distinct()
	done := make(chan struct{}, len(sinks))
	for _, k := range sinks {
		go func() {
			for _, run := range open {
				if run.sink == k {
					run.finish()
				}
			}
			done <- struct{}{}
		}()
	}
	late := time.NewTimer(time.Until(by))
	defer late.Stop()
	for range sinks {
		select {
		case <-done:
		case <-late.C:
			return s.waiting()
		}
	}
	return 0
}

// waiting is how many bytes have not been written.
func (s *Streams) waiting() (n int) {
	for _, k := range s.distinct() {
		n += int(k.held.Load())
	}
	for _, run := range s.runs() {
		n += run.unread()
	}
	return n
}

// distinct is each sink once.
func (s *Streams) distinct() []*sink { return slices.Compact([]*sink{s.sinks[1], s.sinks[2]}) }

// runs is what is open now.
func (s *Streams) runs() []*stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.open)
}
