package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A space is one subject as PID 1 of a PID and mount namespace of its own. It
// is signalled by pidfd alone, so nobody else can be hit. Closing it, and the
// death of our main thread, kill everything in it.
type space struct {
	subject  subject
	pid      int
	pidfd    int
	in       int // writing end of its standard input
	out      int // reading end of its standard output
	errors   int // what it wrote to standard error
	mounts   int // its mount namespace, if held
	deadline instant
	gone     bool
}

// A record is what the probe says: when, and a value.
type record struct {
	at    instant
	value uint64
}

// probe is the path of the compiled probe.
var probe string

// enter starts the subject in a new space with a command to run, by way of the
// probe's boot, whose record comes first: when the subject was executed, and
// the CPU time used before that. Everything in the space is killed when limit
// is over and somebody waits for it.
func enter(s subject, limit time.Duration, command ...string) (*space, error) {
	sp := &space{subject: s, pidfd: -1, mounts: -1, deadline: now().add(limit)}
	var in, out [2]int
	if err := unix.Pipe2(in[:], unix.O_CLOEXEC); err != nil {
		return nil, fmt.Errorf("cannot make a pipe: %w", err)
	}
	defer unix.Close(in[0])
	sp.in = in[1]
	if err := unix.Pipe2(out[:], unix.O_CLOEXEC); err != nil {
		unix.Close(sp.in)
		return nil, fmt.Errorf("cannot make a pipe: %w", err)
	}
	defer unix.Close(out[1])
	sp.out = out[0]
	var err error
	if sp.errors, err = unix.MemfdCreate("stderr", unix.MFD_CLOEXEC); err != nil {
		unix.Close(sp.in)
		unix.Close(sp.out)
		return nil, fmt.Errorf("cannot keep standard error: %w", err)
	}
	argv := append([]string{probe, "boot"}, append(append([]string{}, s.command...), command...)...)
	sys := &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS,
		Pdeathsig:  syscall.SIGKILL,
		PidFD:      &sp.pidfd,
	}
	if uid, gid := os.Geteuid(), os.Getegid(); uid != 0 {
		sys.Cloneflags |= unix.CLONE_NEWUSER
		sys.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		sys.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
		sys.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN} // for boot's mount
	}
	sp.pid, err = syscall.ForkExec(probe, argv, &syscall.ProcAttr{
		Env:   []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		Files: []uintptr{uintptr(in[0]), uintptr(out[1]), uintptr(sp.errors)},
		Sys:   sys,
	})
	if err != nil {
		sp.gone = true
		sp.close()
		return nil, fmt.Errorf("cannot start a PID namespace: %w", err)
	}
	return sp, nil
}

// read takes the next record.
func (sp *space) read() (record, error) {
	var b [16]byte
	for n := 0; n < len(b); {
		if !readable(sp.out, sp.deadline) {
			return record{}, sp.failed("said nothing in time")
		}
		m, err := unix.Read(sp.out, b[n:])
		if err != nil {
			return record{}, sp.failed(err.Error())
		}
		if m == 0 {
			return record{}, sp.failed("ended early")
		}
		n += m
	}
	return record{instant(binary.NativeEndian.Uint64(b[:])), binary.NativeEndian.Uint64(b[8:])}, nil
}

// readN takes the next n records.
func (sp *space) readN(n int) ([]record, error) {
	records := make([]record, n)
	for i := range records {
		var err error
		if records[i], err = sp.read(); err != nil {
			return nil, err
		}
	}
	return records, nil
}

// rest takes the records left once the space has ended.
func (sp *space) rest() []record {
	var records []record
	for readable(sp.out, now()) {
		r, err := sp.read()
		if err != nil {
			break
		}
		records = append(records, r)
	}
	return records
}

// signal sends sig to the space's PID 1.
func (sp *space) signal(sig unix.Signal) error {
	if _, _, errno := unix.RawSyscall6(unix.SYS_PIDFD_SEND_SIGNAL, uintptr(sp.pidfd), uintptr(sig), 0, 0, 0, 0); errno != 0 {
		return sp.failed("cannot be signalled: " + errno.Error())
	}
	return nil
}

// release lets the app's read of standard input return.
func (sp *space) release() { _, _ = unix.Write(sp.in, []byte{'\n'}) }

// hold keeps the mount namespace, whose dismantling would otherwise be part of
// PID 1's exit. A container runtime's is not.
func (sp *space) hold() {
	sp.mounts, _ = unix.Open("/proc/"+strconv.Itoa(sp.pid)+"/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
}

// An end is how a space ended.
type end struct {
	at     instant
	status syscall.WaitStatus
	cpu    time.Duration // of PID 1 and everyone it reaped, boot included
	faults int64         // page faults of the same
}

// wait blocks until everyone in the space is gone, which is when PID 1's end
// can be seen, or until the deadline.
func (sp *space) wait(deadline instant) (end, bool) {
	if !readable(sp.pidfd, min(deadline, sp.deadline)) {
		return end{}, false
	}
	e := end{at: now()}
	var usage syscall.Rusage
	for {
		if _, err := syscall.Wait4(sp.pid, &e.status, 0, &usage); err != syscall.EINTR {
			break
		}
	}
	sp.gone = true
	e.cpu = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	e.faults = int64(usage.Minflt)
	return e, true
}

// close kills what is left in the space and frees what it holds here.
func (sp *space) close() {
	if !sp.gone {
		_, _, _ = unix.RawSyscall6(unix.SYS_PIDFD_SEND_SIGNAL, uintptr(sp.pidfd), uintptr(unix.SIGKILL), 0, 0, 0, 0)
		var status syscall.WaitStatus
		_, _ = syscall.Wait4(sp.pid, &status, 0, nil)
		sp.gone = true
	}
	for _, fd := range []int{sp.in, sp.out, sp.errors, sp.pidfd, sp.mounts} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// failed is an error about the subject, with the end of what it wrote to
// standard error.
func (sp *space) failed(what string) error {
	text := ""
	if said := bytes.TrimSpace(sp.said()); len(said) > 0 {
		text = ": " + string(said[:min(len(said), 4096)])
	}
	return fmt.Errorf("%s (%s) %s%s", sp.subject.name, strings.Join(sp.subject.command, " "), what, text)
}

// cpu is the CPU time that PID 1 has used, all threads, to the nanosecond
// (clock_getcpuclockid(3)).
func (sp *space) cpu() time.Duration {
	const scheduled = 2 // CPUCLOCK_SCHED
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^sp.pid<<3|scheduled), &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
