package convert

import (
	"fmt"
	"slices"
)

// connect writes down what a definition depends on.
func (t *tree) connect(d *definition) error {
	if d.kind == "bundle" {
		if d.name != "user" && d.name != "user2" {
			t.tail = append(t.tail, fmt.Sprintf("%s is a bundle, of %v: there are none here, and what depends on it depends on these.", d.name, d.wants))
		}
		return nil
	}
	if t.circular(d) {
		return fmt.Errorf("%s: the services wait for each other, %s among them", t.path, d.name)
	}
	on := entry{key: "depends_on"}
	for _, need := range t.needs(d) {
		condition := "service_started"
		switch {
		case need.kind == "oneshot":
			condition = "service_completed_successfully"
		case need.notifies > 0:
			condition = "service_healthy"
		}
		on.entries = append(on.entries, entry{key: need.service.name, value: "{condition: " + condition + "}"})
	}
	if on.entries != nil {
		d.service.keys = append(d.service.keys, on)
	}
	return nil
}

// needs are the services that a definition depends on, bundles written out.
func (t *tree) needs(d *definition) (needs []*definition) {
	var seen []*definition
	var follow func(names []string)
	follow = func(names []string) {
		for _, name := range names {
			on := t.find(name)
			switch {
			case on == nil && name == "base":
				// What s6-overlay itself does first.
			case on == nil:
				d.service.note("dependencies: %s is not in this folder.", name)
			case slices.Contains(seen, on):
			case on.kind == "bundle":
				seen = append(seen, on)
				follow(on.wants)
			default:
				seen, needs = append(seen, on), append(needs, on)
			}
		}
	}
	follow(d.wants)
	return needs
}

// circular reports whether a definition, bundles written out, depends on itself.
func (t *tree) circular(d *definition) bool {
	const (
		open = 1 + iota
		done
	)
	if d == nil || d.state == done {
		return false
	}
	if d.state == open {
		return true
	}
	d.state = open
	for _, name := range d.wants {
		if t.circular(t.find(name)) {
			return true
		}
	}
	d.state = done
	return false
}
