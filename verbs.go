package main

import (
	"context"
	"fmt"

	"exeunt/hooks"
	"exeunt/internal/config"
	"exeunt/internal/control"
	"exeunt/internal/platform"
	"exeunt/signals"
)

// probe tries a hook once. A signal that would end any other program ends it
// too, though we catch them all.
func probe(inv *config.Invocation) (code int) {
	received := signals.Receive()
	ctx, cancel := context.WithTimeout(context.Background(), inv.Probe.Timeout)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- inv.Probe.Perform(ctx, hooks.Surroundings{Env: inv.Env, Processes: platform.Processes})
	}()
	for {
		select {
		case err := <-done:
			if err == nil {
				return 0
			}
			complain(fmt.Errorf("probe %s: %w", inv.Probe.Name, err))
			return 1
		case r := <-received:
			if signals.SetOf(signals.HUP, signals.INT, signals.QUIT, signals.TERM).Has(r.Signal) {
				return 128 + int(r.Signal)
			}
		}
	}
}

// ask asks the exeunt of a running container something.
func ask(inv *config.Invocation) (code int) {
	call := control.Call{
		Control: inv.Control, Order: inv.Order, Services: inv.Services, Signal: inv.Signal,
		JSON: inv.JSON, Watch: inv.Watch, Terminal: platform.Terminal(1), Received: signals.Receive(),
	}
	return call.Run()
}
