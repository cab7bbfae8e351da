package convert

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"exeunt/internal/config"

	"github.com/rogpeppe/go-internal/txtar"
)

// The kinds of input that there are.
const (
	aConf = iota
	aProcfile
	aTree
	kinds
)

// converted converts a text as one of the kinds; a tree is a txtar archive.
func converted(kind uint8, text string) (string, error) {
	if kind %= kinds; kind == aTree {
		tree := fstest.MapFS{}
		var in *fstest.MapFile
		for line := range strings.Lines(text) { // txtar.Parse has been known to panic
			name, begins := strings.CutPrefix(strings.TrimSpace(line), "-- ")
			name, ends := strings.CutSuffix(name, " --")
			if begins && ends && fs.ValidPath(name) {
				in = &fstest.MapFile{}
				tree[name] = in
			} else if in != nil {
				in.Data = append(in.Data, line...)
			}
		}
		return services("tree", tree)
	}
	text, err := proper("file", text)
	switch {
	case err != nil:
		return "", err
	case kind == aProcfile:
		return procfile("file", text, strings.Contains(text, "dotenv"))
	}
	return supervisord(disks(map[string]string{"more.ini": "[program:more]\ncommand=more %(here)s\n", "bad.ini": "["}), "file", text)
}

// FuzzConvert holds every input to one of two ends: an error of one line, or a
// file that exeunt check accepts.
func FuzzConvert(f *testing.F) {
	for _, name := range []string{"debian.conf", "conf.d/app.conf", "laravel-octane.conf", "nginx-php-fpm.conf", "python.ini", "odd.conf"} {
		f.Add(uint8(aConf), read(f, name))
	}
	for _, name := range []string{"Procfile.rails", "Procfile.node"} {
		f.Add(uint8(aProcfile), read(f, name))
	}
	f.Add(uint8(aTree), archive(f))
	f.Fuzz(func(t *testing.T, kind uint8, text string) {
		if len(text) > 8<<10 {
			return // what is longer takes longer, and shows nothing new
		}
		out, err := converted(kind, text)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("several lines: %q", err)
			}
			return
		}
		if again, err := converted(kind, text); err != nil || again != out {
			t.Errorf("%v, and then another:\n%s\n%s", err, out, again)
		}
		inv, err := config.Parse([]string{"check"}, append(environ(out), "EXEUNT_CONFIG="+out), config.Host{PID1: true})
		if err != nil {
			t.Fatal(err)
		}
		unfit := slices.DeleteFunc(inv.Unfit, func(line string) bool {
			return strings.Contains(line, ".user: ") || // who is a user, the image decides
				strings.Contains(out, "${EXEUNT_") // which is ours, and not to be used
		})
		if len(unfit) > 0 {
			t.Errorf("not accepted: %q\n%s", unfit, out)
		}
	})
}

// FuzzTextSurvives holds every text to come back from the YAML as it was.
func FuzzTextSurvives(f *testing.F) {
	for _, text := range []string{"", " ", "a", "a b", "- a", "a: b", "a #b", "$a ${b} $$", `"'\`, "\t\r\n", "null", "~", "1e3", "0x1", "{a}", "[a]", "é\u0085\u2028\ufeff🙂", "%a", "@a", "`a`", "---", "...", "a:", "*a", "&a", "!a", "<<", "./a", "a  b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if text, err := proper("x", text); err != nil || len(text) > 4<<10 {
			return
		}
		d := &document{}
		d.say("%s", text)
		s, err := d.add("x", 1, true)
		if err != nil {
			t.Fatal(err)
		}
		s.note("%s", text)
		s.list("command", []string{"a", text, text + "b"})
		s.variables("environment", []pair{{"A", text}, {"B", "b" + text}})
		s.text("working_dir", "/"+text)
		out, err := d.write("x")
		if err != nil {
			t.Fatal(err)
		}
		got := plan(t, out).Services[0].Command
		if !slices.Equal(got.Args, []string{"a", text, text + "b"}) || !slices.Equal(got.Env[len(got.Env)-2:], []string{"A=" + text, "B=b" + text}) || got.Dir != "/"+text {
			t.Errorf("%q has become %q %q %q\n%s", text, got.Args, got.Env, got.Dir, out)
		}
	})
}

func read(f *testing.F, name string) string {
	text, err := os.ReadFile("../../testdata/convert/" + name)
	if err != nil {
		f.Fatal(err)
	}
	return string(text)
}

// archive is the folder of s6-rc as one text.
func archive(f *testing.F) string {
	root, all := "../../testdata/convert/s6-overlay/etc/s6-overlay/s6-rc.d", &txtar.Archive{}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(root, path)
		all.Files = append(all.Files, txtar.File{Name: filepath.ToSlash(name), Data: data})
		return err
	})
	if err != nil || len(all.Files) < 10 {
		f.Fatalf("%d files, %v", len(all.Files), err)
	}
	return string(txtar.Format(all))
}
