package hooks

import (
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"exeunt/signals"
)

func TestShortFormsAreRead(t *testing.T) {
	for text, want := range map[string]Hook{
		"sleep:5s":               {Name: "sleep:5s", Sleep: 5 * time.Second},
		"sleep:0.5":              {Name: "sleep:0.5", Sleep: 500 * time.Millisecond},
		"signal:USR1":            {Name: "signal:USR1", Signal: signals.USR1},
		"signal:SIGRTMIN+3":      {Name: "signal:SIGRTMIN+3", Signal: 37},
		"nginx -s quit":          {Name: "nginx -s quit", Command: []string{"nginx", "-s", "quit"}},
		" sh  -c\n'sleep 1; a' ": {Name: "sh -c 'sleep 1; a'", Command: []string{"sh", "-c", "sleep 1; a"}},
		"GET x":                  {Name: "GET x", Command: []string{"GET", "x"}},
		"curl http://a/":         {Name: "curl http://a/", Command: []string{"curl", "http://a/"}},
		"sleep 5":                {Name: "sleep 5", Command: []string{"sleep", "5"}},
		"drain":                  {Name: "drain", Command: []string{"drain"}},
		"./a " + strings.Repeat("ü", 30): {Name: "./a " + strings.Repeat("ü", 16) + "…",
			Command: []string{"./a", strings.Repeat("ü", 30)}},
	} {
		got, err := Parse(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Parse(%q) = %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func TestBadHooksAreRefusedWithAReason(t *testing.T) {
	for text, want := range map[string]string{
		"":                   "no command",
		" \t\n":              "no command",
		"''":                 "no command",
		"'a b":               "the quote ' is not closed",
		`"a b`:               `the quote " is not closed`,
		`a\`:                 "nothing follows the last backslash",
		"sleep:":             "is not a duration",
		"sleep:5 s":          "is not a duration",
		"sleep:-1s":          "is negative",
		"sleep:0":            "does nothing",
		"sleep:25h":          "longer than 24h",
		"signal:":            "unknown signal",
		"signal:TREM":        "did you mean TERM",
		"http://a/":          "http hooks are not in this version",
		"https://a/":         "https hooks are not in this version",
		"POST http://a/":     "http hooks are not in this version",
		"PUT   https://a/":   "https hooks are not in this version",
		"tcp://127.0.0.1:80": "tcp hooks are not in this version",
		"drain:auto":         "drain hooks are not in this version",
	} {
		if got, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q) = %+v, %v, want an error with %q", text, got, err, want)
		}
	}
}

func TestWordsAreSplitAsAShellSplitsThem(t *testing.T) {
	for text, want := range map[string][]string{
		`a b	c`:             {"a", "b", "c"},
		`a '' ""`:           {"a", "", ""},
		`a'b'"c"d`:          {"abcd"},
		`'a\b' "a\b" a\b`:   {`a\b`, `a\b`, "ab"},
		`"\$ \" \\ \x"`:     {`$ " \ \x`},
		"\"\\`\"":           {"`"},
		`a\ b \'c`:          {"a b", "'c"},
		"a\\\nb \"c\\\nd\"": {"ab", "cd"},
		`$HOME ~ * "$x"`:    {"$HOME", "~", "*", "$x"},
		`'"' "'"`:           {`"`, "'"},
		`a && b | c; d # e`: {"a", "&&", "b", "|", "c;", "d", "#", "e"},
		"\xff \xc3":         {"\xff", "\xc3"},
	} {
		if got, err := Split(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Split(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestDurationsAreGoNotationOrSeconds(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30": 30 * time.Second, "0": 0, "0.25": 250 * time.Millisecond, "1m30s": 90 * time.Second,
		"24h": 24 * time.Hour, "100ms": 100 * time.Millisecond,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", " 5s", "5 s", "5d", "1e3", "0x10", "inf", "-5", "-1ns", "86401", "1.2.3", ".", "auto"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", text, got)
		}
	}
}

// FuzzParse holds Parse to its contract: one action, a short valid name, and
// words that survive being quoted and split again.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"sleep:5s", "signal:USR1", "sh -c 'a \"b\"'", `a\`, "drain:80", "'"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		hook, err := Parse(text)
		if err != nil {
			if !reflect.DeepEqual(hook, Hook{}) {
				t.Fatalf("an error and a hook: %+v", hook)
			}
			return
		}
		actions := 0
		for _, set := range []bool{len(hook.Command) > 0, hook.Sleep > 0, hook.Signal > 0} {
			if set {
				actions++
			}
		}
		if actions != 1 || len(hook.Name) > 40 || utf8.ValidString(text) && !utf8.ValidString(hook.Name) {
			t.Fatalf("Parse(%q) = %+v", text, hook)
		}
		var quoted strings.Builder
		for _, word := range hook.Command {
			quoted.WriteString(" '" + strings.ReplaceAll(word, "'", `'\''`) + "'")
		}
		if len(hook.Command) > 0 {
			if again, err := Split(quoted.String()); err != nil || !reflect.DeepEqual(again, hook.Command) {
				t.Fatalf("%q split again is %q, %v", hook.Command, again, err)
			}
		}
	})
}

// FuzzParseDuration holds ParseDuration to its bounds.
func FuzzParseDuration(f *testing.F) {
	for _, text := range []string{"30", "1m30s", "-1", "9223372036s", "1e400"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDuration(text)
		if d < 0 || d > 24*time.Hour || err != nil && d != 0 {
			t.Fatalf("ParseDuration(%q) = %v, %v", text, d, err)
		}
	})
}
