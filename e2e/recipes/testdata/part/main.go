// Command part is a small static program that plays one part in a recipe.
//
//	part web ADDR [BEAT]      serve HTTP, finish what is in flight at TERM; tell
//	                          BEAT, a URL, five times a second that it is there
//	part sidecar ADDR PATH    serve HTTP for ever, until somebody POSTs to PATH
//	part work CODE            work for a moment, then exit with CODE
//	part hungry               take memory until there is none
//	part say WORD...          print the words
//
// What it prints is the trace that the tests read.
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
		web(arguments[0], strings.Join(arguments[1:], ""))
	case "sidecar":
		sidecar(arguments[0], arguments[1])
	case "work":
		<-time.After(300 * time.Millisecond)
		code, err := strconv.Atoi(arguments[0])
		check(err)
		os.Exit(code)
	case "hungry":
		hungry()
	case "say":
		fmt.Println(strings.Join(arguments, " "))
	default:
		check(fmt.Errorf("no such verb: %s", verb))
	}
}

// web answers "hello" after the time in ?for=. Its listener closes at TERM, and
// so do connections that nobody waits on, as with most servers.
func web(addr, beat string) {
	listener, err := net.Listen("tcp", addr)
	check(err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wait, _ := time.ParseDuration(r.URL.Query().Get("for"))
		if wait > time.Second || r.Method != http.MethodGet {
			fmt.Println("web:", r.Method, r.URL)
		}
		<-time.After(wait)
		fmt.Fprintln(w, "hello")
	})}
	told := make(chan os.Signal, 8)
	signal.Notify(told, syscall.SIGTERM, syscall.SIGUSR1)
	go server.Serve(listener)
	if beat != "" {
		go keepTelling(beat)
	}
	fmt.Println("web: serving")
	for sig := range told {
		if sig == syscall.SIGTERM {
			break
		}
		fmt.Println("web: USR1")
	}
	fmt.Println("web: TERM")
	check(server.Shutdown(context.Background()))
	fmt.Println("web: done")
}

// keepTelling is the heartbeat of a registry's client.
func keepTelling(url string) {
	for range time.Tick(200 * time.Millisecond) {
		request, err := http.NewRequest(http.MethodPut, url, nil)
		check(err)
		answer, err := http.DefaultClient.Do(request)
		if err == nil {
			answer.Body.Close()
		}
	}
}

// sidecar is deaf to TERM, as one whose own pod has to end it.
func sidecar(addr, path string) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGTERM)
	listener, err := net.Listen("tcp", addr)
	check(err)
	over := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "0") // so that it is a whole answer at once
		w.(http.Flusher).Flush()
		close(over)
	})
	go http.Serve(listener, mux)
	fmt.Println("sidecar: serving")
	<-over
	fmt.Println("sidecar: told to go")
}

func hungry() {
	var taken [][]byte
	for {
		piece := make([]byte, 1<<20)
		for i := 0; i < len(piece); i += os.Getpagesize() {
			piece[i] = 1
		}
		taken = append(taken, piece)
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "part:", err)
		os.Exit(1)
	}
}
