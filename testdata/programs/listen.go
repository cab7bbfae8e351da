package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
)

// listen is used as: listen FILE. It writes the port that it listens on into
// FILE, says each request, and answers with the status that its path names;
// /never has no answer.
func listen(args []string) int {
	if len(args) != 1 {
		return fail(errors.New("where shall the port go?"))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fail(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	if err := os.WriteFile(args[0]+".new", []byte(port), 0o600); err != nil {
		return fail(err)
	}
	if err := os.Rename(args[0]+".new", args[0]); err != nil {
		return fail(err)
	}
	return fail(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("asked", r.URL.Path)
		status, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		if err != nil {
			<-r.Context().Done()
			return
		}
		w.WriteHeader(status)
	})))
}
