package notify

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// manager is the socket of the service manager above us.
func manager(t *testing.T, address string) (fd int) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1),
		unix.Bind(fd, &unix.SockaddrUnix{Name: address}),
	); err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestTheManagerAboveIsToldByWhom(t *testing.T) {
	for _, address := range []string{filepath.Join(t.TempDir(), "notify"), "@exeunt-test-" + filepath.Base(t.TempDir()) + t.Name()} {
		fd := manager(t, address)
		before := descriptors(t)
		if err := Send(address, "READY=1\nSTATUS=up"); err != nil {
			t.Fatal(err)
		}
		if after := descriptors(t); after != before {
			t.Errorf("%d descriptors, were %d", after, before)
		}
		text, control := make([]byte, 100), make([]byte, 100)
		n, c, _, _, err := unix.Recvmsg(fd, text, control, unix.MSG_DONTWAIT)
		if err != nil || string(text[:n]) != "READY=1\nSTATUS=up" {
			t.Fatalf("%q, %v", text[:n], err)
		}
		if from := sender(control[:c]); from == nil || int(from.Pid) != os.Getpid() || int(from.Uid) != os.Getuid() {
			t.Errorf("from %+v", from)
		}
	}
}

func TestAManagerThatDoesNotReadHoldsNobodyUp(t *testing.T) {
	address := filepath.Join(t.TempDir(), "notify")
	fd := manager(t, address)
	sent, before := 0, descriptors(t)
	for ; sent < 10_000; sent++ {
		if err := Send(address, "READY=1"); errors.Is(err, unix.EAGAIN) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if sent == 0 || sent == 10_000 {
		t.Fatalf("%d were sent", sent)
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, were %d", after, before)
	}
	if _, err := unix.Read(fd, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if err := Send(address, "READY=1"); err != nil {
		t.Errorf("after it has read: %v", err)
	}
}

func TestNoManagerIsAnError(t *testing.T) {
	gone := filepath.Join(t.TempDir(), "gone")
	unix.Close(manager(t, gone))
	for address, want := range map[string]string{
		"":                             `cannot notify "": neither a path nor an abstract name`,
		"vsock:2:1234":                 `cannot notify "vsock:2:1234": neither a path nor an abstract name`,
		"run/notify":                   `cannot notify "run/notify": neither a path nor an abstract name`,
		"/nonexistent/notify":          `cannot notify "/nonexistent/notify": no such file or directory`,
		gone:                           `cannot notify "` + gone + `": connection refused`,
		"@exeunt-nobody":               `cannot notify "@exeunt-nobody": connection refused`,
		"/" + strings.Repeat("x", 200): `cannot notify "/` + strings.Repeat("x", 200) + `": invalid argument`,
	} {
		if err := Send(address, "READY=1"); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
