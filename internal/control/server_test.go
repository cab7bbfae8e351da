package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"exeunt/signals"
	"exeunt/supervisor"
)

func TestEveryRequestHasItsAnswer(t *testing.T) {
	l := open(t, nil)
	const host = " HTTP/1.1\r\nHost: x\r\n"
	for _, c := range []struct{ request, status, head, body string }{
		{"GET /v1/status" + host + "\r\n", "200 OK", "application/json", `"services":[{"name":"web-1"`},
		{"GET /v1/status?x=y" + host + "\r\n", "200 OK", "application/json", `{`},
		{"POST /v1/status" + host + "\r\n", "405 Method Not Allowed", "Allow: GET, HEAD", "GET is the method here\n"},
		{"GET /v1/stop" + host + "\r\n", "405 Method Not Allowed", "Allow: POST", "POST is the method here\n"},
		{"GET /v1/services/db/stop" + host + "\r\n", "405 Method Not Allowed", "Allow: POST", "POST"},
		{"GET /" + host + "\r\n", "404 Not Found", plain, "there is no \"/\"\n"},
		{"POST /v1/services/db" + host + "\r\n", "404 Not Found", plain, "there is no"},
		{"POST /v1/services/db/kill" + host + "\r\n", "404 Not Found", plain, "there is no"},
		{"POST /v1/services/db/stop/now" + host + "\r\n", "404 Not Found", plain, "there is no"},
		{"POST /v1/services/nobody/stop" + host + "\r\n", "404 Not Found", plain, "no service \"nobody\"\n"},
		{"POST /v1/services/%zz/stop" + host + "\r\n", "404 Not Found", plain, "there is no"},
		{"POST /v1/services/a%0ab/stop" + host + "\r\n", "404 Not Found", plain, "no service \"a\\nb\"\n"},
		{"POST /v1/services/db/signal" + host + "\r\n", "422 Unprocessable Content", plain, "write ?signal=HUP\n"},
		{"POST /v1/services/db/signal?signal=NO" + host + "\r\n", "422 Unprocessable Content", plain, "unknown signal \"NO\""},
		{"POST /v1/services/db/signal?%zz" + host + "\r\n", "422 Unprocessable Content", plain, "write ?signal=HUP\n"},
		{"GET /livez" + host + "\r\n", "200 OK", plain, "alive\n"},
		{"GET /metrics" + host + "\r\n", "200 OK", exposition, "# HELP"},
		{"hello\r\n\r\n", "400 Bad Request", plain, "that is not HTTP\n"},
		{"GET / HTTP/3.0\r\n\r\n", "505 HTTP Version Not Supported", plain, "HTTP/1.1"},
		{"POST /v1/stop" + host + "Transfer-Encoding: chunked\r\n\r\n", "411 Length Required", plain, "a body needs a length\n"},
		{"POST /v1/stop" + host + "Content-Length: 5000\r\n\r\n", "413 Content Too Large", plain, "longer than 4 KiB\n"},
		{"POST /v1/stop" + host + "Expect: 100-continue\r\n\r\n", "417 Expectation Failed", plain, "expected\n"},
		{"GET /" + strings.Repeat("a", longestHead) + host + "\r\n", "431 Request Header Fields Too Large", plain, "longer than 8 KiB\n"},
		{"GET /" + host + strings.Repeat("A: b\r\n", longestHead/6) + "\r\n", "431 Request Header Fields Too Large", plain, "longer than 8 KiB\n"},
	} {
		status, head, body := say(t, l.dial(), c.request)
		if status != c.status || !strings.Contains(head, c.head) || !strings.Contains(body, c.body) {
			t.Errorf("%.40q: %s\n%s\n\n%s", c.request, status, head, body)
		}
		if !strings.Contains(head, "Connection: close") || !strings.Contains(head, fmt.Sprintf("Content-Length: %d\r\n", len(body))) {
			t.Errorf("%.40q: the answer has another length, or does not end:\n%s", c.request, head)
		}
		if !strings.HasPrefix(status, "200") && strings.Count(body, "\n") != 1 {
			t.Errorf("%.40q: the error is not one line: %q", c.request, body)
		}
	}
	if status, head, body := say(t, l.dial(), "HEAD /livez"+host+"\r\n"); status != "200 OK" || !strings.Contains(head, "Content-Length: 6") || body != "" {
		t.Errorf("HEAD: %s\n%s\n\n%s", head, status, body)
	}
	select {
	case a := <-l.asked:
		t.Errorf("the loop was asked for %+v", a)
	default:
	}
}

func TestOrdersReachTheLoopAndAreAnsweredWhenItSays(t *testing.T) {
	l := open(t, nil)
	tokens := map[int]bool{}
	for _, c := range []struct {
		path string
		want supervisor.Asked
	}{
		{"/v1/services/web/start", supervisor.Asked{Order: supervisor.AskStart, Service: "web"}},
		{"/v1/services/web-2/stop", supervisor.Asked{Order: supervisor.AskStop, Service: "web-2"}},
		{"/v1/services/%64b/restart", supervisor.Asked{Order: supervisor.AskRestart, Service: "db"}},
		{"/v1/services/db/reload", supervisor.Asked{Order: supervisor.AskReload, Service: "db"}},
		{"/v1/services/db/signal?signal=RTMIN%2B3", supervisor.Asked{Order: supervisor.AskSignal, Service: "db", Signal: signals.RTMIN + 3}},
		{"/v1/stop", supervisor.Asked{Order: supervisor.AskHalt}},
		{"/v1/prestop", supervisor.Asked{Order: supervisor.AskPreStop}},
	} {
		for _, wrong := range []string{"", "\"db\" is\nnot running"} {
			conn := l.post(c.path)
			a := l.order()
			if tokens[a.Token] || a.Token == 0 {
				t.Errorf("%s: token %d comes again", c.path, a.Token)
			}
			tokens[a.Token] = true
			c.want.Token, c.want.By = a.Token, fmt.Sprintf("pid %d", os.Getpid())
			if a != c.want {
				t.Errorf("%s: %+v, want %+v", c.path, a, c.want)
			}
			l.Answer(a.Token, wrong, supervisor.Snapshot{Phase: supervisor.PreStop, Reaped: a.Token})
			status, _, body := answered(t, conn)
			var now supervisor.Snapshot
			switch err := json.Unmarshal([]byte(body), &now); {
			case wrong == "" && (status != "200 OK" || err != nil || now.Reaped != a.Token):
				t.Errorf("%s: %s %s", c.path, status, body)
			case wrong != "" && (status != "409 Conflict" || body != "\"db\" is not running\n"):
				t.Errorf("%s: %s %s", c.path, status, body)
			}
		}
	}
}

func TestAnOrderWaitsForItsAnswerAsLongAsTheRunLasts(t *testing.T) {
	t.Parallel()
	l := open(t, nil)
	orders := []net.Conn{l.post("/v1/services/db/restart"), l.post("/v1/prestop")}
	first := l.order()
	l.order()
	// What a status would not be waited for: it is over by then.
	l.set(func() { l.deaf = true })
	began := time.Now()
	if status, body := l.get("/v1/status"); status != "503 Service Unavailable" || time.Since(began) < 4*time.Second {
		t.Errorf("%s %s after %v", status, body, time.Since(began))
	}
	l.Answer(first.Token, "", supervisor.Snapshot{})
	l.Close()
	codes := map[string]int{}
	for _, conn := range orders {
		status := "over"
		if got := make([]byte, 15); readFull(conn, got) {
			status = string(got)
		}
		codes[status]++
	}
	if codes["HTTP/1.1 200 OK"] != 1 || codes["over"] != 1 {
		t.Errorf("one was answered before the end, the other learns that it is over: %v", codes)
	}
}

func readFull(conn net.Conn, into []byte) bool {
	n, err := conn.Read(into)
	return err == nil && n == len(into)
}

func TestWhoHasGoneIsForgotten(t *testing.T) {
	l := open(t, nil)
	var gone []supervisor.Asked
	for range 3 * places {
		conn := l.post("/v1/services/db/restart")
		gone = append(gone, l.order())
		conn.Close()
		eventually(t, func() error { // and has left its place to the next
			if status, _ := l.get("/livez"); status != "200 OK" {
				return fmt.Errorf("%s", status)
			}
			return nil
		})
	}
	conn := l.post("/v1/services/db/start")
	waits := l.order()
	for _, a := range gone {
		l.Answer(a.Token, "", supervisor.Snapshot{})
	}
	l.Answer(12345, "", supervisor.Snapshot{})
	l.Answer(waits.Token, "it is late", supervisor.Snapshot{})
	if status, _, body := answered(t, conn); status != "409 Conflict" || body != "it is late\n" {
		t.Errorf("%s %s", status, body)
	}
}

func TestHalfClosedConnectionIsAnswered(t *testing.T) {
	l := open(t, nil)
	conn := l.post("/v1/services/db/stop")
	if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	a := l.order()
	l.get("/v1/status") // turns of the server that see the half that is closed
	before := cpu(t)
	<-time.After(300 * time.Millisecond) // of which there is nothing to be made
	if took := cpu(t) - before; took > 40*time.Millisecond {
		t.Errorf("it costs %v of CPU to wait for 300ms", took)
	}
	l.Answer(a.Token, "", supervisor.Snapshot{})
	if status, _, _ := answered(t, conn); status != "200 OK" {
		t.Error(status)
	}
}

// cpu is the CPU time that this process has taken.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func TestSomeWaitingOrdersLeaveRoomForStatus(t *testing.T) {
	l := open(t, nil)
	var first net.Conn
	var token int
	for range patient {
		conn := l.post("/v1/services/db/restart")
		if token == 0 {
			first, token = conn, l.order().Token
		} else {
			l.order()
		}
	}
	for range 4 * places { // none has to make room for those who are silent
		l.dial()
	}
	if status, _, body := answered(t, l.post("/v1/services/db/restart")); status != "503 Service Unavailable" {
		t.Errorf("%s %s", status, body)
	}
	if status, body := l.get("/v1/status"); status != "200 OK" {
		t.Errorf("%s %s", status, body)
	}
	conn := l.post("/v1/stop") // is answered at once
	l.Answer(l.order().Token, "", supervisor.Snapshot{})
	l.Answer(token, "", supervisor.Snapshot{})
	for _, conn := range []net.Conn{conn, first} {
		if status, _, body := answered(t, conn); status != "200 OK" {
			t.Errorf("%s %s", status, body)
		}
	}
}

func TestRequestThatComesInPiecesIsWhole(t *testing.T) {
	l := open(t, nil)
	conn := l.dial()
	const text = "POST /v1/services/db/stop HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
	for i := range len(text) {
		if i > len(text)-3 {
			l.get("/livez") // is read, and is not all yet
			if len(l.asked) > 0 {
				t.Fatal("carried out before it was whole")
			}
		}
		if _, err := conn.Write([]byte{text[i]}); err != nil {
			t.Fatal(err)
		}
	}
	l.Answer(l.order().Token, "", supervisor.Snapshot{})
	if status, _, _ := answered(t, conn); status != "200 OK" {
		t.Error(status)
	}
}

func TestWhatDoesNotComeInTimeIsOver(t *testing.T) {
	t.Parallel()
	l := open(t, nil)
	for text, late := range map[string]time.Duration{
		"":                          2 * time.Second,
		"GET /v1/status HTTP/1.1\r": 2 * time.Second,
		"POST /v1/stop HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhell": 5 * time.Second,
	} {
		t.Run(fmt.Sprintf("%.4s", text), func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			status, _, _ := say(t, l.dial(), text)
			if took := time.Since(began); status != "408 Request Timeout" || took < late-time.Second/4 || took > late+2*time.Second {
				t.Errorf("%q: %s after %v, want it after %v", text, status, took, late)
			}
		})
	}
}

func TestAnAnswerThatNobodyReadsIsOverInTime(t *testing.T) {
	t.Parallel()
	l := open(t, nil)
	long := strings.Repeat("x", 4<<20) // more than a socket holds
	l.set(func() { l.now.Services[2].Status = long })
	began := time.Now()
	conn := l.dial()
	if _, err := fmt.Fprint(conn, "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		ended := 0
		_ = raw.Control(func(fd uintptr) { ended, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd)}}, 0) })
		if ended <= 0 { // -1 is EINTR
			return errors.New("the server holds on to it")
		}
		return nil
	})
	if took := time.Since(began); took < 5*time.Second || took > 7*time.Second {
		t.Errorf("over after %v", took)
	}
	// One that is read is whole, whatever its length.
	if status, body := l.get("/v1/status"); status != "200 OK" || len(body) < len(long) {
		t.Errorf("%s, %d bytes", status, len(body))
	}
}

func TestWhoAsksAtOnceSharesAnAnswer(t *testing.T) {
	l := open(t, nil)
	l.set(func() { l.deaf = true })
	var conns []net.Conn
	for range places - 1 {
		conn := l.dial()
		fmt.Fprint(conn, "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
		conns = append(conns, conn)
	}
	l.get("/livez") // those before have been read
	l.Answer(1, "", supervisor.Snapshot{Reaped: 7})
	for _, conn := range conns {
		if status, _, body := answered(t, conn); status != "200 OK" || !strings.Contains(body, `"reaped":7`) {
			t.Errorf("%s %s", status, body)
		}
	}
	if n := l.viewed(); n != 1 {
		t.Errorf("the loop was asked %d times", n)
	}
}

func TestAPanicEndsTheServerAndNotTheRun(t *testing.T) {
	l := open(t, func(o *Options) { o.Sender = func(signals.Received) string { panic("what now") } })
	silent := l.dial()
	if status, head, _ := answered(t, l.post("/v1/stop")); status != "" {
		t.Errorf("%s", head)
	}
	answered(t, silent) // is over
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.notes) != 1 || l.notes[0].Message != "panic in the control server, going on without it" || l.notes[0].Err != "what now" {
		t.Errorf("%+v", l.notes)
	}
	if _, err := os.Lstat(l.socket); !os.IsNotExist(err) {
		t.Errorf("the socket stays: %v", err)
	}
}

func TestCurlIsServed(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	l := open(t, nil)
	go func() {
		for a := range l.asked {
			l.Answer(a.Token, "", supervisor.Snapshot{Phase: supervisor.Run})
		}
	}()
	for _, c := range []struct{ args, want string }{
		{"http://x/v1/status", `200 {"phase":"run"`},
		{"-I http://x/v1/status", "200 HTTP/1.1 200 OK"},
		{"-X POST http://x/v1/services/db/restart", `200 {"phase":"run"`},
		{"-d x=y http://x/v1/services/db/signal?signal=HUP", `200 {"phase":"run"`},
		{"-0 http://x/livez", "200 alive"},
		{"http://x/v1/services/db/restart", "405 POST"},
		{"--data-binary @" + large(t, longestBody+1) + " http://x/v1/stop", "413 the body"},
		{"-T " + large(t, 100) + " -X POST -H Transfer-Encoding:chunked http://x/v1/stop", "411 a body"},
		{"-H X:" + strings.Repeat("x", longestHead) + " http://x/v1/status", "431 the head"},
	} {
		args := append([]string{"-sS", "--max-time", "10", "-w", "\n%{http_code}", "--unix-socket", l.socket}, strings.Fields(c.args)...)
		out, err := exec.Command("curl", args...).CombinedOutput()
		body, code := string(out), ""
		if i := strings.LastIndexByte(body, '\n'); i >= 0 {
			body, code = body[:i], body[i+1:]
		}
		if got := code + " " + body; err != nil || !strings.HasPrefix(got, c.want) {
			t.Errorf("curl %.60s: %v, %.200q, want %q", c.args, err, got, c.want)
		}
	}
}

func large(t *testing.T, size int) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(file, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestOnlyRootAndOurOwnUserAreLetIn(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to be somebody else")
	}
	l := open(t, nil)
	for dir := filepath.Dir(l.socket); dir != filepath.Clean(os.TempDir()); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	ask := func() (string, error) {
		cmd := exec.Command("curl", "-sS", "--max-time", "10", "--unix-socket", l.socket, "http://x/v1/status")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	// By the mode of the file.
	if out, err := ask(); err == nil || strings.Contains(out, "phase") {
		t.Errorf("the file lets somebody else in: %s", out)
	}
	// By who they are.
	if err := os.Chmod(l.socket, 0o666); err != nil {
		t.Fatal(err)
	}
	if out, err := ask(); strings.Contains(out, "phase") || err == nil && !strings.Contains(out, "only root") {
		t.Errorf("somebody else is let in: %v, %s", err, out)
	}
	if n := l.viewed(); n != 0 {
		t.Errorf("the loop was asked %d times", n)
	}
	if status, _ := l.get("/v1/status"); status != "200 OK" {
		t.Errorf("we are not let in: %s", status)
	}
}
