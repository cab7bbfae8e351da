package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestVariablesAreReplacedAsComposeDoes has the cases of Compose's manual,
// "Interpolation".
func TestVariablesAreReplacedAsComposeDoes(t *testing.T) {
	values := map[string]string{"SET": "set", "EMPTY": "", "_a1": "odd", "YAML": "a: [b\n- c: {d"}
	lookup := func(name string) (string, bool) { v, ok := values[name]; return v, ok }
	for text, want := range map[string]string{
		"plain":                        "plain",
		"$SET":                         "set",
		"${SET}":                       "set",
		"a${SET}b$SET c":               "asetbset c",
		"$SETTER.":                     "." + "!SETTER",
		"${UNSET}":                     "!UNSET",
		"$_a1-":                        "odd-",
		"$$SET":                        "$SET",
		"$$${SET}":                     "$set",
		"$${SET}":                      "${SET}",
		"a$$":                          "a$",
		"${SET:-d}":                    "set",
		"${EMPTY:-d}":                  "d",
		"${EMPTY-d}":                   "",
		"${UNSET:-d}":                  "d",
		"${UNSET-d e}":                 "d e",
		"${UNSET:-}":                   "",
		"${SET:+x}":                    "x",
		"${EMPTY:+x}":                  "",
		"${EMPTY+x}":                   "x",
		"${UNSET+x}":                   "",
		"${SET:?no}":                   "set",
		"${EMPTY?no}":                  "",
		"${UNSET:-${EMPTY:-${SET}}}":   "set",
		"${UNSET:-$SET$SET}":           "setset",
		"${UNSET:-a$$b}":               "a$b",
		"${SET:-${UNSET:?not asked}}":  "set",
		"${YAML}":                      "a: [b\n- c: {d",
		"${UNSET:-http://h:80/?a=b-c}": "http://h:80/?a=b-c",
	} {
		unset := ""
		got, err := expand(text, lookup, func(name string) { unset += "!" + name }, deepestDefault)
		if err != nil || got+unset != want {
			t.Errorf("%s: %q %q, %v, want %q", text, got, unset, err, want)
		}
	}
	for text, want := range map[string]string{
		"$": "write $$", "a$ b": "write $$", "$1": "write $$", "${": "not closed", "${SET": "not closed", "${}": "is not a variable",
		"${1}": "is not a variable", "${SET:}": "is not a variable", "${SET!x}": "is not a variable", "${UNSET:?}": "it has to be",
		"${UNSET?say it}": "UNSET is not set: say it", "${EMPTY:?say $SET}": "EMPTY is not set: say set", "${UNSET:-${X}": "not closed",
		strings.Repeat("${A:-", 100) + strings.Repeat("}", 100): "not closed",
	} {
		if got, err := expand(text, lookup, func(string) {}, deepestDefault); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30s: %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestAVariableCannotChangeWhatTheFileIs(t *testing.T) {
	env := []string{"X=[a, b]\nlog: json", "EXEUNT_CONFIG=services:\n  w: {command: [echo, \"${X}\", '$X', $X]}\n"}
	inv, err := Parse([]string{"run"}, env, docker)
	if err != nil {
		t.Fatal(err)
	}
	want := "[a, b]\nlog: json"
	if got := inv.Plan.Services[0].Command.Args; !slices.Equal(got, []string{"echo", want, want, want}) || inv.Log != "auto" {
		t.Errorf("%q, log %s", got, inv.Log)
	}
}

func TestAVariableThatIsNotSetIsAWarningAndEmpty(t *testing.T) {
	inv := mustRead(t, "x-a: &a {command: [x, \"${NOPE}\"]}\nservices:\n  a: *a\n  b: *a\n  c: {command: '${NAME}'}\n")
	if want := []string{"EXEUNT_CONFIG:1:23: x-a.command[1]: the variable NOPE is not set, and taken as empty"}; !slices.Equal(inv.Warnings, want) {
		t.Errorf("%q, want %q", inv.Warnings, want)
	}
	if got := inv.Plan.Services[1].Command.Args; !slices.Equal(got, []string{"x", ""}) {
		t.Errorf("%q", got)
	}
}

func TestAnEnvFileIsReadAsComposeDoes(t *testing.T) {
	ours := func(name string) (string, bool) {
		return map[string]string{"OURS": "o"}[name], name == "OURS"
	}
	text := strings.Join([]string{
		"# a comment", "", "A=1", " B = two words  ", "export C=x", "D=x # comment", "E=x#y", "F=", "G", "H=\"a b\" # c", "I='$A \"x\" \\n'",
		`J="a\nb\t\"q\" \$A $A"`, "K=${A}${OURS}${NOPE:-d}", "L='two", "lines'", "M=\"two", "lines\"", "A=2", "N=$A", "O=$$x", "P.q-r=s", "OURS=mine", "Q=$OURS",
	}, "\r\n")
	want := []string{"A=1", "B=two words", "C=x", "D=x", "E=x#y", "F=", "G", "H=a b", `I=$A "x" \n`, "J=a\nb\t\"q\" $A 1", "K=1od", "L=two\nlines",
		"M=two\nlines", "A=2", "N=2", "O=$x", "P.q-r=s", "OURS=mine", "Q=o"}
	settings, err := envFile("\ufeff"+text, ours)
	var got []string
	for _, s := range settings {
		if s.inherited {
			got = append(got, s.name)
		} else {
			got = append(got, s.name+"="+s.value)
		}
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v\n got %q\nwant %q", err, got, want)
	}
	for text, want := range map[string]string{
		"A=1\nnonsense line\n": `2: "nonsense line" is not NAME=VALUE`,
		"=x":                   `1: "=x" is not NAME=VALUE`,
		"1A=x":                 `1: "1A=x" is not NAME=VALUE`,
		"\n\nA='x":             "3: A: the quote ' is not closed",
		"A='x\n\n' y":          `1: A: "y" follows the closing quote`,
		"A='\n'\nB=$":          "3: B: a $ is followed by",
		"A=\xff":               "1: A: is not text in UTF-8",
	} {
		if _, err := envFile(text, ours); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestTheEnvironmentIsOursThenTheUsersThenTheFilesThenTheServicesOwn(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"one.env": "A=one\nB=one\nC=one\nHOME=one\n", "two.env": "B=two\nC=two\nOURS\nNONE\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "x.yaml")
	text := "services: {w: {command: x, user: 1234:1, env_file: [one.env, " + dir + "/two.env], environment: {C: own, D: }}}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	inv := mustParse(t, []string{"run", "-c", file}, "OURS=o", "A=ours", "HOME=/root", "D=d", "EXEUNT_QUIET=1")
	got := slices.Sorted(slices.Values(inv.Plan.Services[0].Command.Env))
	if want := []string{"A=one", "B=two", "C=own", "D=d", "HOME=one", "OURS=o"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if err := os.WriteFile(filepath.Join(dir, "two.env"), []byte("B=1\noo ps\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Parse([]string{"run", "-c", file}, nil, docker)
	if want := fmt.Sprintf(`%s:1:52: services.w.env_file: %s/two.env:2: "oo ps" is not NAME=VALUE`, file, dir); fmt.Sprint(err) != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}
