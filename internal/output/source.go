package output

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// A source is the read end of a pipe that somebody else writes to. It is ours alone
// and waits in the runtime's poller, since a thread that is blocked in read(2)
// for each would count against the pids limit.
type source struct {
	fd   int
	file *os.File
	conn syscall.RawConn
}

// newPipe makes a pipe. The write end blocks, as programs expect.
func newPipe(name string) (read source, write *os.File, err error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return source{}, nil, os.NewSyscallError("pipe2", err)
	}
	if err := unix.SetNonblock(ends[0], true); err != nil {
		return source{}, nil, os.NewSyscallError("fcntl", err)
	}
	read = source{fd: ends[0], file: os.NewFile(uintptr(ends[0]), name)}
	read.conn, err = read.file.SyscallConn()
	return read, os.NewFile(uintptr(ends[1]), name), err
}

// follow calls take whenever there may be something to read, until it says that
// the last writer has gone. take reads once; again is that there may be more.
func (s source) follow(take func() (again, closed bool)) {
	_ = s.conn.Read(func(uintptr) bool {
		for {
			if again, closed := take(); !again {
				return closed
			}
		}
	})
}

// unread is how many bytes are in the pipe; none if it is closed.
func (s source) unread() (n int) {
	_ = s.conn.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	return n
}
