// The program of many roles that the tests of compat start: the stage on which
// an init runs, and the apps that it runs.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func main() {
	role, args := os.Args[1], os.Args[2:]
	switch role {
	case "stage":
		stage(args)
	case "prepare":
		prepare(args)
	case "mother":
		mother(args)
	case "blocked":
		blocked()
	case "family":
		family()
	case "tally":
		tally()
	case "patient":
		tally(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGCONT)
	case "root":
		must(syscall.Setresuid(0, 0, 0))
		tally()
	case "slow":
		slow(args)
	case "who":
		who()
	case "proxy":
		must(unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
		must(syscall.Exec(args[0], args, os.Environ()))
	}
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "cast:", err)
		os.Exit(99)
	}
}

// stage is PID 1 of a fresh namespace. It becomes the init, or with
// STAGE_PID1=no starts it, writes its wait status to descriptor 3, and stays
// until everybody has gone.
func stage(argv []string) {
	must(syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	must(syscall.Mount("proc", "/proc", "proc", 0, ""))
	syscall.CloseOnExec(3)
	if os.Getenv("STAGE_PID1") == "" {
		prepare(argv)
	}
	signal.Notify(make(chan os.Signal, 1)) // the terminal's are for the init
	child, err := os.StartProcess(os.Args[0], append([]string{os.Args[0], "prepare"}, argv...),
		&os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	must(err)
	for fd := range 3 {
		must(syscall.Close(fd))
	}
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err == syscall.ECHILD:
			return
		case pid == child.Pid:
			_, err = fmt.Fprintf(os.NewFile(3, "status"), "%d\n", status)
			must(err)
		}
	}
}

// prepare makes what the variables STAGE_… ask for and becomes the init.
func prepare(argv []string) {
	runtime.LockOSThread()
	setting := map[string][]string{}
	var env []string
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		switch name, ok := strings.CutPrefix(name, "STAGE_"); {
		case name == "BEFORE":
			out, err := exec.Command("/bin/sh", "-c", value).CombinedOutput()
			if err != nil {
				must(fmt.Errorf("%w: %s", err, out))
			}
		case ok:
			setting[name] = strings.Fields(value)
		default:
			env = append(env, entry)
		}
	}
	for _, limit := range setting["NOFILE"] {
		must(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: number(limit), Max: 4096}))
	}
	for _, uid := range setting["UID"] {
		must(syscall.Setresuid(int(number(uid)), int(number(uid)), int(number(uid))))
	}
	for _, fd := range setting["OPEN"] {
		f, err := os.Open("/dev/zero")
		must(err)
		must(unix.Dup3(int(f.Fd()), int(number(fd)), 0)) // high ones: none of the runtime's
	}
	var mask unix.Sigset_t
	for _, sig := range setting["BLOCKED"] {
		mask.Val[0] |= 1 << (number(sig) - 1)
	}
	for _, fd := range setting["CLOSED"] {
		must(syscall.Close(int(number(fd))))
	}
	for _, sig := range setting["IGNORED"] {
		ignore(number(sig))
	}
	must(unix.PthreadSigmask(unix.SIG_SETMASK, &mask, nil))
	must(syscall.Exec(argv[0], argv, env))
}

// ignore does what os/signal refuses for some signals.
func ignore(sig uint64) {
	var action [8]uintptr // the kernel's struct sigaction begins with the handler
	action[0] = 1         // SIG_IGN
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
	if errno != 0 {
		must(errno)
	}
}

func number(s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	must(err)
	return n
}

// mother starts a program and dies when she is killed.
func mother(argv []string) {
	_, err := os.StartProcess(argv[0], argv, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	must(err)
	must(syscall.Pause())
}

// blocked has every signal blocked, so that whatever reaches it stays pending
// and can be read from /proc.
func blocked() {
	runtime.LockOSThread()
	fill()
	rest()
}

func fill() {
	var all unix.Sigset_t
	all.Val[0] = ^uint64(0)
	// The raw call: 32 and 33 are libc's, and ours to block.
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&all)), 0, 8, 0, 0)
	if errno != 0 {
		must(errno)
	}
}

// rest says "ready" when no thread is left that has signals unblocked.
func rest() {
	must(syscall.Exec("/bin/sh", []string{"sh", "-c", "echo ready; exec sleep 300"}, os.Environ()))
}

// family is main, a child of its group, and one in a session of its own, all
// of them blocked.
func family() {
	runtime.LockOSThread()
	fill()
	for _, session := range []bool{false, true} {
		_, err := syscall.ForkExec("/bin/sleep", []string{"sleep", "300"}, &syscall.ProcAttr{
			Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setsid: session},
		})
		must(err)
		fill() // ForkExec restores what it thinks the mask was
	}
	rest()
}

// tally says which signals arrive, leaves TERM (unless asked) and TSTP at their defaults, and
// ends with 7 when it is sent a line or its stdin ends.
func tally(more ...os.Signal) {
	got := make(chan os.Signal, 64)
	signal.Notify(got, append(more, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGWINCH, syscall.SIGUSR1, syscall.SIGUSR2)...)
	line := make(chan struct{})
	go func() {
		var one [1]byte
		for {
			if n, err := os.Stdin.Read(one[:]); n == 0 || err != nil || one[0] == '\n' {
				close(line)
				return
			}
		}
	}()
	fmt.Println("ready")
	for {
		select {
		case sig := <-got:
			fmt.Println("got", int(sig.(syscall.Signal)))
		case <-line:
			for len(got) > 0 {
				fmt.Println("got", int((<-got).(syscall.Signal)))
			}
			os.Exit(7)
		}
	}
}

// slow says "ready" into the file, and at TERM takes a moment to say "saved".
func slow(args []string) {
	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGTERM)
	f, err := os.OpenFile(args[0], os.O_WRONLY, 0)
	must(err)
	fmt.Fprintln(f, "ready")
	f.Close()
	<-got
	<-time.After(200 * time.Millisecond)
	fmt.Println("saved")
}

// who says what a process is to its group, session and terminal.
func who() {
	pid := os.Getpid()
	session, err := unix.Getsid(0)
	must(err)
	fmt.Printf("group %v session %v", syscall.Getpgrp() == pid, session == pid)
	if group, err := unix.IoctlGetInt(0, unix.TIOCGPGRP); err == nil {
		fmt.Printf(" foreground %v", group == pid)
	}
	fmt.Println()
}
