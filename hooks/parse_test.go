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
		"sleep:5s":                {Name: "sleep:5s", Sleep: 5 * time.Second},
		"sleep:0.5":               {Name: "sleep:0.5", Sleep: 500 * time.Millisecond},
		"signal:USR1":             {Name: "signal:USR1", Signal: signals.USR1},
		"signal:SIGRTMIN+3":       {Name: "signal:SIGRTMIN+3", Signal: 37},
		"nginx -s quit":           {Name: "nginx -s quit", Command: []string{"nginx", "-s", "quit"}},
		" sh  -c\n'sleep 1; a' ":  {Name: "sh -c 'sleep 1; a'", Command: []string{"sh", "-c", "sleep 1; a"}},
		"GET x":                   {Name: "GET x", Command: []string{"GET", "x"}},
		"curl http://a/":          {Name: "curl http://a/", Command: []string{"curl", "http://a/"}},
		"sleep 5":                 {Name: "sleep 5", Command: []string{"sleep", "5"}},
		"./drain":                 {Name: "./drain", Command: []string{"./drain"}},
		"drain now":               {Name: "drain now", Command: []string{"drain", "now"}},
		"POST x http://a/":        {Name: "POST x http://a/", Command: []string{"POST", "x", "http://a/"}},
		"post http://a/":          {Name: "post http://a/", Command: []string{"post", "http://a/"}},
		"http:/a":                 {Name: "http:/a", Command: []string{"http:/a"}},
		"drain":                   {Name: "drain", Drain: &Drain{}},
		"drain:auto":              {Name: "drain:auto", Drain: &Drain{}},
		"drain:8080":              {Name: "drain:8080", Drain: &Drain{Ports: []uint16{8080}}},
		"drain:8080,8443":         {Name: "drain:8080,8443", Drain: &Drain{Ports: []uint16{8080, 8443}}},
		"tcp://db:5432":           {Name: "tcp://db:5432", TCP: &TCP{Addr: "db:5432"}},
		"tcp://[::1]:80":          {Name: "tcp://[::1]:80", TCP: &TCP{Addr: "[::1]:80"}},
		"tcp://${DB}:${PORT}":     {Name: "tcp://${DB}:${PORT}", TCP: &TCP{Addr: "${DB}:${PORT}"}},
		"http://a/":               {Name: "http://a/", HTTP: &HTTP{URL: "http://a/"}},
		"https://a:8443/b?c=d":    {Name: "https://a:8443/b?c=d", HTTP: &HTTP{URL: "https://a:8443/b?c=d"}},
		"HTTP://a":                {Name: "HTTP://a", HTTP: &HTTP{URL: "HTTP://a"}},
		"GET http://a/":           {Name: "GET http://a/", HTTP: &HTTP{URL: "http://a/", Method: "GET"}},
		" PUT \t https://${H}/\n": {Name: "PUT https://${H}/", HTTP: &HTTP{URL: "https://${H}/", Method: "PUT"}},
		"http://u:secret@${H}/":   {Name: "http://u:xxxxx@${H}/", HTTP: &HTTP{URL: "http://u:secret@${H}/"}},
		"http://a/b?x=c:d@e":      {Name: "http://a/b?x=c:d@e", HTTP: &HTTP{URL: "http://a/b?x=c:d@e"}},
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
		"":                "no command",
		" \t\n":           "no command",
		"''":              "no command",
		"'a b":            "the quote ' is not closed",
		`"a b`:            `the quote " is not closed`,
		`a\`:              "nothing follows the last backslash",
		"sleep:":          "is not a duration",
		"sleep:5 s":       "is not a duration",
		"sleep:-1s":       "is negative",
		"sleep:0":         "does nothing",
		"sleep:25h":       "longer than 24h",
		"signal:":         "unknown signal",
		"signal:TREM":     "did you mean TERM",
		"http://":         "no host",
		"http://:80/":     "no host",
		"http://a b/":     "not a URL",
		"http://a/?b c":   "spaces",
		"http://ä/":       "beyond ASCII",
		"http://a:0/":     "not a port",
		"http://a:70000/": "not a port",
		"http://a:b/":     "not a URL",
		"http://${/":      "not a variable",
		"http://${A B}/":  "not a variable",
		"http://${}/":     "not a variable",
		"http://${1}/":    "not a variable",
		"POST http://":    "no host",
		"tcp://":          "not host:port",
		"tcp://a":         "not host:port",
		"tcp://:80":       "not host:port",
		"tcp://a:80/":     "not a port",
		"tcp://a:b":       "not a port",
		"tcp://a:0":       "not a port",
		"tcp://a:65536":   "not a port",
		"tcp://${A:80":    "not a variable",
		"drain:":          "not a port",
		"drain:0":         "not a port",
		"drain:80,":       "not a port",
		"drain:80, 81":    "not a port",
		"drain:80,80":     "twice",
		"drain:http":      "not a port",
		"drain:-1":        "not a port",
		"drain:65536":     "not a port",
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
	for _, text := range []string{"sleep:5s", "signal:USR1", "sh -c 'a \"b\"'", `a\`, "drain:80", "'", "drain", "drain:80,81",
		"http://a/", "POST https://u:p@a:1/${B}?c#d", "tcp://[::1]:1"} {
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
		for _, set := range []bool{len(hook.Command) > 0, hook.Sleep > 0, hook.Signal > 0, hook.HTTP != nil, hook.TCP != nil, hook.Drain != nil} {
			if set {
				actions++
			}
		}
		if err := hook.Check(); err != nil {
			t.Fatalf("Parse(%q) gave what Check refuses: %v", text, err)
		}
		hook.Loopback() // does not panic
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
