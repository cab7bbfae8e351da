package recipes

import (
	"os"
	"syscall"
	"testing"
	"time"
)

// stopping is how exeunt is called, with a grace period and other options.
func stopping(grace string, options ...string) []string {
	return append(append([]string{exeunt, "--grace-period", grace}, options...), "--")
}

// tini is the init that exeunt is compared with. It passes TERM on and leaves
// when its child has gone.
var tini = []string{"tini", "--"}

// webFolder is a copy of testdata/web.
func webFolder(t *testing.T) string {
	t.Helper()
	dir := folder(t)
	if err := os.CopyFS(dir, os.DirFS("testdata/web")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// answers sends TERM, and fails the test unless the request in flight is
// answered in full, and PID 1 then ends with this code, at most so long after.
func (s *space) answers(got <-chan answer, code int, most time.Duration) {
	s.t.Helper()
	s.answersAt(syscall.SIGTERM, got, code, most)
}

// answersAt is answers for another signal.
func (s *space) answersAt(sig syscall.Signal, got <-chan answer, code int, most time.Duration) {
	s.t.Helper()
	told := s.send(sig)
	s.answered(got)
	if is := s.wait(bound); is != code {
		s.t.Errorf("exit code %d, want %d", is, code)
	}
	s.took(told, 0, most)
}

// answered fails the test unless the request gets all of its answer.
func (s *space) answered(got <-chan answer) {
	s.t.Helper()
	if a := <-got; !a.whole() {
		s.t.Errorf("the request is lost: %+v", a)
	}
}

// loses sends TERM, and fails the test if the request in flight is answered.
func (s *space) loses(got <-chan answer) {
	s.t.Helper()
	s.send(syscall.SIGTERM)
	if a := <-got; a.whole() {
		s.t.Error("the request is answered: this test's counterpart proves nothing any more")
	}
}

// whole reports whether it is what each of our servers answers.
func (a answer) whole() bool { return a.Err == nil && a.Status == 200 && a.Body == "hello\n" }

// each runs a test for each recipe.
func each[R any](t *testing.T, recipes map[string]R, test func(*testing.T, R)) {
	for name, recipe := range recipes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, recipe)
		})
	}
}
