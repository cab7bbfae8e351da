// Programs is what the scripts in testdata/script run under exeunt, beside it
// and around it. The name it is called by says which program it is.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

var programs = map[string]func(args []string) (code int){
	"daemon":   daemon,   // runs its arguments in a session of their own, double-forked
	"deaf":     deaf,     // takes TERM and INT, and stays
	"hungry":   hungry,   // takes memory until it is stopped
	"knock":    knock,    // opens connections and says nothing
	"limited":  limited,  // runs its arguments in a memory cgroup
	"listen":   listen,   // answers HTTP requests
	"masked":   masked,   // becomes its arguments, with a signal blocked
	"nopidns":  noPIDNS,  // becomes its arguments, where no PID namespace can be made
	"outer":    outer,    // an ordinary parent, and who outlives its child
	"pid1":     pid1,     // runs its arguments as PID 1, and sends signals
	"pid1-set": setStage, // becomes its arguments, with a /proc of their own
	"rlimit":   rlimit,   // becomes its arguments, with a soft limit of open files
	"slow":     slow,     // needs time to stop
}

func main() {
	name := filepath.Base(os.Args[0])
	program, ok := programs[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "no program %q\n", name)
		os.Exit(failure)
	}
	os.Exit(program(os.Args[1:]))
}

// failure is the exit code of a program here that could not do its part. No
// script expects it.
const failure = 124

func fail(err error) int {
	fmt.Fprintf(os.Stderr, "%s: %v\n", filepath.Base(os.Args[0]), err)
	return failure
}
