package main

import (
	"errors"
	"os"
	"testing"
)

// supervisors are all that there are here, and exeunt.
func supervisors(t *testing.T) (all []subject) {
	into(t, nobody, answerPatience, probe, "pause").close()
	peers, err := findPeers(false)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	path, _, err := buildExeunt(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(peers, subject{name: several, command: []string{path}, tree: servicesOfExeunt}) {
		if s.tree != nil {
			all = append(all, s)
		}
	}
	return all
}

func TestServicesComeUpAndBackAndGo(t *testing.T) {
	for _, s := range supervisors(t) {
		if s.limit() {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			got := newTally()
			if err := serve(s, got, 3); err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{"up", "back", "gone"} {
				if v := got.readings["services-3-"+key][s.name]; len(v) != 1 || v[0] <= 0 {
					t.Errorf("%s: %v", key, v)
				}
			}
			handled := got.readings["services-3-handled"][s.name][0]
			if s.name != "runit" && handled != 3 { // whose PID 1 leaves, so that the kernel kills them
				t.Errorf("%v handlers ran", handled)
			}
			if got.readings["services-3-killed"][s.name][0] != 0 {
				t.Error("had to be killed")
			}
		})
	}
}

func TestEveryLineComesOut(t *testing.T) {
	cannot := map[string]bool{"runit prefixed": true, "supervisord inherited": true, "cat inherited": true}
	for _, s := range supervisors(t) {
		for kind, name := range map[outputKind]string{prefixed: "prefixed", inherited: "inherited"} {
			t.Run(s.name+" "+name, func(t *testing.T) {
				got, took, err := readLines(s, kind)
				if cannot[s.name+" "+name] {
					if !errors.Is(err, errNotItsJob) {
						t.Errorf("%d lines, %v: it was not to be asked", got, err)
					}
					return
				}
				if err != nil || got != linesMade || took <= 0 {
					t.Errorf("%d lines in %v, %v", got, took, err)
				}
			})
		}
	}
}

func TestMembersOfASpaceAreItsOwn(t *testing.T) {
	sp := into(t, nobody, answerPatience, probe, "tree", "2", "0")
	if _, err := sp.readN(2); err != nil {
		t.Fatal(err)
	}
	members, err := sp.members()
	if err != nil || len(members) != 3 {
		t.Errorf("%v, %v", members, err)
	}
}
