package config

import (
	"strings"
	"testing"
)

func TestConvertTakesOneFileOrFolder(t *testing.T) {
	for _, from := range []string{"supervisord.conf", "./Procfile", "run", "a b"} {
		if inv := mustParse(t, []string{"convert", from}); inv.Verb != Convert || inv.From != from {
			t.Errorf("convert %q: %s from %q", from, inv.Verb, inv.From)
		}
	}
	for text, want := range map[string]string{
		"convert":               "convert takes one file or folder",
		"convert a b":           "convert takes one file or folder",
		"convert -c x.yaml a":   "--config is no flag of convert",
		"convert a -- b":        "convert runs no program",
		"convert a --timeout 1": "--timeout is no flag of convert",
	} {
		if _, err := Parse(strings.Fields(text), nil, docker); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
