// Package compat reads the command lines of other inits into a plan: started
// under the name of tini, docker-init, dumb-init or catatonit, exeunt takes that
// program's flags and variables and does what that program does. A personality
// is data in the plan: nothing past the command line knows of it.
//
// What is the same: flags, variables and what they mean, exit codes, which
// signals are passed on and to whom, on which stream a text appears, the shape
// of the version line. The words of usages and messages are our own. Every
// EXEUNT_ variable works as well. No grace period is set unless a variable sets
// one, so no app is ever killed by us for taking long, as with all three.
//
// What differs, each a marked row of the table in the tests:
//
//	peer       what it does                                  what we do
//	all        exits when main has gone; whoever is left     tells them TERM, waits for the smaller of
//	           is killed (PID 1) or orphaned                 5 s and the grace period, then kills;
//	                                                         EXEUNT_STRAGGLER_TIMEOUT=0 leaves them alone
//	all        a stopped app does not hear TERM              TERM is followed by CONT
//	all        signals 32 and 33 are libc's, not passed on   passed on
//	all        a full log pipe blocks it (when verbose)      never blocks
//	all        LISTEN_PID is left as it was                  rewritten to the app's (but for catatonit,
//	                                                         which does that too)
//	tini,      looks for options among the app's words:      options end at the first word that is none;
//	catatonit  "tini ls -l" prints the licence               "PROGRAM -- ARGS" still loses its "--"
//	tini,      an ABRT, SEGV, … sent to it ends it where     dropped there too
//	catatonit  it is not PID 1 (dropped where it is)
//	tini,      SIGCHLD ignored by its parent: hangs          works
//	catatonit
//	tini,      orphans come to it only as PID 1 or with -s;  always the subreaper, no warning, -s accepted
//	dumb-init  tini warns (dumb-init never asks for them)
//	tini       one EPERM ends it, and the container          the app goes on
//	tini       stdin closed: exit 1                          works
//	tini       -p takes SIGTERM, of 28 signals               TERM, 15, RTMIN+3 as well
//	tini       TSTP freezes an app that does not handle it   only passed on where it is handled
//	tini       -v, -vv, -vvv on stdout                       on stderr
//	tini       exit 1 for ELOOP, ENOTDIR, …                  126 or 127, as a shell
//	dumb-init  -r takes numbers 1 to 31, and 15:3xyz         names and numbers to 64; no letters behind
//	dumb-init  clears mask and ignored signals               the app gets what we got
//	dumb-init  -v and a reader that has gone: 100 % CPU,     works
//	           never ends
//	dumb-init  a terminal is moved into the app's session    stays, and the app's group has it: no HUP
//	dumb-init  -c: app in its own group, Ctrl-C comes twice  a group of its own, Ctrl-C comes once
//	dumb-init  changes to /                                  stays, for the paths in hooks and --report
//	dumb-init  not PID 1: its group is told TERM at the end  so it is, unless strays are switched off
//	catatonit  blocks TSTP, TTIN, TTOU: no Ctrl-Z            works
//	catatonit  CATATONIT_DEBUG and a reader that has gone:   works
//	           passes its SIGPIPE on to the app
package compat
