package config

import (
	"errors"
	"fmt"
	"strings"

	"exeunt/hooks"
	"exeunt/reaper"
	"exeunt/signals"
)

// hookList is a list of hooks, or one. Each that is right is given to add.
func hookList(add func(hooks.Hook)) value {
	return listing{func() value { return hookForm{add} }}
}

// A hookForm is one hook: the short form of the flags, or a mapping.
type hookForm struct{ add func(hooks.Hook) }

func (f hookForm) forms(h *action) choice {
	return choice{
		single: word{"a hook", func(t string) (err error) {
			h.Hook, err = hooks.Parse(t)
			return err
		}, textShape},
		pairs: object{name: "hook", keys: h.keys()},
	}
}

func (f hookForm) shape(s *schema) shape { return f.forms(new(action)).shape(s) }

func (f hookForm) read(r *reader, n *node) {
	var h action
	if !r.all(n, f.forms(&h)) {
		return
	}
	if err := h.Check(); err != nil {
		r.wrong(n.action(), "%v", err)
		return
	}
	if h.User != "" {
		if _, err := reaper.LookupUser(h.User); err != nil {
			r.wrong(n.at("user"), "%v", err)
		}
	}
	h.Env = h.added(r.lookup)
	if h.Name == "" {
		h.Name = label(&h.Hook)
	}
	f.add(h.Hook)
}

// action is the value of a hook's action, or the hook where it has not one.
func (n *node) action() *node {
	found := n
	for _, name := range []string{"command", "http", "tcp", "sleep", "signal", "drain"} {
		if at := n.at(name); at != n && found != n {
			return n
		} else if at != n {
			found = at
		}
	}
	return found
}

// An action is a hook and what of it is not stored there at once.
type action struct {
	hooks.Hook
	environment []setting
}

// added is the hook's own environment. What is inherited is there already.
func (a *action) added(lookup func(string) (string, bool)) (env []string) {
	for _, s := range a.environment {
		if !s.inherited {
			env = append(env, s.name+"="+s.value)
		}
	}
	return env
}

func (h *action) keys() []key {
	return []key{
		{"command", "Run this: a list of words, or a string that is split as a shell does. No shell is run.", words(&h.Command)},
		{"http", "Make this request. Any answer of 200 to 399 is a success.", request(&h.HTTP)},
		{"tcp", "Connect to host:port, and perhaps talk.", connection(&h.TCP)},
		{"sleep", "Wait so long.", someSpan(&h.Sleep, "a sleep of 0 does nothing")},
		{"signal", "Send the service this signal.", aSignal(&h.Signal)},
		{"drain", "Wait until the connections to our ports are idle: auto, ports, or more in a mapping.", drain(&h.Drain)},
		{"name", "How logs and the report call it. Default: what it does.", filled(&h.Name, "a name")},
		{"timeout", "How long it may take, never more than the grace period allows. Default: hook_timeout, else 5s.", someSpan(&h.Timeout, "a hook that has no time never succeeds")},
		{"interval", "Try a failed one again after so long, until its timeout. Default: no second try.", span(&h.Interval)},
		{"on_failure", "Whether its failure ends the list. Default: abort at the start, continue at the stop.", enum(&h.OnFailure, []string{"continue", "abort"}, hooks.Continue, hooks.Abort)},
		{"user", "Run the command as this user[:group]. Default: who exeunt is.", text(&h.User)},
		{"working_dir", "Run the command in this directory.", filled(&h.WorkingDir, "a directory")},
		{"environment", "What the command finds in its environment besides ours: a mapping, or a list of NAME=VALUE.", environment(&h.environment)},
	}
}

// request is a URL, with a method before it if it has one, or a mapping.
func request(to **hooks.HTTP) value {
	h := new(hooks.HTTP)
	return stored[hooks.HTTP]{to, h, choice{
		single: word{"a URL", func(t string) error {
			parsed, err := hooks.Parse(t)
			if err == nil && parsed.HTTP == nil {
				err = fmt.Errorf("%q is no URL: write http://HOST/PATH", t)
			}
			if err == nil {
				*h = *parsed.HTTP
			}
			return err
		}, textShape},
		pairs: object{name: "http", keys: httpKeys(h)},
	}}
}

// A stored value is pointed at once it is read.
type stored[T any] struct {
	to   **T
	what *T
	value
}

func (s stored[T]) read(r *reader, n *node) {
	*s.to = s.what
	s.value.read(r, n)
}

func httpKeys(h *hooks.HTTP) []key {
	return []key{
		{"url", "http:// or https://. USER:PASSWORD@ is sent as basic authentication. $${NAME} is replaced when the request is made.", filled(&h.URL, "a URL")},
		{"method", "Default: GET.", text(&h.Method)},
		{"headers", "A mapping of names to values.", headers(&h.Headers)},
		{"body", "What is sent.", text(&h.Body)},
		{"status", "Which answers are a success: 204, 200-299 or 2xx, or a list of these. Default: 200-399.", each("a status, as in 204 or 2xx", textShape, func(t string) error {
			var status hooks.Range
			err := status.UnmarshalText([]byte(t))
			h.Status = append(h.Status, status)
			return err
		})},
		{"insecure", "Take any certificate.", boolean(&h.Insecure)},
		{"ca", "A file of PEM certificates to trust instead of the system's.", filled(&h.CA, "a file")},
		{"unix", "Connect to this socket, whatever the URL's host.", filled(&h.Unix, "a path")},
		{"proxy", "Use HTTP_PROXY, HTTPS_PROXY and NO_PROXY.", boolean(&h.Proxy)},
	}
}

func headers(to *[]hooks.Header) value {
	return table{"names and values", func(name string, _ *node) (value, error) {
		return word{"a single value", func(t string) error {
			*to = append(*to, hooks.Header{Name: name, Value: t})
			return nil
		}, textShape}, nil
	}, ""}
}

// connection is host:port, or a mapping.
func connection(to **hooks.TCP) value {
	t := new(hooks.TCP)
	return stored[hooks.TCP]{to, t, choice{
		single: filled(&t.Addr, "host:port"),
		pairs: object{name: "tcp", keys: []key{
			{"address", "host:port.", filled(&t.Addr, "host:port")},
			{"send", `Say this once connected; \r, \n and \x00 are what they are in Go.`, text(&t.Send)},
			{"expect", "Succeed only if the other side says this.", text(&t.Expect)},
		}},
	}}
}

// drain is auto, a port or several, or a mapping.
func drain(to **hooks.Drain) value {
	d := new(hooks.Drain)
	return stored[hooks.Drain]{to, d, choice{
		single: ports(d).single, many: ports(d).many,
		pairs: object{name: "drain", keys: drainKeys(d)},
	}}
}

// ports are read as the flag's short form has them.
func ports(d *hooks.Drain) choice {
	form := patternShape("^(auto|[0-9]+(,[0-9]+)*)$")
	read := word{"auto or a port", func(t string) error {
		parsed, err := hooks.Parse("drain:" + strings.ReplaceAll(t, " ", ""))
		if err != nil {
			return errors.New("want auto or ports, as in [8080, 8443]")
		}
		d.Ports = parsed.Drain.Ports
		return nil
	}, form}
	return choice{single: read, many: joined{word: read, part: numberShape(1, 65535)}}
}

func drainKeys(d *hooks.Drain) []key {
	return []key{
		{"ports", "The TCP ports, or auto (the default): those that the container's processes listen on.", ports(d)},
		{"unix", "Paths of unix sockets, as the server bound them.", paths(&d.Unix)},
		{"count", "Which connections count: active (the default) are those that somebody waits on or has just spoken on; open are all.", enum(&d.Count, []string{"active", "open"}, hooks.Active, hooks.Open)},
		{"threshold", "Done at so many connections, or fewer. Default: 0.", number(&d.Threshold, 0, 1<<20)},
		{"min", "Never done before this. Default: 0s.", span(&d.Min)},
		{"quiet", "Never done before no new connection has come for so long. Default: 0s.", span(&d.Quiet)},
		{"settle", "Done when so many looks in a row were low enough. Default: 2.", number(&d.Settle, 1, 1000)},
		{"interval", "From one look to the next. Default: 250ms.", someSpan(&d.Interval, "it would never rest")},
		{"idle_after", "An active connection on which nothing was said for so long is idle. Default: 300ms.", someSpan(&d.IdleAfter, "every connection would be idle")},
	}
}

// label is the name of a hook that was given none: its short form.
func label(h *hooks.Hook) string {
	name := ""
	switch {
	case h.Command != nil:
		name = strings.Join(h.Command, " ")
	case h.Sleep > 0:
		name = "sleep:" + h.Sleep.String()
	case h.Signal != 0:
		name = "signal:" + h.Signal.String()
	case h.TCP != nil:
		name = "tcp://" + h.TCP.Addr
	case h.Drain != nil && len(h.Drain.Ports) > 0:
		name = "drain:" + strings.ReplaceAll(strings.Trim(fmt.Sprint(h.Drain.Ports), "[]"), " ", ",")
	case h.Drain != nil && len(h.Drain.Unix) > 0:
		name = "drain:" + strings.Join(h.Drain.Unix, ",")
	case h.Drain != nil:
		name = "drain"
	case h.HTTP != nil:
		// Which takes a password out.
		if short, err := hooks.Parse(strings.TrimSpace(h.HTTP.Method + " " + h.HTTP.URL)); err == nil {
			return short.Name
		}
	}
	const longest = 40
	name = strings.Join(strings.Fields(name), " ")
	if runes := []rune(name); len(runes) > longest {
		return string(runes[:longest-1]) + "…"
	}
	return name
}

// forwarding is which signals go to a service, and as what: a list, or a
// mapping of what is received to what is sent.
func forwarding(to *map[signals.Signal]signals.Signal) value {
	add := func(from, as string) error {
		sig, err := signals.Parse(from)
		if err != nil {
			return err
		}
		if *to == nil {
			*to = map[signals.Signal]signals.Signal{}
		}
		if _, twice := (*to)[sig]; twice {
			return fmt.Errorf("%s is there twice", sig)
		}
		// Which knows what can't be rewritten, and what is dropped.
		rewrites, err := signals.ParseRewrites(sig.String() + ":" + as)
		(*to)[sig], _ = rewrites.Apply(sig)
		return err
	}
	one := func(t string) error {
		from, as, found := strings.Cut(t, ":")
		if !found {
			as = from
		}
		return add(strings.TrimSpace(from), strings.TrimSpace(as))
	}
	return choice{
		single: word{"a signal", one, signalShape},
		many:   each("a signal, or FROM:TO", signalShape, one),
		pairs: table{"signals and what they become", func(from string, _ *node) (value, error) {
			return word{"a signal, or drop", func(t string) error { return add(from, t) }, signalShape}, nil
		}, ""},
	}
}

// rewriting is the same for the container, as the flag's entries.
func rewriting(to *[]string) value {
	add := func(entry string) error {
		err := new(signals.Rewrites).Add(entry)
		*to = append(*to, entry)
		return err
	}
	return choice{
		single: word{"FROM:TO", add, textShape},
		many:   each("FROM:TO", textShape, add),
		pairs: table{"signals and what they become", func(from string, _ *node) (value, error) {
			return word{"a signal, or drop", func(t string) error { return add(from + ":" + t) }, signalShape}, nil
		}, ""},
	}
}
