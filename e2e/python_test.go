package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sendThrice sends TERM three times, as a router or a restarted kubelet does.
func (s *space) sendThrice() time.Time {
	s.t.Helper()
	told := s.send(syscall.SIGTERM)
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for range 2 {
		<-again.C
		s.send(syscall.SIGTERM)
	}
	return told
}

func TestGunicornAnswersItsRequestHoweverOftenItIsTold(t *testing.T) {
	t.Parallel()
	need(t, "gunicorn")
	socket := filepath.Join(t.TempDir(), "http")
	s := begin(t, options{dir: "testdata"}, under("10s",
		"gunicorn", "--config", "slow.py", "--workers", "2", "--bind", "unix:"+socket, "slow:app")...)
	s.Out.awaitCount("app: ready", 2)
	answer := ask(socket)
	s.Out.await("app: asked")
	told := s.sendThrice()
	if code := s.wait(bound); code != 0 {
		t.Errorf("exit code %d, want gunicorn's own, 0", code)
	}
	if err := <-answer; err != nil {
		t.Errorf("the request is lost: %v", err)
	}
	s.took(told, 2*time.Second, 6*time.Second)
}

// celerySpace starts a Celery worker under an init, and a task that it will
// take 6 seconds for. It returns when the worker has that task.
func celerySpace(t *testing.T, init []string) (*space, *witness) {
	t.Helper()
	need(t, init[0], "celery")
	dir := t.TempDir()
	queue := "QUEUE=" + dir
	task := newWitness(t, t.TempDir(), "task")
	s := begin(t, options{dir: "testdata", env: []string{queue}}, append(init,
		"celery", "-A", "tasks", "worker", "--concurrency", "2", "--loglevel", "INFO",
		"--without-gossip", "--without-mingle", "--without-heartbeat")...)
	s.Out.await(" ready.")
	order := exec.Command("celery", "-A", "tasks", "call", "tasks.work", "--args", `["`+task.FIFO+`"]`)
	order.Dir, order.Env = "testdata", append(environment(), queue)
	if output, err := order.CombinedOutput(); err != nil {
		t.Fatalf("cannot order the task: %v\n%s", err, output)
	}
	task.await("begun")
	return s, task
}

func TestCeleryFinishesItsTaskHoweverOftenItIsTold(t *testing.T) {
	t.Parallel()
	s, task := celerySpace(t, under("15s"))
	told := s.sendThrice()
	if code := s.wait(bound); code != 0 {
		t.Errorf("exit code %d, want celery's own, 0", code)
	}
	task.end()
	task.told("begun", "done")
	s.took(told, 4*time.Second, 12*time.Second)
}

// An entrypoint without exec: the shell is gone at once, and what it leaves is
// told from the top, so that the pool is left to its master.
func TestCeleryBehindAShellFinishesItsTask(t *testing.T) {
	t.Parallel()
	s, task := celerySpace(t, under("30s", "sh", "-c", `"$@"; exit $?`, "sh"))
	s.send(syscall.SIGTERM)
	if code := s.wait(bound); code != 143 {
		t.Errorf("exit code %d, want the shell's, 143", code)
	}
	task.end()
	task.told("begun", "done")
}

// The control: a signal to the whole group ends the worker's pool, and with it
// the task.
func TestCeleryLosesItsTaskWhenItsGroupIsTold(t *testing.T) {
	t.Parallel()
	for _, peer := range []string{"tini -g", "dumb-init"} {
		t.Run(peer, func(t *testing.T) {
			s, task := celerySpace(t, peers[peer])
			s.send(syscall.SIGTERM)
			task.end()
			if strings.Contains(task.String(), "done") {
				t.Errorf("%s finishes the task: the test proves nothing any more", peer)
			}
		})
	}
}
