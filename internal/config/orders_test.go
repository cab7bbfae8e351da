package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"exeunt/signals"
	"exeunt/supervisor"
)

// ask reads a command line and shows what it asks for.
func ask(args string, env ...string) string {
	inv, err := Parse(strings.Fields(args), env, Host{})
	switch {
	case err != nil:
		return err.Error()
	case !inv.Verb.Asks():
		return fmt.Sprintf("%s %q", inv.Verb, inv.Plan.Services[0].Command.Args)
	}
	return fmt.Sprint(inv.Order, inv.Services, inv.Signal, inv.JSON, inv.Watch, inv.Control)
}

func TestVerbsAskARunningContainer(t *testing.T) {
	want := func(order supervisor.Order, services []string, signal signals.Signal, rest ...any) string {
		return fmt.Sprint(append([]any{order, services, signal}, rest...)...)
	}
	for args, want := range map[string]string{
		"status":                         want(supervisor.AskStatus, nil, 0, false, false, ""),
		"status --json web --watch db":   want(supervisor.AskStatus, []string{"web", "db"}, 0, true, true, ""),
		"status --control /run/c.sock":   want(supervisor.AskStatus, nil, 0, false, false, "/run/c.sock"),
		"--control=auto start web":       want(supervisor.AskStart, []string{"web"}, 0, false, false, "auto"),
		"stop web":                       want(supervisor.AskStop, []string{"web"}, 0, false, false, ""),
		"stop --all":                     want(supervisor.AskHalt, nil, 0, false, false, ""),
		"restart web db":                 want(supervisor.AskRestart, []string{"web", "db"}, 0, false, false, ""),
		"reload web":                     want(supervisor.AskReload, []string{"web"}, 0, false, false, ""),
		"signal HUP web":                 want(supervisor.AskSignal, []string{"web"}, signals.HUP, false, false, ""),
		"signal SIGUSR1 web db":          want(supervisor.AskSignal, []string{"web", "db"}, signals.USR1, false, false, ""),
		"prestop":                        want(supervisor.AskPreStop, nil, 0, false, false, ""),
		"-- status":                      `run ["status"]`,
		"-- stop --all":                  `run ["stop" "--all"]`,
		"run stop":                       `run ["stop"]`,
		"sleep status":                   `run ["sleep" "status"]`,
		"--http :9090 stop-it":           `run ["stop-it"]`,
		"stop":                           `stop what? Write "exeunt stop SERVICE", or "exeunt stop --all" to end the container`,
		"stop --all web":                 "stop --all is for the whole container and takes no service",
		"start":                          `start takes a service: write "exeunt start SERVICE"`,
		"restart":                        `restart takes a service: write "exeunt restart SERVICE"`,
		"reload --json web":              "--json is a flag of status",
		"start --all":                    "--all is a flag of stop",
		"--watch sleep":                  "--watch is a flag of status",
		"copy --control /x/y z":          "--control is no flag of copy",
		"status --quiet":                 "--quiet is no flag of status",
		"status --control off":           "--control: there is nobody to ask at a control socket that is off",
		"status --control of":            `--control: "of" is neither auto, off nor a path with a slash`,
		"status -- web":                  `status runs no program: what follows "--" is one`,
		"signal HUP":                     `signal takes a signal and a service: write "exeunt signal HUP SERVICE"`,
		"signal web HUP":                 `signal: unknown signal "web": want a name such as TERM, or a number from 1 to 64`,
		"prestop web":                    "prestop is for the whole container and takes no service",
		"--http 9090 sleep":              `--http: "9090" is not an address: write 127.0.0.1:9090, :9090 or unix:/run/http.sock`,
		"--http :0 sleep":                `--http: "0" is not a port`,
		"--http example.com:9090 sleep":  `--http: "example.com" is not an IP address`,
		"--http unix:x sleep":            `--http: "unix:x" is not unix: and a path with a slash`,
		"--http 127.0.0.1:65536 --x=1 x": `--http: "65536" is not a port`,
	} {
		if got := ask(args); got != want {
			t.Errorf("%s: %s, want %s", args, got, want)
		}
	}
	if got, want := ask("status", "EXEUNT_CONTROL=/dev/shm/c"), want(supervisor.AskStatus, nil, 0, false, false, "/dev/shm/c"); got != want {
		t.Errorf("by its variable: %s, want %s", got, want)
	}
}

// TestVerbsFindTheSocketThatTheFileNames has a file that is read where none is
// named, and others that are.
func TestVerbsFindTheSocketThatTheFileNames(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	byItself := Host{Config: file("itself.yaml", "control: /run/itself.sock\n")}
	named := file("named.yaml", "control: ${AT}/named.sock\nservices: {web: {comand: x}}\n")
	for _, c := range []struct {
		args, variable string
		host           Host
		want           string
	}{
		{"status", "", byItself, "/run/itself.sock"},
		{"status --control auto", "", byItself, "auto"},
		{"status", "EXEUNT_CONTROL=/run/variable.sock", byItself, "/run/variable.sock"},
		{"status -c " + named, "", byItself, "/run/named.sock"},
		{"prestop", "EXEUNT_CONFIG=" + named, byItself, "/run/named.sock"},
		{"prestop", "EXEUNT_CONFIG=control: /run/text.sock", byItself, "/run/text.sock"},
		{"stop web", "", Host{Config: filepath.Join(dir, "none.yaml")}, ""},
		{"stop web -c " + file("empty.yaml", ""), "", byItself, ""},
		{"status -c off.yaml", "EXEUNT_CONFIG=ignored", Host{}, `--config: cannot read "off.yaml": no such file or directory`},
		{"status -c " + dir, "", Host{}, "--config: cannot read " + strconv.Quote(dir) + ": is a directory"},
		{"status", "", Host{Config: file("off.yaml", "control: off\n")}, dir + "/off.yaml:1:1: control: there is nobody to ask at a control socket that is off"},
		{"status", "", Host{Config: file("of.yaml", "control: of\n")}, dir + `/of.yaml:1:10: control: "of" is neither auto, off nor a path with a slash`},
		{"status", "", Host{Config: file("text.yaml", "control: [\n")}, dir + "/text.yaml:1:10: sequence end token ']' not found"},
	} {
		inv, err := Parse(strings.Fields(c.args), []string{"AT=/run", c.variable}, c.host)
		got := fmt.Sprint(err)
		if err == nil {
			got = inv.Control
		}
		if got != c.want {
			t.Errorf("%s, %s: %s, want %s", c.args, c.variable, got, c.want)
		}
	}
}

func TestHTTPIsServedWhereItIsAskedFor(t *testing.T) {
	for arg, want := range map[string]string{
		":9090": ":9090", "127.0.0.1:80": "127.0.0.1:80", "[::1]:9090": "[::1]:9090", "localhost:9090": "127.0.0.1:9090", "unix:/run/h.sock": "unix:/run/h.sock",
	} {
		inv, err := Parse([]string{"--http", arg, "sleep"}, nil, Host{})
		if err != nil || inv.HTTP != want {
			t.Errorf("%s: %+v, %v, want %s", arg, inv, err, want)
		}
	}
}
