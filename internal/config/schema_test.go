package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"exeunt/hooks"
)

// TestTheSchemaHasEveryKeyAndNoOther walks the tables that read the file and
// the schema that is printed.
func TestTheSchemaHasEveryKeyAndNoOther(t *testing.T) {
	inv := mustParse(t, []string{"check", "--schema"})
	if inv.Verb != Check || inv.Plan != nil {
		t.Fatalf("%+v", inv)
	}
	var top map[string]any
	if err := json.Unmarshal([]byte(inv.Text), &top); err != nil {
		t.Fatal(err)
	}
	defs := top["$defs"].(map[string]any)
	tables := map[string][]string{
		"service": names(new(service).keys()), "healthcheck": names(new(health).keys()), "hook": names(new(action).keys()), "http": names(httpKeys(new(hooks.HTTP))), "drain": names(drainKeys(new(hooks.Drain))),
		"tcp": {"address", "send", "expect"}, "ulimit": {"soft", "hard"}, "dependency": {"condition"},
	}
	if got, want := slices.Sorted(maps.Keys(defs)), slices.Sorted(maps.Keys(tables)); !slices.Equal(got, want) {
		t.Errorf("objects %v, want %v", got, want)
	}
	defs["exeunt.yaml"], tables["exeunt.yaml"] = top, names(new(file).object().keys)
	for name, want := range tables {
		object, _ := defs[name].(map[string]any)
		properties, _ := object["properties"].(map[string]any)
		if got, want := slices.Sorted(maps.Keys(properties)), slices.Sorted(slices.Values(want)); !slices.Equal(got, want) {
			t.Errorf("%s has %v, want %v", name, got, want)
		}
		if object["additionalProperties"] != false {
			t.Errorf("%s takes other keys", name)
		}
		for key, p := range properties {
			if doc, _ := p.(map[string]any)["description"].(string); len(doc) < 5 || !strings.HasSuffix(strings.TrimSuffix(doc, "'"), ".") {
				t.Errorf("%s.%s: description %q", name, key, doc)
			}
		}
	}
}

// TestEveryFlagIsAKeyOfTheFile but those that make no sense there.
func TestEveryFlagIsAKeyOfTheFile(t *testing.T) {
	not := strings.Fields("config help json watch all after timeout schema")
	ofServices := strings.Fields("stop-signal kill-mode user working-dir no-new-privs")
	for _, flag := range newParser().kong.Model.Flags {
		known := names(new(file).object().keys)
		if slices.Contains(ofServices, flag.Name) {
			known = names(new(service).keys())
		}
		if !slices.Contains(not, flag.Name) && !slices.Contains(known, strings.ReplaceAll(flag.Name, "-", "_")) {
			t.Errorf("--%s is no key", flag.Name)
		}
	}
}

// plainValue is a node as encoding/json would have read it.
func plainValue(n *node) any {
	switch n.kind {
	case scalar:
		var v any
		if json.Unmarshal([]byte(n.text), &v) == nil {
			return v // a number or a boolean, as it was written
		}
		return n.text
	case sequence:
		list := []any{}
		for _, item := range n.items {
			list = append(list, plainValue(item))
		}
		return list
	case mapping:
		object := map[string]any{}
		for _, e := range n.entries {
			object[e.name] = plainValue(e.value)
		}
		return object
	}
	return nil
}

func TestGoodFilesAreGoodByTheSchemaAndUnknownKeysAreNot(t *testing.T) {
	var top map[string]any
	if err := json.Unmarshal([]byte(writeSchema()), &top); err != nil {
		t.Fatal(err)
	}
	read := func(path string) any {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		// As an editor sees it: variables are not replaced.
		r := &reader{name: path, lookup: func(name string) (string, bool) { return "${" + name + "}", true }}
		root, err := parse(r, strings.ReplaceAll(string(text), "$", "$$"))
		if err != nil {
			t.Fatal(err)
		}
		return plainValue(root)
	}
	v := validator{top["$defs"].(map[string]any)}
	for _, path := range files(t, "good") {
		if err := v.check(top, read(path), ""); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, name := range []string{"typos", "compose"} {
		if err := v.check(top, read("../../testdata/config/bad/"+name+".yaml"), ""); err == nil {
			t.Errorf("%s.yaml is good by the schema", name)
		}
	}
}

// A validator knows as much of JSON Schema as the schema uses; what it does not
// know is an error.
type validator struct{ defs map[string]any }

func (v validator) check(schema map[string]any, value any, path string) error {
	for word, arg := range schema {
		var err error
		switch word {
		case "$schema", "title", "description", "$defs":
		case "$ref":
			name := strings.TrimPrefix(arg.(string), "#/$defs/")
			err = v.check(v.defs[name].(map[string]any), value, path)
		case "type":
			err = typed(arg, value)
		case "enum":
			if !slices.Contains(arg.([]any), value) {
				err = fmt.Errorf("%v is not one of %v", value, arg)
			}
		case "pattern":
			if text, ok := value.(string); ok && !regexp.MustCompile(arg.(string)).MatchString(text) {
				err = fmt.Errorf("%q does not match %s", text, arg)
			}
		case "minimum", "maximum":
			if n, ok := value.(float64); ok && (word == "minimum" && n < arg.(float64) || word == "maximum" && n > arg.(float64)) {
				err = fmt.Errorf("%v is beyond %s %v", n, word, arg)
			}
		case "anyOf":
			err = v.any(arg.([]any), value, path)
		case "minItems", "items", "prefixItems":
			err = v.list(schema, value, path)
		case "properties", "patternProperties", "additionalProperties", "propertyNames":
			err = v.object(schema, value, path)
		default:
			err = fmt.Errorf("%s is not known to this test", word)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

func typed(arg, value any) error {
	types, several := arg.([]any)
	if !several {
		types = []any{arg}
	}
	is := map[string]bool{"null": value == nil}
	switch n := value.(type) {
	case string:
		is["string"] = true
	case bool:
		is["boolean"] = true
	case float64:
		is["number"], is["integer"] = true, n == float64(int64(n))
	case []any:
		is["array"] = true
	case map[string]any:
		is["object"] = true
	}
	if !slices.ContainsFunc(types, func(t any) bool { return is[t.(string)] }) {
		return fmt.Errorf("%v is not %v", value, arg)
	}
	return nil
}

func (v validator) any(forms []any, value any, path string) (err error) {
	for _, form := range forms {
		if err = v.check(form.(map[string]any), value, path); err == nil {
			return nil
		}
	}
	return err
}

func (v validator) list(schema map[string]any, value any, path string) error {
	list, ok := value.([]any)
	if !ok {
		return nil
	}
	if least, ok := schema["minItems"].(float64); ok && len(list) < int(least) {
		return fmt.Errorf("fewer than %v", least)
	}
	first, _ := schema["prefixItems"].([]any)
	for i, item := range list {
		form := schema["items"]
		if i < len(first) {
			form = first[i]
		}
		if err := v.check(form.(map[string]any), item, fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
	}
	return nil
}

func (v validator) object(schema map[string]any, value any, path string) error {
	object, ok := value.(map[string]any)
	if !ok {
		return nil
	}
	properties, _ := schema["properties"].(map[string]any)
	patterns, _ := schema["patternProperties"].(map[string]any)
	for name, value := range object {
		if n, ok := schema["propertyNames"].(map[string]any); ok {
			if err := v.check(n, name, path); err != nil {
				return err
			}
		}
		form, known := properties[name].(map[string]any)
		for pattern := range patterns {
			if regexp.MustCompile(pattern).MatchString(name) {
				form, known = map[string]any{}, true
			}
		}
		if !known {
			if form, known = schema["additionalProperties"].(map[string]any); !known {
				return fmt.Errorf("unknown key %s", name)
			}
		}
		if err := v.check(form, value, join(path, name)); err != nil {
			return err
		}
	}
	return nil
}
