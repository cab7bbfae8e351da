package signals

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"exeunt/internal/entry"

	"golang.org/x/sys/unix"
)

// roles are what a child of a test may be told to do.
var roles = map[string]func(){
	"receive":  receiveAll,
	"send":     sendAll,
	"inside":   receiveFromInside,
	"faults":   faults,
	"preempt":  preempt,
	"overflow": overflow,
	"storm":    storm,
	"pipe":     writeToNobody,
	"inherit":  inherit,
	"forsaken": forsaken,
	"early":    early,
	"scarce":   scarce,
	"scarcer":  scarcer,
	"turns":    turns,
	"forward":  forward,
	"wake":     wake,
	"deaths":   deaths,
	"exit7":    func() { os.Exit(7) },
}

// show prints what was received, one a line.
func show(r Received) { fmt.Println(r.Signal, r.Code, r.PID, r.UID) }

// catchable are the signals that Receive is to deliver.
func catchable() []Signal {
	var list []Signal
	for sig := Signal(1); sig <= RTMAX; sig++ {
		if sig == KILL || sig == STOP || sig == CHLD {
			continue
		}
		if !entry.Handlers && SetOf(PIPE, URG, 27, 32, 33, RTMIN).Has(sig) {
			continue
		}
		list = append(list, sig)
	}
	return list
}

// receiveAll shows what arrives until standard input ends.
func receiveAll() {
	received := Receive()
	fmt.Println("ready")
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	for r := range received {
		show(r)
	}
}

// sendAll sends its parent every signal twice, the next one when the parent
// says that the one before has arrived.
func sendAll() {
	var word string
	for _, sig := range catchable() {
		syscall.Kill(os.Getppid(), syscall.Signal(sig))
		fmt.Scanln(&word)
		if entry.Handlers {
			queue(os.Getppid(), sig)
			fmt.Scanln(&word)
		}
	}
}

// receiveFromInside receives from a child, as PID 1 does from its container.
func receiveFromInside() {
	received := Receive()
	sender := exec.Command(os.Args[0])
	sender.Env = append(os.Environ(), role+"=send")
	sender.Stderr = os.Stderr
	in, err := sender.StdinPipe()
	if err != nil {
		panic(err)
	}
	if err := sender.Start(); err != nil {
		panic(err)
	}
	fmt.Println("sender", sender.Process.Pid)
	for range cap(received) * 2 {
		show(<-received)
		fmt.Fprintln(in, "arrived")
	}
}

// faults recovers from faults of its own while it receives.
func faults() {
	received := Receive()
	for range 100 {
		for _, fault := range []func(){
			func() { var p *int; *p = 1 },
			func() { a, b := 1, len(os.Getenv("no such variable")); fmt.Println(a / b) },
		} {
			func() {
				defer func() {
					if _, ok := recover().(runtime.Error); !ok {
						fmt.Println("not a runtime error")
					}
				}()
				fault()
			}()
		}
	}
	fmt.Println("recovered")
	show(<-received)
}

// preempt makes the runtime preempt loops that nothing but its signal can
// interrupt, then shows what was received up to a USR1 of its own.
func preempt() {
	received := Receive()
	var stop atomic.Bool
	for range runtime.GOMAXPROCS(4) {
		go func() {
			for n := 0; ; n++ {
				if n&(1<<26-1) == 0 && stop.Load() {
					return
				}
			}
		}()
	}
	for range 30 {
		runtime.GC()
	}
	stop.Store(true)
	fmt.Println("collected")
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	for r := range received {
		fmt.Println(r.Signal)
		if r.Signal == USR1 {
			return
		}
	}
}

// overflow fills the pipe while nobody reads, and sends every standard signal
// into the full pipe.
func overflow() {
	shrink()
	for range 500 {
		syscall.Kill(os.Getpid(), syscall.Signal(RTMIN+1))
	}
	var sent Set
	for _, sig := range catchable() {
		if sig < 32 && sig != PIPE { // a PIPE from ourselves is our own
			syscall.Kill(os.Getpid(), syscall.Signal(sig))
			sent = sent.With(sig)
		}
	}
	fmt.Println("full", Set(atomic.LoadUint64(&entry.Pending)) == sent.With(RTMIN+1))
	bytes, err := unix.IoctlGetInt(int(entry.Pipe[0]), unix.TIOCINQ)
	if err != nil {
		panic(err)
	}
	records := bytes/int(unsafe.Sizeof(entry.Record{})) + 1 // and one in Pending
	received := Receive()
	for missing := sent; missing != 0 || records > 0; {
		switch r := <-received; {
		case r.Signal == RTMIN+1:
			records--
		case missing.Has(r.Signal):
			missing &^= SetOf(r.Signal)
		default:
			fmt.Println("again", r.Signal)
		}
	}
	fmt.Println("none missing")
	syscall.Kill(os.Getpid(), syscall.Signal(RTMIN+2))
	show(<-received)
}

// shrink makes the pipe one page, 170 records.
func shrink() {
	if _, err := unix.FcntlInt(uintptr(entry.Pipe[0]), unix.F_SETPIPE_SZ, 4096); err != nil {
		panic(err)
	}
}

// storm sends bursts that overflow the pipe while it is read, each with a USR1
// that must arrive.
func storm() {
	shrink()
	received := Receive()
	for range 300 {
		for range 200 {
			syscall.Kill(os.Getpid(), syscall.Signal(RTMIN+1))
		}
		syscall.Kill(os.Getpid(), syscall.SIGUSR1)
		for r := range received {
			if r.Signal == USR1 {
				break
			}
		}
	}
	fmt.Println("weathered")
}

// writeToNobody raises a SIGPIPE by writing, and shows what is received.
func writeToNobody() {
	received := Receive()
	ends := make([]int, 2)
	if err := unix.Pipe(ends); err != nil {
		panic(err)
	}
	unix.Close(ends[0])
	for range 100 {
		if _, err := unix.Write(ends[1], []byte("x")); err != unix.EPIPE {
			panic(err)
		}
	}
	fmt.Println("EPIPE")
	for r := range received {
		show(r)
	}
}

// inherit becomes the role "forsaken" with every signal blocked and ignored.
func inherit() {
	all := unix.Sigset_t{}
	for i := range all.Val {
		all.Val[i]--
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, nil); err != nil {
		panic(err)
	}
	var ignore [32]byte // struct sigaction
	ignore[0] = 1
	for sig := 1; sig <= 64; sig++ {
		unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&ignore)), 0, 8, 0, 0)
	}
	env := os.Environ()
	for i, word := range env {
		if strings.HasPrefix(word, role+"=") {
			env[i] = role + "=forsaken"
		}
	}
	panic(syscall.Exec(os.Args[0], os.Args[:1], env))
}

// forsaken shows what it does about what it inherited: it has a child, and
// receives.
func forsaken() {
	pid, err := syscall.ForkExec(os.Args[0], os.Args[:1], &syscall.ProcAttr{Env: []string{role + "=exit7"}})
	if err != nil {
		panic(err)
	}
	var ws syscall.WaitStatus
	_, err = syscall.Wait4(pid, &ws, 0, nil)
	fmt.Println("child", ws.ExitStatus(), err)
	m, err := status(os.Getpid())
	if err != nil {
		panic(err)
	}
	fmt.Println("blocked", m.Blocked, "ignored", m.Ignored, "CHLD caught", m.Caught.Has(CHLD))
	receiveAll()
}

// early ends with 143 on TERM. After anything else it waits for a TERM, which
// another thread may still have in its hands, and ends with 1: after RTMAX at
// the deadline, otherwise soon.
func early() {
	received := Receive()
	fmt.Println("ready")
	for r := range received {
		patience := deadline / 2
		switch r.Signal {
		case TERM:
			os.Exit(143)
		case RTMAX - 1:
			patience = deadline / 100
		}
		time.AfterFunc(patience, func() { os.Exit(1) })
	}
}

// scarce becomes a scarcer that can have no descriptor.
func scarce() {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		panic(err)
	}
	limit.Cur = 3
	if _, _, errno := unix.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, uintptr(unsafe.Pointer(&limit)), 0, 0, 0); errno != 0 {
		panic(errno)
	}
	os.Setenv(role, "scarcer")
	panic(unix.Exec("/proc/self/exe", os.Args, os.Environ()))
}

// scarcer is early.
func scarcer() {
	fmt.Println("handlers", entry.Handlers)
	early()
}

// turns shows what comes when two signals are there and, after them, a death.
func turns() {
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	syscall.Kill(os.Getpid(), syscall.SIGUSR2)
	child := spawn()
	untilInPipe(3)
	for range 3 {
		dead, r := Next(time.Unix(0, 1), nil)
		fmt.Println("dead", dead, "with", uint8(r.Signal))
	}
	Remind()
	dead, r := Next(time.Time{}, nil)
	fmt.Println("reminded: dead", dead, "with", uint8(r.Signal))
	syscall.Wait4(child, nil, 0, nil)
}

// untilInPipe waits until so many records have come.
func untilInPipe(records int) {
	for bytes := 0; bytes < records*int(unsafe.Sizeof(entry.Record{})); runtime.Gosched() {
		var err error
		if bytes, err = unix.IoctlGetInt(int(entry.Pipe[0]), unix.TIOCINQ); err != nil {
			panic(err)
		}
	}
}

// forward has signals sent on to children that show what they get: to one alone,
// to a group that it leads, to a group that it does not, to nobody.
func forward() {
	Next(time.Unix(0, 1), nil)
	for _, c := range []struct {
		leads, group, gone bool
	}{{}, {true, true, false}, {false, true, false}, {false, false, true}} {
		out, outw, err := os.Pipe()
		if err != nil {
			panic(err)
		}
		in, inw, err := os.Pipe()
		if err != nil {
			panic(err)
		}
		os.Setenv(role, "receive")
		pid, err := syscall.ForkExec("/proc/self/exe", []string{"child"}, &syscall.ProcAttr{
			Env: os.Environ(), Files: []uintptr{in.Fd(), outw.Fd(), 2}, Sys: &syscall.SysProcAttr{Setpgid: c.leads},
		})
		if err != nil {
			panic(err)
		}
		in.Close()
		outw.Close()
		lines := bufio.NewReader(out)
		if line, err := lines.ReadString('\n'); line != "ready\n" {
			panic(fmt.Sprint(line, err))
		}
		f := Forwarding{PID: int32(pid), Group: c.group}
		f.As[USR1], f.As[WINCH] = USR2, WINCH
		if c.gone {
			f.PID = 1 << 22 // one more than there can be
		}
		for i, sig := range []Signal{USR1, HUP, WINCH} {
			syscall.Kill(os.Getpid(), syscall.Signal(sig))
			untilInPipe(i + 1)
		}
		fmt.Print("forwarded")
		expected := 1 // TERM, once everything else has arrived
		for told := 0; told < 3; {
			if _, r := Next(time.Time{}, &f); r.Signal != 0 {
				fmt.Print(" ", r.Signal, " ", r.Forwarded)
				if told++; r.Forwarded {
					expected++
				}
			}
		}
		fmt.Print("; got")
		for ; expected > 0; expected-- {
			if expected == 1 {
				syscall.Kill(pid, syscall.SIGTERM)
			}
			line, err := lines.ReadString('\n')
			if err != nil {
				panic(err)
			}
			got, _, _ := strings.Cut(line, " ")
			fmt.Print(" ", got)
		}
		fmt.Println()
		inw.Close()
		syscall.Wait4(pid, nil, 0, nil)
		Next(time.Unix(0, 1), nil)
	}
}

// spawn starts a child that ends at once.
func spawn() int {
	pid, err := syscall.ForkExec("/bin/true", []string{"true"}, nil)
	if err != nil {
		panic(err)
	}
	return pid
}

// wake has other goroutines wake Next, while signals come too.
func wake() {
	var counted atomic.Int64
	const goroutines, each = 4, 500
	for range goroutines {
		go func() {
			for range each {
				counted.Add(1)
				Wake()
			}
		}()
	}
	fmt.Println("ready")
	// Each wake-up that is not seen by one Next is seen by a later one: the count
	// that the last one finds is the whole.
	usr1 := 0
	for counted.Load() < goroutines*each || usr1 == 0 {
		if _, r := Next(time.Time{}, nil); r.Signal == USR1 {
			usr1++
		}
	}
	began := time.Now()
	for dead, r := Next(began.Add(50*time.Millisecond), nil); time.Since(began) < 50*time.Millisecond; dead, r = Next(began.Add(50*time.Millisecond), nil) {
		if dead || r.Signal != 0 {
			fmt.Println("for nothing:", dead, r.Signal)
		}
	}
	fmt.Println("woken; a deadline is one")
}

// deaths has many children die at once, and others now and then, and must see
// each with no look that finds nobody for long.
func deaths() {
	looks := 0
	see := func(n int) {
		for n > 0 {
			end := time.Now().Add(deadline)
			if dead, _ := Next(end, nil); !dead {
				if time.Now().After(end) {
					fmt.Println("nobody died")
					os.Exit(1)
				}
				continue
			}
			looks++
			for {
				pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
				if pid <= 0 || err != nil {
					break
				}
				n--
			}
		}
	}
	for range 5 {
		for range 100 {
			spawn()
		}
		see(100)
	}
	fmt.Println("storms weathered", looks <= 500)
	for range 20 {
		spawn()
		see(1)
	}
	fmt.Println("each one seen")
}
