package reaper

import (
	"fmt"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"exeunt/signals"
)

// terminal opens a pseudoterminal and makes it the controlling terminal of a
// new session of ours.
func terminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	if _, err := unix.Setsid(); err != nil {
		t.Fatal(err)
	}
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}

func foreground(t *testing.T, slave *os.File) int {
	t.Helper()
	group, err := unix.IoctlGetInt(int(slave.Fd()), unix.TIOCGPGRP)
	if err != nil {
		t.Fatal(err)
	}
	return group
}

func TestChildGetsTheTerminalAlsoWhenWeAreInTheBackground(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		master, slave := terminal(t)
		if group := foreground(t, slave); group != unix.Getpgrp() {
			t.Fatalf("in the foreground is %d", group)
		}
		apart := start(t, r, &Command{Args: []string{"sleep", "1000"}, Stdin: slave})
		if group := foreground(t, slave); group == apart {
			t.Error("a child got the terminal unasked")
		}
		// From the second on we are a background group ourselves, which TTOU stops.
		for range 2 {
			pid := start(t, r, &Command{Args: []string{"sleep", "1000"}, Stdin: slave, Terminal: true})
			if group := foreground(t, slave); group != pid {
				t.Fatalf("in the foreground is %d, want %d", group, pid)
			}
			stray, ok := find(t, r, pid)
			if !ok || !stray.Terminal {
				t.Errorf("%+v", stray)
			}
			if _, err := io.WriteString(master, "\x03"); err != nil {
				t.Fatal(err)
			}
			if status := collect(t, r, pid); status != Status(signals.INT) {
				t.Errorf("Ctrl-C ended it with %#x", uint32(status))
			}
		}
		if _, ok := find(t, r, apart); !ok {
			t.Error("Ctrl-C reached a background group")
		}
	})
}

func TestTerminalIsIgnoredWhereStdinIsNone(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		null, err := os.Open("/dev/null")
		if err != nil {
			t.Fatal(err)
		}
		read, _, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		master, slave := terminal(t)
		for _, stdin := range []*os.File{null, read} {
			c := shell("exit 6")
			c.Stdin, c.Terminal = stdin, true
			if status := collect(t, r, start(t, r, c)); status != 6<<8 {
				t.Errorf("%s: status %#x", stdin.Name(), uint32(status))
			}
		}
		if group := foreground(t, slave); group != unix.Getpgrp() {
			t.Errorf("in the foreground is %d", group)
		}
		// A terminal that was hung up: EIO.
		_ = master.Close()
		c := shell("exit 6")
		c.Stdin, c.Terminal = slave, true
		if status := collect(t, r, start(t, r, c)); status != 6<<8 {
			t.Errorf("hung up: status %#x", uint32(status))
		}
	})
}
