package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"exeunt/signals"
	"exeunt/supervisor"
)

// files are those of testdata/config, good or bad.
func files(t *testing.T, folder string) (paths []string) {
	t.Helper()
	paths, err := filepath.Glob("../../testdata/config/" + folder + "/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d files, %v", len(paths), err)
	}
	return paths
}

// golden compares with the file beside the .yaml, and with -update writes it.
func golden(t *testing.T, path, got string) {
	t.Helper()
	path = strings.TrimSuffix(path, ".yaml") + ".txt"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || got != string(want) {
		t.Errorf("%s differs (%v); see -update. Got\n%s", path, err, got)
	}
}

func TestGoodFilesBecomeThePlanBesideThem(t *testing.T) {
	for _, path := range files(t, "good") {
		inv, err := Parse([]string{"run", "-c", path}, []string{"PATH=/bin"}, docker)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		var b strings.Builder
		for _, warning := range inv.Warnings {
			fmt.Fprintf(&b, "warning: %s\n", warning)
		}
		dump(&b, "plan", reflect.ValueOf(inv.Plan))
		fmt.Fprintf(&b, "log %s %d, report %q, control %q, http %q\n", inv.Log, inv.Level, inv.Report, inv.Control, inv.HTTP)
		golden(t, path, b.String())
	}
}

func TestBadFilesAreAnsweredAsWrittenBesideThem(t *testing.T) {
	for _, path := range files(t, "bad") {
		inv, err := Parse([]string{"run", "-c", path}, nil, docker)
		if err == nil {
			t.Errorf("%s is good: %+v", path, inv.Plan)
			continue
		}
		golden(t, path, strings.ReplaceAll(strings.Join(linesOf(err), "\n")+"\n", filepath.Dir(path)+"/", ""))
	}
}

// dump writes what is not zero in a value, a line for each.
func dump(b *strings.Builder, name string, v reflect.Value) {
	if v.IsZero() {
		return
	}
	switch x := v.Interface().(type) {
	case supervisor.Timetable:
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		fmt.Fprintf(b, "%s: after %s %s\n", name, at.Format(time.DateTime), x.Next(at).UTC().Format(time.DateTime))
		return
	case signals.Rewrites:
		for sig := signals.Signal(1); sig <= signals.RTMAX; sig++ {
			if to, ok := x.Apply(sig); to != sig {
				fmt.Fprintf(b, "%s: %v becomes %v, %v\n", name, sig, to, ok)
			}
		}
		return
	case string, []string:
		fmt.Fprintf(b, "%s: %q\n", name, x)
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		dump(b, name, v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			dump(b, name+"."+v.Type().Field(i).Name, v.Field(i))
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Struct {
			for i := range v.Len() {
				dump(b, fmt.Sprintf("%s[%d]", name, i), v.Index(i))
			}
			return
		}
		fallthrough
	default:
		fmt.Fprintf(b, "%s: %v\n", name, v.Interface())
	}
}
