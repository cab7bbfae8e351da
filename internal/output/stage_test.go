package output

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"exeunt/supervisor"
)

// roleVariable makes the test binary one of the programs below.
const roleVariable = "OUTPUT_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := strings.Fields(os.Getenv(roleVariable)); len(role) > 0 {
		if err := roles[role[0]](role[1:]); err != nil {
			fmt.Fprintln(os.Stderr, role, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// roles are what services do here, with descriptors 1 and 2 as they got them.
var roles map[string]func(args []string) error

func init() { // it refers to itself
	roles = map[string]func([]string) error{
		"lines": func(args []string) error { return scatter(number(args[1]), args[0], number(args[2])) },
		"bulk":  func(args []string) error { return bulk(number(args[0]), number(args[1])) },
		"copy":  func([]string) error { _, err := io.Copy(os.Stdout, os.Stdin); return err },
		"leave": leave,
		"blind": blind,
		"crowd": crowd,
	}
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

// numbered is line i of a service.
func numbered(name string, i int) string {
	return name + " " + strconv.Itoa(i) + " " + strings.Repeat("x", i%97)
}

// scatter writes lines in pieces of up to most bytes, which end anywhere.
func scatter(lines int, name string, most int) error {
	var text []byte
	write := func(n int) error {
		_, err := os.Stdout.Write(text[:n])
		text = append(text[:0], text[n:]...)
		return err
	}
	random := rand.New(rand.NewPCG(1, uint64(lines)))
	for i := range lines {
		text = append(append(text, numbered(name, i)...), '\n')
		for len(text) > most {
			if err := write(1 + random.IntN(most)); err != nil {
				return err
			}
		}
	}
	for len(text) > 0 {
		if err := write(min(len(text), 1+random.IntN(most))); err != nil {
			return err
		}
	}
	return nil
}

// bulk writes lines of 64 bytes, so many bytes at once.
func bulk(lines, size int) error {
	text := bytes.Repeat([]byte(strings.Repeat("0123456789abcde ", 4)[:63]+"\n"), size/64)
	for left := 64 * lines; left > 0; left -= len(text) {
		if _, err := os.Stdout.Write(text[:min(left, len(text))]); err != nil {
			return err
		}
	}
	return nil
}

// leave says half a line, leaves a process behind that copies its stdin to the
// same stdout, and ends.
func leave([]string) error {
	fmt.Print("first\nhalf")
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVariable+"=copy")
	cmd.Stdin, cmd.Stdout = os.Stdin, os.Stdout
	return cmd.Start()
}

// blind writes a line to what its arguments, paths, are opened as.
func blind(paths []string) error {
	s := New(2, true, false, supervisor.Info).Streams(nil, false)
	for _, path := range paths {
		file, err := s.Open("web", 1, supervisor.Stream{Mode: supervisor.ToFile, Path: path})
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(file, path); err != nil {
			return err
		}
		file.Close()
	}
	return nil
}

var prefixed = supervisor.Stream{Mode: supervisor.Prefix}

// A stage is Streams with pipes in the place of our descriptors 1 and 2.
type stage struct {
	t testing.TB
	*Streams
	log            *Log
	stdout, stderr *end
}

// An end is where what we write arrives.
type end struct {
	t    testing.TB
	fd   int // that we write to
	file *os.File
	text *bufio.Reader
}

// newStage puts up a stage whose log is for people or in JSON.
func newStage(t testing.TB, console bool, names ...string) *stage {
	s := &stage{t: t, stdout: newEnd(t), stderr: newEnd(t)}
	s.log = New(s.stderr.fd, console, false, supervisor.Info)
	s.Streams = s.log.streams(s.stdout.fd, s.stderr.fd, names, !s.log.console)
	t.Cleanup(func() { // the read ends first: it ends writes that block
		s.stdout.file.Close()
		s.stderr.file.Close()
		if lost := s.Drain(time.Now().Add(patience)); lost != 0 {
			t.Errorf("%d bytes of output are stuck though the reader has gone", lost)
		}
		s.log.Close(time.Now().Add(patience))
		unix.Close(s.stdout.fd)
		unix.Close(s.stderr.fd)
	})
	return s
}

func newEnd(t testing.TB) *end {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	// Reads have a deadline, by the poller; the writer's end blocks.
	if err := unix.SetNonblock(ends[0], true); err != nil {
		t.Fatal(err)
	}
	e := &end{t: t, fd: ends[1], file: os.NewFile(uintptr(ends[0]), "end")}
	e.text = bufio.NewReaderSize(e.file, 1<<20)
	return e
}

// line is the next line without its end.
func (e *end) line() string {
	e.t.Helper()
	if e.text.Buffered() == 0 {
		_ = e.file.SetReadDeadline(time.Now().Add(patience))
	}
	line, err := e.text.ReadString('\n')
	if err != nil {
		e.t.Fatalf("after %q: %v", line, err)
	}
	return line[:len(line)-1]
}

// want is that these lines come next.
func (e *end) want(lines ...string) {
	e.t.Helper()
	for _, want := range lines {
		if got := e.line(); got != want {
			e.t.Fatalf("%.200q, want %.200q", got, want)
		}
	}
}

// waiting is how many bytes nobody has read.
func (e *end) waiting() int {
	n, err := unix.IoctlGetInt(e.fd, unix.TIOCINQ)
	if err != nil {
		e.t.Fatal(err)
	}
	return n + e.text.Buffered()
}

// stream opens a service's stream.
func (s *stage) stream(service string, number int) *os.File {
	s.t.Helper()
	file, err := s.Open(service, number, prefixed)
	if err != nil {
		s.t.Fatal(err)
	}
	return file
}

// start starts a service that plays a role, stdout prefixed. It has gone when
// the test ends.
func (s *stage) start(service string, role ...any) *exec.Cmd {
	s.t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVariable+"="+fmt.Sprintln(role...))
	out := s.stream(service, 1)
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	s.run(cmd)
	return cmd
}

// run starts a command that has gone when the test ends.
func (s *stage) run(cmd *exec.Cmd) {
	s.t.Helper()
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// ended is that a service has ended, and well.
func ended(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %v", cmd.Env[len(cmd.Env)-1], err)
	}
}

// until waits for a condition.
func until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for tick := time.Tick(time.Millisecond); !condition(); {
		select {
		case <-tick:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}
