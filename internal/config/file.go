package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"strings"
)

// document reads the file, if there is one, and gives the flags what it says
// where neither the command line nor the environment does.
func (f *flags) document(r *reader, host Host) (*file, error) {
	text, dir, err := f.source(r, host)
	if err != nil || r.name == "" {
		return nil, err
	}
	return f.read(r, text, dir)
}

// read reads the text of the file.
func (f *flags) read(r *reader, text, dir string) (*file, error) {
	root, err := parse(r, text)
	if err != nil {
		return nil, err
	}
	doc := &file{dir: dir}
	doc.sources = map[string]string{}
	if root == nil {
		return doc, nil
	}
	doc.object().read(r, root)
	for _, e := range root.entries {
		if name := strings.ReplaceAll(e.name, "_", "-"); f.field(name).IsValid() {
			doc.sources[name] = fmt.Sprintf("%s:%d:%d: %s", r.name, e.line, e.column, e.name)
		}
	}
	f.inherit(&doc.flags)
	return doc, nil
}

// source is the text of the file, and what paths in it are relative to. It
// gives the reader the file's name, which stays empty where there is none.
func (f *flags) source(r *reader, host Host) (text, dir string, err error) {
	name, named := string(or(f.Config, path(host.Config))), f.Config != nil
	if strings.HasPrefix(f.sources["config"], prefix) && (strings.Contains(name, "\n") || strings.Contains(name, ": ")) {
		r.name = f.sources["config"]
		return name, "", nil
	}
	if name == "" {
		return "", "", nil
	}
	text, err = readFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !named:
		return "", "", nil
	case err != nil && named:
		return "", "", fmt.Errorf("%s: cannot read %q: %w", f.sources["config"], name, cause(err))
	case err != nil:
		return "", "", fmt.Errorf("cannot read %q: %w", name, cause(err))
	}
	r.name = name
	return text, filepath.Dir(name), nil
}

// inherit takes over the flags that the file gives and nobody else.
func (f *flags) inherit(from *flags) {
	to, of := reflect.ValueOf(f).Elem(), reflect.ValueOf(from).Elem()
	for i := range to.NumField() {
		t := to.Type().Field(i)
		if !t.IsExported() {
			continue
		}
		name := flagName(t)
		if source := from.sources[name]; source != "" && f.sources[name] == "" {
			to.Field(i).Set(of.Field(i))
			f.sources[name] = source
		}
	}
}
