package config

import (
	"cmp"
	"fmt"
	"strings"
)

// elsewhere are keys of Compose and of other supervisors, and what they are
// here; empty are those of the container itself, which runs already.
func elsewhere(name string) (meant string, known bool) {
	switch name {
	case "entrypoint", "cmd", "exec", "run":
		return "command", true
	case "env":
		return "environment", true
	case "cwd", "directory", "workdir", "dir":
		return "working_dir", true
	case "numprocs", "scale":
		return "replicas", true
	case "autorestart":
		return "restart", true
	case "stopsignal":
		return "stop_signal", true
	case "stopwaitsecs", "kill_delay", "stop_timeout":
		return "stop_grace_period", true
	case "after", "requires", "start_after":
		return "depends_on", true
	case "cron":
		return "schedule", true
	case "readiness_probe", "liveness_probe":
		return "healthcheck", true
	case "image", "build", "ports", "expose", "volumes", "networks", "network_mode", "container_name", "hostname", "labels",
		"logging", "cap_add", "cap_drop", "privileged", "deploy", "secrets", "configs", "links", "platform", "pull_policy", "profiles":
		return "", true
	}
	return "", false
}

// unknown is what to say of a key that an object does not have.
func unknown(name, of string, known []string) string {
	spelled := strings.NewReplacer("-", "_", " ", "_").Replace(strings.ToLower(name))
	if near := nearest(spelled, known); near != "" {
		return fmt.Sprintf("unknown key, did you mean %s?", near)
	}
	if of != topLevel && of != "service" {
		return fmt.Sprintf("unknown key: %s has %s", of, strings.Join(known, ", "))
	}
	if meant, ok := elsewhere(spelled); ok && meant != "" && of == "service" {
		return fmt.Sprintf("unknown key, did you mean %s?", meant)
	} else if ok && meant == "" {
		return "unknown key: that is the container's own, exeunt runs processes in one"
	}
	if of == "service" && nearest(spelled, names(new(file).object().keys)) != "" {
		return "unknown key of a service: it belongs at the top of the file"
	}
	if of != "service" && nearest(spelled, names(new(service).keys())) != "" {
		return "unknown key at the top of the file: it belongs to a service"
	}
	return `unknown key, see "exeunt check --schema"`
}

func names(keys []key) (list []string) {
	for _, k := range keys {
		list = append(list, k.name)
	}
	return list
}

// nearest is the word that name was probably meant to be: itself, or its begin,
// or at most two slips away, one in short ones. Empty is none.
func nearest(name string, words []string) (near string) {
	most := [...]int{0, 0, 0, 1, 1, 2}[min(len(name), 5)]
	begun := ""
	for _, word := range words {
		switch d := slips(name, word, most); {
		case d == 0:
			return word
		case d <= most:
			near, most = word, d-1
		case strings.HasPrefix(word, name) && len(name) > 2:
			begun = word
		}
	}
	return cmp.Or(near, begun)
}

// slips counts the letters to insert, delete, replace or swap with their
// neighbour to make a into b, up to one more than most.
func slips(a, b string, most int) int {
	switch {
	case a == b:
		return 0
	case most == 0:
		return 1
	case a == "" || b == "":
		return min(max(len(a), len(b)), most+1)
	case a[0] == b[0]:
		return slips(a[1:], b[1:], most)
	}
	least := min(slips(a[1:], b, most-1), slips(a, b[1:], most-1), slips(a[1:], b[1:], most-1))
	if len(a) > 1 && len(b) > 1 && a[0] == b[1] && a[1] == b[0] {
		least = min(least, slips(a[2:], b[2:], most-1))
	}
	return 1 + least
}
