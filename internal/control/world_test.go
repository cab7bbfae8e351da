package control

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"exeunt/signals"
	"exeunt/supervisor"
)

// patience is how long a test waits for what is to happen.
const patience = 20 * time.Second

// A loop stands in for the supervisor's: it takes questions, and answers those
// that it is told to.
type loop struct {
	*Server
	t      testing.TB
	socket string
	events chan supervisor.Event
	asked  chan supervisor.Asked // all but AskStatus

	mu    sync.Mutex
	now   supervisor.Snapshot
	deaf  bool // answers nothing
	views int  // AskStatus so far
	notes []supervisor.Entry
}

// plan has the services web-1 and web-2, of web, and db.
func plan() *supervisor.Plan {
	return &supervisor.Plan{Services: []supervisor.Service{{Name: "web-1", Of: "web"}, {Name: "web-2", Of: "web"}, {Name: "db"}}}
}

// open runs a server and its loop until the test ends.
func open(t testing.TB, change func(*Options)) *loop {
	t.Helper()
	l := begin(t, filepath.Join(t.TempDir(), "c.sock"), change)
	t.Cleanup(l.Close)
	return l
}

func begin(t testing.TB, socket string, change func(*Options)) *loop {
	t.Helper()
	l := &loop{t: t, socket: socket, events: make(chan supervisor.Event, 64), asked: make(chan supervisor.Asked, 64)}
	l.now = supervisor.Snapshot{Phase: supervisor.Run, Services: []supervisor.ServiceStatus{{Name: "web-1"}, {Name: "web-2"}, {Name: "db"}}}
	o := Options{
		Control: l.socket, Plan: plan(), Put: func(ev supervisor.Event) { l.events <- ev },
		Sender: func(r signals.Received) string { return fmt.Sprintf("pid %d", r.PID) },
		Note: func(e supervisor.Entry) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.notes = append(l.notes, e)
		},
	}
	if change != nil {
		change(&o)
	}
	var err error
	if l.Server, err = Open(o); err != nil || l.Server == nil {
		t.Fatalf("%v, %v", l.Server, err)
	}
	go l.run()
	return l
}

func (l *loop) run() {
	for ev := range l.events {
		asked := ev.(supervisor.Asked)
		l.mu.Lock()
		now, deaf := l.now, l.deaf
		if asked.Order == supervisor.AskStatus {
			l.views++
		}
		l.mu.Unlock()
		switch {
		case asked.Order != supervisor.AskStatus:
			l.asked <- asked
		case !deaf:
			l.Answer(asked.Token, "", now)
		}
	}
}

// set changes what the loop knows.
func (l *loop) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

func (l *loop) viewed() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.views
}

// order is the next order that reaches the loop.
func (l *loop) order() supervisor.Asked {
	l.t.Helper()
	select {
	case a := <-l.asked:
		return a
	case <-time.After(patience):
		l.t.Fatal("no order reaches the loop")
	}
	return supervisor.Asked{}
}

func (l *loop) dial() net.Conn {
	l.t.Helper()
	return dial(l.t, "unix", l.socket)
}

// dial connects; while nobody takes connections it waits.
func dial(t testing.TB, network, address string) net.Conn {
	t.Helper()
	var conn net.Conn
	eventually(t, func() (err error) {
		conn, err = net.Dial(network, address)
		return err
	})
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// eventually waits until try succeeds.
func eventually(t testing.TB, try func() error) {
	t.Helper()
	until := time.After(patience)
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-until:
			t.Fatal(err)
		case <-time.After(time.Millisecond):
		}
	}
}

// say sends text and returns all that comes back. To refuse it the server need
// not read it all.
func say(t testing.TB, conn net.Conn, text string) (status, head, body string) {
	t.Helper()
	_, _ = io.WriteString(conn, text)
	return answered(t, conn)
}

func answered(t testing.TB, conn net.Conn) (status, head, body string) {
	t.Helper()
	all, err := io.ReadAll(conn)
	if err != nil && len(all) == 0 {
		t.Fatal(err)
	}
	head, body, _ = strings.Cut(string(all), "\r\n\r\n")
	status, _, _ = strings.Cut(strings.TrimPrefix(head, "HTTP/1.1 "), "\r\n")
	return status, head, body
}

// get asks for a path, as others than our own client do.
func (l *loop) get(path string) (status, body string) {
	l.t.Helper()
	status, _, body = say(l.t, l.dial(), "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
	return status, body
}

func (l *loop) post(path string) net.Conn {
	l.t.Helper()
	conn := l.dial()
	_, _ = io.WriteString(conn, "POST "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
	return conn
}

// field is a number from a file of /proc such as "VmRSS:   12 kB".
func field(file, name string) (value int, err error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), name+":"); ok {
			_, err = fmt.Sscan(rest, &value)
			return value, err
		}
	}
	return 0, errors.New(name + " is not in " + file)
}
