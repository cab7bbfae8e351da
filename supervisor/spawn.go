package supervisor

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"exeunt/hooks"
	"exeunt/reaper"
)

// Ears is how services tell that they are ready: see package internal/notify.
type Ears interface {
	// Socket makes a service's NOTIFY_SOCKET for its next life, Pipe the
	// descriptor for a newline.
	Socket(service string, uid uint32) (address string, err error)
	Pipe(service string) (*os.File, error)
	// Main tells the main process of that life, once it exists.
	Main(service string, pid int)
}

// Spawn implements Kernel.
func (s *System) Spawn(id ID, env []string) (int, error) {
	defer s.started()
	for i := range s.Plan.Services {
		if p := &s.Plan.Services[i]; ID(p.Name) == id {
			pid, err := s.Adopted, error(nil)
			if pid == 0 {
				pid, err = s.spawnService(p)
			}
			if s.services++; s.services == len(s.Plan.Services) && !s.Plan.Managed {
				s.Reaper.CloseInherited() // the app's alone from now on
			}
			return pid, err
		}
	}
	h, ok := s.Plan.hook(id)
	if !ok {
		return 0, fmt.Errorf("no service or hook %q in the plan", id)
	}
	return s.spawnHook(h, env)
}

// spawnService starts a service with the streams and the ears that it is to have.
func (s *System) spawnService(p *Service) (pid int, err error) {
	if !s.Plan.Managed && p.Health == nil && p.Stdout == (Stream{}) && p.Stderr == (Stream{}) {
		return s.Reaper.Start(&p.Command) // as we are, without a copy
	}
	c := p.Command
	var opened []*os.File
	defer func() {
		for _, file := range opened {
			_ = file.Close() // the service has its own
		}
	}()
	if !c.Descriptors { // who is not main has nothing to read
		if c.Stdin, err = s.nothing(); err != nil {
			return 0, err
		}
	}
	for number, to := range map[int]Stream{1: p.Stdout, 2: p.Stderr} {
		if s.Stream == nil || to.Mode == Inherit {
			continue
		}
		file, err := s.Stream(p.Name, number, to)
		if err != nil {
			return 0, err
		}
		if file == nil {
			continue
		}
		if opened = append(opened, file); number == 1 {
			c.Stdout = file
		} else {
			c.Stderr = file
		}
	}
	c.Env = slices.DeleteFunc(slices.Clone(c.Env), func(entry string) bool { // they are ours to answer
		name, _, _ := strings.Cut(entry, "=")
		return name == "NOTIFY_SOCKET" || name == "WATCHDOG_USEC" || name == "WATCHDOG_PID"
	})
	if h := p.Health; h != nil && s.Ears != nil && (h.Notify || h.FD > 0) {
		if h.Notify {
			c.Env, err = s.notifySocket(p, c.Env)
		} else {
			var pipe *os.File
			if pipe, err = s.Ears.Pipe(p.Name); err == nil {
				opened = append(opened, pipe)
				c.Extra = map[int]*os.File{h.FD: pipe}
			}
		}
		if err != nil {
			return 0, fmt.Errorf("cannot hear %q: %w", p.Name, err)
		}
		defer func() {
			if err == nil {
				s.Ears.Main(p.Name, pid)
			}
		}()
	}
	return s.Reaper.Start(&c)
}

// notifySocket adds what sd_notify(3) and sd_watchdog_enabled(3) read.
func (s *System) notifySocket(p *Service, env []string) ([]string, error) {
	uid := uint32(os.Getuid())
	if p.Command.User != nil {
		uid = p.Command.User.UID
	}
	address, err := s.Ears.Socket(p.Name, uid)
	if err != nil {
		return nil, err
	}
	env = append(env, "NOTIFY_SOCKET="+address)
	if every := p.Health.Watchdog; every > 0 {
		env = append(env, "WATCHDOG_USEC="+strconv.FormatInt(every.Microseconds(), 10))
	}
	return env, nil
}

func (s *System) spawnHook(h *hooks.Hook, env []string) (pid int, err error) {
	c := reaper.Command{Args: h.Command, Dir: h.WorkingDir, Env: slices.Concat(s.Env, h.Env, env)}
	if h.User != "" {
		if c.User, err = reaper.LookupUser(h.User); err != nil {
			return 0, err
		}
		c.Env = c.User.Environ(c.Env)
	}
	if c.Stdin, err = s.nothing(); err != nil {
		return 0, err
	}
	out, err := s.Output(h.Name)
	if err != nil {
		return 0, err
	}
	defer out.Close()
	c.Stdout, c.Stderr = out, out
	return s.Reaper.Start(&c)
}

// nothing is an empty stdin.
func (s *System) nothing() (*os.File, error) {
	if s.null == nil {
		var err error
		if s.null, err = os.Open(os.DevNull); err != nil {
			return nil, fmt.Errorf("cannot give it an empty stdin: %w", err)
		}
	}
	return s.null, nil
}
