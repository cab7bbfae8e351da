package config

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestEveryMistakeIsOneLineWithItsPlace gives single mistakes; ^ marks the
// place that the line must name, and is taken out.
func TestEveryMistakeIsOneLineWithItsPlace(t *testing.T) {
	for text, want := range map[string]string{
		// Words that nobody knows.
		"^grace_perid: 5s":                          "grace_perid: unknown key, did you mean grace_period?",
		"^grace-period: 5s":                         "grace-period: unknown key, did you mean grace_period?",
		"^Services: {}":                             "Services: unknown key, did you mean services?",
		"^healthcheck: {}":                          "healthcheck: unknown key at the top of the file: it belongs to a service",
		"^volumes: {}":                              "volumes: unknown key: that is the container's own, exeunt runs processes in one",
		"^blah: 1":                                  `blah: unknown key, see "exeunt check --schema"`,
		"services: {w: {^comand: x}}":               "services.w.comand: unknown key, did you mean command?",
		"services: {w: {^entrypoint: x}}":           "services.w.entrypoint: unknown key, did you mean command?",
		"services: {w: {^numprocs: 2, command: x}}": "services.w.numprocs: unknown key, did you mean replicas?",
		"services: {w: {^image: x, command: x}}":    "services.w.image: unknown key: that is the container's own, exeunt runs processes in one",
		"services: {w: {^stop_on: x, command: x}}":  "services.w.stop_on: unknown key of a service: it belongs at the top of the file",
		"services: {w: {command: x, ^zzz: x}}":      `services.w.zzz: unknown key, see "exeunt check --schema"`,
		"pre_stop: {command: x, ^time: 1}":          "pre_stop.time: unknown key, did you mean timeout?",
		"pre_stop: [x, {^exec: x}]":                 "pre_stop[1].exec: unknown key: hook has command, http, tcp, sleep, signal, drain, name, timeout, interval, on_failure, user, working_dir, environment",
		"services: {w: {command: x, healthcheck: {tcp: h:1, ^delay: 1}}}":  "services.w.healthcheck.delay: unknown key: healthcheck has test, http, tcp, notify, fd, interval, timeout, retries, start_period, start_interval, on_unhealthy, watchdog, disable",
		"services: {w: {command: x, ulimits: {^nofiles: 1}}}":              "services.w.ulimits.nofiles: unknown limit, did you mean nofile?",
		"services: {w: {command: x, ulimits: {^cpus_and_more: 1}}}":        "services.w.ulimits.cpus_and_more: unknown limit: want one of cpu, fsize, data, stack, core, rss, nproc, nofile, memlock, as, locks, sigpending, msgqueue, nice, rtprio, rttime",
		"services: {w: {command: x, depends_on: [^v]}}\nx-v: ":             `services.w.depends_on[0]: no service "v"`,
		"services: {web: {command: x}, w: {command: x, depends_on: ^wbe}}": `services.w.depends_on: no service "wbe", did you mean web?`,
		"services: {^a b: {command: x}}":                                   `services.a b: "a b" is no name of a service: letters, digits and . _ - after a letter or digit, at most 63`,
		"services: {^-x: {command: x}}":                                    `services.-x: "-x" is no name of a service: letters, digits and . _ - after a letter or digit, at most 63`,
		// Kinds of values.
		"^[a, b]":                                   "want a mapping, not a list",
		"^just text":                                "want a mapping, not a single value",
		"services: ^[a]":                            "services: want services by their names, not a list",
		"services: {w: ^x}":                         "services.w: want a mapping, not a single value",
		"grace_period: ^[5s]":                       "grace_period: want a duration, as in 30s, or auto, not a list",
		"grace_period: ^{a: b}":                     "grace_period: want a duration, as in 30s, or auto, not a mapping",
		"pre_stop: [^[a]]":                          "pre_stop[0]: want a single value or a mapping, not a list",
		"services: {w: {command: ^{a: b}}}":         "services.w.command: want a single value or a list, not a mapping",
		"services: {w: {command: [a, ^[b]]}}":       "services.w.command[1]: want a single value, not a list",
		"services: {w: {command: x, stdout: ^[x]}}": "services.w.stdout: want a single value, not a list",
		"stop_on: [TERM, ^{a: b}]":                  "stop_on[1]: want a single value, not a mapping",
		"exit_codes: {143: ^[0]}":                   "exit_codes.143: want a single value, not a list",
		"exit_codes: ^[143=0]":                      "exit_codes: want a mapping of exit codes, not a list",
		// Values that are missing.
		"^grace_period:":                  "grace_period: has no value",
		"^grace_period: null":             "grace_period: has no value",
		"^services:":                      "services: has no value",
		"services: {^w: }":                "services.w: has no value",
		"services: {w: ^{}}":              "services.w: has no command",
		"services: {w: {^command: }}":     "services.w.command: has no value",
		"services: {w: {command: ^''}}":   "services.w.command: no command",
		"services: {w: {command: ^[]}}":   "services.w.command: no command",
		"services: {w: {command: ^['']}}": "services.w.command: no command",
		"report: ^''":                     "report: the path is empty",
		"services: {w: {command: x, depends_on: {^w2: }}, w2: {command: x}}": "services.w.depends_on.w2: has no value",
		"services: {w: {command: x, schedule: ^''}}":                         "services.w.schedule: is empty: want a schedule, as in */5 * * * *",
		// Values that are none.
		"grace_period: ^-5s":                                       `grace_period: "-5s" is negative`,
		"grace_period: ^5x":                                        `grace_period: "5x" is not a duration: write 30s, 1m30s, 500ms or a number of seconds`,
		"stop_on: ^[TREM]":                                         `stop_on: unknown signal "TREM", did you mean TERM?`,
		"stop_on: ^KILL":                                           "stop_on: KILL can't begin the stop: it never reaches an init as a request",
		"rewrite: {TERM: ^NOPE}":                                   `rewrite.TERM: cannot read rewrite "TERM:NOPE": unknown signal "NOPE": want a name such as TERM, or a number from 1 to 64`,
		"tty: ^both":                                               `tty: "both" is neither app nor init`,
		"exit_codes: ^{300: 0}":                                    `exit_codes: "300" is not an exit code, 0 to 255`,
		"remap_exit: [1, ^x]":                                      `remap_exit[1]: "x" is not an exit code, 0 to 255`,
		"log: ^xml":                                                `log: "xml" is neither auto, json nor console`,
		"quiet: ^very":                                             `quiet: "very" is neither true nor false`,
		"control: ^here":                                           `control: "here" is neither auto, off nor a path with a slash`,
		"http: ^80":                                                `http: "80" is not an address: write 127.0.0.1:9090, :9090 or unix:/run/http.sock`,
		"services: {w: {command: ^\"'a\"}}":                        "services.w.command: the quote ' is not closed",
		"services: {w: {command: x, type: ^job}}":                  `services.w.type: "job" is neither service nor oneshot`,
		"services: {w: {command: x, type: ^one-shot}}":             `services.w.type: "one-shot" is neither service nor oneshot, did you mean oneshot?`,
		"services: {w: {command: x, enabled: ^maybe}}":             `services.w.enabled: "maybe" is neither true nor false`,
		"services: {w: {command: x, replicas: ^-1}}":               `services.w.replicas: "-1" is not a number, 0 to 256`,
		"services: {w: {command: x, replicas: ^2.5}}":              `services.w.replicas: "2.5" is not a number, 0 to 256`,
		"services: {w: {command: x, user: ^nobody-here}}":          `services.w.user: cannot find user "nobody-here": not in /etc/passwd (a number needs no entry, as in 1000:1000)`,
		"services: {w: {command: x, environment: [^=x]}}":          `services.w.environment[0]: "" is no name of a variable`,
		"services: {w: {command: x, environment: {^'a=b': x}}}":    `services.w.environment.a=b: "a=b" is no name of a variable`,
		"services: {w: {command: x, environment: {A: ^[x]}}}":      "services.w.environment.A: want a single value, not a list",
		"services: {w: {command: x, umask: ^999}}":                 `services.w.umask: "999" is not a mask in octal, 0 to 0777`,
		"services: {w: {command: x, ulimits: {core: ^lots}}}":      `services.w.ulimits.core: "lots" is neither a number nor unlimited`,
		"services: {w: {command: x, ulimits: {core: ^{soft: 1}}}}": "services.w.ulimits.core: want both soft and hard",
		"services: {w: {command: x, ulimits: {core: ^{soft: unlimited, hard: 1}}}}":    "services.w.ulimits.core: soft is more than hard",
		"services: {w: {command: x, oom_score_adj: ^2000}}":                            `services.w.oom_score_adj: "2000" is not a number, -1000 to 1000`,
		"services: {w: {command: x, restart: ^sometimes}}":                             `services.w.restart: "sometimes" is neither no, on-failure, on-failure:N nor always`,
		"services: {w: {command: x, restart: ^on-failure:0}}":                          `services.w.restart: "on-failure:0": want on-failure:N, N restarts in a row`,
		"services: {w: {command: x, restart: ^always:3}}":                              `services.w.restart: "always:3": want on-failure:N, N restarts in a row`,
		"services: {w: {command: x, success_exit_codes: ^256}}":                        `services.w.success_exit_codes: "256" is not an exit code, 0 to 255`,
		"services: {w: {command: x, stop_signal: ^[QUIT, TERM]}}":                      `services.w.stop_signal: QUIT needs its time before the next signal, as in "QUIT 15s, TERM"`,
		"services: {w: {command: x, kill_mode: ^all}}":                                 `services.w.kill_mode: "all" is neither cascade, group nor main`,
		"services: {w: {command: x, signals: {HUP: ^NOPE}}}":                           `services.w.signals.HUP: cannot read rewrite "HUP:NOPE": unknown signal "NOPE": want a name such as TERM, or a number from 1 to 64`,
		"services: {w: {command: x, signals: [HUP, ^SIGHUP]}}":                         "services.w.signals[1]: HUP is there twice",
		"services: {w: {command: x, signals: ^KILL}}":                                  `services.w.signals: cannot rewrite "KILL:KILL": no process can catch KILL`,
		"services: {w: {command: x, reload_signal: ^X}}":                               `services.w.reload_signal: unknown signal "X": want a name such as TERM, or a number from 1 to 64`,
		"services: {w: {command: x, stdout: ^stdout}}":                                 `services.w.stdout: "stdout" is neither inherit, prefix, null nor a path with a slash`,
		"services: {w: {command: x, env_file: ^/none.env}}":                            `services.w.env_file: cannot read "/none.env": no such file or directory`,
		"services: {w: {command: x, schedule: ^'* * *'}}":                              `services.w.schedule: cannot read "* * *" as minute, hour, day of month, month and day of week: expected exactly 5 fields, found 3: [* * *]`,
		"services: {w: {command: x, schedule: ^'0 0 30 2 *'}}":                         `services.w.schedule: "0 0 30 2 *" never comes`,
		"services: {w: {command: x, schedule: ^'TZ=UTC 0 0 * * *'}}":                   `services.w.schedule: the time zone is that of TZ in the environment`,
		"services: {w: {command: x, schedule: ^'@daily', environment: [TZ=No/Where]}}": `services.w.schedule: cannot find its time zone: TZ is "No/Where", and there is no such file in /usr/share/zoneinfo`,
		"services: {w: {command: x, schedule: '@daily', concurrency: ^never}}":         `services.w.concurrency: "never" is neither forbid, allow nor replace`,
		// Hooks.
		"pre_stop: ^{name: x}":                            "pre_stop: a hook has one action of command, sleep, signal, http, tcp and drain, not 0",
		"pre_stop: [^{command: x, sleep: 1}]":             "pre_stop[0]: a hook has one action of command, sleep, signal, http, tcp and drain, not 2",
		"pre_stop: [{sleep: ^0}]":                         "pre_stop[0].sleep: a sleep of 0 does nothing",
		"pre_stop: [{command: x, timeout: ^0}]":           "pre_stop[0].timeout: a hook that has no time never succeeds",
		"pre_stop: [{command: x, on_failure: ^x}]":        `pre_stop[0].on_failure: "x" is neither continue nor abort`,
		"pre_stop: [{command: x, user: ^nobody-here}]":    `pre_stop[0].user: cannot find user "nobody-here": not in /etc/passwd (a number needs no entry, as in 1000:1000)`,
		"pre_stop: [{http: ^ftp://x}]":                    `pre_stop[0].http: "ftp://x" is no URL: write http://HOST/PATH`,
		"pre_stop: [{http: {url: ^''}}]":                  "pre_stop[0].http.url: is empty: want a URL",
		"pre_stop: [{http: {url: http://h, status: ^9}}]": `pre_stop[0].http.status: "9" is not a status: write 204, 200-299 or 2xx`,
		"pre_stop: [{tcp: ^h}]":                           `pre_stop[0].tcp: "h" is not host:port`,
		"pre_stop: [{drain: ^web}]":                       "pre_stop[0].drain: want auto or ports, as in [8080, 8443]",
		"pre_stop: [{drain: ^[80, 80]}]":                  "pre_stop[0].drain: want auto or ports, as in [8080, 8443]",
		"pre_stop: [{drain: {count: ^all}}]":              `pre_stop[0].drain.count: "all" is neither active nor open`,
		"pre_stop: [{drain: {settle: ^0}}]":               `pre_stop[0].drain.settle: "0" is not a number, 1 to 1000`,
		"pre_stop: [^sleep:x]":                            `pre_stop[0]: "sleep:x": "x" is not a duration: write 30s, 1m30s, 500ms or a number of seconds`,
		// Healthchecks.
		"services: {w: {command: x, healthcheck: ^{}}}":                             "services.w.healthcheck: a healthcheck has one of test, http, tcp, notify and fd, not 0",
		"services: {w: {command: x, healthcheck: ^{tcp: h:1, test: a}}}":            "services.w.healthcheck: a healthcheck has one of test, http, tcp, notify and fd, not 2",
		"services: {w: {command: x, healthcheck: {test: ^[a]}}}":                    "services.w.healthcheck.test: a test begins with CMD and its words, CMD-SHELL and one line, or is [NONE]",
		"services: {w: {command: x, healthcheck: {test: ^[]}}}":                     "services.w.healthcheck.test: a test begins with CMD and its words, CMD-SHELL and one line, or is [NONE]",
		"services: {w: {command: x, healthcheck: {test: ^' '}}}":                    "services.w.healthcheck.test: no command",
		"services: {w: {command: x, healthcheck: {fd: ^2}}}":                        `services.w.healthcheck.fd: "2" is not a number, 3 to 1023`,
		"services: {w: {command: x, healthcheck: {tcp: h:1, watchdog: ^1s}}}":       "services.w.healthcheck.watchdog: only a service with notify: true says WATCHDOG=1",
		"services: {w: {command: x, healthcheck: {tcp: h:1, on_unhealthy: ^kill}}}": `services.w.healthcheck.on_unhealthy: "kill" is neither none, restart nor stop`,
		"services: {w: {command: x, healthcheck: {tcp: h:1, interval: ^0}}}":        "services.w.healthcheck.interval: it would never rest",
		"services: {w: {command: x, healthcheck: {tcp: h:1, retries: ^0}}}":         `services.w.healthcheck.retries: "0" is not a number, 1 to 1000`,
		"services: {w: {command: x, healthcheck: ^{tcp: h}}}":                       `services.w.healthcheck: "h" is not host:port`,
		"services: {w: {command: x, start_timeout: ^1s}}":                           "services.w.start_timeout: without a healthcheck it is ready at once",
		"services: {w: {command: x, start_timeout: ^0, healthcheck: {tcp: h:1}}}":   "services.w.start_timeout: nothing is ready at once: leave it out for no limit",
		// What does not go together.
		"services: {w: {command: x, type: oneshot, restart: ^always}}":                                                      "services.w.restart: a oneshot that is always restarted never completes: write on-failure",
		"services: {w: {command: x, type: oneshot, healthcheck: ^{tcp: h:1}}}":                                              "services.w.healthcheck: a oneshot is ready when it has completed",
		"services: {w: {command: x, schedule: '@daily', restart: ^always}}":                                                 "services.w.restart: a scheduled service runs when it is due: write on-failure",
		"services: {w: {command: x, schedule: '@daily', replicas: ^2}}":                                                     "services.w.replicas: a scheduled service has no replicas",
		"services: {w: {command: x, concurrency: ^allow}}":                                                                  "services.w.concurrency: only a service with a schedule has runs that could overlap",
		"services: {w: {command: x, restart_delay: 2s, restart_max_delay: ^1s}}":                                            "services.w.restart_max_delay: is less than restart_delay",
		"services: {w: {command: x, depends_on: [v, ^v]}, v: {command: x}}":                                                 "services.w.depends_on[1]: v is there twice",
		"services: {w: {command: x, depends_on: {v: {condition: ^ready}}}, v: {command: x}}":                                `services.w.depends_on.v.condition: "ready" is neither service_started, service_healthy nor service_completed_successfully`,
		"services: {w: {command: x, depends_on: {v: ^{condition: service_healthy}}}, v: {command: x}}":                      "services.w.depends_on.v: v has no healthcheck that it could pass",
		"services: {w: {command: x, depends_on: {v: ^{condition: service_completed_successfully}}}, v: {command: x}}":       "services.w.depends_on.v: v runs until it is stopped, and never completes: is it a oneshot?",
		"services: {w: {command: x, depends_on: [^v]}, v: {command: x, schedule: '@daily'}}":                                "services.w.depends_on[0]: v runs by a schedule: nothing can wait for it",
		"services: {w: {command: x, depends_on: [^w]}}":                                                                     "services.w.depends_on[0]: the services wait for each other: w → w",
		"services: {a: {command: x, depends_on: [b]}, b: {command: x, depends_on: [c]}, c: {command: x, depends_on: [^a]}}": "services.c.depends_on[0]: the services wait for each other: a → b → c → a",
		"services: {w-1: {command: x}, w: ^{command: x, replicas: 2}}":                                                      "services.w: one of its instances is called w-1, as is one of w-1",
		// Variables.
		"report: ^${NOPE:?name a file}": "report: the variable NOPE is not set: name a file",
		"report: ^${NOPE?}":             "report: the variable NOPE is not set: it has to be",
		"report: ^${EMPTY:?}":           "report: the variable EMPTY is not set: it has to be",
		"report: ^${NOPE":               `report: the brace after "$" is not closed: write ${NAME}, or $${ for itself`,
		"report: ^${1}":                 `report: "${1}" is not a variable: write ${NAME}, ${NAME:-default}, ${NAME:?message} or ${NAME:+other}`,
		"report: ^${NAME:x}":            `report: "${NAME:x}" is not a variable: write ${NAME}, ${NAME:-default}, ${NAME:?message} or ${NAME:+other}`,
		"report: ^a$":                   "report: a $ is followed by a variable's name, as in $NAME or ${NAME}; write $$ for a dollar sign",
		// The text as a whole.
		"log: auto\n^log: json":                    "log: is there already, in line 1",
		"services: {w: {command: x, ^command: y}}": "services.w.command: is there already, in line 1",
		"log: ^*base":                              "log: no &base before this *base",
		"log: ^!local json":                        "log: the tag !local means nothing here",
		"x-a: &a [^*a]":                            "x-a[0]: no &a before this *a",
		"<<: ^x":                                   "<< wants a mapping, or a list of them, not a single value",
	} {
		before, after, marked := strings.Cut(text, "^")
		if !marked {
			t.Fatalf("%q has no mark", text)
		}
		line := 1 + strings.Count(before, "\n")
		column := len(before) - strings.LastIndexByte(before, '\n')
		_, err := inline(before + after + "\n# this: is a file\n")
		if got, want := fmt.Sprint(err), fmt.Sprintf("EXEUNT_CONFIG:%d:%d: %s", line, column, want); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

func TestAFileThatIsNoYAMLIsOneLineWithItsPlace(t *testing.T) {
	deep := strings.Repeat("[", 100)
	for text, want := range map[string]string{
		"a: [b\nc: d\n":                      "EXEUNT_CONFIG:2:1: ',' or ']' must be specified",
		"a:\n\tb: c\n":                       "EXEUNT_CONFIG:2:1: found character '\t' that cannot start any token",
		"a: 'x\n":                            "EXEUNT_CONFIG:1:4: could not find end character of single-quoted text",
		"a: \"\\q\"\n":                       "EXEUNT_CONFIG:1:6: found unknown escape character 'q'",
		"a: b: c\n":                          "EXEUNT_CONFIG:1:4: mapping value is not allowed in this context",
		"a: b\n---\nc: d\n":                  "EXEUNT_CONFIG:3:2: a second document: one file is one",
		"a: b\n\xff\n":                       "EXEUNT_CONFIG:2: this line is not text in UTF-8",
		"? [a]\n: b\n":                       "EXEUNT_CONFIG:1:1: a key is written without ?",
		"a:\n- ? \nb: c\n":                   "EXEUNT_CONFIG:2:3: a key is written without ?",
		"a: b\tc\n":                          "EXEUNT_CONFIG:1:4: a tab between words: put quotes around them",
		"a: [b, c\td]\n":                     "EXEUNT_CONFIG:1:8: a tab between words: put quotes around them",
		"a: " + deep + "\n":                  "EXEUNT_CONFIG:1:67: more than 64 levels or 50000 words of YAML",
		strings.Repeat("- ", 100) + "a: b\n": "EXEUNT_CONFIG:1:129: more than 64 levels or 50000 words of YAML",
		"a: [" + strings.Repeat("x,", 30_000) + "]\n": "EXEUNT_CONFIG:1:50002: more than 64 levels or 50000 words of YAML",
		"a: b\n" + strings.Repeat("#", longestFile):   "EXEUNT_CONFIG: more than 1024 KiB",
	} {
		began := time.Now()
		if _, err := inline(text); fmt.Sprint(err) != want {
			t.Errorf("%.40q: %v, want %s", text, err, want)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%.40q took %v", text, took)
		}
	}
}

// TestAliasesThatStandForTooMuchAreRefused is the billion laughs.
func TestAliasesThatStandForTooMuchAreRefused(t *testing.T) {
	var b strings.Builder
	b.WriteString("x-0: &l0 [a, a, a, a, a, a, a, a, a, a]\n")
	for i := 1; i <= 12; i++ {
		one := fmt.Sprintf("*l%d", i-1)
		fmt.Fprintf(&b, "x-%d: &l%d [%s]\n", i, i, strings.Join([]string{one, one, one, one, one, one, one, one, one, one}, ", "))
	}
	began := time.Now()
	_, err := inline(b.String())
	if err == nil || !strings.Contains(err.Error(), "the aliases of this file stand for too much") || len(linesOf(err)) != 1 {
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestAllMistakesAreToldAtOnceInTheirOrder(t *testing.T) {
	_, err := inline("stop_on: NOPE\nservices:\n  b: &b {command: x, restart: maybe, depends_on: [c]}\n  a:\n    <<: *b\n    depends_on: [d]\ngrace: 5s\n")
	want := []string{
		`EXEUNT_CONFIG:1:10: stop_on: unknown signal "NOPE": want a name such as TERM, or a number from 1 to 64`,
		`EXEUNT_CONFIG:3:31: services.b.restart: "maybe" is neither no, on-failure, on-failure:N nor always`,
		`EXEUNT_CONFIG:3:51: services.b.depends_on[0]: no service "c"`,
		`EXEUNT_CONFIG:6:18: services.a.depends_on[0]: no service "d"`,
		`EXEUNT_CONFIG:7:1: grace: unknown key, did you mean grace_period?`,
	}
	if err == nil {
		t.Fatal("no mistake was seen")
	}
	if got := linesOf(err); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
