package sockets

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

var errFormat = errors.New("not in the kernel's format")

// procFind appends the sockets that q asks for from the two tables of proc(5),
// in order. That of IPv6 is missing where there is no IPv6. The kernel hands
// the tables out in pieces, and while other sockets come and go some of them
// are there twice.
func procFind(ctx context.Context, proc string, q *Query, found []Socket) ([]Socket, error) {
	for _, name := range [...]string{"tcp", "tcp6"} {
		err := lines(ctx, filepath.Join(proc, "net", name), func(line []byte) error {
			s, ok, err := procSocket(line, q)
			if ok {
				found = append(found, s)
			}
			return err
		})
		if err != nil && (name == "tcp" || !errors.Is(err, fs.ErrNotExist)) {
			return found, err
		}
	}
	sorted := make([]*Socket, len(found))
	for i := range found {
		sorted[i] = &found[i]
	}
	slices.SortFunc(sorted, compare)
	unique := make([]Socket, 0, len(found))
	for i, s := range sorted {
		if i == 0 || compare(s, sorted[i-1]) != 0 {
			unique = append(unique, *s)
		}
	}
	return unique, nil
}

// compare orders sockets; those of one address, as several listeners of a port
// may be, by inode.
func compare(a, b *Socket) int {
	return cmp.Or(a.Remote.Compare(b.Remote), a.Local.Compare(b.Local), cmp.Compare(a.Inode, b.Inode))
}

// lines calls each for every line but the first, which is the heading. The
// bytes are valid in that call only.
func lines(ctx context.Context, path string, each func([]byte) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	scanner := bufio.NewScanner(file)
	for heading := true; ctx.Err() == nil && scanner.Scan(); heading = false {
		if heading {
			continue
		}
		if err := each(scanner.Bytes()); err != nil {
			return &fs.PathError{Op: "read", Path: path, Err: err}
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return scanner.Err()
}

// procSocket reads one line of /proc/net/tcp: "sl local remote state
// unsent:unread timer:when retransmits uid timeout inode …".
func procSocket(line []byte, q *Query) (s Socket, ok bool, err error) {
	var field [10][]byte
	n := 0
	for word := range bytes.FieldsSeq(line) {
		if field[n] = word; n == len(field)-1 {
			break
		}
		n++
	}
	local, port, okLocal := bytes.Cut(field[1], []byte(":"))
	remote, remotePort, okRemote := bytes.Cut(field[2], []byte(":"))
	unsent, unread, okQueues := bytes.Cut(field[4], []byte(":"))
	if n != len(field)-1 || !okLocal || !okRemote || !okQueues {
		return s, false, errFormat
	}
	number := func(text []byte, base, bits int) uint64 {
		v, bad := strconv.ParseUint(string(text), base, bits)
		if bad != nil {
			err = errFormat
		}
		return v
	}
	s.State = State(number(field[3], 16, 8))
	if at := uint16(number(port, 16, 16)); err != nil || !q.wants(s.State, at) {
		return s, false, err
	} else if s.Local, err = procAddress(local, at); err != nil {
		return s, false, err
	}
	if s.Remote, err = procAddress(remote, uint16(number(remotePort, 16, 16))); err != nil {
		return s, false, err
	}
	s.Unsent, s.Unread = uint32(number(unsent, 16, 32)), uint32(number(unread, 16, 32))
	s.UID, s.Inode = uint32(number(field[7], 10, 32)), uint32(number(field[9], 10, 32))
	return s, err == nil, err
}

// procAddress reads an address: words of four bytes, each printed as a number
// of this machine.
func procAddress(text []byte, port uint16) (netip.AddrPort, error) {
	var raw, addr [16]byte
	n := hex.DecodedLen(len(text))
	if n != 4 && n != 16 {
		return netip.AddrPort{}, errFormat
	}
	if _, err := hex.Decode(raw[:], text); err != nil {
		return netip.AddrPort{}, errFormat
	}
	for i := 0; i < n; i += 4 {
		binary.NativeEndian.PutUint32(addr[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	ip, _ := netip.AddrFromSlice(addr[:n])
	return netip.AddrPortFrom(ip.Unmap(), port), nil
}

// procConnected counts the connections to unix sockets: "num refs protocol
// flags type state inode path", where state 3 is connected and 2 is one that
// waits to be accepted (SS_CONNECTED, SS_CONNECTING of linux/net.h).
func procConnected(ctx context.Context, proc string, paths []string) ([]int, error) {
	counts := make([]int, len(paths))
	err := lines(ctx, filepath.Join(proc, "net", "unix"), func(line []byte) error {
		words := strings.SplitN(string(line), " ", 7) // these are of fixed width; a path may hold spaces
		if len(words) < 7 {
			return errFormat
		}
		_, path, _ := strings.Cut(strings.TrimLeft(words[6], " "), " ")
		if path != "" && (words[5] == "03" || words[5] == "02") {
			count(counts, paths, path, 1)
		}
		return nil
	})
	return counts, err
}

// descriptors returns the inodes of the processes' sockets, and the users of
// the processes whose descriptors we may not see. One that has gone has neither.
func descriptors(proc string, processes []int) (inodes, users map[uint32]bool) {
	inodes, users = map[uint32]bool{}, map[uint32]bool{}
	for _, pid := range processes {
		folder := filepath.Join(proc, strconv.Itoa(pid))
		names, err := readNames(filepath.Join(folder, "fd"))
		for _, name := range names {
			var link string
			// Root without CAP_SYS_PTRACE, as Docker has it, may list the
			// descriptors of another user and not read them.
			if link, err = os.Readlink(filepath.Join(folder, "fd", name)); errors.Is(err, fs.ErrPermission) {
				break
			}
			if text, ok := strings.CutPrefix(link, "socket:["); ok {
				if inode, bad := strconv.ParseUint(strings.TrimSuffix(text, "]"), 10, 32); bad == nil {
					inodes[uint32(inode)] = true
				}
			}
		}
		if errors.Is(err, fs.ErrPermission) {
			if uid, ok := user(folder); ok {
				users[uid] = true
			}
		}
	}
	return inodes, users
}

func readNames(folder string) ([]string, error) {
	f, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// user is a process's effective user, which its sockets belong to. The owner of
// its folder would be root if it has changed users (it is not dumpable then).
func user(folder string) (uint32, bool) {
	status, err := os.ReadFile(filepath.Join(folder, "status"))
	if err != nil {
		return 0, false
	}
	_, after, _ := strings.Cut(string(status), "\nUid:")
	line, _, _ := strings.Cut(after, "\n")
	words := strings.Fields(line)
	if len(words) < 2 {
		return 0, false
	}
	uid, err := strconv.ParseUint(words[1], 10, 32)
	return uint32(uid), err == nil
}
