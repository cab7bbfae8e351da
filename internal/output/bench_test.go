package output

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"exeunt/supervisor"
)

// BenchmarkLines has four services write a million lines of 64 bytes each time,
// through us and, beside it, through cat, to a reader that drops them: services
// that buffer their output, and such as write each line by itself. cpu-ns is the
// processor time of us, or of cat, for a line.
func BenchmarkLines(b *testing.B) {
	const services, lines = 4, 250_000
	for _, kind := range []struct {
		name string
		size int // of a write
	}{{"buffered", batch}, {"line-by-line", 64}} {
		for _, form := range []string{"prefix", "json", "cat"} {
			b.Run(kind.name+"/"+form, func(b *testing.B) {
				out, wait := dropping(b)
				var cpu time.Duration
				for b.Loop() {
					if form == "cat" {
						cpu += throughCat(b, out, services, lines, kind.size)
					} else {
						cpu += throughUs(b, out, form == "json", services, lines, kind.size)
					}
				}
				all := float64(b.N * services * lines)
				b.ReportMetric(all/b.Elapsed().Seconds(), "lines/s")
				b.ReportMetric(float64(cpu.Nanoseconds())/all, "cpu-ns/line")
				b.ReportMetric(0, "ns/op")
				out.Close()
				wait()
			})
		}
	}
}

// dropping is a pipe to a reader that drops what it reads.
func dropping(b *testing.B) (out *os.File, wait func()) {
	read, write := pipe(b)
	cat := exec.Command("cat")
	cat.Stdin = os.NewFile(uintptr(read), "read")
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	if cat.Stdout = null; cat.Start() != nil {
		b.Fatal("no cat")
	}
	cat.Stdin.(*os.File).Close()
	return os.NewFile(uintptr(write), "out"), func() { ended(b, cat) }
}

// throughUs returns the processor time that we used.
func throughUs(b *testing.B, out *os.File, json bool, services, lines, size int) time.Duration {
	fd := int(out.Fd())
	s := New(fd, !json, false, supervisor.Info).streams(fd, fd, []string{"service-0"}, json)
	before := used(b)
	var cmds []*exec.Cmd
	for i := range services {
		w, err := s.Open(fmt.Sprintf("service-%d", i), 1, prefixed)
		if err != nil {
			b.Fatal(err)
		}
		cmds = append(cmds, writer(b, w, lines, size))
		w.Close()
	}
	for _, cmd := range cmds {
		ended(b, cmd)
	}
	if lost := s.Drain(time.Now().Add(patience)); lost != 0 {
		b.Fatalf("%d bytes lost", lost)
	}
	return used(b) - before
}

// throughCat returns the processor time that cat used.
func throughCat(b *testing.B, out *os.File, services, lines, size int) time.Duration {
	read, write := pipe(b)
	cat := exec.Command("cat")
	cat.Stdin, cat.Stdout = os.NewFile(uintptr(read), "read"), out
	if err := cat.Start(); err != nil {
		b.Fatal(err)
	}
	cat.Stdin.(*os.File).Close()
	w := os.NewFile(uintptr(write), "write")
	var cmds []*exec.Cmd
	for range services {
		cmds = append(cmds, writer(b, w, lines, size))
	}
	w.Close()
	for _, cmd := range append(cmds, cat) {
		ended(b, cmd)
	}
	return cat.ProcessState.UserTime() + cat.ProcessState.SystemTime()
}

func writer(b *testing.B, to *os.File, lines, size int) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=bulk %d %d", roleVariable, lines, size))
	cmd.Stdout, cmd.Stderr = to, os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	return cmd
}

// used is the processor time of this process so far.
func used(b *testing.B) time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
