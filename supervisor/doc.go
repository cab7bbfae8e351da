// Package supervisor decides what happens next to the processes that a plan
// names and to everyone they leave behind, and it drives those decisions
// against the kernel.
//
// # Parts
//
// A [Plan] is all that is decided before the first fork. A [Machine] is made
// from it: a value without clock, kernel or goroutine that takes an [Event] and
// the time and returns the actions to be carried out. [Drive] is the one
// goroutine that feeds it and carries them out through a [Kernel], of which
// [System] is the real one. The [Report] is the run as it happened.
//
// # Phases
//
// A run goes through phases, and only ever forward. A phase ends as soon as it
// has nothing to wait for, and lends the time it did not need to those after
// it; it never ends late.
//
//	phase      what happens                                         ends at the latest
//	start      pre-start hooks, services by dependency, post-start  -
//	run        signals are forwarded, the dead are reaped           -
//	pre-stop   pre-stop hooks, the container's first                D - reserve - floor
//	stop       services are told, dependents first                  D - reserve, if the grace period was set
//	terminate  everyone else is told                                D - 0.3 reserve
//	kill       everyone is killed                                   D - 0.15 reserve
//	flush      what the dead have sent and written gets out         D - 0.15 reserve
//	post-stop  post-stop hooks, the container's last                D
//	done       Finish has been said                                 -
//
// D is our own deadline, the grace period less the margin, counted from the
// first stop signal; see [Budget.Schedule] for the parts. A stop signal skips
// no phase, an order over the control socket begins the same stop. When an
// essential service ends by itself there is no pre-stop, and
// terminate ends after the plan's Straggler time. A failed start goes to stop,
// for what was started. A stop signal before a service exists starts nothing:
// the run goes to terminate and ends with 128+n.
//
// # States
//
// Each service is in one of these, and may go through them again and again as
// long as the run is in start or run:
//
//	state      meaning
//	waiting    for pre-start hooks, a dependency, or its time
//	backoff    has ended, and starts again after its delay
//	spawning   Spawn was said, its answer is due
//	starting   runs, and is not ready yet
//	ready      runs
//	stopping   was told to stop
//	killed     was sent KILL by us
//	exited     has been reaped, or could not be started
//
// A service starts when what it depends on has come as far as it asks: started,
// healthy, or completed. Between any two starts what has come is heard. Without a
// [Health] a service is ready at once. Its own hooks go round with its lives:
// pre-start before each start, post-stop after each end. The first start must not
// fail, or the run ends; a later one that fails is one more failure of the
// service. So is one that needs what has ended for good.
//
// When it ends, what follows is the first of these that holds: an order keeps it
// down; an order, its health or its timetable starts it again; [Restart] does,
// after a delay that doubles in a row of failures; a run of a [Timetable] that
// succeeded, or is not essential, waits for its next time; a oneshot that
// succeeded is done; an essential service ends the run. The run ends as well,
// with 0, when nothing is left that runs or ever will by itself. Before a service
// starts again what is left of its group is told, and killed after the service's
// StopGrace, or 5 s.
//
// # Orders
//
// Each [Asked] is answered once: when it has been carried out, when it can't be,
// when another has taken it back, or when the stop begins. What needs a service
// that an order keeps down, or that has ended for good, is not started by an
// order. To stop one service runs its pre-stop hooks, tells it, and kills it after
// its StopGrace, else the grace period, whoever set that.
//
// # Who is signalled, and when
//
// Each process is told once, known by its number and its start time: a service
// with its stop signal, which may be a ladder of several; what is left of a
// service's group when its main process has gone; then everyone else who lives,
// with the service's stop signal if he catches that, else with TERM. An
// interactive shell, which ignores TERM, gets HUP as well. Who was told while
// stopped is continued. A shell that still waits for its foreground child at
// two thirds of its time has the rest of its group told, with a line in the log
// that says how to do without. Where /proc can't tell who lives, everyone gets
// one TERM at the beginning of terminate, if we are PID 1.
//
// Whose parent lives, and is no shell, is left to it until two thirds of the
// time: a pool is ended by its master, which waits for what its children are at.
//
// KILL comes to a service at the earlier of its own time and the schedule's,
// which those that depend on one another share; to a hook one second after it
// was told, or at its phase's end; to everyone in the kill phase. A grace period
// that nobody set kills no service. A third INT kills everyone at once, a second
// one skips the hooks.
//
// Dependencies that phase 2 did not come to, since a killed dependent would not
// go, are told when terminate begins.
//
// Who is killed with a whole group, a hook's or that of a service of kill mode
// [Group], is in the report by its leader.
//
// # Hooks
//
// Each list runs in order; the lists of different services at the same time. A
// command is told at its timeout, and in time to leave before its phase ends;
// with an interval it is tried again until then. A failed hook of the start
// aborts the run with 125 unless it says otherwise, one of the stop is a line
// in the log. Main leaving during a pre-stop hook cuts nothing: that hook may
// finish, the commands after it run, sleeps and signals are skipped. Post-stop
// hooks run on every end; they start when everyone else has gone or was sent
// KILL, and not at all once the time is over.
//
// # Flush
//
// When everyone is gone, the kernel may still have what they sent: connections to
// ports that were ours when the stop began are waited for as long as the other
// side takes something; and what services wrote, where it comes by way of us.
//
// # The exit code
//
// With one service it is that service's: its code, or 128+n where signal n
// ended it, so 137 where we killed it. With several, a requested stop ends with
// the code of the service "main", else with that of the first essential one
// whose code is none of its successes, else with 0. An essential service that
// ends by itself gives its own. Failures of ours are 125.
//
// # When something of ours fails
//
// A panic in the machine leaves the loop with what it cannot do without: it
// forwards, tells the services, kills at the end of the grace period that is
// under way, and exits with main's code. The watchdog, armed for half a margin
// after our own deadline, ends the process when even the loop hangs.
package supervisor
