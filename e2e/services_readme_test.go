package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// answered fails the test unless the request gets its answer.
func answered(t *testing.T, got <-chan string, want string) {
	t.Helper()
	if answer := <-got; answer != want {
		t.Errorf("the request is lost: %q", answer)
	}
}

// The app is not started before its database answers; at TERM it drains, is
// asked to the last, and what it held is given back.
func TestReadmeAppWithHooks(t *testing.T) {
	t.Parallel()
	need(t, "python3", "curl")
	c := services(t, readmeFile(t, "one app and its hooks"), "", nil)
	c.awaitStatus("starting")
	c.awaitStatus("web waiting")
	database := c.exec("python3", "-m", "http.server", "5432", "--bind", "127.0.0.1")
	before := time.Now()
	if err := database.Start(); err != nil {
		t.Fatal(err)
	}
	c.awaitStatus("ready")
	c.do("touch", "/run/my-server.lease")
	got := c.asking("http://127.0.0.1:8080/slow")
	c.Out.await("asked")
	c.send(syscall.SIGTERM)
	answered(t, got, "hello\n")
	r := c.over(bound)
	database.Wait()
	r.unhurt(t)
	if r.Code != 0 {
		t.Errorf("exit code %d", r.Code)
	}
	web := r.service(t, "web")
	inOrder(t, "the start", before, web.Started)
	inOrder(t, "the stop", r.Began, web.Told, web.Ended)
	// Told to drain, and two seconds for the balancer.
	if took := web.Told.Sub(r.Began); took < 2*time.Second {
		t.Errorf("stopped after %v, before its hooks were done", took)
	}
	ran := 0
	for _, h := range r.Hooks {
		if h.Err != "" || h.Ended.IsZero() {
			t.Errorf("hook %s: %+v", h.Name, h)
		}
		if !strings.Contains(h.ID, "healthcheck") {
			ran++
		}
	}
	if ran != 5 {
		t.Errorf("%d hooks, want 5: %+v", ran, r.Hooks)
	}
	if printed := c.Out.String(); strings.Count(printed, "draining") != 1 {
		t.Error("it was not told to drain once")
	}
}

const webSetup = `
cp $FILES/nginx.conf $FILES/php-fpm.conf .
ln -s /usr/sbin/php-fpm8.2 php-fpm.real
printf '#!/bin/sh\nexec ./php-fpm.real --fpm-config php-fpm.conf "$@"\n' >php-fpm
chmod +x php-fpm
mount --bind nginx.conf /etc/nginx/nginx.conf
mount --bind $FILES /srv
`

// readmeWeb starts the second file, and waits until it serves a page.
func readmeWeb(t *testing.T) *crew {
	t.Helper()
	need(t, "nginx", "php-fpm8.2", "curl")
	c := services(t, readmeFile(t, "nginx and PHP-FPM"), webSetup, nil)
	c.awaitStatus("ready")
	poll(t, "a page", func() bool { return c.get("http://127.0.0.1/page.php") == "hello\n" })
	return c
}

func TestReadmeNginxAndPHPLoseNoRequest(t *testing.T) {
	t.Parallel()
	c := readmeWeb(t)
	got := c.asking("http://127.0.0.1/slow.php")
	c.Out.await("app: asked")
	c.send(syscall.SIGTERM)
	answered(t, got, "hello\n")
	r := c.over(bound)
	r.unhurt(t)
	if r.Code != 0 {
		t.Errorf("exit code %d", r.Code)
	}
	php, nginx := r.service(t, "php-fpm"), r.service(t, "nginx")
	inOrder(t, "the start", php.Started, nginx.Started)
	inOrder(t, "the stop", r.Began, nginx.Told, nginx.Ended, php.Told, php.Ended)
}

// The control: told all at once by another init, the same request is lost.
func TestNginxAndPHPLoseTheirRequestUnderDumbInit(t *testing.T) {
	t.Parallel()
	need(t, "nginx", "php-fpm8.2", "curl", "dumb-init")
	c := &crew{dir: t.TempDir()}
	files, err := filepath.Abs("testdata/services")
	if err != nil {
		t.Fatal(err)
	}
	c.space = begin(t, options{dir: c.dir, env: []string{"FILES=" + files}}, "unshare", "--net", "sh", "-c",
		"set -e; ip link set lo up; mount -t tmpfs tmpfs /run"+webSetup+`exec dumb-init sh -c './php-fpm -F & exec nginx -g "daemon off;"'`)
	poll(t, "a page", func() bool { return c.get("http://127.0.0.1/page.php") == "hello\n" })
	got := c.asking("http://127.0.0.1/slow.php")
	c.Out.await("app: asked")
	c.send(syscall.SIGTERM)
	if answer := <-got; answer == "hello\n" {
		t.Error("the request is answered: the test above proves nothing any more")
	}
}

// A HUP from outside, and exeunt reload inside, have nginx read its file again
// while a request is on its way.
func TestReadmeNginxReloads(t *testing.T) {
	t.Parallel()
	c := readmeWeb(t)
	got := c.asking("http://127.0.0.1/slow.php")
	c.Out.await("app: asked")
	for _, reload := range []struct {
		word string
		call func()
	}{
		{"second", func() { c.send(syscall.SIGHUP) }},
		{"third", func() { c.do(exeunt, "reload", "nginx") }},
	} {
		path := filepath.Join(c.dir, "nginx.conf")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		words := strings.NewReplacer("first", reload.word, "second", reload.word).Replace(string(text))
		// In place: it is mounted.
		if err := os.WriteFile(path, []byte(words), 0o644); err != nil {
			t.Fatal(err)
		}
		reload.call()
		poll(t, "the new file", func() bool { return c.get("http://127.0.0.1/conf") == reload.word+"\n" })
	}
	c.do(exeunt, "reload", "php-fpm")
	c.Out.await("Reloading in progress")
	answered(t, got, "hello\n")
	poll(t, "a page", func() bool { return c.get("http://127.0.0.1/page.php") == "hello\n" })
	c.send(syscall.SIGTERM)
	r := c.over(bound)
	r.unhurt(t)
	for _, s := range r.Services {
		if s.Restarts != 0 || s.Code != 0 {
			t.Errorf("not reloaded but started again, or failed: %+v", s)
		}
	}
}

// databaseSetup gives the container a cluster where Debian's and Docker's
// images have theirs, and a postgres that takes its time.
const databaseSetup = `
mount -t tmpfs -o mode=755 tmpfs /var/lib/postgresql
mkdir /var/lib/postgresql/data /run/postgresql
chown postgres /var/lib/postgresql/data /run/postgresql
setpriv --reuid postgres --regid postgres --clear-groups $PG/initdb --no-sync --no-locale --auth trust -D /var/lib/postgresql/data >/dev/null
printf '#!/bin/sh\nsleep ${LATE:-0}\nexec $PG/postgres -c fsync=off "$@"\n' >postgres
chmod +x postgres
ln -s $PG/* .
cp $FILES/app.py $FILES/worker $FILES/schema.sql .
`

// readmeStack starts the third file.
func readmeStack(t *testing.T, setup string, env ...string) *crew {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(found) == 0 {
		lack(t, "postgres is not installed")
	}
	need(t, "gunicorn", "redis-server", "curl", "setpriv", "psql")
	file := readmeFile(t, "database, migration, web, workers, sidecar, cron")
	return services(t, file, strings.Replace(databaseSetup, "ln -s $PG/* .", "for p in $PG/*; do [ -e ${p##*/} ] || ln -s $p; done", 1)+setup,
		append([]string{"PG=" + found[0], "PGUSER=postgres", "PGDATABASE=postgres", "TZ=UTC"}, env...))
}

// All of it starts in its order, though the database comes two seconds late;
// the workers work, the timetable deletes, a killed sidecar comes back; and a
// request is answered while it stops.
func TestReadmeStack(t *testing.T) {
	t.Parallel()
	c := readmeStack(t, "", "LATE=2", "WORKERS=3", "CLEANUP=@every 2s")
	c.Out.awaitCount("works as ", 3)
	c.Out.await("Listening at") // each has its time, on a busy machine too
	c.awaitStatus("ready")
	poll(t, "the work", func() bool {
		return strings.Contains(c.do("psql", "-h", "/run/postgresql", "-U", "postgres", "-XqAt", "-c", "SELECT count(*) FROM work"), "0\n")
	})
	c.do("redis-cli", "set", "key", "value")
	if out, ok := c.try("redis-cli", "shutdown", "nosave"); !ok {
		t.Fatal(out)
	}
	poll(t, "another sidecar", func() bool { return strings.Contains(c.do(exeunt, "status", "cache"), "  yes  ") })
	got := c.asking("http://127.0.0.1:8000/slow")
	c.Out.await("asked")
	c.send(syscall.SIGTERM)
	if answer := <-got; !regexp.MustCompile("^[0-9]+\n$").MatchString(answer) { // pieces of work
		t.Errorf("the request is lost: %q", answer)
	}
	r := c.over(bound)
	r.unhurt(t)
	if r.Code != 0 {
		t.Errorf("exit code %d", r.Code)
	}
	db, migrate, web, cache := r.service(t, "db"), r.service(t, "migrate"), r.service(t, "web"), r.service(t, "cache")
	inOrder(t, "the start", db.Started.Add(2*time.Second), migrate.Started, migrate.Ended, web.Started)
	inOrder(t, "the stop of web", r.Began, web.Told, web.Ended, db.Told, db.Ended)
	for i := range 3 {
		worker := r.service(t, fmt.Sprintf("worker-%d", i+1))
		inOrder(t, "a worker", migrate.Ended, worker.Started, r.Began, worker.Told, worker.Ended, db.Told)
	}
	if cache.Restarts != 1 {
		t.Errorf("%d restarts of the sidecar, want 1", cache.Restarts)
	}
	if printed := c.Out.String(); strings.Count(printed, "left as ") != 3 {
		t.Error("not each worker finished what it had in hand")
	}
}

// What the migration says is what the container says, and nothing that needs it
// is started.
func TestReadmeMigrationThatFailsStopsTheStart(t *testing.T) {
	t.Parallel()
	c := readmeStack(t, "echo 'SELECT broken' >>schema.sql")
	r := c.over(bound)
	r.unhurt(t)
	if r.Code != 3 || r.Reason != "failure" { // psql's for a failed script
		t.Errorf("exit code %d of a %s, want the migration's, 3", r.Code, r.Reason)
	}
	for _, name := range []string{"web", "worker-1", "worker-2"} {
		if s := r.service(t, name); s.PID != 0 {
			t.Errorf("%s was started", name)
		}
	}
	if db := r.service(t, "db"); db.Code != 0 || db.Told.IsZero() {
		t.Errorf("the database was not stopped in order: %+v", db)
	}
}

// A script that passes nothing on: its server is told and answers, its daemon
// saves, and it ends with a code that is no failure.
func TestReadmeLegacyScript(t *testing.T) {
	t.Parallel()
	need(t, "python3", "redis-server", "redis-cli", "curl")
	c := services(t, readmeFile(t, "a shell script that starts servers"), `
		mount -t tmpfs tmpfs /opt
		mkdir /opt/legacy
		cp $FILES/start.sh /opt/legacy`, nil)
	c.awaitStatus("ready")
	c.Out.await("serving")
	poll(t, "redis", func() bool { out, _ := c.try("redis-cli", "set", "key", "value"); return out == "OK\n" })
	got := c.asking("http://127.0.0.1:8080/slow")
	c.Out.await("asked")
	c.send(syscall.SIGTERM)
	answered(t, got, "hello\n")
	r := c.over(bound)
	r.unhurt(t)
	if r.Code != 0 {
		t.Errorf("exit code %d", r.Code)
	}
	if printed := c.Out.String(); strings.Count(printed, "told\n") != 1 || !strings.Contains(printed, "left\n") {
		t.Error("the server was not told once, or did not leave")
	}
	if _, err := os.Stat(filepath.Join(c.dir, "dump.rdb")); err != nil {
		t.Errorf("the daemon has not saved: %v", err)
	}
	if len(r.Hooks) != 1 || r.Hooks[0].Err != "" {
		t.Errorf("the PID file was not removed: %+v", r.Hooks)
	}
}
