package convert

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"exeunt/supervisor"
)

// A conversion is that of one supervisord.conf.
type conversion struct {
	disk
	document
	ini
	path        string
	environment []pair // that [supervisord] gives all programs
	user        string // that [supervisord] gives them
	waits       []wait
	mortal      bool // it ends when a program has failed, by an event listener

	// What the head of the file has to explain.
	variables, users, priorities, redirects, restarts bool
}

// A wait is the time that a service has to stop in.
type wait struct {
	of       *service
	seconds  int
	asked    bool
	disabled bool
}

// supervisord converts the text of a supervisord.conf.
func supervisord(d disk, path, text string) (string, error) {
	c := &conversion{disk: d, path: path}
	if err := c.ini.read(path, text); err != nil {
		return "", err
	}
	if err := c.include(); err != nil {
		return "", err
	}
	c.ini.inherit()
	if err := c.container(); err != nil {
		return "", err
	}
	c.mortal = slices.ContainsFunc(c.sections, (*section).ends)
	programs, err := c.programs()
	if err != nil {
		return "", err
	}
	for _, p := range programs {
		if err := p.convert(); err != nil {
			return "", err
		}
	}
	if len(programs) == 0 {
		return "", fmt.Errorf("%s: no [program:…] in it", path)
	}
	c.remainder()
	c.grace()
	return c.document.write(path)
}

// include reads the files that [include] names.
func (c *conversion) include() error {
	o := c.named("include").option("files")
	if o == nil {
		return nil
	}
	files, err := c.expand(o, nil)
	if err != nil {
		return err
	}
	for _, pattern := range strings.Fields(files) {
		if hasVariable(pattern) {
			c.tail = append(c.tail, fmt.Sprintf("[include] %s: not read, since its variable is not known before the container starts.", pattern))
			continue
		}
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(filepath.Dir(c.path), pattern)
		}
		found, err := c.glob(pattern)
		if err != nil || len(found) == 0 {
			c.tail = append(c.tail, fmt.Sprintf("[include] %s: no such file here. Convert where it is.", pattern))
			continue
		}
		slices.Sort(found)
		for _, file := range found {
			if strings.HasPrefix(filepath.Base(file), ".") && !strings.HasPrefix(filepath.Base(pattern), ".") {
				continue // a star is for no hidden file
			}
			text, err := c.text(file)
			if err != nil {
				c.tail = append(c.tail, fmt.Sprintf("[include] %v.", err))
				continue
			}
			if err := c.ini.read(file, text); err != nil {
				return err
			}
		}
	}
	return nil
}

// expand is the value of an option; more knows the names of the program's own.
func (c *conversion) expand(o *option, more func(name string) (string, bool)) (string, error) {
	text, err := expand(o.value, func(name string) (string, error) {
		if more != nil {
			if value, ok := more(name); ok {
				return value, nil
			}
		}
		switch name {
		case "here":
			return c.absolute(filepath.Dir(o.path))
		case "host_node_name":
			return variable("HOSTNAME"), nil
		}
		known, isVariable := strings.CutPrefix(name, "ENV_")
		if !isVariable || !isName(known) {
			return "", fmt.Errorf("%%(%s) is unknown", shortened(name))
		}
		if i := slices.IndexFunc(c.environment, func(p pair) bool { return p.name == known }); i >= 0 {
			return c.environment[i].value, nil
		}
		return variable(known), nil
	})
	if err != nil {
		return "", o.mistake(err)
	}
	c.variables = c.variables || hasVariable(text)
	return text, nil
}

func (o *option) mistake(err error) error { return mistake(o.path, o.line, "%s: %v", o.name, err) }

// container takes what [supervisord] gives to its programs.
func (c *conversion) container() error {
	s := c.named("supervisord")
	if o := s.option("environment"); o != nil {
		text, err := c.expand(o, nil)
		if err == nil {
			c.environment, err = assignments(text)
			if err != nil {
				err = o.mistake(err)
			}
		}
		if err != nil {
			return err
		}
	}
	if o := s.option("user"); o != nil {
		user, err := c.expand(o, nil)
		if err != nil {
			return err
		}
		if c.user = user; user == "root" || user == "0" {
			c.user = "" // as which exeunt runs anyway, or can't
		}
	}
	return nil
}

// programs are those of the file, in the order in which they would start.
func (c *conversion) programs() (programs []*program, err error) {
	for _, s := range c.sections {
		name, ok := strings.CutPrefix(s.name, "program:")
		if !ok {
			continue
		}
		p := &program{conversion: c, section: s, name: strings.TrimSpace(name)}
		p.group = p.name
		p.priority = p.integer("priority", 999)
		p.groups = p.priority
		if p.err != nil {
			return nil, p.err
		}
		c.priorities = c.priorities || s.option("priority") != nil
		programs = append(programs, p)
	}
	for _, s := range c.sections {
		name, ok := strings.CutPrefix(s.name, "group:")
		if !ok {
			continue
		}
		priority := 999
		if o := s.option("priority"); o != nil {
			if priority, err = strconv.Atoi(o.value); err != nil {
				return nil, o.mistake(fmt.Errorf("%q is not a number", shortened(o.value)))
			}
			c.priorities = true
		}
		for _, member := range members(s) {
			if i := slices.IndexFunc(programs, func(p *program) bool { return p.name == member }); i >= 0 {
				programs[i].group, programs[i].groups = strings.TrimSpace(name), priority
			}
		}
	}
	slices.SortStableFunc(programs, func(a, b *program) int {
		return cmp.Or(cmp.Compare(a.groups, b.groups), cmp.Compare(a.priority, b.priority))
	})
	return programs, nil
}

// members are the programs of a group.
func members(s *section) (names []string) {
	if o := s.option("programs"); o != nil {
		for name := range strings.SplitSeq(o.value, ",") {
			names = append(names, strings.TrimSpace(name))
		}
	}
	return names
}

// grace gives the container the time that its slowest service has, and each
// service its own.
func (c *conversion) grace() {
	longest := 0
	for _, w := range c.waits {
		if !w.disabled {
			longest = max(longest, w.seconds)
		}
	}
	for _, w := range c.waits {
		if w.asked || w.seconds < longest {
			w.of.set("stop_grace_period", strconv.Itoa(w.seconds)+"s")
		}
	}
	grace := max(longest, 1)
	for enough := false; !enough; grace++ {
		begin := time.Unix(0, 0)
		budget := supervisor.Budget{Grace: time.Duration(grace+1) * time.Second, Armed: true}
		enough = budget.Schedule(begin).Services.Sub(begin) >= time.Duration(longest)*time.Second
	}
	c.explain(grace)
	c.keys = append(c.keys, entry{key: "grace_period", value: strconv.Itoa(grace) + "s"})
}

// explain writes the head of the file.
func (c *conversion) explain(grace int) {
	c.say("Made by exeunt convert from %s. See what it does with exeunt check -c FILE.", filepath.Base(c.path))
	if c.mortal {
		c.say("An event listener ends supervisord when a program has failed. So does this, and needs none: the first service that ends for good ends the container, with its exit code. Write essential: false into those that may end.")
	} else {
		c.say("supervisord goes on without a program that has ended for good, and so does this: essential: false. Delete that line where the container should end with the program, with its exit code. When no service is left the container ends; supervisord would stay.")
	}
	if c.restarts && c.mortal {
		c.say("A restart waits 500 ms, and twice as long each time up to 30 s. See restart_delay and restart_max_delay, after which a row of restarts is over.")
	} else if c.restarts {
		c.say("A restart waits 500 ms, and twice as long each time up to 30 s; nobody is given up. See restart_delay, restart_max_delay and restart: on-failure:N.")
	}
	order := "All services start at once and stop at once, each with all processes that it leaves behind. Where one needs another, say so with depends_on: it then starts later and stops earlier."
	if c.priorities {
		order += " Of priority only the order in this file is left, since supervisord does not wait either."
	}
	c.say("%s", order)
	output := "What supervisord keeps in files of its own (AUTO) goes to the container's output. With several services each line there has its service's name; stdout: inherit shows it as it is."
	if c.redirects {
		output += " Of redirect_stderr nothing is left there: stderr stays stderr."
	}
	c.say("%s", output)
	if c.users {
		c.say("user: sets HOME, USER and LOGNAME as well, which supervisord does not. Set them under environment if they have to be others.")
	}
	if c.variables {
		c.say("${NAME} is read when the container starts. supervisord does not start without it: write ${NAME?} for that.")
	}
	c.say("The longest stopwaitsecs, and what exeunt needs after it. The platform has to give as much: docker stop --time %d, terminationGracePeriodSeconds: %d.", grace, grace)
}
