package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// staged has all that a start can be made of: hooks of the container and of a
// service, a healthcheck, a oneshot, and services that wait for each. Their
// limits are for machines that have much else to do.
const staged = `
grace_period: 60s
hook_timeout: 60s
pre_start: [sh -c 'sleep 0.1']
post_start: [sh -c 'sleep 0.1']
post_stop: [echo 'the end']
services:
  db:
    command: sh -c 'trap "echo db ends; exit 0" TERM; echo db begins; sleep 0.2; touch db.ready; while :; do sleep 0.05; done'
    healthcheck: {test: "[ -e db.ready ]", start_interval: 100ms, timeout: 60s}
  migrate:
    command: sh -c 'echo migrate begins; sleep 0.2'
    type: oneshot
    depends_on: {db: {condition: service_healthy}}
  web:
    command: sh -c 'trap "echo web ends; exit 0" TERM; echo web begins; while :; do sleep 0.05; done'
    pre_start: [sh -c 'sleep 0.1']
    post_start: [sh -c 'sleep 0.1']
    healthcheck: {test: "true", timeout: 60s}
    depends_on: {migrate: {condition: service_completed_successfully}}
  side:
    command: sh -c 'trap "echo side ends; exit 0" TERM; echo side begins; while :; do sleep 0.05; done'
    depends_on: [web]
`

// ofTheStart is in each line of the log that tells of the start, and in no other.
const ofTheStart = `"phase":"start"`

func beginStaged(t *testing.T) *crew {
	t.Helper()
	return services(t, staged, "", nil, "--log-level", "debug", "--log", "json")
}

// One start is recorded; then the stop begins after each of its lines.
func TestStopAtEachLineOfTheStart(t *testing.T) {
	t.Parallel()
	c := beginStaged(t)
	c.awaitStatus("ready")
	lines := strings.Count(c.Out.String(), ofTheStart)
	if lines < 15 {
		t.Fatalf("a start of %d lines leaves something out", lines)
	}
	c.stopsWell(lines)
	for k := 1; k < lines; k++ {
		t.Run(fmt.Sprint(k), func(t *testing.T) {
			t.Parallel()
			c := beginStaged(t)
			c.Out.awaitCount(ofTheStart, k)
			c.stopsWell(k)
		})
	}
}

// stopsWell sends TERM, after line k, and fails the test unless everyone who was
// started leaves, and nobody else is.
func (c *crew) stopsWell(k int) {
	c.t.Helper()
	t := c.t
	told := c.send(syscall.SIGTERM)
	r := c.over(60 * time.Second)
	c.took(told, 0, 60*time.Second)
	r.unhurt(t)
	if want := r.wanted(); r.Code != want {
		t.Errorf("after line %d: exit code %d, want %d", k, r.Code, want)
	}
	stopping := false
	for _, e := range r.Entries {
		switch {
		case strings.HasPrefix(e.Message, "stopping, "):
			stopping = true
		case stopping && (e.Message == "started" || e.Message == "hook started" && e.Phase != "post-stop"):
			t.Errorf("after line %d: %s %s in phase %s, though the stop had begun", k, e.Service, e.Message, e.Phase)
		}
	}
	printed := c.Out.String()
	for _, s := range r.Services {
		begins, ends := strings.Count(printed, s.Name+" begins"), strings.Count(printed, s.Name+" ends")
		switch {
		case s.PID == 0 && begins+ends > 0, begins > 1, ends > 1:
			t.Errorf("after line %d: %s begins %d times, ends %d times: %+v", k, s.Name, begins, ends, s)
		case s.PID != 0 && s.Code == 0 && s.Name != "migrate" && ends != 1:
			t.Errorf("after line %d: %s did not end by itself: %+v", k, s.Name, s)
		}
	}
	if !stopping || strings.Count(printed, `"message":"the end"`) != 1 {
		t.Errorf("after line %d: no stop, or not one post-stop hook", k)
	}
	var gone []time.Time
	for _, name := range []string{"side", "web", "db"} {
		if s := r.service(t, name); !s.Told.IsZero() {
			gone = append(gone, s.Told, s.Ended)
		}
	}
	inOrder(t, fmt.Sprintf("the stop after line %d", k), gone...)
}

// wanted is the code of a stop that was asked for: that of the first service
// that failed, or 143 if none existed yet.
func (r *report) wanted() int {
	code, existed := 0, false
	for _, s := range r.Services {
		if existed = existed || s.PID != 0; code == 0 && s.PID != 0 {
			code = s.Code
		}
	}
	if !existed {
		return 128 + int(syscall.SIGTERM)
	}
	return code
}
