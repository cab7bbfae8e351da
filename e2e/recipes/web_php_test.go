package recipes

import (
	"testing"
	"time"
)

// atHome gives PHP-FPM its script where nginx says that it is.
const atHome = "mount --bind . /srv"

// askPHP sends a request through nginx that the script of PHP-FPM gets.
func askPHP(n *network, php *space) <-chan answer {
	n.await("127.0.0.1:9000")
	n.await("127.0.0.1:80")
	got := n.get("http://127.0.0.1:80/slow.php")
	php.Out.await("app: asked", 1)
	return got
}

// phpInFlight starts nginx, PHP-FPM in a space of its own, as they are the two
// containers of a pod, and a request.
func phpInFlight(t *testing.T, setup string, init []string) (*space, <-chan answer) {
	t.Helper()
	need(t, init[0], "nginx", "php-fpm8.2")
	n, dir := newNetwork(t), webFolder(t)
	begin(t, options{network: n, dir: dir, setup: inPlace}, append(stopping("20s", "--stop-signal", "QUIT"), "nginx")...)
	php := begin(t, options{network: n, dir: dir, setup: atHome + "; " + setup},
		append(init, "php-fpm8.2", "--fpm-config", "php-fpm.conf")...)
	return php, askPHP(n, php)
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

// together starts nginx and PHP-FPM in one space, and a request.
func together(t *testing.T, argv ...string) (*space, <-chan answer) {
	t.Helper()
	need(t, argv[0], "nginx", "php-fpm8.2")
	n := newNetwork(t)
	s := begin(t, options{network: n, dir: webFolder(t), setup: inPlace + "; " + atHome}, argv...)
	return s, askPHP(n, s)
}

func TestNginxAndPHPOfOneFileAnswerTheirRequest(t *testing.T) {
	t.Parallel()
	s, got := together(t, exeunt, "run", "-c", "exeunt.yaml")
	s.answers(got, 0, 8*time.Second)
}

func TestNginxAndPHPOfAShellLoseTheirRequestUnderTini(t *testing.T) {
	t.Parallel()
	s, got := together(t, "tini", "--", "sh", "-c", "php-fpm8.2 --fpm-config php-fpm.conf & exec nginx")
	s.loses(got)
}
