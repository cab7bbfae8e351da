package recipes

import (
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A redis that is told to save nothing by itself, as many are.
type redis struct {
	*space
	socket string
}

// startRedis starts one under an init, with its data in dir.
func startRedis(t *testing.T, dir string, init ...string) *redis {
	t.Helper()
	need(t, init[0], "redis-server", "redis-cli")
	r := &redis{socket: filepath.Join(dir, "socket")}
	r.space = begin(t, options{dir: dir}, append(init,
		"redis-server", "--port", "0", "--unixsocket", r.socket, "--dir", dir, "--save", "")...)
	r.Out.await("accept connections at", 1)
	return r
}

func (r *redis) order(words ...string) string {
	r.t.Helper()
	output, err := exec.Command("redis-cli", append([]string{"-s", r.socket}, words...)...).CombinedOutput()
	if err != nil {
		r.t.Fatalf("redis-cli %q: %v\n%s", words, err, output)
	}
	return strings.TrimSpace(string(output))
}

// survives stops a redis that was given a value, starts it again, and returns
// what it knows of it.
func survives(t *testing.T, init ...string) string {
	t.Helper()
	dir := folder(t)
	first := startRedis(t, dir, init...)
	first.order("set", "key", "precious")
	first.send(syscall.SIGTERM)
	if code := first.wait(bound); code != 0 {
		t.Errorf("exit code %d, want redis's own, 0", code)
	}
	return startRedis(t, dir, init...).order("get", "key")
}

func TestRedisIsSavedByAHook(t *testing.T) {
	t.Parallel()
	if value := survives(t, stopping("10s", "--pre-stop", "redis-cli -s socket save")...); value != "precious" {
		t.Errorf("redis knows %q after its restart, want what it was given", value)
	}
}

// The control.
func TestRedisIsLostUnderTini(t *testing.T) {
	t.Parallel()
	if value := survives(t, tini...); value != "" {
		t.Errorf("redis knows %q: the test above proves nothing any more", value)
	}
}
