package convert

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"exeunt/signals"
)

// A program is a section of supervisord.conf that becomes a service, or
// several.
type program struct {
	*conversion
	section          *section
	name, group      string
	priority, groups int // its own, and that of its group
	count, number    int // numprocs and process_num
	own              []pair
	err              error // the first
	out              *service
}

// value is that of an option; variables in it are still to be read.
func (p *program) value(name string) string {
	o := p.section.option(name)
	if o == nil || p.err != nil {
		return ""
	}
	text, err := p.conversion.expand(o, p.lookup)
	p.err = err
	return text
}

func (p *program) lookup(name string) (string, bool) {
	switch name {
	case "program_name":
		return p.name, true
	case "group_name":
		return p.group, true
	case "process_num":
		return strconv.Itoa(p.number), true
	case "numprocs":
		return strconv.Itoa(p.count), true
	}
	i := slices.IndexFunc(p.own, func(own pair) bool { return "ENV_"+own.name == name })
	if i < 0 {
		return "", false
	}
	return p.own[i].value, true
}

// fail keeps what is wrong with an option.
func (p *program) fail(name string, format string, args ...any) {
	if p.err == nil {
		p.err = p.section.option(name).mistake(fmt.Errorf(format, args...))
	}
}

// besideText is what is wrong with half a value that is read when the container
// starts, where not every text will do.
const besideText = "a variable can't stand beside other text here"

// fixed is a value that has to be known now.
func (p *program) fixed(name string) string {
	text := p.value(name)
	if hasVariable(text) {
		if p.out != nil {
			p.out.note("%s=%s: left out, since a variable can't stand here.", name, text)
		}
		return ""
	}
	return text
}

func (p *program) integer(name string, otherwise int) int {
	text := p.fixed(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		p.fail(name, "%q is not a number", shortened(text))
	}
	return n
}

func (p *program) boolean(name string) bool {
	text := p.fixed(name)
	yes, err := truth(text)
	if text != "" && err != nil {
		p.fail(name, "%w", err)
	}
	return yes
}

func truth(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "yes", "true", "on", "1":
		return true, nil
	case "no", "false", "off", "0":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", shortened(text))
}

// given reports whether an option is in the file.
func (p *program) given(name string) bool { return p.section.option(name) != nil }

// convert makes one service of the program, or as many as it has processes
// where these differ in more than their names.
func (p *program) convert() error {
	first := p.integer("numprocs_start", 0)
	p.count = p.integer("numprocs", 1)
	name := "%(program_name)s"
	if o := p.section.option("process_name"); o != nil {
		name = o.value
	}
	switch {
	case p.err != nil:
		return p.err
	case p.count < 0 || p.count > mostServices || first < 0 || first > 1<<20:
		return mistake(p.section.path, p.section.line, "numprocs: %d processes, from number %d", p.count, first)
	case p.count > 1 && !strings.Contains(name, "%(process_num)"):
		return mistake(p.section.path, p.section.line, "process_name: without %%(process_num) all processes are called the same")
	}
	if !p.differ() || p.count == 0 {
		p.number = first
		return p.one(p.name, p.count, false)
	}
	for i := range p.count {
		p.number = first + i
		called := p.name
		if p.given("process_name") {
			called = p.value("process_name")
		}
		if p.err == nil {
			p.own = nil
			p.err = p.one(called, 1, true)
		}
		if p.err != nil {
			return p.err
		}
	}
	return nil
}

// differ reports whether the processes differ by their number.
func (p *program) differ() bool {
	for _, o := range p.section.options {
		if o.name != "process_name" && strings.Contains(o.value, "%(process_num)") {
			return true
		}
	}
	return false
}

// one makes a service of all processes or, alone, of one of them.
func (p *program) one(called string, replicas int, alone bool) error {
	p.out = nil
	enabled, autostart := true, p.value("autostart")
	switch {
	case autostart == "", isVariable(autostart):
	case hasVariable(autostart):
		p.fail("autostart", besideText)
	default:
		enabled = p.boolean("autostart")
	}
	if p.err != nil {
		return p.err
	}
	if replicas > mostReplicas {
		return mistake(p.section.path, p.section.line, "numprocs: more than %d", mostReplicas)
	}
	s, err := p.add(called, replicas, enabled)
	if err != nil {
		return mistake(p.section.path, p.section.line, "%v", err)
	}
	p.out = s
	p.surroundings()
	if p.err == nil && !p.given("command") {
		return mistake(p.section.path, p.section.line, "[%s] has no command", shortened(p.section.name))
	}
	if text := p.value("command"); p.err == nil {
		if err := s.command(text); err != nil {
			return p.section.option("command").mistake(err)
		}
		// First of all, though the environment is known before it.
		s.keys = slices.Insert(s.keys[:len(s.keys)-1], 0, s.keys[len(s.keys)-1])
	}
	p.life(autostart, enabled)
	if !alone {
		p.replicas()
	}
	p.end(!enabled)
	p.streams()
	p.others()
	return p.err
}

// surroundings are what the program runs in.
func (p *program) surroundings() {
	s := p.out
	if user := p.value("user"); user != "" || p.user != "" {
		if user == "" {
			user = p.user
		}
		p.users = true
		s.text("user", user)
	}
	if dir := p.value("directory"); strings.HasPrefix(dir, "~") {
		s.note("directory=%s: write the path.", dir)
	} else if dir != "" {
		s.text("working_dir", dir)
	}
	env := p.environment
	if text := p.value("environment"); text != "" {
		own, err := assignments(text)
		if err != nil {
			p.fail("environment", "%w", err)
		}
		p.own = own
		for _, one := range own {
			env = put(env, one)
		}
	}
	env = slices.DeleteFunc(slices.Clone(env), func(e pair) bool {
		if !isName(e.name) {
			s.note("environment: %s is no name of a variable.", e.name)
		}
		return !isName(e.name)
	})
	s.variables("environment", env)
	if text := p.fixed("umask"); text != "" {
		mask, err := strconv.ParseUint(strings.TrimPrefix(text, "0o"), 8, 32)
		if err != nil || mask > 0o777 {
			p.fail("umask", "%q is not octal, 0 to 0777", shortened(text))
		}
		s.set("umask", fmt.Sprintf(`"%04o"`, mask))
	}
}

// life is when the program is started, and started again.
func (p *program) life(autostart string, enabled bool) {
	s := p.out
	if !enabled {
		s.note("autostart=false: enabled: false leaves it out, and exeunt start does not know it. Where it is to be started by hand, leave enabled out and stop it with exeunt stop.")
		s.set("enabled", "false")
	} else if isVariable(autostart) {
		s.text("enabled", autostart)
	}
	again := strings.ToLower(p.fixed("autorestart"))
	codes := p.codes()
	switch yes, err := truth(again); {
	case again == "" || again == "unexpected":
		p.restarts = true
		s.set("restart", p.onFailure())
		if p.given("exitcodes") && p.err == nil && !slices.Contains(codes, "0") {
			s.note("exitcodes=%s: here 0 is a success, after which it is not started again. If it should be: restart: always.", p.section.option("exitcodes").value)
		}
	case err != nil:
		p.fail("autorestart", "%q is neither true, false nor unexpected", shortened(again))
	case yes:
		p.restarts = true
		s.set("restart", "always")
	case p.given("startsecs") && p.integer("startsecs", 1) == 0:
		s.note("autorestart=false, startsecs=0: a oneshot. Others can wait for its end: depends_on: {%s: {condition: service_completed_successfully}}.", s.name)
		s.set("type", "oneshot")
	}
	if !p.mortal {
		s.set("essential", "false")
	}
	if codes = slices.DeleteFunc(codes, func(code string) bool { return code == "0" }); len(codes) > 0 {
		s.set("success_exit_codes", "["+strings.Join(codes, ", ")+"]")
	}
	p.starting(again)
}

// onFailure is the restart of a program that exits with 0 to be left alone. It
// is given up only where that makes a difference.
func (p *program) onFailure() string {
	if tries := p.integer("startretries", 3); p.mortal && tries > 0 {
		return "on-failure:" + strconv.Itoa(min(tries, 1<<20))
	} else if p.mortal {
		return "no"
	}
	return "on-failure"
}

// starting is what supervisord calls a start.
func (p *program) starting(again string) {
	s := p.out
	if secs := p.integer("startsecs", 0); secs > 0 {
		s.note("startsecs=%d: it counts as running at once. A healthcheck says when it is ready.", secs)
	}
	if !p.given("startretries") {
		return
	}
	tries := p.integer("startretries", 3)
	yes, err := truth(again)
	switch {
	case err == nil && !yes && tries > 0:
		s.note("startretries=%d: a start that fails is not tried again. restart: on-failure:%d does so, after every failure.", tries, tries)
	case err == nil && !yes, err != nil && p.mortal:
	case tries <= 0:
		s.note("startretries=%d: leave restart out to have it not started again.", tries)
	default:
		s.note("startretries=%d: it is started again without end, each time later. restart: on-failure:%d gives up.", tries, tries)
	}
}

// codes are the exit codes that are expected.
func (p *program) codes() (codes []string) {
	text := p.fixed("exitcodes")
	if text == "" {
		return nil
	}
	for field := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || n < 0 || n > 255 {
			p.fail("exitcodes", "%q is not a list of exit codes, 0 to 255", shortened(text))
			return nil
		}
		if code := strconv.Itoa(n); !slices.Contains(codes, code) {
			codes = append(codes, code)
		}
	}
	return codes
}

// replicas says how often it runs, if that is not once.
func (p *program) replicas() {
	s := p.out
	if text := p.value("numprocs"); isVariable(text) {
		s.text("replicas", text)
	} else if hasVariable(text) {
		p.fail("numprocs", besideText)
	} else if p.count != 1 {
		s.set("replicas", strconv.Itoa(p.count))
	}
	if p.given("process_name") && p.err == nil {
		name := p.value("process_name")
		switch {
		case p.count > 1:
			s.note("process_name: %s and so on are called %s-1 to %s-%d, with that number in EXEUNT_INSTANCE.", name, s.name, s.name, p.count)
		case name != s.name:
			s.note("process_name: %s is called %s.", name, s.name)
		}
	}
}

// end is how the program is stopped.
func (p *program) end(disabled bool) {
	s := p.out
	if text := p.fixed("stopsignal"); text != "" {
		switch sig, err := signals.Parse(text); {
		case err != nil || sig == signals.STOP:
			s.note("stopsignal=%s: no signal that ends a program here; it gets TERM.", text)
		case sig != signals.TERM:
			s.set("stop_signal", sig.String())
		}
	}
	if p.boolean("stopasgroup") {
		s.set("kill_mode", "group")
	}
	seconds := p.integer("stopwaitsecs", 10)
	if seconds < 0 || seconds > 24*60*60-60 {
		p.fail("stopwaitsecs", "%w", errors.New("more than a day is never waited, nor less than nothing"))
		return
	}
	p.waits = append(p.waits, wait{s, seconds, p.given("stopwaitsecs"), disabled})
}
