package recipes

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// makeMaria makes the data of a mariadb without a table of its own, of the user
// nobody.
var makeMaria = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(shared, "mariadb")
	make := exec.Command("sh", "-ec", `
		chmod 711 "$(dirname "$1")"
		mkdir "$1"
		chown nobody "$1"
		exec mariadb-install-db --no-defaults --datadir="$1" --user=nobody --auth-root-authentication-method=normal --skip-test-db`,
		"sh", dir)
	if output, err := make.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot make a database: %w\n%s", err, output)
	}
	return dir, nil
})

// A maria is a mariadb of the test's own.
type maria struct {
	*space
	dir string // its data, and its socket
}

func newMariaDir(t *testing.T) string {
	t.Helper()
	need(t, "mariadbd", "mariadb", "mariadb-install-db")
	empty, err := makeMaria()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(folder(t), "data")
	if output, err := exec.Command("cp", "-a", empty, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	return dir
}

func startMaria(t *testing.T, dir string, init ...string) *maria {
	t.Helper()
	need(t, init[0])
	m := &maria{dir: dir}
	m.space = begin(t, options{dir: dir}, append(init, "mariadbd", "--no-defaults", "--user=nobody", "--datadir="+dir,
		"--socket="+dir+"/socket", "--skip-networking")...)
	m.Out.await("ready for connections", 1)
	return m
}

func (m *maria) query(sql string) string {
	m.t.Helper()
	output, err := exec.Command("mariadb", "--no-defaults", "-u", "root", "-S", m.dir+"/socket", "-BNe", sql).CombinedOutput()
	if err != nil {
		m.t.Fatalf("%s: %v\n%s", sql, err, output)
	}
	return strings.TrimSpace(string(output))
}

// fill makes a table that lives in memory alone, and one on disk for its rows.
func (m *maria) fill() {
	m.t.Helper()
	m.query("CREATE DATABASE d; CREATE TABLE d.hot (n INT) ENGINE=MEMORY; CREATE TABLE d.cold (n INT) ENGINE=InnoDB; INSERT INTO d.hot VALUES (1), (2), (3)")
}

// Fly.io and Nomad stop with INT, which mariadb ignores; and what it has in
// memory is gone if no hook saves it.
func TestMariaDBIsSavedByAHookAndEndsAtINT(t *testing.T) {
	t.Parallel()
	dir := newMariaDir(t)
	m := startMaria(t, dir, stopping("20s",
		"--pre-stop", `mariadb --no-defaults -u root -S socket -e "INSERT INTO d.cold SELECT n FROM d.hot"`)...)
	m.fill()
	m.send(syscall.SIGINT)
	if code := m.wait(bound); code != 0 {
		t.Errorf("exit code %d, want mariadb's own, 0", code)
	}
	inOrder(t, m.Out.String(), "pre-stop over", "told to stop", "Shutdown complete")
	again := startMaria(t, dir, stopping("20s")...)
	if rows := again.query("SELECT COUNT(*) FROM d.cold"); rows != "3" {
		t.Errorf("%s rows were saved, want 3", rows)
	}
}

// The control.
func TestMariaDBIgnoresINTAndLosesItsMemoryUnderTini(t *testing.T) {
	t.Parallel()
	dir := newMariaDir(t)
	m := startMaria(t, dir, tini...)
	m.fill()
	m.send(syscall.SIGINT)
	select {
	case <-m.over:
		t.Error("it ends at INT: the test above proves nothing any more")
	case <-time.After(3 * time.Second):
	}
	m.send(syscall.SIGTERM)
	m.wait(bound)
	again := startMaria(t, dir, tini...)
	if rows := again.query("SELECT (SELECT COUNT(*) FROM d.hot) + (SELECT COUNT(*) FROM d.cold)"); rows != "0" {
		t.Errorf("%s rows are left: the test above proves nothing any more", rows)
	}
}
