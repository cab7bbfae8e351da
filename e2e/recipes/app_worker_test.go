package recipes

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// An app server with workers answers what it has before it leaves, if its main
// process is told.
type appServer struct {
	command string // in testdata/app
	ready   string // what it prints for each worker that is ready
	workers int
	options []string // exeunt's
}

var appServers = map[string]appServer{
	"gunicorn": {command: "gunicorn --config slow.py --workers 2 --bind 127.0.0.1:80 slow:wsgi", ready: "app: ready", workers: 2},
	"uvicorn":  {command: "uvicorn --workers 2 --port 80 slow:asgi", ready: "startup complete", workers: 2},
	"puma":     {command: "puma --workers 2 --bind tcp://127.0.0.1:80 config.ru", ready: "booted in", workers: 2, options: []string{"--stop-signal", "INT"}},
}

// inFlight starts the server, as its command line or behind a shell that waits
// for it, and a request that it has.
func (a appServer) inFlight(t *testing.T, init []string, behind bool) (*space, <-chan answer) {
	t.Helper()
	need(t, init[0], strings.Fields(a.command)[0])
	script := "exec " + a.command
	if behind {
		script = a.command + "; echo over"
	}
	n := newNetwork(t)
	s := begin(t, options{network: n, dir: "testdata/app", env: []string{"PYTHONDONTWRITEBYTECODE=1"}}, append(init, "sh", "-c", script)...)
	s.Out.await(a.ready, a.workers)
	n.await("127.0.0.1:80")
	got := n.get("http://127.0.0.1:80/")
	s.Out.await("app: asked", 1)
	return s, got
}

// They do so under any init that passes TERM on: there is nothing to lose.
func TestAppServerAnswersItsRequest(t *testing.T) {
	t.Parallel()
	each(t, appServers, func(t *testing.T, a appServer) {
		s, got := a.inFlight(t, stopping("30s", a.options...), false)
		s.answers(got, 0, 25*time.Second)
	})
}

// It is INT that has it end with 0.
func TestPumaEndsWith143ByTERM(t *testing.T) {
	t.Parallel()
	s, got := appServers["puma"].inFlight(t, tini, false)
	s.answers(got, 128+int(syscall.SIGTERM), 25*time.Second)
}

// What is behind a shell is never told by the shell.
func TestAppServerBehindAShellAnswersItsRequest(t *testing.T) {
	t.Parallel()
	each(t, appServers, func(t *testing.T, a appServer) {
		s, got := a.inFlight(t, stopping("30s"), true)
		s.answers(got, 128+int(syscall.SIGTERM), 25*time.Second)
	})
}

func TestAppServerBehindAShellLosesItsRequestUnderTini(t *testing.T) {
	t.Parallel()
	each(t, appServers, func(t *testing.T, a appServer) {
		s, got := a.inFlight(t, tini, true)
		s.loses(got)
	})
}

// It has one worker, since its master forgets to end those that are not ready.
const uwsgi = "uwsgi --plugin python3 --master --processes 1 --http-socket 127.0.0.1:80 --wsgi-file slow.py --callable wsgi"

// uWSGI's master obeys TERM by this hook, as long as its workers are not told.
var taughtUWSGI = appServer{
	command: uwsgi + " --hook-master-start 'unix_signal:15 gracefully_kill_them_all'",
	ready:   "spawned uWSGI worker",
	workers: 1,
}

func TestUWSGIAnswersItsRequest(t *testing.T) {
	t.Parallel()
	s, got := taughtUWSGI.inFlight(t, stopping("30s"), false)
	s.answers(got, 0, 25*time.Second)
}

func TestUWSGILosesItsRequestWhenItsGroupIsTold(t *testing.T) {
	t.Parallel()
	s, got := taughtUWSGI.inFlight(t, []string{"tini", "-g", "--"}, false)
	s.loses(got)
}

// Without that hook no signal has uWSGI answer what it has. It need not: the
// drain waits until nobody waits for an answer.
var untaughtUWSGI = map[string]appServer{
	"reloads at TERM": {command: uwsgi, ready: "spawned uWSGI worker", workers: 1,
		options: []string{"--stop-signal", "QUIT", "--hook-timeout", "8s", "--pre-stop", "drain:80"}},
	"ends at TERM": {command: uwsgi + " --die-on-term", ready: "spawned uWSGI worker", workers: 1,
		options: []string{"--hook-timeout", "8s", "--pre-stop", "drain:80"}},
}

func TestUntaughtUWSGIAnswersItsRequest(t *testing.T) {
	t.Parallel()
	each(t, untaughtUWSGI, func(t *testing.T, a appServer) {
		s, got := a.inFlight(t, stopping("30s", a.options...), false)
		s.answers(got, 0, 25*time.Second)
	})
}

func TestUntaughtUWSGILosesItsRequestUnderTini(t *testing.T) {
	t.Parallel()
	each(t, untaughtUWSGI, func(t *testing.T, a appServer) {
		s, got := a.inFlight(t, tini, false)
		s.loses(got)
	})
}
