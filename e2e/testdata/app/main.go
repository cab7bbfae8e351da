// Command app is the static program that the end-to-end tests put under an
// init, and the example of Dockerfile.example.
//
//	app web ADDR                    serve HTTP, finish what is in flight at TERM
//	app witness FIFO [at TERM]      write each signal to FIFO; leave at TERM
//	app main DIR [at TERM]          a witness with a worker in a session of its own
//	                                and a double-forked one, at DIR/{main,worker,orphan}
//
// "at TERM" is how a witness takes TERM: "leave" (the default), "deaf", or a
// duration that it still works for. A FIFO ends when its witness does, so its
// reader learns the moment of the death.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	verb, arguments := os.Args[1], os.Args[2:]
	switch verb {
	case "web":
		web(arguments[0])
	case "witness":
		witness(arguments[0], atTERM(arguments[1:]))
	case "main":
		family(arguments[0], atTERM(arguments[1:]))
	case "orphan":
		start("witness", arguments[0], arguments[1])
	default:
		fail("no such verb: %s", verb)
	}
}

func atTERM(arguments []string) string {
	if len(arguments) == 0 {
		return "leave"
	}
	return arguments[0]
}

// web answers "hello" after the time in ?for=, and at TERM once more to
// everyone who has asked already.
func web(addr string) {
	network := "tcp"
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, addr = "unix", path
	}
	listener, err := net.Listen(network, addr)
	check(err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wait, _ := time.ParseDuration(r.URL.Query().Get("for"))
		fmt.Println("app: asked")
		<-time.After(wait)
		fmt.Fprintln(w, "hello")
	})}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	go server.Serve(listener)
	fmt.Println("app: serving")
	<-term
	fmt.Println("app: TERM")
	check(server.Shutdown(context.Background()))
	fmt.Println("app: done")
}

// witness writes to a FIFO what it is sent, "ready" and its PID before that,
// and "done" when it leaves.
func witness(fifo, atTERM string) {
	received := make(chan os.Signal, 64)
	signal.Notify(received)
	pipe, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	check(err)
	fmt.Fprintln(pipe, "ready", os.Getpid())
	work, timed := time.ParseDuration(atTERM)
	var leave <-chan time.Time
	for {
		select {
		case s := <-received:
			if s == syscall.SIGURG || s == syscall.SIGCHLD {
				continue // our own runtime's, or a child's
			}
			fmt.Fprintln(pipe, name(s.(syscall.Signal)))
			if s != syscall.SIGTERM || atTERM == "deaf" {
				continue
			}
			if timed != nil {
				fmt.Fprintln(pipe, "done")
				return
			}
			if leave == nil {
				leave = time.After(work)
			}
		case <-leave:
			fmt.Fprintln(pipe, "done")
			return
		}
	}
}

func name(s syscall.Signal) string {
	names := map[syscall.Signal]string{
		syscall.SIGHUP: "HUP", syscall.SIGINT: "INT", syscall.SIGQUIT: "QUIT", syscall.SIGTERM: "TERM",
		syscall.SIGUSR1: "USR1", syscall.SIGUSR2: "USR2", syscall.SIGCONT: "CONT", syscall.SIGWINCH: "WINCH",
		syscall.SIGPIPE: "PIPE",
	}
	if known, ok := names[s]; ok {
		return known
	}
	return strconv.Itoa(int(s))
}

// family is a main that leaves at TERM and two others that take it their way.
func family(dir, atTERM string) {
	start("witness", dir+"/worker", atTERM)
	// The one between leaves at once, so that its child is an orphan.
	start("orphan", dir+"/orphan", atTERM).Wait()
	witness(dir+"/main", "leave")
}

func start(arguments ...string) *os.Process {
	process, err := os.StartProcess("/proc/self/exe", append([]string{"app"}, arguments...), &os.ProcAttr{
		Files: []*os.File{nil, os.Stdout, os.Stderr},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	check(err)
	return process
}

func check(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "app: "+format+"\n", arguments...)
	os.Exit(1)
}
