package recipes

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// postgres is the path of one of its programs, which Debian keeps out of PATH.
func postgres(program string) string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + program)
	return strings.Join(found[:min(len(found), 1)], "")
}

// makeCluster makes an empty database cluster, of the user postgres.
var makeCluster = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(shared, "postgres")
	make := exec.Command("sh", "-ec", `
		chmod 711 "$(dirname "$1")"
		mkdir "$1"
		chown postgres "$1"
		exec setpriv --reuid postgres --regid postgres --clear-groups "$2" --no-sync --no-locale --auth trust --pgdata "$1/data"`,
		"sh", dir, postgres("initdb"))
	if output, err := make.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot make a cluster: %w\n%s", err, output)
	}
	return filepath.Join(dir, "data"), nil
})

// A cluster is a postgres of the test's own.
type cluster struct {
	*space
	dir string // its data, and its socket
}

// startPostgres starts one under an init, on a copy of an empty cluster.
func startPostgres(t *testing.T, init ...string) *cluster {
	t.Helper()
	if postgres("postgres") == "" {
		need(t, "postgres") // skips, or fails
	}
	need(t, init[0])
	empty, err := makeCluster()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(folder(t), "data")
	if output, err := exec.Command("cp", "-a", empty, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	c := &cluster{dir: dir}
	c.space = begin(t, options{}, append(expandAll(init, "DIR", dir), postgres("postgres"), "-D", dir,
		"-c", "listen_addresses=", "-c", "unix_socket_directories="+dir, "-c", "autovacuum=off", "-c", "fsync=off",
		"-c", "bgwriter_lru_maxpages=0", "-c", "log_checkpoints=on", "-c", "lc_messages=C")...)
	c.Out.await("ready to accept connections", 1)
	return c
}

// expandAll replaces a word in all of the texts.
func expandAll(texts []string, from, to string) (all []string) {
	for _, text := range texts {
		all = append(all, strings.ReplaceAll(text, from, to))
	}
	return all
}

// psql is a client's command line.
func psql(dir string, arguments ...string) []string {
	return append([]string{postgres("psql"), "-XqAt", "-h", dir, "-U", "postgres", "-d", "postgres"}, arguments...)
}

func (c *cluster) query(sql string) string {
	c.t.Helper()
	command := psql(c.dir, "-c", sql)
	output, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	if err != nil {
		c.t.Fatalf("%s: %v\n%s", sql, err, output)
	}
	return strings.TrimSpace(string(output))
}

// connect leaves a client in the middle of a transaction, as every pool does
// now and then.
func (c *cluster) connect() {
	c.t.Helper()
	command := psql(c.dir)
	client := exec.Command(command[0], command[1:]...)
	commands, err := client.StdinPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	out := newTranscript(c.t)
	output := out.pipe()
	client.Stdout, client.Stderr = output, output
	err = client.Start()
	output.Close()
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		commands.Close()
		client.Process.Kill()
		client.Wait()
	})
	io.WriteString(commands, "BEGIN;\nSELECT 'con' || 'nected';\n")
	out.await("connected", 1)
}

// state is what the data on disk say of how the server ended.
func (c *cluster) state() string {
	c.t.Helper()
	control := exec.Command(postgres("pg_controldata"), c.dir)
	control.Env = append(os.Environ(), "LC_ALL=C")
	output, err := control.CombinedOutput()
	if err != nil {
		c.t.Fatalf("%v: %s", err, output)
	}
	_, after, _ := strings.Cut(string(output), "Database cluster state:")
	state, _, _ := strings.Cut(after, "\n")
	return strings.TrimSpace(state)
}

// forPostgres is exeunt with what a postgres wants: to run as a user of its
// own, and INT, its fast shutdown. TERM would have it wait for all clients.
func forPostgres(flags ...string) []string {
	return stopping("10s", append(flags, "--user", "postgres", "--stop-signal", "INT")...)
}

func TestPostgresShutsDownWithAClientConnected(t *testing.T) {
	t.Parallel()
	c := startPostgres(t, forPostgres()...)
	c.connect()
	told := c.send(syscall.SIGTERM)
	if code := c.wait(bound); code != 0 {
		t.Errorf("exit code %d, want postgres's own, 0", code)
	}
	c.took(told, 0, 4*time.Second)
	inOrder(t, c.Out.String(), "received fast shutdown request", "database system is shut down")
	if state := c.state(); state != "shut down" {
		t.Errorf("the cluster is %q, want shut down", state)
	}
}

// The control: at TERM postgres waits for a client that does not leave, until
// the platform kills it, and has to recover at its next start.
func TestPostgresWaitsForItsClientUnderTini(t *testing.T) {
	t.Parallel()
	c := startPostgres(t, append(tini, "setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups")...)
	c.connect()
	c.send(syscall.SIGTERM)
	select {
	case <-c.over:
		t.Error("it is gone: the test above proves nothing any more")
	case <-time.After(5 * time.Second):
	}
	c.send(syscall.SIGKILL)
	c.wait(bound)
	if state := c.state(); state != "in production" {
		t.Errorf("the cluster is %q, as if it had been shut down", state)
	}
}

// written are the numbers of buffers that the checkpoints have written.
func written(log string) (all []int) {
	for _, match := range regexp.MustCompile(`checkpoint complete: wrote (\d+) buffers`).FindAllStringSubmatch(log, -1) {
		n, _ := strconv.Atoi(match[1])
		all = append(all, n)
	}
	return all
}

// stopLoaded stops a postgres that has much to write, and returns what it wrote
// in which checkpoint.
func stopLoaded(t *testing.T, flags ...string) (log string, buffers []int) {
	t.Helper()
	c := startPostgres(t, forPostgres(flags...)...)
	c.query("CREATE TABLE t (n int)")
	c.query("INSERT INTO t SELECT generate_series(1, 200000)")
	c.send(syscall.SIGTERM)
	if code := c.wait(bound); code != 0 {
		t.Errorf("exit code %d, want postgres's own, 0", code)
	}
	return c.Out.String(), written(c.Out.String())
}

// The hook saves while the clients are still served, so that the shutdown, when
// they are not, is short.
func TestPostgresSavesBeforeItIsTold(t *testing.T) {
	t.Parallel()
	log, buffers := stopLoaded(t, "--pre-stop", fmt.Sprintf("%s -XqAt -h DIR -U postgres -d postgres -c CHECKPOINT", postgres("psql")))
	inOrder(t, log, "stopping, grace period", "checkpoint complete", "received fast shutdown request", "checkpoint complete", "database system is shut down")
	if len(buffers) != 2 || buffers[0] < 500 || buffers[1] > 50 {
		t.Errorf("the hook's checkpoint and the last one wrote %d buffers, want at least 500 and at most 50", buffers)
	}
}

// The control.
func TestPostgresWithoutTheHookSavesWhenItIsTold(t *testing.T) {
	t.Parallel()
	_, buffers := stopLoaded(t)
	if len(buffers) != 1 || buffers[0] < 500 {
		t.Errorf("the last checkpoint wrote %d buffers: the test above proves nothing any more", buffers)
	}
}
