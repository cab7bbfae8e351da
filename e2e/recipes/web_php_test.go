package recipes

import (
	"os"
	"testing"
	"time"
)

// phpInFlight starts nginx, PHP-FPM behind it in a space of its own, as they
// are the two containers of a pod, and a request that a PHP script has.
func phpInFlight(t *testing.T, setup string, init []string) (*space, <-chan answer) {
	t.Helper()
	need(t, init[0], "nginx", "php-fpm8.2")
	n, dir := newNetwork(t), folder(t)
	if err := os.CopyFS(dir, os.DirFS("testdata/web")); err != nil {
		t.Fatal(err)
	}
	begin(t, options{network: n, dir: dir, setup: inPlace}, append(stopping("20s", "--stop-signal", "QUIT"), "nginx")...)
	php := begin(t, options{network: n, dir: dir, setup: "mount --bind . /srv; " + setup},
		append(init, "php-fpm8.2", "--fpm-config", "php-fpm.conf")...)
	n.await("127.0.0.1:80")
	n.await("127.0.0.1:9000")
	got := n.get("http://127.0.0.1:80/slow.php")
	php.Out.await("app: asked", 1)
	return php, got
}

func TestPHPAnswersItsRequest(t *testing.T) {
	t.Parallel()
	php, got := phpInFlight(t, "", stopping("20s", "--stop-signal", "QUIT"))
	php.answers(got, 0, 8*time.Second)
}

func TestPHPLosesItsRequestUnderTini(t *testing.T) {
	t.Parallel()
	php, got := phpInFlight(t, "", tini)
	php.loses(got)
}

func TestPHPLosesItsRequestWithoutTheOption(t *testing.T) {
	t.Parallel()
	php, got := phpInFlight(t, "", stopping("20s"))
	php.loses(got)
}

// QUIT is not all that it takes: by default PHP-FPM gives its children no time.
func TestPHPLosesItsRequestWithoutItsOwnTimeout(t *testing.T) {
	t.Parallel()
	php, got := phpInFlight(t, "sed -i /process_control_timeout/d php-fpm.conf", stopping("20s", "--stop-signal", "QUIT"))
	php.loses(got)
}
