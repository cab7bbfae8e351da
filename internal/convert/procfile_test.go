package convert

import (
	"slices"
	"strings"
	"testing"
)

func TestShellRunsWhatOnlyAShellCanRun(t *testing.T) {
	for text, want := range map[string][]string{
		`node a.js`:             {"node", "a.js"},
		`exec node a.js`:        {"node", "a.js"},
		`a "b c" 'd $e'`:        {"a", "b c", "d $e"},
		`A=1 B="2 3" a b`:       {"a", "b"},
		`a -p $PORT`:            {"sh", "-c", "exec a -p $PORT"},
		`exec a -p $PORT`:       {"sh", "-c", "exec a -p $PORT"},
		`a -p ${PORT:-80} "$X"`: {"sh", "-c", `exec a -p ${PORT:-80} "$X"`},
		`a $(nproc)`:            {"sh", "-c", "exec a $(nproc)"},
		`A=$B a`:                {"sh", "-c", "exec env A=$B a"},
		`a *.js`:                {"sh", "-c", "exec a *.js"},
		`a > b 2>&1`:            {"sh", "-c", "exec a > b 2>&1"},
		`cd x && a`:             {"sh", "-c", "cd x && exec a"},
		`a; b;c`:                {"sh", "-c", "a; b;exec c"},
		`a && exec b`:           {"sh", "-c", "a && exec b"},
		`a && cd b`:             {"sh", "-c", "a && cd b", "group"},
		`a | b`:                 {"sh", "-c", "a | b", "group"},
		`a || b`:                {"sh", "-c", "a || b", "group"},
		`a & b`:                 {"sh", "-c", "a & b", "group"},
		`(a; b)`:                {"sh", "-c", "(a; b)", "group"},
		`{ a; }`:                {"sh", "-c", "{ a; }", "group"},
		`while a; do b; done`:   {"sh", "-c", "while a; do b; done", "group"},
		`a # b`:                 {"sh", "-c", "a # b", "group"},
		"a `b`":                 {"sh", "-c", "a `b`", "group"},
		`a "$(b "c")"`:          {"sh", "-c", `a "$(b "c")"`, "group"},
		`a 'b`:                  {"sh", "-c", "a 'b", "group"},
		`wait`:                  {"sh", "-c", "wait", "group"},
		`A=1`:                   {"sh", "-c", "A=1", "group"},
		`a ;`:                   {"sh", "-c", "a ;", "group"},
		`a\ b "c\"d"`:           {"a b", `c"d`},
		`a --x={1,2} b#c d~`:    {"sh", "-c", "exec a --x={1,2} b#c d~"},
	} {
		out, err := procfile("P", "web: "+text+"\n", false)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		s := plan(t, out).Services[0]
		got := s.Command.Args
		if strings.Contains(out, "kill_mode: group") {
			got = append(got, "group")
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	out, err := procfile("P", "web: A=1 B='2 3' a\n", false)
	if err != nil {
		t.Fatal(err)
	}
	if env := plan(t, out).Services[0].Command.Env; !slices.Equal(env, []string{"PATH=/bin", "A=1", "B=2 3"}) {
		t.Errorf("%q", env)
	}
}

func TestDotEnvIsMentionedWhereThereIsOne(t *testing.T) {
	for _, there := range []bool{true, false} {
		if out, err := procfile("P", "a: b\n", there); err != nil || strings.Contains(out, "env_file: .env") != there {
			t.Errorf("%v: %v\n%s", there, err, out)
		}
	}
}
