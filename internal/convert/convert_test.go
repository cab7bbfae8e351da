package convert

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"exeunt/internal/config"
	"exeunt/supervisor"
)

var update = flag.Bool("update", false, "write the expected files anew")

// environ gives every variable of a text a value that is good everywhere.
func environ(text string) []string {
	env := []string{"PATH=/bin"}
	for _, m := range regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)`).FindAllStringSubmatch(text, -1) {
		if name := m[1]; !strings.HasPrefix(name, "EXEUNT_") && name != "PATH" {
			env = append(env, name+"=1")
		}
	}
	return env
}

// plan is what exeunt reads in a text; check must have nothing against it.
func plan(t *testing.T, text string) *supervisor.Plan {
	t.Helper()
	inv, err := config.Parse([]string{"check"}, append(environ(text), "EXEUNT_CONFIG="+text), config.Host{PID1: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(inv.Unfit) > 0 {
		t.Errorf("not accepted: %q\n%s", inv.Unfit, text)
		return &supervisor.Plan{}
	}
	return inv.Plan
}

func TestRealFilesBecomeTheYAMLBesideThem(t *testing.T) {
	folder, err := filepath.Abs("../../testdata/convert")
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{
		"debian.conf", "laravel-sail.conf", "laravel-octane.conf", "nginx-php-fpm.conf", "python.ini", "odd.conf",
		"Procfile.rails", "Procfile.node", "s6-overlay/etc/s6-overlay/s6-rc.d",
	} {
		got, err := File("../../testdata/convert/" + from)
		if err != nil {
			t.Errorf("%s: %v", from, err)
			continue
		}
		plan(t, got)
		got = strings.ReplaceAll(got, folder, "/HERE")
		name, _, _ := strings.Cut(from, "/")
		golden := filepath.Join(folder, name+".yaml")
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(golden); err != nil || got != string(want) {
			t.Errorf("%s is another (%v); see -update. Got\n%s", golden, err, got)
		}
	}
}

// disks hold the files of tests.
func disks(files map[string]string) disk {
	return disk{
		read: func(path string) (string, error) {
			text, ok := files[path]
			if !ok {
				return "", os.ErrNotExist
			}
			return text, nil
		},
		glob: func(pattern string) (found []string, err error) {
			for path := range files {
				if ok, err := filepath.Match(pattern, path); ok || err != nil {
					found = append(found, path)
				}
			}
			return found, err
		},
		absolute: func(path string) (string, error) { return filepath.Join("/abs", path), nil },
	}
}

// program converts the options of one program, and returns its service.
func programOf(t *testing.T, options string) (supervisor.Service, string) {
	t.Helper()
	text, err := supervisord(disks(nil), "x.conf", "[program:x]\n"+options)
	if err != nil {
		t.Fatalf("%q: %v", options, err)
	}
	return plan(t, text).Services[0], text
}

func TestCommandsHaveTheWordsThatSupervisordGivesThem(t *testing.T) {
	for text, want := range map[string][]string{
		`a b  c`:                    {"a", "b", "c"},
		`a "b c" 'd "e"' f\ g`:      {"a", "b c", `d "e"`, "f g"},
		`a "\$x \n \" \\"`:          {"a", `\$x \n " \`},
		`a $HOME ${HOME} $(x) $$`:   {"a", "$HOME", "${HOME}", "$(x)", "$$"},
		`a 100%% %(program_name)s`:  {"a", "100%", "x"},
		`a --n=%(process_num)03d`:   {"a", "--n=000"},
		`a %(ENV_Q)s "%(ENV_R)s c"`: {"a", "1", "1 c"},
		`a "\$%(ENV_Q)s"`:           {"a", `\$1`},
		`a '' "" - -- -x`:           {"a", "", "", "-", "--", "-x"},
		"a\n  b\n\n  c":             {"a", "b", "c"},
		`a b;c d#e ; f`:             {"a", "b;c", "d#e"},
		`a: b`:                      {"a:", "b"},
		`a [b] {c} *d &e !f |g >h`:  {"a", "[b]", "{c}", "*d", "&e", "!f", "|g", ">h"},
		`a true null 1 0x1 ~ yes =`: {"a", "true", "null", "1", "0x1", "~", "yes", "="},
		"a \"b\u00e9\u0085\u2028\"": {"a", "b\u00e9\u0085\u2028"},
	} {
		if s, out := programOf(t, "command="+text); !slices.Equal(s.Command.Args, want) {
			t.Errorf("%q: %q, want %q\n%s", text, s.Command.Args, want, out)
		}
	}
}

func TestEnvironmentIsWhatSupervisordReads(t *testing.T) {
	for text, want := range map[string]string{
		`A=1`:                       "A=1",
		`A="1",B='x,y', C=z`:        "A=1 B=x,y C=z",
		`A="$x %%",B=a/b:c-d`:       "A=$x % B=a/b:c-d",
		`A="%(ENV_Q)s",B=%(ENV_R)s`: "A=1 B=1",
		`A="true",B="",C="07"`:      "A=true B= C=07",
		"A=1,\n  B=2":               "A=1 B=2",
		`A=1,A=2`:                   "A=2",
		`A="a: b#c"`:                "A=a: b#c",
		`A="- b",B="{x}",C="&d *e"`: "A=- b B={x} C=&d *e",
	} {
		s, out := programOf(t, "command=a\nenvironment="+text)
		env := s.Command.Env
		for len(env) > 0 && !strings.HasPrefix(env[0], "A=") {
			env = env[1:]
		}
		if got := strings.Join(env, " "); got != want {
			t.Errorf("%q: %q, want %q\n%s", text, got, want, out)
		}
	}
}

func TestWhatCannotBeReadIsOneLineWithItsPlace(t *testing.T) {
	d := disks(map[string]string{"b.ini": "\n[program:b]\nnonsense\n", "c.ini": "[program:c]\ncommand='\n"})
	for text, want := range map[string]string{
		"command=a":                                        `x.conf:1: "command=a" stands before the first [section]`,
		"[a]\nb":                                           `x.conf:2: "b" is not OPTION=VALUE`,
		"[program:a]\nb=c":                                 `x.conf:1: [program:a] has no command`,
		"[program:a]\ncommand=a 'b":                        `x.conf:2: command: the quote ' is not closed (after a blank, ; and # begin a comment)`,
		"[program:a]\ncommand=":                            `x.conf:2: command: no command`,
		"[program:a]\ncommand=a %s":                        `x.conf:2: command: a % is followed by (NAME)s; write %% for itself`,
		"[program:a]\ncommand=a %(x)s":                     `x.conf:2: command: %(x) is unknown`,
		"[program:a]\ncommand=a %(here)":                   `x.conf:2: command: %(here) is followed by s, or d for a number`,
		"[program:a]\ncommand=a\nautostart=%(ENV_A)s0":     `x.conf:3: autostart: a variable can't stand beside other text here`,
		"[program:a]\ncommand=a\nnumprocs=%(ENV_A)s%%0":    `x.conf:3: numprocs: a variable can't stand beside other text here`,
		"[program:a]\ncommand=a\n\nautostart=maybe":        `x.conf:4: autostart: "maybe" is neither true nor false`,
		"[program:a]\ncommand=a\nautorestart=maybe":        `x.conf:3: autorestart: "maybe" is neither true, false nor unexpected`,
		"[program:a]\ncommand=a\nexitcodes=0,256":          `x.conf:3: exitcodes: "0,256" is not a list of exit codes, 0 to 255`,
		"[program:a]\ncommand=a\nstopwaitsecs=1d":          `x.conf:3: stopwaitsecs: "1d" is not a number`,
		"[program:a]\ncommand=a\nstopwaitsecs=99999":       `x.conf:3: stopwaitsecs: more than a day is never waited, nor less than nothing`,
		"[program:a]\ncommand=a\numask=9":                  `x.conf:3: umask: "9" is not octal, 0 to 0777`,
		"[program:a]\ncommand=a\nnumprocs=2":               `x.conf:1: process_name: without %(process_num) all processes are called the same`,
		"[program:a]\ncommand=a\nnumprocs=5000":            `x.conf:1: numprocs: 5000 processes, from number 0`,
		"[program:a]\ncommand=a\nenvironment=A":            `x.conf:3: environment: "A" is not KEY="value",KEY="value"`,
		"[program:a]\ncommand=a\nautostart=no":             `x.conf: nothing in it would run`,
		"[supervisord]\n":                                  `x.conf: no [program:…] in it`,
		"[program:a]\ncommand=a\n[include]\nfiles=*.ini\n": `b.ini:3: "nonsense" is not OPTION=VALUE`,
		"[program:a]\ncommand=a\n[include]\nfiles=c.*\n":   `c.ini:2: command: the quote ' is not closed (after a blank, ; and # begin a comment)`,
	} {
		if out, err := supervisord(d, "x.conf", text); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s\n%s", text, err, want, out)
		}
	}
	for text, want := range map[string]string{
		"web: a\nb":         `P:2: "b" is not NAME: COMMAND`,
		"web:":              `P:1: "web:" is not NAME: COMMAND`,
		"w b: a":            `P:1: "w b: a" is not NAME: COMMAND`,
		"a: b\n# c\n\na: d": `P:4: a is there twice`,
		"a: \\":             `P:1: a: nothing follows the last backslash`,
		"# nothing":         `P: nothing in it would run`,
	} {
		if out, err := procfile("P", text, false); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s\n%s", text, err, want, out)
		}
	}
	if _, err := proper("x", "a\nb\xff"); err == nil || err.Error() != "x:2: this line is not text in UTF-8" {
		t.Errorf("%v", err)
	}
}

func TestINIIsReadAsPythonReadsIt(t *testing.T) {
	for text, want := range map[string]string{
		"[a]\nB = c ; d\nb2: e#f # g\n":            "b=c|b2=e#f",
		"[a]\nb=c\n  d\n\n  e\n# f\n  g\nh=i":      "b=c\nd\n\ne\ng|h=i",
		"[a]\nb=c\n[d]\ne=f\n[a]\nb=g\nh=i":        "b=g|h=i",
		"  [a]\n  b=c\n   d=e\n  f=g":              "b=c\nd=e|f=g",
		"[a]\nb=c; d; e ; f # g":                   "b=c; d; e ; f",
		"[a]\nb=x=y:z":                             "b=x=y:z",
		"[a]\nb=\n":                                "b=",
		"; x\n[a] ; y\n;b=c\nd=e\t;f":              "d=e",
		"[DEFAULT]\nz=1\nb=2\n[a]\nb=3":            "b=3|z=1",
		"[a]\nb=c ;\n\n\n   \n[d]":                 "b=c",
		"[a]\nb=c\n\n  still of b\n":               "b=c\n\nstill of b",
		"[a]\r\nb=c\r\n":                           "b=c",
		"\ufeff[a]\nb=c":                           "b=c",
		"[a]\nenvironment=X=\"1\",\n    Y=\"2\"\n": "environment=X=\"1\",\nY=\"2\"",
	} {
		var i ini
		text, err := proper("x", text)
		if err == nil {
			err = i.read("x", text)
		}
		i.inherit()
		var got []string
		for _, o := range i.named("a").options {
			got = append(got, o.name+"="+o.value)
		}
		if err != nil || strings.Join(got, "|") != want {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
}
