package config

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// FuzzConfig holds every text to one of two ends, in little time: lines that
// each name a place, or a plan that can be run.
func FuzzConfig(f *testing.F) {
	for _, folder := range []string{"good", "bad"} {
		entries, err := os.ReadDir("../../testdata/config/" + folder)
		if err != nil {
			f.Fatal(err)
		}
		for _, entry := range entries {
			text, err := os.ReadFile("../../testdata/config/" + folder + "/" + entry.Name())
			if err != nil {
				f.Fatal(err)
			}
			if strings.HasSuffix(entry.Name(), ".yaml") {
				f.Add(string(text))
			}
		}
	}
	place := regexp.MustCompile(`^x\.yaml(:\d+){0,2}: `)
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 16<<10 {
			return // long ones take longer, which is another test's
		}
		began := time.Now()
		r := &reader{name: "x.yaml", lookup: func(name string) (string, bool) { return "value", name == "NAME" }}
		fl := &flags{sources: map[string]string{}}
		doc, err := fl.read(r, text, "/nonexistent")
		var inv *Invocation
		if err == nil {
			inv, err = fl.invocation(line{verb: Check, program: []string{"x"}}, []string{"NAME=value"}, docker, r, doc)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("it took %v", took)
		}
		if err == nil {
			runnable(t, inv)
			return
		}
		for _, line := range linesOf(err) {
			if !place.MatchString(line) || strings.Contains(line, "\n") {
				t.Errorf("no place: %q", line)
			}
		}
	})
}

// runnable checks what the core takes for granted in a plan.
func runnable(t *testing.T, inv *Invocation) {
	p := inv.Plan
	byName := map[string]bool{}
	for i := range p.Services {
		s := &p.Services[i]
		if byName[s.Name] || !properName(s.Name) || len(s.Command.Args) == 0 || s.Command.Args[0] == "" {
			t.Errorf("service %q runs %q", s.Name, s.Command.Args)
		}
		byName[s.Name] = true
		if s.Of != "" {
			byName[s.Of] = true
		}
	}
	for i := range p.Services {
		for _, d := range p.Services[i].DependsOn {
			if !byName[d.On] {
				t.Errorf("%s depends on %q, which is not there", p.Services[i].Name, d.On)
			}
		}
	}
	for i, at := range foresee(p, 0).told {
		if at < 0 {
			t.Errorf("%s is told at %v", p.Services[i].Name, at)
		}
	}
	for _, line := range strings.Split(inv.Text, "\n") {
		if strings.TrimRight(line, " ") != line {
			t.Errorf("blanks at the end of %q", line)
		}
	}
}

// FuzzEnvFile holds an env_file to an error with a line's number, or names that
// are names.
func FuzzEnvFile(f *testing.F) {
	f.Add("# c\nexport A=1\nB=\"x\\n$A ${C:-d}\" # c\nD='x\ny'\nE\n")
	number := regexp.MustCompile(`^\d+: `)
	f.Fuzz(func(t *testing.T, text string) {
		settings, err := envFile(text, func(name string) (string, bool) { return "value", name == "NAME" })
		if err != nil {
			if !number.MatchString(err.Error()) {
				t.Errorf("no line: %v", err)
			}
			return
		}
		for _, s := range settings {
			if s.name == "" || strings.ContainsAny(s.name+s.value, "\x00") || strings.ContainsAny(s.name, "= \n") {
				t.Errorf("%q=%q", s.name, s.value)
			}
		}
	})
}
