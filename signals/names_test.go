package signals

import (
	"strconv"
	"strings"
	"testing"
)

func TestEverySignalReadsBackAsItself(t *testing.T) {
	for n := 1; n <= 64; n++ {
		sig := Signal(n)
		forms := []string{
			strconv.Itoa(n), sig.String(), strings.ToLower(sig.String()),
		}
		if n != 32 && n != 33 {
			forms = append(forms, "SIG"+sig.String(), "sig"+strings.ToLower(sig.String()))
		}
		if sig >= RTMIN {
			forms = append(forms, "RTMIN+"+strconv.Itoa(n-34), "SIGRTMAX-"+strconv.Itoa(64-n))
		}
		for _, form := range forms {
			if got, err := Parse(form); err != nil || got != sig {
				t.Errorf("Parse(%q) = %v, %v; want %v", form, got, err, sig)
			}
		}
		text, err := sig.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back Signal
		if err := back.UnmarshalText(text); err != nil || back != sig {
			t.Errorf("UnmarshalText(%q) = %v, %v; want %v", text, back, err, sig)
		}
	}
}

func TestNamesAreThoseOfKill(t *testing.T) {
	for sig, want := range map[Signal]string{
		0: "none", 1: "HUP", 6: "ABRT", 9: "KILL", 15: "TERM", 16: "STKFLT", 17: "CHLD", 29: "IO",
		30: "PWR", 31: "SYS", 32: "32", 33: "33", 34: "RTMIN", 35: "RTMIN+1", 37: "RTMIN+3",
		49: "RTMIN+15", 50: "RTMAX-14", 63: "RTMAX-1", 64: "RTMAX", 65: "65", 255: "255",
	} {
		if got := sig.String(); got != want {
			t.Errorf("Signal(%d).String() = %q, want %q", uint8(sig), got, want)
		}
	}
}

func TestAliasesAreUnderstood(t *testing.T) {
	for alias, want := range map[string]Signal{"CLD": CHLD, "SIGCLD": CHLD, "poll": 29, "IOT": 6, "sigiot": 6} {
		if got, err := Parse(alias); err != nil || got != want {
			t.Errorf("Parse(%q) = %v, %v; want %v", alias, got, err, want)
		}
	}
}

func TestTheZeroSignalIsEmptyText(t *testing.T) {
	if text, err := Signal(0).MarshalText(); err != nil || len(text) != 0 {
		t.Errorf("MarshalText = %q, %v", text, err)
	}
	sig := TERM
	if err := sig.UnmarshalText(nil); err != nil || sig != 0 {
		t.Errorf("UnmarshalText = %v, %v", sig, err)
	}
	sig = TERM
	if err := sig.UnmarshalText([]byte("none")); err == nil || sig != TERM {
		t.Errorf("UnmarshalText(none) = %v, %v; want an error and no change", sig, err)
	}
}

// bad are inputs of Parse that it refuses.
var bad = []string{
	"", " ", "0", "00", "65", "64 ", " 15", "015", "+15", "-15", "1e1", "15\n", "0x0f", "100", "１５",
	"TERM ", " TERM", "TERMX", "TERM\x00", "SIG", "SIGSIGTERM", "SIG15", "none", "drop", "TERM,INT",
	"RTMIN+31", "RTMAX-31", "RTMIN+", "RTMIN+03", "RTMIN-1", "RTMAX+1", "RTMIN+-1", "RTMIN + 1", "RTMIN+100", "TERM+1",
}

func TestParseIsStrict(t *testing.T) {
	for _, s := range bad {
		sig, err := Parse(s)
		if err == nil {
			t.Errorf("Parse(%q) = %v, want an error", s, sig)
		} else if !strings.Contains(err.Error(), strconv.Quote(s)) {
			t.Errorf("Parse(%q): %v: does not name the input", s, err)
		}
	}
}

func TestASlipGetsTheNameThatWasMeant(t *testing.T) {
	for s, want := range map[string]string{
		"TREM": "did you mean TERM?", "sigtrem": "did you mean TERM?", "KIL": "did you mean KILL?",
		"UST1": "did you mean USR1?", "SIGWINCK": "did you mean WINCH?", "VTLARM": "did you mean VTALRM?",
		" TERM": "did you mean TERM?", "0": "a number from 1 to 64", "65": "a number from 1 to 64",
		"GRACEFUL": "a name such as TERM", "X": "a name such as TERM",
	} {
		if _, err := Parse(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q): %v; want %q in it", s, err, want)
		}
	}
}

func TestSetsReadBackAsThemselves(t *testing.T) {
	for list, want := range map[string]Set{
		"":                      0,
		"TERM":                  SetOf(TERM),
		"TERM,sigint,RTMIN+3,2": SetOf(INT, TERM, 37),
		"64,1":                  SetOf(HUP, RTMAX),
	} {
		got, err := ParseSet(list)
		if err != nil || got != want {
			t.Errorf("ParseSet(%q) = %v, %v; want %v", list, got, err, want)
		}
		if again, err := ParseSet(got.String()); err != nil || again != got {
			t.Errorf("ParseSet(%q) = %v, %v; want %v", got.String(), again, err, got)
		}
	}
	if got := SetOf(TERM, HUP, 0).String(); got != "HUP,TERM" {
		t.Errorf("String() = %q, want HUP,TERM", got)
	}
	for _, list := range []string{",", "TERM,", ",TERM", "TERM, INT", "TERM;INT", "TERM,TREM"} {
		if got, err := ParseSet(list); err == nil || got != 0 {
			t.Errorf("ParseSet(%q) = %v, %v; want an error and no set", list, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range append(bad, "TERM", "sigrtmin+3", "RTMAX-1", "64", "TREM") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		sig, err := Parse(s)
		if err != nil {
			if sig != 0 || !strings.Contains(err.Error(), strconv.Quote(s)) {
				t.Fatalf("Parse(%q) = %v, %v", s, sig, err)
			}
			return
		}
		if sig < 1 || sig > RTMAX {
			t.Fatalf("Parse(%q) = %d", s, uint8(sig))
		}
		if again, err := Parse(sig.String()); err != nil || again != sig {
			t.Fatalf("Parse(%q) = %v, %v; want %v", sig.String(), again, err, sig)
		}
		if strings.Trim(s, "+-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") != "" {
			t.Fatalf("Parse(%q) = %v: foreign characters", s, sig)
		}
	})
}
