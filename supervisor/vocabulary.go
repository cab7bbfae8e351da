package supervisor

import (
	"time"

	"exeunt/reaper"
	"exeunt/signals"
)

// A Phase is how far the run has come. Phases only ever advance.
type Phase uint8

// The phases, in order.
const (
	Start     Phase = iota // pre-start hooks, spawning, post-start hooks
	Run                    // nothing to do but forward and reap
	PreStop                // pre-stop hooks; the services still serve
	Stop                   // services are told, dependents first
	Terminate              // everyone else is told
	Kill                   // everyone is killed
	Flush                  // what the dead have sent and written gets out
	PostStop               // post-stop hooks
	Done                   // Finish has been said
)

var phaseNames = [...]string{"start", "run", "pre-stop", "stop", "terminate", "kill", "flush", "post-stop", "done"}

func (p Phase) String() string { return phaseNames[p] }

// A State is where one service is in its life.
type State uint8

// The states. Waiting is the zero State.
const (
	Waiting  State = iota // for pre-start hooks, a dependency, or its time
	Backoff               // has ended, and starts again after its delay
	Spawning              // Spawn was said, its answer is due
	Starting              // runs, and is not ready yet
	Ready                 // runs
	Stopping              // was told to stop
	Killed                // was sent KILL by us
	Exited                // has been reaped, or could not be started
)

var stateNames = [...]string{"waiting", "backoff", "spawning", "starting", "ready", "stopping", "killed", "exited"}

func (s State) String() string { return stateNames[s] }

// An ID names what can be spawned: a service by its name, a hook by its list
// and number ("pre_stop/0"), a service's hook by all three ("web/pre_stop/0").
type ID string

// An Event is what happened.
type Event interface{ event() }

type (
	// Booted is the first event: the loop runs and signals are received.
	Booted struct{}
	// Spawned answers Spawn: the process exists.
	Spawned struct {
		ID  ID
		PID int
	}
	// NotSpawned answers Spawn: it could not be started. An Err that is a
	// *reaper.StartError decides the exit code.
	NotSpawned struct {
		ID  ID
		Err error
	}
	// Reaped is a child's death, still a zombie while it is decided upon. OOM
	// says that the kernel killed it as memory had run out.
	Reaped struct {
		reaper.Exit
		OOM bool
	}
	// Childless says that we have no children left, dead or alive.
	Childless struct{}
	// Surveyed answers Survey with everyone alive but ourselves, running hooks
	// and services included. Blind says that /proc can't tell.
	Surveyed struct {
		Strays []reaper.Stray
		Blind  bool
	}
	// Performed is how a Perform ended. One of a try that is over is ignored.
	Performed struct {
		ID  ID
		Try int
		Err error
	}
	// Remarked is what a hook that is being performed has to say.
	Remarked struct {
		ID   ID
		Text string
	}
	// Received is a signal that reached us. By is its sender in words, where it
	// may begin the stop and the kernel tells.
	Received struct {
		signals.Received
		By string
	}
	// Notified is what a service says of itself, by sd_notify(3) or on the
	// descriptor it was given. PID is whom it was started as in the life that
	// said it; 0 is the one it has.
	Notified struct {
		ID  ID
		PID int
		Notice
	}
	// Asked is an order over the control socket; Answer answers it, once.
	Asked struct {
		Token   int
		Order   Order
		Service string         // its Name or Of; empty is all
		Signal  signals.Signal // of AskSignal
		By      string         // who asks, in words
	}
	// Ticked says that the time of Deadline has come. Busy says that a signal came
	// with it, so that there may be more: nothing is to be started yet.
	Ticked struct{ Busy bool }
)

func (Booted) event()     {}
func (Spawned) event()    {}
func (NotSpawned) event() {}
func (Reaped) event()     {}
func (Childless) event()  {}
func (Surveyed) event()   {}
func (Performed) event()  {}
func (Remarked) event()   {}
func (Received) event()   {}
func (Notified) event()   {}
func (Asked) event()      {}
func (Ticked) event()     {}

// A Notice is what a service said by sd_notify(3); zero fields were not said.
type Notice struct {
	Ready, Reloading, Stopping bool
	Status                     string        // STATUS=, printable
	HasStatus                  bool          // it may be empty
	MainPID                    int           // MAINPID=: one of our descendants
	Alive                      bool          // WATCHDOG=1
	Failed                     bool          // WATCHDOG=trigger
	Watchdog                   time.Duration // WATCHDOG_USEC=; negative is none any more
	Extend                     time.Duration // EXTEND_TIMEOUT_USEC=
}

// An Order is what somebody asks for over the control socket.
type Order uint8

// The orders. Each is answered when
// it has been carried out; a service that is not in the plan is an error.
const (
	AskStatus  Order = iota // how things are
	AskStart                // start a service; answered when it is ready
	AskStop                 // stop it and hold it down
	AskRestart              // stop it, if it runs, and start it
	AskSignal               // send it a signal
	AskReload               // send it its reload signal
	AskHalt                 // begin the stop of everything; answered at once
	AskPreStop              // the same; answered when the pre-stop hooks are done
)

// An Action is what to do about it. Actions are plain, comparable values.
type Action interface{ action() }

type (
	// Spawn starts a service or a command hook; Spawned or NotSpawned answers.
	Spawn struct{ ID ID }
	// Perform tries a hook that needs no process, until By at the latest;
	// Performed answers, in its own time.
	Perform struct {
		ID  ID
		Try int
		By  time.Time
	}
	// Cancel ends a Perform whose answer nobody waits for any more.
	Cancel struct{ ID ID }
	// Send sends a signal. IfCaught sends it only to a process that handles it.
	Send struct {
		To       reaper.Target
		Signal   signals.Signal
		IfCaught bool
	}
	// Suspend stops ourselves until we get CONT.
	Suspend struct{}
	// Survey looks who is alive; Surveyed answers.
	Survey struct{}
	// Arm tells the watchdog when the run must be over.
	Arm struct{ At time.Time }
	// Answer answers an Asked. An empty Err is success. It comes with how things
	// are at that moment: see Machine.Snapshot.
	Answer struct {
		Token int
		Err   string
	}
	// Announce tells whoever started us, and who asks whether we are ready.
	Announce struct{ Standing Standing }
	// Watch notes the ports that we listen on, for the flush phase.
	Watch struct{}
	// Finish ends the run with the exit code. Said once, and last.
	Finish struct{ Code int }
)

func (Spawn) action()    {}
func (Perform) action()  {}
func (Cancel) action()   {}
func (Send) action()     {}
func (Suspend) action()  {}
func (Survey) action()   {}
func (Arm) action()      {}
func (Answer) action()   {}
func (Announce) action() {}
func (Watch) action()    {}
func (Finish) action()   {}

var orderNames = [...]string{"status", "start", "stop", "restart", "signal", "reload", "stop of everything", "pre-stop"}

func (o Order) String() string { return orderNames[o] }

// A Standing is what others are told of the run as a whole.
type Standing uint8

// The standings, in order.
const (
	Rising  Standing = iota // not every service is ready
	Up                      // all are
	Falling                 // the stop has begun
)
