package config

import (
	"reflect"
	"testing"
)

// samples are good values of every flag that has one.
var samples = map[string]string{
	"grace-period": "30s", "stop-on": "TERM,QUIT", "stop-signal": "QUIT 5s, TERM", "rewrite": "HUP:USR1", "kill-mode": "group",
	"straggler-timeout": "2", "pre-start": "tcp://db:5432", "post-start": "signal:USR1", "pre-stop": "sh -c 'a  b'", "post-stop": "sleep:1s",
	"hook-timeout": "500ms", "user": "1:1", "working-dir": "/", "tty": "init", "exit-codes": "143=0,3=1", "remap-exit": "143",
	"on-stop-exit": "0", "log": "json", "log-level": "debug", "report": "/tmp/r.json", "after": "3s", "timeout": "3s",
	"control": "/run/c.sock", "http": ":9090", "config": "/x/exeunt.yaml",
}

// slow reads flags and variables as kong does.
func slow(t *testing.T, given []option, ours []variable) *flags {
	t.Helper()
	p := newParser()
	if err := p.parse(given, ours); err != nil {
		t.Fatalf("%v %v: %v", given, ours, err)
	}
	return p.flags
}

func TestTheQuickWayReadsWhatKongReads(t *testing.T) {
	for _, field := range reflect.VisibleFields(reflect.TypeFor[flags]()) {
		if !field.IsExported() || field.Name == "Help" {
			continue
		}
		name := flagName(field)
		given := []option{{name: "--" + name, value: samples[name], valued: true}}
		ours := []variable{{asVariable(name), samples[name]}}
		switch {
		case field.Type.Kind() == reflect.Bool:
			given, ours = []option{{name: "--" + name}}, nil
		case samples[name] == "":
			t.Errorf("no sample of --%s", name)
			continue
		case field.Type.Kind() == reflect.Slice:
			given = append(given, given[0])
			ours[0].value += "\n\n" + ours[0].value + "\r\n"
		}
		for _, in := range []struct {
			given []option
			ours  []variable
		}{{given, nil}, {nil, ours}, {given, ours}} {
			want := slow(t, in.given, in.ours)
			if got := quick(in.given, in.ours); !reflect.DeepEqual(got, want) {
				t.Errorf("%v %v: %+v, want %+v", in.given, in.ours, got, want)
			}
		}
	}
}

func TestTheQuickWayLeavesToKongWhatIsWrongOrRare(t *testing.T) {
	for _, in := range []struct {
		given []option
		ours  []variable
	}{
		{given: []option{{name: "--nonsense", value: "1", valued: true}}},
		{given: []option{{name: "-h"}}},
		{given: []option{{name: "--help"}}},
		{given: []option{{name: "--user"}}},
		{given: []option{{name: "--quiet", value: "true", valued: true}}},
		{given: []option{{name: "--grace-period", value: "-1", valued: true}}},
		{given: []option{{name: "--sources", value: "1", valued: true}}},
		{given: []option{{name: "--tty", value: "app", valued: true}, {name: "--tty", value: "init", valued: true}}},
		{ours: []variable{{"EXEUNT_QUIET", "1"}}},
		{ours: []variable{{"EXEUNT_NONSENSE", "1"}}},
		{ours: []variable{{"EXEUNT_HELP", "1"}}},
		{ours: []variable{{"EXEUNT_", "1"}}},
		{ours: []variable{{"EXEUNT_USER", "no such user"}}},
	} {
		if f := quick(in.given, in.ours); f != nil {
			t.Errorf("%v %v: %+v", in.given, in.ours, f)
		}
	}
}
