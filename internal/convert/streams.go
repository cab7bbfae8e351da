package convert

import (
	"fmt"
	"slices"
	"strings"
)

// streams are where the program's output goes.
func (p *program) streams() {
	out := p.stream("stdout")
	if !p.boolean("redirect_stderr") {
		p.stream("stderr")
		return
	}
	if out != "" {
		p.out.set("stderr", out)
		return
	}
	p.redirects = true
}

// stream sets one of them where it is not the container's, and returns what it
// is set to.
func (p *program) stream(which string) (to string) {
	s, name := p.out, which+"_logfile"
	text := p.value(name)
	if p.boolean(which + "_syslog") {
		s.note("%s_syslog: it goes to the container's output.", which)
	}
	switch lower := strings.ToLower(text); {
	case lower == "" || lower == "auto":
		return ""
	case lower == "none" || lower == "off":
		to = `"null"`
	case lower == "syslog":
		s.note("%s=syslog: it goes to the container's output.", name)
		return ""
	case hasVariable(text) && !strings.Contains(text, "/"):
		s.note("%s=%s: left out, since only a path with a slash is one. It goes to the container's output.", name, text)
		return ""
	case strings.HasPrefix(text, "~"):
		s.note("%s=%s: write the path. It goes to the container's output.", name, text)
		return ""
	case ours(text) != "":
		if ours(text) != which {
			s.note("%s=%s: it stays on %s.", name, text, which)
		}
		return ""
	default:
		if !strings.Contains(text, "/") {
			text = "./" + text
		}
		to = scalar(text)
		s.note("%s=%s: appended to, and not rotated. Leave it out for the container's output.", name, text)
	}
	s.set(which, to)
	return to
}

// ours names the stream of the container that a path means, if it means one.
func ours(path string) string {
	for _, folder := range []string{"/dev/fd/", "/proc/self/fd/", "/proc/1/fd/"} {
		switch path {
		case folder + "1", "/dev/stdout", "/dev/console", "/dev/tty":
			return "stdout"
		case folder + "2", "/dev/stderr":
			return "stderr"
		}
	}
	return ""
}

// others are the options that nothing here stands for.
func (p *program) others() {
	for _, o := range p.section.options {
		text := strings.Join(strings.Fields(o.value), " ")
		switch name := o.name; name {
		case "command", "process_name", "numprocs", "numprocs_start", "directory", "user", "umask", "environment",
			"autostart", "autorestart", "exitcodes", "startsecs", "startretries",
			"stopsignal", "stopwaitsecs", "stopasgroup", "killasgroup", "redirect_stderr",
			"stdout_logfile", "stderr_logfile", "stdout_syslog", "stderr_syslog",
			"stdout_logfile_maxbytes", "stdout_logfile_backups", "stderr_logfile_maxbytes", "stderr_logfile_backups":
		case "priority":
			p.out.note("priority=%s", text)
		case "serverurl":
			p.out.note("serverurl=%s: there is no SUPERVISOR_SERVER_URL; what asks supervisord asks exeunt status.", text)
		case "stdout_capture_maxbytes", "stderr_capture_maxbytes", "stdout_events_enabled", "stderr_events_enabled":
			if !slices.Contains([]string{"", "0", "false", "no", "off"}, strings.ToLower(text)) {
				p.out.note("%s=%s: there are no event listeners.", name, text)
			}
		case "depends_on":
			p.out.note("depends_on=%s: write depends_on: [%s] if each of them is a service here.", text, text)
		default:
			p.out.note("%s=%s: nothing that supervisord knows.", name, text)
		}
	}
}

// remainder says what becomes of all that is no program.
func (c *conversion) remainder() {
	var asking []string
	for _, s := range c.sections {
		kind, name, _ := strings.Cut(s.name, ":")
		switch kind {
		case "program", "include", "DEFAULT":
		case "supervisord":
			c.settings(s)
		case "unix_http_server", "inet_http_server", "supervisorctl", "rpcinterface", "ctlplugin":
			asking = append(asking, "["+s.name+"]")
		case "group":
			c.after("[%s]: there are no groups; exeunt start, stop and restart take several names, as in exeunt restart %s.", s.name, strings.Join(members(s), " "))
		case "eventlistener":
			c.listener(s)
		case "fcgi-program":
			c.after("[%s] %s: nobody opens its socket for it here. Let it listen by itself and write it as a service, %s.", s.name, about(s, "socket", "command"), properName(name))
		default:
			c.after("[%s]: nothing that supervisord knows.", s.name)
		}
	}
	if len(asking) > 0 {
		c.after("%s: exeunt status, start, stop, restart, reload and signal ask over a socket of exeunt's own, which is there when there are several services (control: auto). Nothing listens on TCP but what http: asks for.", strings.Join(asking, ", "))
	}
}

func (c *conversion) after(format string, args ...any) {
	c.tail = append(c.tail, fmt.Sprintf(format, args...))
}

// about quotes options of a section.
func about(s *section, names ...string) string {
	var all []string
	for _, name := range names {
		if o := s.option(name); o != nil {
			all = append(all, name+"="+strings.Join(strings.Fields(o.value), " "))
		}
	}
	return "(" + strings.Join(all, ", ") + ")"
}

// settings says what becomes of the options of [supervisord].
func (c *conversion) settings(s *section) {
	var own []string
	for _, o := range s.options {
		switch o.name {
		case "environment":
		case "user":
			if c.user == "" && o.value != "root" && o.value != "0" {
				c.after("[supervisord] user=%s", o.value)
			}
		case "umask", "directory":
			c.after("[supervisord] %s=%s: counts for what runs as a daemon only. A service has umask and working_dir.", o.name, o.value)
		case "minfds":
			c.after("[supervisord] minfds=%s: a service has ulimits: {nofile: %s}; without, it has what the container has.", o.value, o.value)
		case "minprocs":
			c.after("[supervisord] minprocs=%s: a service has ulimits: {nproc: %s}; without, it has what the container has.", o.value, o.value)
		case "nodaemon", "silent", "pidfile", "logfile", "logfile_maxbytes", "logfile_backups", "loglevel", "childlogdir", "identifier", "nocleanup", "strip_ansi":
			own = append(own, o.name)
		default:
			c.after("[supervisord] %s=%s: nothing that supervisord knows.", o.name, o.value)
		}
	}
	if len(own) > 0 {
		c.after("[supervisord] %s: exeunt runs in the foreground, has no file of its own, and says little, on stderr (log, log_level, report).", strings.Join(own, ", "))
	}
}

// ends reports whether a section is an event listener that seems to be there to
// end supervisord when a program has failed: it hears of that, and says so.
func (s *section) ends() bool {
	if !strings.HasPrefix(s.name, "eventlistener:") || !strings.Contains(strings.ToUpper(about(s, "events")), "PROCESS_STATE") {
		return false
	}
	text := strings.ToLower(s.name + about(s, "command"))
	return slices.ContainsFunc([]string{"kill", "shutdown", "quit", "exit", "stop"}, func(word string) bool { return strings.Contains(text, word) })
}

func (c *conversion) listener(s *section) {
	if s.ends() {
		c.after("[%s] %s: taken for one that ends supervisord when a program has failed, for which none is needed.", s.name, about(s, "command", "events"))
		return
	}
	c.after("[%s] %s: there are no event listeners. See hooks (post_stop) and exeunt status --watch; for the end of the container with a service, essential.", s.name, about(s, "command", "events"))
}
