package config

import (
	"slices"
	"testing"
)

// TestColonsWithinWordsBetweenBrackets: what the lexer makes of them is not YAML.
func TestColonsWithinWordsBetweenBrackets(t *testing.T) {
	for _, c := range []struct {
		command string
		want    []string
	}{
		{`[curl, http://127.0.0.1:8080/x, a:1]`, []string{"curl", "http://127.0.0.1:8080/x", "a:1"}},
		{`[redis-cli, -h, host:6379, 1:2:3, "a:b"]`, []string{"redis-cli", "-h", "host:6379", "1:2:3", "a:b"}},
		{"[a,\n      b:c,\n      d]", []string{"a", "b:c", "d"}},
	} {
		r := &reader{name: "exeunt.yaml"}
		root, err := parse(r, "services:\n  web:\n    command: "+c.command+"\n")
		if err != nil {
			t.Fatalf("%s: %v", c.command, err)
		}
		var got []string
		for _, item := range root.at("services").at("web").at("command").items {
			if item.kind != scalar {
				t.Errorf("%s: %v", c.command, item.kind)
			}
			got = append(got, item.text)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s is %q, want %q", c.command, got, c.want)
		}
	}
	for _, text := range []string{"a: b\t# c\n", "a:\tb\n", "a: 'b\tc'\n", "a: |\n  b\tc\n", "a: [b,\tc]\n"} {
		if _, err := parse(&reader{name: "exeunt.yaml"}, text); err != nil {
			t.Errorf("%q: a tab that does no harm: %v", text, err)
		}
	}
	r := &reader{name: "exeunt.yaml"}
	root, err := parse(r, "a: [b: c, d: {e: f, g: [1, h:2]}]\n")
	if err != nil || root.at("a").items[0].kind != mapping || root.at("a").items[1].at("d").at("g").items[1].text != "h:2" {
		t.Errorf("keys between brackets are no longer keys: %v", err)
	}
}
