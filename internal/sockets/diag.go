package sockets

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What linux/inet_diag.h, linux/unix_diag.h and linux/tcp.h lay down.
const (
	requestSize     = 56 // struct inet_diag_req_v2
	messageSize     = 72 // struct inet_diag_msg
	unixRequestSize = 24 // struct unix_diag_req
	unixMessageSize = 16 // struct unix_diag_msg

	requestBytecode = 1    // INET_DIAG_REQ_BYTECODE
	attributeInfo   = 2    // INET_DIAG_INFO: struct tcp_info
	attributeName   = 0    // UNIX_DIAG_NAME
	attributeQueues = 4    // UNIX_DIAG_RQLEN: struct unix_diag_rqlen
	showName        = 1    // UDIAG_SHOW_NAME
	showQueues      = 0x10 // UDIAG_SHOW_RQLEN

	jump        = 1 // INET_DIAG_BC_JMP
	portAtLeast = 2 // INET_DIAG_BC_S_GE
	portAtMost  = 3 // INET_DIAG_BC_S_LE
)

// Places in struct tcp_info. bytes_sent is there since Linux 4.19; bytes_acked,
// which is older, also counts the SYN of a fast open.
const (
	lastSent      = unsafe.Offsetof(unix.TCPInfo{}.Last_data_sent)
	lastReceived  = unsafe.Offsetof(unix.TCPInfo{}.Last_data_recv)
	bytesAcked    = unsafe.Offsetof(unix.TCPInfo{}.Bytes_acked)
	bytesReceived = unsafe.Offsetof(unix.TCPInfo{}.Bytes_received)
	bytesSent     = unsafe.Offsetof(unix.TCPInfo{}.Bytes_sent)
)

var errCutShort = errors.New("the kernel's answer was cut short")

// A diag is a netlink socket for sock_diag(7).
type diag struct {
	fd       int
	sequence uint32
	buffer   []byte
}

func openDiag() (*diag, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, err
	}
	return &diag{fd: fd, buffer: make([]byte, 32<<10)}, nil
}

// openEnds joins the two groups to which the kernel tells the end of each TCP
// socket (SKNLGRP_INET_TCP_DESTROY and SKNLGRP_INET6_TCP_DESTROY of
// linux/sock_diag.h, since Linux 4.3); anybody may.
func openEnds() (*diag, error) {
	d, err := openDiag()
	if err != nil {
		return nil, err
	}
	if err := unix.Bind(d.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1<<0 | 1<<2}); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *diag) close() { _ = unix.Close(d.fd) }

// find appends the sockets of both families that q asks for.
func (d *diag) find(ctx context.Context, q *Query, found []Socket) ([]Socket, error) {
	for _, family := range [...]byte{unix.AF_INET, unix.AF_INET6} {
		request := make([]byte, requestSize)
		request[0], request[1] = family, unix.IPPROTO_TCP
		if q.Timed {
			request[2] = 1 << (attributeInfo - 1)
		}
		binary.NativeEndian.PutUint32(request[4:], uint32(q.States))
		if len(q.Ports) > 0 {
			request = appendAttribute(request, requestBytecode, bytecode(q.Ports))
		}
		err := d.dump(ctx, request, func(message []byte) {
			if s, ok := inetSocket(message); ok && q.wants(s.State, s.Local.Port()) {
				found = append(found, s)
			}
		})
		if err != nil {
			return found, err
		}
	}
	return found, nil
}

// bytecode is the kernel's filter for "the local port is one of these". Each
// port is a block of three: at least the port, at most the port, accept. The
// kernel follows the first jump of an operation if it holds and else the
// second; the end accepts, four bytes behind the end refuses.
func bytecode(ports []uint16) []byte {
	const block = 8 + 8 + 4
	end := len(ports) * block
	var program []byte
	operation := func(code, yes byte, no int) {
		program = append(program, code, yes)
		program = binary.NativeEndian.AppendUint16(program, uint16(no))
	}
	for i, port := range ports {
		at, next := i*block, (i+1)*block
		if next == end {
			next = end + 4
		}
		operation(portAtLeast, 8, next-at)
		operation(0, 0, int(port))
		operation(portAtMost, 8, next-(at+8))
		operation(0, 0, int(port))
		operation(jump, 4, end-(at+16))
	}
	return program
}

// inetSocket reads a struct inet_diag_msg and its tcp_info.
func inetSocket(message []byte) (s Socket, ok bool) {
	if len(message) < messageSize {
		return s, false
	}
	s = Socket{
		State:  State(message[1]),
		Local:  address(message[0], message[8:], message[4:]),
		Remote: address(message[0], message[24:], message[6:]),
		Unread: binary.NativeEndian.Uint32(message[56:]),
		Unsent: binary.NativeEndian.Uint32(message[60:]),
		UID:    binary.NativeEndian.Uint32(message[64:]),
		Inode:  binary.NativeEndian.Uint32(message[68:]),
	}
	if info := attribute(message[messageSize:], attributeInfo); len(info) >= int(bytesReceived+8) {
		s.Timed = true
		s.Sent = time.Duration(binary.NativeEndian.Uint32(info[lastSent:])) * time.Millisecond
		s.Received = time.Duration(binary.NativeEndian.Uint32(info[lastReceived:])) * time.Millisecond
		spoken := bytesAcked
		if len(info) >= int(bytesSent+8) {
			spoken = bytesSent
		}
		s.Spoken = binary.NativeEndian.Uint64(info[spoken:]) > 0
		s.Heard = binary.NativeEndian.Uint64(info[bytesReceived:]) > 0
	}
	return s, true
}

func address(family byte, host, port []byte) netip.AddrPort {
	addr := netip.AddrFrom4([4]byte(host))
	if family == unix.AF_INET6 {
		addr = netip.AddrFrom16([16]byte(host)).Unmap()
	}
	return netip.AddrPortFrom(addr, binary.BigEndian.Uint16(port))
}

// connected counts the connections to unix sockets. Those that wait to be
// accepted have no inode yet and are not told of, but listeners tell how many
// there are.
func (d *diag) connected(ctx context.Context, paths []string) ([]int, error) {
	counts := make([]int, len(paths))
	request := make([]byte, unixRequestSize)
	request[0] = unix.AF_UNIX
	binary.NativeEndian.PutUint32(request[4:], uint32(In(Established, Listen)))
	binary.NativeEndian.PutUint32(request[12:], showName|showQueues)
	err := d.dump(ctx, request, func(message []byte) {
		if len(message) < unixMessageSize {
			return
		}
		n := 1
		attributes := message[unixMessageSize:]
		if State(message[2]) == Listen {
			n = 0
			if queues := attribute(attributes, attributeQueues); len(queues) >= 4 {
				n = int(binary.NativeEndian.Uint32(queues))
			}
		}
		count(counts, paths, unixName(attribute(attributes, attributeName)), n)
	})
	return counts, err
}

// unixName is a sun_path as users write it: a leading zero is an @, and the one
// at the end is not part of it.
func unixName(name []byte) string {
	if len(name) > 0 && name[0] == 0 {
		return "@" + string(name[1:])
	}
	for len(name) > 0 && name[len(name)-1] == 0 {
		name = name[:len(name)-1]
	}
	return string(name)
}

func count(counts []int, paths []string, name string, n int) {
	for i, path := range paths {
		if path == name {
			counts[i] += n
		}
	}
}

// dump sends one request and calls each for every message of the answer, whose
// bytes are valid in that call only.
func (d *diag) dump(ctx context.Context, request []byte, each func([]byte)) error {
	d.sequence++
	message := make([]byte, unix.SizeofNlMsghdr, unix.SizeofNlMsghdr+len(request))
	message = append(message, request...)
	binary.NativeEndian.PutUint32(message, uint32(len(message)))
	binary.NativeEndian.PutUint16(message[4:], unix.SOCK_DIAG_BY_FAMILY)
	binary.NativeEndian.PutUint16(message[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	binary.NativeEndian.PutUint32(message[8:], d.sequence)
	if err := unix.Sendto(d.fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("cannot ask the kernel for its sockets: %w", err)
	}
	return d.read(ctx, each)
}

// read takes the answer to the last request to its end or, without a request,
// what has been told until the queue is empty (EAGAIN).
func (d *diag) read(ctx context.Context, each func([]byte)) error {
	for {
		if ctx.Err() != nil {
			return ctx.Err() // what is left has an old sequence number
		}
		// The kernel puts the next piece into the queue before it hands out this
		// one, so there is nothing to wait for: an empty queue is a lost answer.
		n, _, err := unix.Recvfrom(d.fd, d.buffer, unix.MSG_DONTWAIT)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("cannot read the kernel's sockets: %w", err)
		}
		if done, err := d.messages(d.buffer[:n], each); done || err != nil {
			return err
		}
	}
}

// messages takes one piece of an answer, and reports whether it was the last.
func (d *diag) messages(piece []byte, each func([]byte)) (done bool, err error) {
	for len(piece) >= unix.SizeofNlMsghdr {
		size := int(binary.NativeEndian.Uint32(piece))
		if size < unix.SizeofNlMsghdr || size > len(piece) {
			return false, errCutShort
		}
		message := piece[unix.SizeofNlMsghdr:size]
		kind, flags := binary.NativeEndian.Uint16(piece[4:]), binary.NativeEndian.Uint16(piece[6:])
		current := binary.NativeEndian.Uint32(piece[8:]) == d.sequence
		piece = piece[min(align(size), len(piece)):]
		if !current {
			continue
		}
		switch {
		case flags&unix.NLM_F_DUMP_INTR != 0:
			return false, errCutShort
		case kind == unix.NLMSG_DONE:
			return true, nil
		case kind == unix.NLMSG_ERROR && len(message) >= 4:
			return false, unix.Errno(-int32(binary.NativeEndian.Uint32(message)))
		case kind == unix.SOCK_DIAG_BY_FAMILY:
			each(message)
		}
	}
	return false, nil
}

// appendAttribute adds a struct nlattr.
func appendAttribute(to []byte, kind uint16, value []byte) []byte {
	to = binary.NativeEndian.AppendUint16(to, uint16(unix.SizeofNlAttr+len(value)))
	to = binary.NativeEndian.AppendUint16(to, kind)
	return append(to, value...) // a bytecode is a multiple of four
}

// attribute returns the value of the first attribute of that kind, or nil.
func attribute(from []byte, kind uint16) []byte {
	for len(from) >= unix.SizeofNlAttr {
		size := int(binary.NativeEndian.Uint16(from))
		if size < unix.SizeofNlAttr || size > len(from) {
			return nil
		}
		if binary.NativeEndian.Uint16(from[2:]) == kind {
			return from[unix.SizeofNlAttr:size]
		}
		from = from[min(align(size), len(from)):]
	}
	return nil
}

// align rounds up to what netlink aligns messages and attributes to.
func align(size int) int { return (size + unix.NLMSG_ALIGNTO - 1) &^ (unix.NLMSG_ALIGNTO - 1) }
