package config

import (
	"encoding/json"
	"strings"
)

// A shape is a JSON Schema (draft 2020-12).
type shape map[string]any

// A schema is the shapes of the objects met so far, by their names.
type schema struct{ objects shape }

// replaced is what any single value may be instead: it is replaced before the
// value is read.
const replaced = `\$`

// writeSchema is the JSON Schema of the file: what an editor needs to complete
// and check one. It comes from the tables that read the file.
func writeSchema() string {
	s := &schema{objects: shape{}}
	top := new(file).object().body(s)
	top["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	top["title"] = topLevel
	top["description"] = "The services of a container, and how it stops. Written out by: exeunt check --schema"
	top["$defs"] = s.objects
	text, err := json.MarshalIndent(top, "", "  ")
	if err != nil {
		panic(err) // there is nothing in it but strings, numbers, lists and maps
	}
	return string(text) + "\n"
}

func (o object) shape(s *schema) shape {
	if s.objects[o.name] == nil {
		s.objects[o.name] = shape{} // it is under way, should it hold itself
		s.objects[o.name] = o.body(s)
	}
	return shape{"$ref": "#/$defs/" + o.name}
}

func (o object) body(s *schema) shape {
	properties := shape{}
	for _, k := range o.keys {
		described := shape{"description": k.doc}
		for word, meaning := range k.value.shape(s) {
			described[word] = meaning
		}
		properties[k.name] = described
	}
	body := shape{"type": "object", "properties": properties, "additionalProperties": false}
	if o.open {
		body["patternProperties"] = shape{"^x-": true}
	}
	return body
}

func (w word) shape(*schema) shape { return w.form() }

func (j joined) shape(s *schema) shape {
	if j.pairs {
		return anyOf(j.form(), shape{"type": "object", "additionalProperties": j.part()})
	}
	return anyOf(j.form(), shape{"type": "array", "items": j.part()})
}

func (l listing) shape(s *schema) shape {
	one := l.each().shape(s)
	return anyOf(one, shape{"type": "array", "items": one})
}

func (t table) shape(s *schema) shape {
	v, _ := t.each("", &node{})
	form := shape{"type": "object", "additionalProperties": v.shape(s)}
	if t.names != "" {
		form["propertyNames"] = shape{"pattern": t.names}
	}
	return form
}

func (c choice) shape(s *schema) shape {
	var forms []shape
	for _, form := range []value{c.single, c.many, c.pairs} {
		if form != nil {
			forms = append(forms, form.shape(s))
		}
	}
	if c.nothing != nil {
		forms = append(forms, shape{"type": "null"})
	}
	return anyOf(forms...)
}

// anyOf takes any of the shapes, itself flat.
func anyOf(forms ...shape) shape {
	var flat []any
	for _, form := range forms {
		if inner, ok := form["anyOf"].([]any); ok && len(form) == 1 {
			flat = append(flat, inner...)
		} else {
			flat = append(flat, form)
		}
	}
	if len(flat) == 1 {
		return forms[0]
	}
	return shape{"anyOf": flat}
}

// Shapes of single values. A number is also taken as a string, as which a
// variable gives it.
func textShape() shape { return shape{"type": []string{"string", "number", "boolean"}} }

func enumShape(words ...string) func() shape {
	return func() shape { return anyOf(shape{"enum": words}, shape{"type": "string", "pattern": replaced}) }
}

// either is one of the words, or of the other shape.
func either(other func() shape, words ...any) func() shape {
	return func() shape { return anyOf(shape{"enum": words}, other()) }
}

func patternShape(pattern string) func() shape {
	return func() shape {
		return shape{"type": []string{"string", "number"}, "pattern": pattern + "|" + replaced}
	}
}

func numberShape(low, high int) func() shape {
	return func() shape {
		return shape{"type": []string{"integer", "string"}, "minimum": low, "maximum": high, "pattern": `^-?[0-9]+$|` + replaced}
	}
}

func boolShape() shape {
	return shape{"type": []string{"boolean", "string"}, "pattern": "^(" + strings.Join(append(yes, no...), "|") + ")?$|" + replaced}
}

func durationShape() shape {
	return patternShape(`^[0-9.]+$|^([0-9.]+(ns|us|µs|ms|s|m|h))+$`)()
}

func signalShape() shape { return shape{"type": []string{"string", "integer"}} }
