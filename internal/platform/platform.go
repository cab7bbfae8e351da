// Package platform finds out where we run: under which platform with
// which grace period, and whether a terminal is at hand.
package platform

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A Platform is what runs the container, as far as it concerns the end.
type Platform struct {
	Name  string        // "docker", or "" if none is known
	Grace time.Duration // its default between stop signal and SIGKILL
}

// unknown is the grace period of a platform that is not known: Docker's, and
// the shortest of the common ones, since a guess above the truth ends in a
// SIGKILL before the post-stop hooks.
const unknown = 10 * time.Second

// Detect tells the platform from what it leaves in the root file system. It
// costs one stat(2).
func Detect() Platform { return detect("/") }

func detect(root string) Platform {
	// Docker makes this file in each container, Compose and Swarm with it. The
	// default is docker stop's --time.
	if _, err := os.Lstat(root + ".dockerenv"); err == nil {
		return Platform{Name: "docker", Grace: 10 * time.Second}
	}
	return Platform{Grace: unknown}
}

// Terminal reports whether the descriptor is a terminal.
func Terminal(fd int) bool {
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err == nil
}
