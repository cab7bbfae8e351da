package control

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"exeunt/signals"
	"exeunt/supervisor"
)

// run runs a Call and returns its code and all that it printed.
func (l *loop) call(c Call) (code int, output string) {
	l.t.Helper()
	var out bytes.Buffer
	c.Control, c.Out, c.Err = l.socket, &out, &out
	code = c.Run()
	return code, out.String()
}

// answer answers all orders in the background.
func (l *loop) answer(with func(supervisor.Asked) (err string, now supervisor.Snapshot)) {
	go func() {
		for a := range l.asked {
			err, now := with(a)
			l.Answer(a.Token, err, now)
		}
	}()
}

func TestStatusIsShownAsATable(t *testing.T) {
	l := open(t, nil)
	l.set(func() { l.now = *snapshot() })
	code, out := l.call(Call{Order: supervisor.AskStatus})
	golden(t, "status.txt", out)
	if code != 0 {
		t.Error(code)
	}
	for line := range strings.Lines(out) {
		bad := func(r rune) bool { return !unicode.IsPrint(r) }
		if strings.ContainsFunc(strings.TrimSuffix(line, "\n"), bad) || !utf8.ValidString(line) {
			t.Errorf("a line that is not fit for a terminal: %q", line)
		}
	}
	code, out = l.call(Call{Order: supervisor.AskStatus, Services: []string{"web", "db"}})
	if rows := strings.Count(out, "\n"); code != 0 || rows != 5 || strings.Contains(out, "cron") {
		t.Errorf("of web and db: %d\n%s", code, out)
	}
	code, out = l.call(Call{Order: supervisor.AskStatus, Services: []string{"we"}})
	if code != 1 || out != "exeunt: no service \"we\"\n" {
		t.Errorf("%d %s", code, out)
	}
	code, out = l.call(Call{Order: supervisor.AskStatus, JSON: true})
	if code != 0 || !strings.HasPrefix(out, `{"phase":"pre-stop","standing":"stopping"`) || strings.Count(out, "\n") != 1 {
		t.Errorf("%d %s", code, out)
	}
}

func TestHeadlineSaysHowTheRunIs(t *testing.T) {
	at := time.Now()
	for want, s := range map[string]supervisor.Snapshot{
		"starting": {Phase: supervisor.Start}, "not ready": {Phase: supervisor.Run}, "ready": {Phase: supervisor.Run, Standing: supervisor.Up},
		"stopping (stop)":            {Phase: supervisor.Stop, Standing: supervisor.Falling},
		"stopping (stop), 1.5s left": {Phase: supervisor.Stop, Standing: supervisor.Falling, At: at, Deadline: at.Add(1590 * time.Millisecond)},
	} {
		if got := headline(&s); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestSpansAreShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0.0s", 450 * time.Millisecond: "0.4s", 9999 * time.Millisecond: "9.9s", 59900 * time.Millisecond: "59s",
		90 * time.Second: "1m30s", 3*time.Hour + 2*time.Minute: "3h2m", 49 * time.Hour: "2d1h",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestOrdersForServicesAreGivenTogetherAndAnsweredOneByOne(t *testing.T) {
	l := open(t, nil)
	done := make(chan string, 1)
	go func() {
		code, out := l.call(Call{Order: supervisor.AskRestart, Services: []string{"web", "db", "nobody"}})
		done <- fmt.Sprint(code, " ", out)
	}()
	for _, a := range []supervisor.Asked{l.order(), l.order()} { // both before any answer
		wrong := map[string]string{"web": "", "db": "\"db\" ended: exit 1"}[a.Service]
		if a.Order != supervisor.AskRestart {
			t.Errorf("%+v", a)
		}
		l.Answer(a.Token, wrong, supervisor.Snapshot{})
	}
	want := "1 exeunt: cannot restart \"db\": \"db\" ended: exit 1\nexeunt: cannot restart \"nobody\": no service \"nobody\"\n"
	if got := <-done; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestMoreServicesThanTheServerHasPatienceFor(t *testing.T) {
	l := open(t, nil)
	var mu sync.Mutex
	count := 0
	l.answer(func(a supervisor.Asked) (string, supervisor.Snapshot) {
		mu.Lock()
		defer mu.Unlock()
		count++
		return "", supervisor.Snapshot{}
	})
	code, out := l.call(Call{Order: supervisor.AskStart, Services: strings.Fields(strings.Repeat("db web ", 2*patient))})
	if mu.Lock(); code != 0 || out != "" || count != 4*patient {
		t.Errorf("%d %q, %d orders", code, out, count)
	}
	mu.Unlock()
}

func TestSignalsGoByTheirNumber(t *testing.T) {
	l := open(t, nil)
	l.answer(func(a supervisor.Asked) (string, supervisor.Snapshot) {
		return fmt.Sprint(a.Order == supervisor.AskSignal, " ", int(a.Signal), " ", a.Service), supervisor.Snapshot{}
	})
	for _, sig := range []signals.Signal{signals.HUP, signals.RTMIN + 3, signals.RTMAX} {
		code, out := l.call(Call{Order: supervisor.AskSignal, Signal: sig, Services: []string{"db"}})
		if want := fmt.Sprintf("exeunt: cannot signal \"db\": true %d db\n", sig); code != 1 || out != want {
			t.Errorf("%d %q, want %q", code, out, want)
		}
	}
}

func TestPrestopTellsOfHooksThatFailedAndSucceeds(t *testing.T) {
	l := open(t, nil)
	l.answer(func(a supervisor.Asked) (string, supervisor.Snapshot) { return "", *snapshot() })
	if code, out := l.call(Call{Order: supervisor.AskPreStop}); code != 0 || out != "exeunt: hook \"sleep 1s\" failed: cut\n" {
		t.Errorf("%d %q", code, out)
	}
	if code, out := l.call(Call{Order: supervisor.AskHalt}); code != 0 || out != "" {
		t.Errorf("%d %q", code, out)
	}
}

func TestARunThatIsOverHasStopped(t *testing.T) {
	for order, want := range map[supervisor.Order]string{
		supervisor.AskPreStop: "0 ", supervisor.AskHalt: "0 ",
		supervisor.AskStop: "1 exeunt: cannot stop \"db\": the run ended before it had answered\n",
	} {
		l := open(t, nil)
		done := make(chan string, 1)
		go func() {
			code, out := l.call(Call{Order: order, Services: []string{"db"}})
			done <- fmt.Sprint(code, " ", out)
		}()
		l.order()
		l.Close()
		if got := <-done; got != want {
			t.Errorf("%v: %q, want %q", order, got, want)
		}
	}
}

func TestNobodyThereIsOneLine(t *testing.T) {
	dir := t.TempDir()
	stale := must(t, filepath.Join(dir, "stale"))
	_ = unix.Close(stale.fd)
	stale.fd = -1
	for _, order := range []supervisor.Order{supervisor.AskStatus, supervisor.AskStop, supervisor.AskHalt, supervisor.AskPreStop} {
		for path, want := range map[string]string{"none": "no such file or directory", "stale": "connection refused"} {
			path = filepath.Join(dir, path)
			var out bytes.Buffer
			call := Call{Order: order, Services: []string{"db"}, Control: path, Out: &out, Err: &out}
			if code := call.Run(); code != 1 || out.String() != fmt.Sprintf("exeunt: cannot connect to %q: %s\n", path, want) {
				t.Errorf("%v: %d %q", order, code, out.String())
			}
		}
	}
}

func TestWatchShowsWhatChangesUntilTheRunIsOver(t *testing.T) {
	l := open(t, nil)
	read, write := io.Pipe()
	done := make(chan int, 1)
	go func() {
		call := Call{Order: supervisor.AskStatus, Watch: true, JSON: true, Control: l.socket, Out: write, Err: write}
		done <- call.Run()
		_ = write.Close()
	}()
	got := make(chan string, 10)
	go func() {
		for buf := make([]byte, 1<<16); ; {
			n, err := read.Read(buf)
			if err != nil {
				close(got)
				return
			}
			got <- string(buf[:n])
		}
	}()
	next := func() string {
		select {
		case text := <-got:
			return text
		case <-time.After(patience):
			t.Fatal("nothing is shown")
			return ""
		}
	}
	if text := next(); !strings.Contains(text, `"reaped":0`) {
		t.Error(text)
	}
	looks := l.viewed()
	l.set(func() { l.now.At = time.Now() }) // no news
	eventually(t, func() error {
		if l.viewed() < looks+2 {
			return fmt.Errorf("it does not look again")
		}
		return nil
	})
	if len(got) > 0 {
		t.Errorf("no news is shown: %s", <-got)
	}
	l.set(func() { l.now.Reaped = 1 })
	if text := next(); !strings.Contains(text, `"reaped":1`) {
		t.Error(text)
	}
	l.Close()
	if code := <-done; code != 0 {
		t.Errorf("code %d", code)
	}
}

func TestSignalsEndACall(t *testing.T) {
	l := open(t, nil)
	for _, c := range []struct {
		signal signals.Signal
		call   Call
		want   int
	}{
		{signals.INT, Call{Order: supervisor.AskStatus, Watch: true, Terminal: true}, 0},
		{signals.TERM, Call{Order: supervisor.AskStatus, Watch: true}, 143},
		{signals.INT, Call{Order: supervisor.AskRestart, Services: []string{"db"}}, 130},
	} {
		received := make(chan signals.Received)
		c.call.Received, c.call.Control, c.call.Err = received, l.socket, io.Discard
		out := make(chan string, 100)
		c.call.Out = writer(func(text string) { out <- text })
		done := make(chan int, 1)
		go func() { done <- c.call.Run() }()
		if c.call.Watch {
			if text := <-out; c.call.Terminal != strings.HasPrefix(text, "\x1b[H\x1b[2J") {
				t.Errorf("%q", text)
			}
		} else {
			l.order()
		}
		received <- signals.Received{Signal: signals.WINCH}
		received <- signals.Received{Signal: c.signal}
		if code := <-done; code != c.want {
			t.Errorf("%v: code %d, want %d", c.signal, code, c.want)
		}
	}
}

func TestTheTermThatFollowsFromAStopDoesNotEndTheCall(t *testing.T) {
	for _, order := range []supervisor.Order{supervisor.AskPreStop, supervisor.AskHalt} {
		l := open(t, nil)
		received := make(chan signals.Received)
		done := make(chan int, 1)
		go func() {
			call := Call{Order: order, Control: l.socket, Out: io.Discard, Err: io.Discard, Received: received}
			done <- call.Run()
		}()
		asked := l.order()
		received <- signals.Received{Signal: signals.TERM}
		received <- signals.Received{Signal: signals.TERM} // taken: the first has not ended it
		l.Answer(asked.Token, "", supervisor.Snapshot{})
		if code := <-done; code != 0 {
			t.Errorf("%v: code %d", order, code)
		}
	}
}

// A writer is a function that is given what is written.
type writer func(text string)

func (w writer) Write(text []byte) (int, error) {
	w(string(text))
	return len(text), nil
}

func TestAnswersThatAreNoneAreErrors(t *testing.T) {
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "c.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	answers := make(chan string, 1)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, <-answers)
			_ = conn.Close()
		}
	}()
	for answer, want := range map[string]string{
		"hello":                           "the answer is not HTTP",
		"HTTP/1.1 200 OK\r\n\r\n":         "unexpected end of JSON input",
		"HTTP/1.1 200 OK\r\n\r\n{\"at\":": "unexpected end of JSON input",
		"HTTP/1.1 403 Forbidden\r\n\r\nonly \x1b[2Jroot\n": "only ?[2Jroot",
		"": "the run ended before it had answered",
	} {
		answers <- answer
		var out bytes.Buffer
		call := Call{Order: supervisor.AskStatus, Control: listener.Addr().String(), Out: &out, Err: &out}
		if code := call.Run(); code != 1 || out.String() != "exeunt: "+want+"\n" {
			t.Errorf("%q: %d %q, want %q", answer, code, out.String(), want)
		}
	}
}
