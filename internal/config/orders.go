package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"exeunt/signals"
	"exeunt/supervisor"
)

// Asks reports whether the verb asks a running container something, or gives it
// an order.
func (v Verb) Asks() bool {
	switch v {
	case status, start, stop, restart, signal, reload, preStop:
		return true
	}
	return false
}

// asker is the verb that asks with this flag and is the only one to have it.
func asker(flag string) Verb {
	switch flag {
	case "--json", "--watch":
		return status
	case "--all":
		return stop
	}
	return ""
}

// asking reads the words of a verb that asks a running container.
func (l line) asking(f *flags, r *reader, host Host) (*Invocation, error) {
	if err := f.socket(r, host); err != nil {
		return nil, err
	}
	inv := &Invocation{Verb: l.verb, Services: l.words, JSON: f.JSON, Watch: f.Watch, Control: string(or(f.Control, ""))}
	if inv.Control == "off" {
		return nil, fmt.Errorf("%s: there is nobody to ask at a control socket that is off", f.sources["control"])
	}
	switch l.verb {
	case status:
		inv.Order = supervisor.AskStatus
		return inv, nil
	case preStop:
		inv.Order = supervisor.AskPreStop
		if len(l.words) > 0 {
			return nil, errors.New("prestop is for the whole container and takes no service")
		}
		return inv, nil
	case start:
		inv.Order = supervisor.AskStart
	case stop:
		inv.Order = supervisor.AskStop
	case restart:
		inv.Order = supervisor.AskRestart
	case reload:
		inv.Order = supervisor.AskReload
	case signal:
		inv.Order = supervisor.AskSignal
		if len(l.words) < 2 {
			return nil, errors.New(`signal takes a signal and a service: write "exeunt signal HUP SERVICE"`)
		}
		var err error
		if inv.Signal, err = signals.Parse(l.words[0]); err != nil {
			return nil, fmt.Errorf("signal: %w", err)
		}
		inv.Services = l.words[1:]
	}
	switch {
	case slices.Contains(inv.Services, ""):
		return nil, fmt.Errorf("%s: a service has a name", l.verb)
	case f.All && l.verb == stop && len(l.words) == 0:
		inv.Order = supervisor.AskHalt
	case f.All && l.verb == stop:
		return nil, errors.New("stop --all is for the whole container and takes no service")
	case l.verb == stop && len(l.words) == 0:
		return nil, errors.New(`stop what? Write "exeunt stop SERVICE", or "exeunt stop --all" to end the container`)
	case len(inv.Services) == 0:
		return nil, fmt.Errorf(`%s takes a service: write "exeunt %s SERVICE"`, l.verb, l.verb)
	}
	return inv, nil
}

// socket takes from the file where the control socket is, if neither the command
// line nor the environment says so. What else it says wrongly is no matter here: it
// may have been changed since the run began.
func (f *flags) socket(r *reader, host Host) error {
	if f.Control != nil {
		return nil
	}
	if _, err := f.document(r, host); err != nil {
		return err
	}
	r.problems = slices.DeleteFunc(r.problems, func(p *problem) bool { return !strings.HasPrefix(p.text, "control: ") })
	return r.err()
}

// UnmarshalText reads where the control socket is.
func (c *control) UnmarshalText(text []byte) error {
	*c = control(text)
	if *c != "auto" && *c != "off" && !strings.Contains(string(text), "/") {
		return fmt.Errorf("%q is neither auto, off nor a path with a slash", text)
	}
	return nil
}

// UnmarshalText reads where HTTP is served.
func (a *address) UnmarshalText(text []byte) error {
	if path, ok := strings.CutPrefix(string(text), "unix:"); ok {
		if *a = address(text); !strings.Contains(path, "/") {
			return fmt.Errorf("%q is not unix: and a path with a slash", text)
		}
		return nil
	}
	host, port, err := net.SplitHostPort(string(text))
	if err != nil {
		return fmt.Errorf("%q is not an address: write 127.0.0.1:9090, :9090 or unix:/run/http.sock", text)
	}
	if host == "localhost" {
		host = "127.0.0.1" // where there is no /etc/hosts, too
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" {
		return fmt.Errorf("%q is not an IP address", host)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%q is not a port", port)
	}
	*a = address(net.JoinHostPort(host, port))
	return nil
}
