package signals

import (
	"strings"
	"testing"
)

func TestRewritesAreOneStep(t *testing.T) {
	const drop = Signal(0)
	for _, test := range []struct {
		entries []string
		want    map[Signal]Signal // everything else stays as it is
	}{
		{nil, nil},
		{[]string{"TERM:QUIT"}, map[Signal]Signal{TERM: QUIT}},
		{[]string{"15:3", "SIGHUP:sigusr1"}, map[Signal]Signal{TERM: QUIT, HUP: USR1}},
		{[]string{"USR1:0", "USR2:drop", "WINCH:DROP"}, map[Signal]Signal{USR1: drop, USR2: drop, WINCH: drop}},
		{[]string{"HUP:USR1", "USR1:HUP"}, map[Signal]Signal{HUP: USR1, USR1: HUP}},
		{[]string{"TERM:INT", "INT:QUIT"}, map[Signal]Signal{TERM: INT, INT: QUIT}},
		{[]string{"TERM:TERM"}, nil},
		{[]string{"RTMIN+3:TERM", "64:RTMIN", "32:33"}, map[Signal]Signal{37: TERM, 64: 34, 32: 33}},
		{[]string{"TERM:KILL", "TSTP:STOP"}, map[Signal]Signal{TERM: KILL, TSTP: STOP}},
	} {
		r, err := ParseRewrites(test.entries...)
		if err != nil {
			t.Errorf("ParseRewrites(%q): %v", test.entries, err)
		}
		for sig := Signal(1); sig <= RTMAX; sig++ {
			want, named := test.want[sig]
			if !named {
				want = sig
			}
			if to, ok := r.Apply(sig); to != want || ok != (want != drop) {
				t.Errorf("%q: Apply(%v) = %v, %v; want %v", test.entries, sig, to, ok, want)
			}
		}
	}
}

func TestTheZeroRewritesChangesNothing(t *testing.T) {
	var r Rewrites
	for _, sig := range []Signal{0, 1, 64, 65, 255} {
		if to, ok := r.Apply(sig); to != sig || !ok {
			t.Errorf("Apply(%d) = %d, %v", sig, to, ok)
		}
	}
	if none, _ := ParseRewrites(); none != r {
		t.Error("no entries are not the zero Rewrites")
	}
}

func TestBadRewritesAreRefused(t *testing.T) {
	for want, entries := range map[string][]string{
		"want FROM:TO":            {"TERM"},
		"want FROM:TO, such":      {""},
		`unknown signal ""`:       {":TERM"},
		`"TERM:"`:                 {"TERM:"},
		`unknown signal "QUIT:3"`: {"TERM:QUIT:3"},
		`unknown signal "3xyz"`:   {"15:3xyz"},
		`unknown signal "0"`:      {"0:15"},
		`did you mean TERM?`:      {"TREM:QUIT"},
		`unknown signal " QUIT"`:  {"TERM: QUIT"},
		`unknown signal "65"`:     {"TERM:65"},
		"catch KILL":              {"9:15"},
		"catch STOP":              {"STOP:TERM"},
		"CHLD is never forwarded": {"CLD:TERM"},
		"rewritten already":       {"TERM:QUIT", "15:INT"},
		`"TERM:drop": TERM is`:    {"TERM:TERM", "TERM:drop"},
	} {
		r, err := ParseRewrites(entries...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseRewrites(%q): %v; want %q in it", entries, err, want)
		}
		if r != (Rewrites{}) {
			t.Errorf("ParseRewrites(%q) is not zero after an error", entries)
		}
	}
}

func TestAFailedAddLeavesTheRestAlone(t *testing.T) {
	r, err := ParseRewrites("TERM:QUIT")
	if err != nil {
		t.Fatal(err)
	}
	before := r
	for _, entry := range []string{"TERM:INT", "HUP:nope", "KILL:TERM"} {
		if r.Add(entry) == nil || r != before {
			t.Errorf("Add(%q) changed it", entry)
		}
	}
}

func FuzzParseRewrites(f *testing.F) {
	for _, s := range []string{"TERM:QUIT", "15:3", "USR1:0", "USR1:drop", "HUP:USR1\nUSR1:HUP", "9:15", "15:3xyz", ":", "TERM:TERM\nTERM:0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, lines string) {
		entries := strings.Split(lines, "\n")
		r, err := ParseRewrites(entries...)
		if err != nil {
			if r != (Rewrites{}) {
				t.Fatalf("%q: not zero after %v", entries, err)
			}
			return
		}
		named := 0
		for sig := Signal(1); sig <= RTMAX; sig++ {
			to, ok := r.Apply(sig)
			if ok != (to != 0) || to > RTMAX {
				t.Fatalf("%q: Apply(%v) = %v, %v", entries, sig, to, ok)
			}
			if r.to[sig] != 0 {
				named++
			}
		}
		if named != len(entries) {
			t.Fatalf("%q: %d signals are rewritten", entries, named)
		}
		for _, sig := range []Signal{KILL, STOP, CHLD} {
			if to, ok := r.Apply(sig); to != sig || !ok {
				t.Fatalf("%q: %v becomes %v", entries, sig, to)
			}
		}
	})
}
