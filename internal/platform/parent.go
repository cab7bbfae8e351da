package platform

import (
	"fmt"

	"golang.org/x/sys/unix"

	"exeunt/signals"
)

// DieWith has the kernel send us sig when our parent dies (prctl(2)). If the
// parent, whose PID was noted earlier, has died since, it is sent at once: the
// kernel would not. The zero Signal does nothing.
func DieWith(parent int, sig signals.Signal) error {
	if sig == 0 {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(sig), 0, 0, 0); err != nil {
		return fmt.Errorf("cannot ask for %s at the parent's death: %w", sig, err)
	}
	if unix.Getppid() != parent {
		return unix.Kill(unix.Getpid(), unix.Signal(sig))
	}
	return nil
}
