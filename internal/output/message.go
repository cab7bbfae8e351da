package output

import (
	"os"

	"golang.org/x/sys/unix"
)

// TerminationLog is where Kubernetes looks for a container's last words unless
// the pod names another file (terminationMessagePath).
const TerminationLog = "/dev/termination-log"

// LastWords writes text to a termination message file, at most the 4096 bytes
// that the kubelet reads. It does so only if the file is there and empty: what
// the app has written is worth more. There is nobody to tell of an error.
func LastWords(file, text string) {
	f, err := os.OpenFile(file, os.O_WRONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Size() == 0 {
		_, _ = f.WriteString(text[:min(len(text), 4096)])
	}
}
