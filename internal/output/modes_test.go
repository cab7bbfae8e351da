package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"exeunt/supervisor"
)

func TestLineIsAnObjectWhereTheLogIsJSON(t *testing.T) {
	s := newStage(t, false, `we"b`, "longer than that")
	before := time.Now().Truncate(time.Millisecond)
	for number, end := range map[int]*end{1: s.stdout, 2: s.stderr} {
		w := s.stream(`we"b`, number)
		fmt.Fprintln(w, `say "x"`)
		w.Close()
		var line map[string]any
		text := end.line()
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		at, err := time.Parse(timeFormat, line["time"].(string))
		if err != nil || at.Before(before) || time.Since(at) > patience {
			t.Errorf("%s: %v", text, err)
		}
		delete(line, "time")
		if want := (map[string]any{"service": `we"b`, "stream": streamNames[number], "message": `say "x"`}); !reflect.DeepEqual(line, want) {
			t.Errorf("%v, want %v", line, want)
		}
	}
}

func TestJSONIsValidWhateverIsSaid(t *testing.T) {
	s := newStage(t, false, "web")
	w := s.stream("web", 1)
	random := rand.New(rand.NewPCG(1, 2))
	alphabet := []string{"\x00", "\x1f", " ", `"`, `\`, "\t", "\r", "\x7f", "\x80", "\xc3", "ä", "€", "\xe2\x82", "😀", "\xf0\x9f", "\ufffd", "\u2028", "plain text", "\xff"}
	var said []string
	for range 2000 {
		var line strings.Builder
		for range random.IntN(20) {
			line.WriteString(alphabet[random.IntN(len(alphabet))])
		}
		said = append(said, line.String())
	}
	said = append(said, strings.Repeat("\x01", longest)) // six times as long in JSON
	go func() {
		fmt.Fprintln(w, strings.Join(said, "\n"))
		w.Close()
	}()
	for _, want := range said {
		text := s.stdout.line()
		var line struct{ Message string }
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if want = string([]rune(want)); line.Message != want { // a rune U+FFFD for each byte that is none
			t.Fatalf("%q, want %q", line.Message, want)
		}
	}
}

func FuzzEscaped(f *testing.F) {
	f.Add([]byte("12345678\"\\\x1f\x20\x7f\x80\xffä€😀\xe2\x82"))
	f.Fuzz(func(t *testing.T, text []byte) {
		quoted := append(appendEscaped([]byte{'"'}, text), '"')
		var got string
		if err := json.Unmarshal(quoted, &got); err != nil || got != string([]rune(string(text))) {
			t.Errorf("%q became %s, %v", text, quoted, err)
		}
	})
}

func TestInheritedStreamIsNoFile(t *testing.T) {
	s := newStage(t, true, "web")
	if file, err := s.Open("web", 1, supervisor.Stream{}); file != nil || err != nil {
		t.Errorf("%v, %v", file, err)
	}
}

func TestNullDropsEverything(t *testing.T) {
	s := newStage(t, true, "web")
	w, err := s.Open("web", 1, supervisor.Stream{Mode: supervisor.Null})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := fmt.Fprintln(w, "x"); err != nil || w.Name() != os.DevNull {
		t.Errorf("%q, %v", w.Name(), err)
	}
}

// to opens a file for service web.
func (s *stage) to(path string) (*os.File, error) {
	return s.Open("web", 2, supervisor.Stream{Mode: supervisor.ToFile, Path: path})
}

func TestFileIsMadeAndAppendedTo(t *testing.T) {
	defer unix.Umask(unix.Umask(0o022))
	s := newStage(t, true, "web")
	path := filepath.Join(t.TempDir(), "web.log")
	for i := range 3 {
		w, err := s.to(path)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close() // an earlier run may still have it
		fmt.Fprintln(w, i)
		if flags, err := unix.FcntlInt(w.Fd(), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
			t.Errorf("flags %#x, %v", flags, err)
		}
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "0\n1\n2\n" {
		t.Errorf("%q, %v", text, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o644 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestFileThatCannotBeOpenedIsNamed(t *testing.T) {
	s := newStage(t, true, "web")
	dir := t.TempDir()
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(socket)
	bound := filepath.Join(dir, "socket")
	if err := unix.Bind(socket, &unix.SockaddrUnix{Name: bound}); err != nil {
		t.Fatal(err)
	}
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink("loop", loop); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{
		filepath.Join(dir, "no", "file"): syscall.ENOENT,
		dir:                              syscall.EISDIR,
		bound:                            syscall.ENXIO,
		loop:                             syscall.ELOOP,
	} {
		w, err := s.to(path)
		if text := fmt.Sprintf("cannot write stderr of \"web\" to %q: %v", path, want); w != nil || err == nil || err.Error() != text {
			t.Errorf("%v, want %s", err, text)
		}
	}
}

// TestFIFOWaitsForItsReader opens one that nobody reads, which must neither
// block nor fail.
func TestFIFOWaitsForItsReader(t *testing.T) {
	s := newStage(t, true, "web")
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := s.to(path)
	if err != nil {
		t.Fatal(err)
	}
	if flags, err := unix.FcntlInt(w.Fd(), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("flags %#x, %v", flags, err)
	}
	fmt.Fprintln(w, "early")
	r, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w.Close()
	text := make([]byte, 10)
	if n, err := r.Read(text); err != nil || string(text[:n]) != "early\n" {
		t.Errorf("%q, %v", text[:n], err)
	}
}

// TestOurOwnDescriptorsHaveNames has stdout and stderr be sockets, which can't be
// opened by a name.
func TestOurOwnDescriptorsHaveNames(t *testing.T) {
	dir := t.TempDir()
	direct, indirect := filepath.Join(dir, "access.log"), filepath.Join(dir, "error.log")
	for link, to := range map[string]string{direct: "/dev/stdout", indirect: "access.log"} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	paths := [3][]string{
		1: {"/dev/stdout", "/dev//fd/../fd/1", "/proc/self/fd/1", direct, indirect},
		2: {"/dev/stderr", "/dev/fd/2", "/proc/self/fd/2"},
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVariable+"=blind "+strings.Join(append(paths[1], paths[2]...), " "))
	var read [3]*os.File
	for number := 1; number <= 2; number++ {
		ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		write := os.NewFile(uintptr(ends[1]), "write")
		if read[number] = os.NewFile(uintptr(ends[0]), "read"); number == 1 {
			cmd.Stdout = write
		} else {
			cmd.Stderr = write
		}
		defer read[number].Close()
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	cmd.Stdout.(*os.File).Close()
	cmd.Stderr.(*os.File).Close()
	for number := 1; number <= 2; number++ {
		var text bytes.Buffer
		if _, err := text.ReadFrom(read[number]); err != nil {
			t.Error(err)
		}
		if want := strings.Join(paths[number], "\n") + "\n"; text.String() != want {
			t.Errorf("%s had %q, want %q", streamNames[number], text.String(), want)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
