package recipes

import (
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// compiled is where the class of testdata/app/Server.java is.
var compiled = sync.OnceValues(func() (string, error) {
	compiler := exec.Command("javac", "-d", shared, "testdata/app/Server.java")
	if output, err := compiler.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot compile Server.java: %w\n%s", err, output)
	}
	return shared, nil
})

// javaServer starts it under an init.
func javaServer(t *testing.T, handOver string, init ...string) (*network, *space) {
	t.Helper()
	need(t, init[0], "java", "javac")
	classes, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	n := newNetwork(t)
	s := begin(t, options{network: n}, append(init,
		"java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-cp", classes, "Server", handOver)...)
	n.await("127.0.0.1:80")
	return n, s
}

// late tells the server to stop when it has a request, and asks for another
// before the balancer that it is behind could know.
func late(n *network, s *space) (told time.Time, first, second <-chan answer) {
	first = n.get("http://127.0.0.1:80/")
	s.Out.await("app: asked", 1)
	told = s.send(syscall.SIGTERM)
	<-time.After(time.Second)
	return told, first, n.get("http://127.0.0.1:80/")
}

func TestLateRequestIsAnsweredBehindADelay(t *testing.T) {
	t.Parallel()
	n, s := javaServer(t, "0", stopping("10s", "--pre-stop", "sleep:2s")...)
	told, first, second := late(n, s)
	s.answered(first)
	s.answered(second)
	if code := s.wait(bound); code != 128+int(syscall.SIGTERM) {
		t.Errorf("exit code %d, want that of a JVM at TERM, 143", code)
	}
	s.took(told, 2900*time.Millisecond, 8*time.Second)
}

func TestLateRequestIsLostUnderTini(t *testing.T) {
	t.Parallel()
	n, s := javaServer(t, "0", tini...)
	_, first, second := late(n, s)
	s.answered(first)
	if a := <-second; a.whole() {
		t.Error("the late request is answered: the test above proves nothing any more")
	}
}

// A hook that hangs costs the server none of the time that it is sure of: of
// 10 s the hook has at most 4, the server at least 4.
func TestHangingHookLeavesTheServerItsTime(t *testing.T) {
	t.Parallel()
	_, s := javaServer(t, "3000", stopping("10s", "--hook-timeout", "60s", "--pre-stop", "sleep 60")...)
	told := s.send(syscall.SIGTERM)
	if code := s.wait(bound); code != 128+int(syscall.SIGTERM) {
		t.Errorf("exit code %d, want that of a JVM at TERM, 143", code)
	}
	if !strings.Contains(s.Out.String(), "app: handed over") {
		t.Error("its work is lost")
	}
	s.took(told, 6*time.Second, 9500*time.Millisecond)
}

// The same made of a shell and tini: the hook has all of the time, until the
// platform kills.
func TestHangingHookCostsTheServerItsWorkUnderTini(t *testing.T) {
	t.Parallel()
	_, s := javaServer(t, "3000", "tini", "--", "sh", "-c", `
		trap 'sleep 60; kill -TERM $server; wait $server' TERM
		"$@" & server=$!
		wait`, "sh")
	s.send(syscall.SIGTERM)
	select {
	case <-s.over:
	case <-time.After(10 * time.Second):
		s.send(syscall.SIGKILL)
		s.wait(bound)
	}
	if strings.Contains(s.Out.String(), "app: handed over") {
		t.Error("its work is done: the test above proves nothing any more")
	}
}
