package main

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// knock is used as: knock SOCKET N. It opens so many connections, says so, and
// never says anything over any of them.
func knock(args []string) int {
	if len(args) != 2 {
		return fail(errors.New("where, and how often?"))
	}
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return fail(err)
	}
	var open []net.Conn
	for len(open) < n {
		conn, err := net.Dial("unix", args[0])
		if errors.Is(err, syscall.EAGAIN) { // many wait there already
			time.Sleep(time.Millisecond)
			continue
		}
		if err != nil {
			return fail(err)
		}
		open = append(open, conn)
	}
	fmt.Println("knocking")
	time.Sleep(time.Minute)
	runtime.KeepAlive(open)
	return 0
}
