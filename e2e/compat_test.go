package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A dockerd is one of our own, with a socket and folders of its own, whose
// docker run --init runs exeunt.
type dockerd struct {
	t    *testing.T
	host string
	err  *transcript
}

// userland is what the image holds, with the libraries it needs.
var userland = []string{"sh", "cat", "ls", "env", "id", "sleep", "seq", "wc", "tr", "readlink", "setsid", "true", "false", "printf", "stat", "sort"}

const userImage = "userland"

// startDockerd starts the engine and loads its one image.
func startDockerd(t *testing.T) *dockerd {
	t.Helper()
	needRoot(t)
	need(t, append([]string{"dockerd", "docker", "ldd"}, userland...)...)
	// Not the test's own folder: a socket's path is short.
	dir, err := os.MkdirTemp("", "exeunt-dockerd-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	init := filepath.Join(dir, "docker-init")
	if output, err := exec.Command("cp", exeunt, init).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	d := &dockerd{t: t, host: "unix://" + dir + "/socket", err: newTranscript(t)}
	config := filepath.Join(dir, "daemon.json")
	if err := os.WriteFile(config, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("dockerd", "--host", d.host, "--data-root", dir+"/data", "--exec-root", dir+"/run",
		"--pidfile", dir+"/pid", "--config-file", config, "--init-path", init,
		"--bridge", "none", "--iptables=false", "--ip6tables=false", "--storage-driver", "vfs")
	output := d.err.pipe()
	command.Stdout, command.Stderr = output, output
	command.Env = environment()
	// --bridge none deletes docker0: in a network of its own that is not the
	// bridge of the machine's engine.
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	output.Close()
	over := make(chan struct{})
	go func() {
		command.Wait()
		close(over)
	}()
	t.Cleanup(func() {
		command.Process.Signal(syscall.SIGTERM)
		select {
		case <-over:
		case <-time.After(bound):
			command.Process.Kill()
			t.Errorf("dockerd does not end; it said\n%s", d.err)
		}
	})
	poll(t, "dockerd answers", func() bool {
		select {
		case <-over:
			t.Fatalf("dockerd has ended; it said\n%s", d.err)
		default:
		}
		return exec.Command("docker", "-H", d.host, "version").Run() == nil
	})
	d.load(dir)
	return d
}

// load makes an image of this machine's programs.
func (d *dockerd) load(dir string) {
	d.t.Helper()
	root := filepath.Join(dir, "root")
	const script = `set -e
mkdir -p "$0/tmp" "$0/bin" "$0/sbin" "$0/etc"
chmod 1777 "$0/tmp"
for path; do
	cp -L "$path" "$0/bin/${path##*/}"
	for library in $(ldd "$path" | grep -o '/[^ ]*'); do
		mkdir -p "$0/$(dirname "$library")"
		cp -L "$library" "$0/$library"
	done
done
tar -C "$0" -c . | docker -H "$HOST" import - "$IMAGE"`
	arguments := []string{"-c", script, root}
	for _, program := range userland {
		path, err := exec.LookPath(program)
		if err != nil {
			d.t.Fatal(err)
		}
		arguments = append(arguments, path)
	}
	command := exec.Command("sh", arguments...)
	command.Env = append(environment(), "HOST="+d.host, "IMAGE="+userImage)
	if output, err := command.CombinedOutput(); err != nil {
		d.t.Fatalf("cannot make the image: %v\n%s", err, output)
	}
}

// docker runs the docker command and returns the exit code and what it printed.
func (d *dockerd) docker(stdin string, arguments ...string) (code int, stdout, stderr string) {
	d.t.Helper()
	command := exec.Command("docker", append([]string{"-H", d.host}, arguments...)...)
	var out, errors strings.Builder
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(stdin), &out, &errors
	if err := command.Run(); command.ProcessState == nil {
		d.t.Fatal(err)
	}
	return command.ProcessState.ExitCode(), out.String(), errors.String()
}

// run is docker run --init.
func (d *dockerd) run(stdin, flags string, program ...string) (code int, stdout, stderr string) {
	d.t.Helper()
	arguments := append([]string{"run", "--rm", "--init", "--network", "none"}, strings.Fields(flags)...)
	return d.docker(stdin, append(append(arguments, userImage), program...)...)
}

func TestDockerdRunsUsAsItsInit(t *testing.T) {
	d := startDockerd(t)
	if _, version, _ := d.run("", "", "/sbin/docker-init", "--version"); !strings.HasPrefix(version, "tini version ") || !strings.Contains(version, "exeunt") {
		t.Fatalf("the init is %q", version)
	}
	if _, info, _ := d.docker("", "info", "--format", "{{.InitCommit.ID}} {{.InitBinary}}"); !strings.Contains(info, "docker-init") {
		t.Errorf("docker info: %q", info)
	}
	for _, c := range []struct {
		name, flags, stdin string
		program            []string
		code               int
		stdout             string
	}{
		{name: "true", program: []string{"true"}},
		{name: "false", program: []string{"false"}, code: 1},
		{name: "exit code", program: []string{"sh", "-c", "exit 37"}, code: 37},
		{name: "its own letters", program: []string{"seq", "-s", ",", "3"}, stdout: "1,2,3\n"},
		{name: "ls -d", program: []string{"ls", "-d", "/bin"}, stdout: "/bin\n"},
		{name: "stdin", flags: "-i", stdin: "a b\n", program: []string{"cat"}, stdout: "a b\n"},
		{name: "pipeline", program: []string{"sh", "-c", "seq 1000 | sort -r | wc -l"}, stdout: "1000\n"},
		{name: "variable", flags: "-e A=1", program: []string{"sh", "-c", "echo $A"}, stdout: "1\n"},
		{name: "user", flags: "--user 1234:5", program: []string{"id", "-u"}, stdout: "1234\n"},
		{name: "folder", flags: "-w /tmp", program: []string{"sh", "-c", "pwd"}, stdout: "/tmp\n"},
		{name: "not there", program: []string{"/none"}, code: 127},
		{name: "a folder", program: []string{"/etc"}, code: 126},
		{name: "dies of TERM", program: []string{"sh", "-c", "kill -TERM $$"}, code: 143},
		{name: "dies of KILL", program: []string{"sh", "-c", "kill -KILL $$"}, code: 137},
		{name: "PID 1 is the init", program: []string{"readlink", "/proc/1/exe"}, stdout: "/sbin/docker-init\n"},
		{name: "parent is PID 1", program: []string{"sh", "-c", "echo $PPID"}, stdout: "1\n"},
		{name: "read-only", flags: "--read-only", program: []string{"printf", "%s-", "a", "b"}, stdout: "a-b-"},
		{name: "no capabilities", flags: "--cap-drop ALL --security-opt no-new-privileges", program: []string{"sh", "-c", "exit 3"}, code: 3},
		{name: "twenty processes", flags: "--pids-limit 20", program: []string{"sh", "-c", "exit 4"}, code: 4},
		{name: "terminal", flags: "-t", program: []string{"sh", "-c", "test -t 0 && test -t 1"}},
		{name: "orphans are collected", program: []string{"sh", "-c", orphans}, stdout: "no zombies\n"},
		{name: "a variable of tini's", flags: "-e TINI_VERBOSITY=0", program: []string{"sh", "-c", "exit 5"}, code: 5},
		{name: "a variable of ours", flags: "-e EXEUNT_EXIT_CODES=6=0", program: []string{"sh", "-c", "exit 6"}},
		{name: "stray has time", program: []string{"sh", "-c", stray}, code: 7, stdout: "saved\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := d.run(c.stdin, c.flags, c.program...)
			if code != c.code || stdout != c.stdout {
				t.Errorf("exit code %d and %q, want %d and %q; stderr %q", code, stdout, c.code, c.stdout, stderr)
			}
		})
	}
	t.Run("stop", d.stops)
}

const (
	orphans = `i=0; while [ $i -lt 50 ]; do (true &); i=$((i+1)); done
n=0; while [ $n -lt 500 ]; do
	cat /proc/[0-9]*/stat 2>/dev/null | tr '\n' ';' >/tmp/all
	case $(cat /tmp/all) in *") Z "*) n=$((n+1)); sleep 0.01;; *) echo no zombies; exit;; esac
done; echo zombies`
	stray = `setsid sh -c 'trap "sleep 0.3; echo saved; exit" TERM; echo >/tmp/ready; while :; do sleep 0.05; done' &
while [ ! -e /tmp/ready ]; do sleep 0.01; done; exit 7`
)

// stops is docker stop, of programs that take it as programs do.
func (d *dockerd) stops(t *testing.T) {
	for _, c := range []struct {
		name, flags string
		program     []string
		code        int
		least, most time.Duration
		stdout      string
	}{
		{name: "sleep", program: []string{"sh", "-c", "echo ready; exec sleep 300"}, code: 143, most: 5 * time.Second, stdout: "ready\n"},
		{name: "trap", program: []string{"sh", "-c", `trap "echo bye; exit 3" TERM; echo ready; while :; do sleep 0.1; done`}, code: 3, most: 5 * time.Second, stdout: "ready\nbye\n"},
		{name: "stop signal", flags: "--stop-signal INT", program: []string{"sh", "-c", `trap "exit 4" INT; echo ready; while :; do sleep 0.1; done`}, code: 4, most: 5 * time.Second, stdout: "ready\n"},
		{name: "stray", program: []string{"sh", "-c", `setsid sh -c 'trap "sleep 0.3; echo saved; exit" TERM; echo ready; while :; do sleep 0.05; done' & wait`},
			code: 143, most: 5 * time.Second, stdout: "ready\nsaved\n"},
		{name: "hook", flags: "-e EXEUNT_PRE_STOP=sleep:1s", program: []string{"sh", "-c", "echo ready; exec sleep 300"}, code: 143, least: time.Second, most: 6 * time.Second, stdout: "ready\n"},
		{name: "deaf, no grace period", flags: "--stop-timeout 3", program: []string{"sh", "-c", `trap "" TERM; echo ready; sleep 300`}, code: 137, least: 3 * time.Second, most: 8 * time.Second, stdout: "ready\n"},
		{name: "deaf, with one", flags: "-e EXEUNT_GRACE_PERIOD=3s", program: []string{"sh", "-c", `trap "" TERM; echo ready; sleep 300`}, code: 137, least: 2 * time.Second, most: 3 * time.Second, stdout: "ready\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			arguments := append([]string{"run", "-d", "--init", "--network", "none"}, strings.Fields(c.flags)...)
			_, id, stderr := d.docker("", append(append(arguments, userImage), c.program...)...)
			if id = strings.TrimSpace(id); id == "" {
				t.Fatalf("it does not start: %s", stderr)
			}
			logs := func() string { _, stdout, _ := d.docker("", "logs", id); return stdout }
			poll(t, "it is ready", func() bool { return strings.HasPrefix(logs(), "ready\n") })
			began := time.Now()
			d.docker("", "stop", id)
			took := time.Since(began)
			_, code, _ := d.docker("", "inspect", "--format", "{{.State.ExitCode}}", id)
			if strings.TrimSpace(code) != fmt.Sprint(c.code) || logs() != c.stdout || took < c.least || took > c.most {
				t.Errorf("exit code %s after %v, it printed %q; want %d after %v to %v, and %q",
					strings.TrimSpace(code), took, logs(), c.code, c.least, c.most, c.stdout)
			}
		})
	}
}
