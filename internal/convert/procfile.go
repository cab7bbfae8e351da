package convert

import (
	"path/filepath"
	"strings"
)

// release is the process type that Heroku runs before all others.
const release = "release"

// procfile converts the text of a Procfile; dotenv tells that there is an .env
// beside it.
func procfile(path, text string, dotenv bool) (string, error) {
	d := &document{}
	seen := map[string]bool{}
	number, port := 0, false
	for row := range strings.Lines(text) {
		number++
		row = strings.TrimSpace(row)
		if row == "" || row[0] == '#' {
			continue
		}
		name, command, found := strings.Cut(row, ":")
		command = strings.TrimSpace(command)
		switch {
		case !found || command == "" || name == "" || !bare(name, "_-"):
			return "", mistake(path, number, "%q is not NAME: COMMAND", shortened(row))
		case seen[name]:
			return "", mistake(path, number, "%s is there twice", name)
		}
		seen[name] = true
		port = port || strings.Contains(command, "$PORT") || strings.Contains(command, "${PORT")
		s, err := d.add(name, 1, true)
		if err == nil {
			err = s.shellCommand(command)
		}
		if err != nil {
			return "", mistake(path, number, "%s: %v", name, err)
		}
	}
	if seen[release] {
		d.await()
	}
	d.say("Made by exeunt convert from %s. See what it does with exeunt check -c FILE.", filepath.Base(path))
	d.say("All of it runs in this container: delete what is to run in others. As under foreman the end of one ends all, with its exit code; where it is to be started again, as Heroku does, write restart: always.")
	if port {
		d.say("PORT is the container's own, the same for all; foreman counts on from 5000. Where it is not set write environment: {PORT: 5000}.")
	}
	if seen[release] {
		d.say("release runs to its end before the others start, each time the container starts; Heroku runs it once for all containers.")
	}
	if dotenv {
		d.say("foreman reads .env. It is not read here, since it seldom is in an image; if it is, write env_file: .env into the services that need it.")
	}
	d.say("grace_period is not set: write down what the platform gives (30s: Heroku and Kubernetes, 10s: Docker) and everyone is told and killed before.")
	return d.write(path)
}

// await makes release a oneshot, for which all others wait.
func (d *document) await() {
	for _, s := range d.services {
		if s.name == release {
			s.set("type", "oneshot")
			continue
		}
		s.keys = append(s.keys, entry{key: "depends_on", entries: []entry{
			{key: release, value: "{condition: service_completed_successfully}"},
		}})
	}
}
