package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// outlookOf checks a file with flags and shows what is printed, and then the
// reasons.
func outlookOf(t *testing.T, text string, args ...string) string {
	t.Helper()
	inv, err := Parse(append([]string{"check"}, args...), []string{"EXEUNT_CONFIG=" + text}, docker)
	if err != nil || inv.Verb != Check {
		t.Fatalf("%v", err)
	}
	return inv.Text + strings.Join(append(inv.Unfit, ""), "\n")
}

func TestAPlanThatFitsIsShownInItsOrder(t *testing.T) {
	got := outlookOf(t, `
grace_period: 30s
hook_timeout: 2s
pre_stop: [{http: "http://127.0.0.1/drain", timeout: 3s}, ./deregister]
post_stop: [rm -f /x]
pre_start: {tcp: db:1, timeout: 9s}
post_start: [signal:USR1]
services:
  db: {command: db, healthcheck: {tcp: db:1}, stop_signal: INT, post_stop: [a]}
  migrate: {command: m, type: oneshot, depends_on: {db: {condition: service_healthy}}}
  web:
    command: w
    stop_signal: [QUIT 4s, TERM]
    depends_on: {db: {condition: service_started}, migrate: {condition: service_completed_successfully}}
    pre_stop: {sleep: 3s}
    replicas: 2
  backup: {command: b, schedule: "@yearly", concurrency: allow, environment: {TZ: UTC}, stop_grace_period: 1s}
`)
	want := fmt.Sprintf(`grace period   30s (EXEUNT_CONFIG:2:1), of which 1.5s are kept to be gone in time
stop signals   INT, TERM, PWR, RTMIN+3

start
  pre-start  tcp://db:1, at most 9s
  1  db
  2  migrate (db healthy)
  3  web × 2 (db started, migrate completed)
  post-start  signal:USR1, at most 0s
  by schedule  backup (next at %d-01-01 00:00:00 UTC)

stop           at most until
  pre-stop     14s
    hook  http://127.0.0.1/drain, at most 3s
    hook  ./deregister, at most 2s
    web × 2  sleep:3s, at most 3s
  stop         24s
    1  web × 2          QUIT 4s, TERM; killed at 13.333s
    1  backup           TERM; killed at 9s
    2  migrate          TERM; killed at 18.667s
    3  db               INT; killed at 24s
  terminate    27.15s    everyone else, then killed
  kill, flush  27.825s
  post-stop    28.5s
    db  a, at most 2s
    hook  rm -f /x, at most 2s

worst case     28.5s of 30s
`, time.Now().UTC().Year()+1)
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestAPlanThatCannotFitSaysWhy(t *testing.T) {
	for _, c := range []struct {
		text, args string
		want       []string
	}{
		{"grace_period: 10s\nservices: {w: {command: x}}", "", nil},
		{"services: {w: {command: x, stop_grace_period: 1h}}", "", nil}, // nobody said when the platform kills
		{"grace_period: 10s\nservices: {w: {command: x, stop_grace_period: 9s}}", "",
			[]string{"stop_grace_period of w: 8s of 9s fit into a grace period of 10s: shortened"}},
		{"services: {w: {command: x, stop_grace_period: 9s}}", "--grace-period=10s",
			[]string{"stop_grace_period of w: 8s of 9s fit into a grace period of 10s: shortened"}},
		{"grace_period: 10s\npre_stop: [{command: a, timeout: 3s}, {sleep: 3s}]\nservices: {w: {command: x}}", "",
			[]string{"pre-stop hooks: 4s of 6s fit into a grace period of 10s: shortened"}},
		{"pre_stop: [{sleep: 1m}]\nservices: {w: {command: x}}", "",
			[]string{"pre-stop hooks: 4s of 1m0s fit into a grace period of 10s: shortened"}},
		{"grace_period: 10s\nservices: {v: {command: x, pre_stop: {sleep: 3s}}, w: {command: x, pre_stop: {sleep: 5s}}}", "",
			[]string{"pre-stop hooks: 4s of 5s fit into a grace period of 10s: shortened"}},
		{"grace_period: 10s\npre_stop: [a, b, c, d]\nservices: {w: {command: x}}", "", nil}, // whose time is a default, which is cut
		{"grace_period: 10s\npost_stop: [{command: x, timeout: 2s}]\nservices: {w: {command: x}}", "",
			[]string{"post-stop hooks: 1.5s of 2s fit into a grace period of 10s: shortened"}},
		{"grace_period: 10s\npre_stop: [{sleep: 2s}]\nservices: {w: {command: x, stop_signal: [QUIT 7s, TERM]}}", "",
			[]string{"stop_signal of w: 6s of 7s fit into a grace period of 10s: shortened"}},
		{"grace_period: 10s\nservices: {w: {command: x, stop_signal: [QUIT 6s, TERM], stop_grace_period: 5s, replicas: 3}}", "",
			[]string{"stop_signal of w: 5s of 6s fit into a grace period of 10s: shortened"}},
		{"grace_period: 10s\nservices: {a: {command: x, stop_grace_period: 5s, depends_on: [b]}, b: {command: x}}", "",
			[]string{"stop_grace_period of a: 4s of 5s fit into a grace period of 10s: shortened"}},
		{"", "--grace-period=10s --hook-timeout=9s --pre-stop=a -- x",
			[]string{"--hook-timeout: 4s of 9s fit into a grace period of 10s: shortened", "pre-stop hooks: 4s of 9s fit into a grace period of 10s: shortened"}},
	} {
		inv, err := Parse(append([]string{"check"}, strings.Fields(c.args)...), []string{"EXEUNT_CONFIG=" + c.text + "\n# a file\n"}, docker)
		if err != nil || !slices.Equal(inv.Unfit, c.want) {
			t.Errorf("%q %s: %q, %v\nwant %q", c.text, c.args, inv.Unfit, err, c.want)
		}
	}
}

func TestACheckOfBadInputSaysWhatIsWrongWithIt(t *testing.T) {
	for _, c := range []struct {
		args, env string
		want      []string
	}{
		{"check", "", []string{`no command given: write "exeunt -- COMMAND [ARG...]", or try "exeunt help"`}},
		{"check --grace-period x -- y", "", []string{`--grace-period: "x" is not a duration: write 30s, 1m30s, 500ms or a number of seconds`}},
		{"check --nonsense", "", []string{`unknown flag --nonsense, see "exeunt help"`}},
		{"check --after 1s x", "", []string{`--after is a flag of rehearse: write "exeunt rehearse --after … -- COMMAND"`}},
		{"check x", "EXEUNT_CONFIG=log: xml\nnope: 1", []string{`EXEUNT_CONFIG:1:6: log: "xml" is neither auto, json nor console`,
			`EXEUNT_CONFIG:2:1: nope: unknown key, see "exeunt check --schema"`}},
	} {
		inv, err := Parse(strings.Fields(c.args), []string{c.env}, docker)
		if err != nil || inv.Verb != Check || inv.Text != "" || !slices.Equal(inv.Unfit, c.want) {
			t.Errorf("%s: %+v, %v", c.args, inv, err)
		}
	}
	if _, err := Parse([]string{"run", "--schema", "x"}, nil, docker); fmt.Sprint(err) != "--schema is a flag of check" {
		t.Errorf("%v", err)
	}
	if got := outlookOf(t, "report: ${NOPE}x\nservices: {w: {command: x}}"); !strings.HasPrefix(got, "warning        EXEUNT_CONFIG:1:9: report: the variable NOPE is not set, and taken as empty\n") {
		t.Errorf("%s", got)
	}
}

func TestManyServicesAreReadInNoTime(t *testing.T) {
	var b strings.Builder
	b.WriteString("grace_period: 30s\nservices:\n")
	for i := range 200 {
		fmt.Fprintf(&b, "  s%d:\n    command: [sleep, infinity]\n    stop_signal: [QUIT 1s, TERM]\n    healthcheck: {tcp: 127.0.0.1:%d}\n    environment: {A: \"%d\", B: $HOME}\n", i, i+1, i)
		if i >= 10 { // twenty layers, each of which depends on all of the one before
			b.WriteString("    depends_on: [")
			for j := range 10 {
				fmt.Fprintf(&b, "s%d,", (i/10-1)*10+j)
			}
			b.WriteString("]\n")
		}
	}
	began := time.Now()
	inv, err := inline(b.String())
	if err != nil || len(inv.Plan.Services) != 200 {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 20*time.Second { // not for ever, as it were if chains were counted
		t.Errorf("it took %v", took)
	}
	if got := len(foresee(inv.Plan, 0).below.tiers()); got != 20 {
		t.Errorf("%d tiers", got)
	}
	if _, err := inline("services: {w: {command: x, replicas: 256}, v: {command: x, replicas: 256}, u: {command: x, replicas: 256}, t: {command: x, replicas: 256}}"); err == nil ||
		!strings.Contains(err.Error(), "1024 services with their replicas: more than 1000") {
		t.Errorf("%v", err)
	}
}
