package supervisor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"exeunt/hooks"
	"exeunt/reaper"
	"slices"
)

// Perform implements Kernel.
func (s *System) Perform(id ID, try int, by time.Time, env []string) {
	if id == flushID {
		s.flush(by)
		return
	}
	h, ok := s.Plan.hook(id)
	if !ok {
		return // only commands, services and these have IDs
	}
	around := hooks.Surroundings{
		Env:       slices.Concat(s.Env, h.Env, env),
		Processes: s.processes(h),
		Note:      func(text string) { s.Inbox.Put(Remarked{id, text}) },
	}
	s.background(id, try, by, func(ctx context.Context) error { return h.Perform(ctx, around) })
}

// background does something on a goroutine of its own, and answers.
func (s *System) background(id ID, try int, by time.Time, do func(ctx context.Context) error) {
	ctx, cancel := context.WithDeadline(context.Background(), by)
	if s.cancels == nil {
		s.cancels = map[ID]context.CancelFunc{}
	}
	s.Cancel(id)
	s.cancels[id] = cancel
	go func() {
		err := do(ctx)
		cancel()
		s.Inbox.Put(Performed{id, try, err})
	}()
}

// Watch implements Kernel.
func (s *System) Watch() {
	processes := s.Processes
	if processes == nil {
		strays, err := s.Reaper.Strays() // here, since the Reaper is of this goroutine
		processes = func() ([]int, error) { return pids(strays), err }
	}
	s.ports = make(chan []uint16, 1)
	go func() {
		list, err := processes()
		if err != nil {
			list = nil
		}
		ports, _ := hooks.Listening(context.Background(), list) // not known: nothing is waited for
		s.ports <- ports
	}()
}

// flush waits until what the dead have sent and written has got out.
func (s *System) flush(by time.Time) {
	s.background(flushID, 0, by, func(ctx context.Context) error {
		lost := make(chan int, 1)
		go func() {
			if s.Drain != nil {
				lost <- s.Drain(by)
			} else {
				lost <- 0
			}
		}()
		var ports []uint16
		if s.ports != nil {
			select {
			case ports = <-s.ports:
			case <-ctx.Done():
			}
		}
		err := hooks.Unsent(ctx, ports)
		if n := <-lost; n > 0 {
			err = errors.Join(err, fmt.Errorf("%d bytes of the services' output are not written", n))
		}
		return err
	})
}

func pids(strays []reaper.Stray) (list []int) {
	for _, p := range strays {
		list = append(list, p.PID)
	}
	return list
}

// processes gives a drain of the ports that we listen on who we are. It looks
// now: the Reaper is of the loop's goroutine.
func (s *System) processes(h *hooks.Hook) func() ([]int, error) {
	if h.Drain == nil {
		return nil
	}
	strays, err := s.Reaper.Strays()
	return func() ([]int, error) { return pids(strays), err }
}

// Cancel implements Kernel.
func (s *System) Cancel(id ID) {
	if cancel := s.cancels[id]; cancel != nil {
		cancel()
	}
}
