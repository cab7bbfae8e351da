package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The three ways to be out of sight of an init that knows its child alone.
var hidden = []string{"worker", "orphan", "guest"}

// treeSpace starts a main that leaves at TERM, a worker of it in a session of
// its own, a double-forked orphan, and a guest that was put in from outside,
// and is no child of anybody inside. The last three take TERM as atTERM says.
func treeSpace(t *testing.T, init []string, atTERM string) (*space, map[string]*witness) {
	t.Helper()
	need(t, init[0], "nsenter")
	dir := t.TempDir()
	all := map[string]*witness{}
	for _, name := range append(hidden, "main") {
		all[name] = newWitness(t, dir, name)
	}
	s := begin(t, options{}, append(init, app, "main", dir, atTERM)...)
	all["main"].await("ready")
	enter := exec.Command("nsenter", "--target", fmt.Sprint(s.PID), "--pid", "--mount",
		app, "witness", all["guest"].FIFO, atTERM)
	enter.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	enter.Stderr = os.Stderr
	if err := enter.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { enter.Wait() }) // ends as the guest does
	for _, w := range all {
		w.await("ready")
	}
	return s, all
}

func TestEveryoneIsToldOnceAndHasTime(t *testing.T) {
	t.Parallel()
	s, all := treeSpace(t, under("6s"), "1500ms")
	told := s.send(syscall.SIGTERM)
	if code := s.wait(bound); code != 0 {
		t.Errorf("exit code %d, want main's own, 0", code)
	}
	all["main"].end()
	all["main"].told("TERM", "done")
	for _, name := range hidden {
		all[name].end()
		all[name].told("TERM", "done")
	}
	s.took(told, 1500*time.Millisecond, 3*time.Second)
}

func TestTheDeafAreKilledAtTheirMoment(t *testing.T) {
	t.Parallel()
	s, all := treeSpace(t, under("4s"), "deaf")
	told := s.send(syscall.SIGTERM)
	if code := s.wait(bound); code != 0 {
		t.Errorf("exit code %d, want main's own, 0: it was not killed", code)
	}
	// 4 s less a margin of 0.2 s, and 0.3 of a reserve of 0.6 s before that.
	moment := 3620 * time.Millisecond
	for _, name := range hidden {
		died := all[name].end().Sub(told)
		if died < moment || died > moment+time.Second {
			t.Errorf("%s died %v after the stop began, want %v", name, died, moment)
		}
		all[name].told("TERM")
	}
	s.took(told, moment, moment+time.Second)
}

// The control.
func TestPeersTellNobodyButMain(t *testing.T) {
	t.Parallel()
	for peer, init := range peers {
		t.Run(peer, func(t *testing.T) {
			s, all := treeSpace(t, init, "1500ms")
			s.send(syscall.SIGTERM)
			s.wait(bound)
			for _, name := range hidden {
				all[name].end()
				if strings.Contains(all[name].String(), "done") {
					t.Errorf("%s gives %s its time: the test proves nothing any more", peer, name)
				}
			}
		})
	}
}
