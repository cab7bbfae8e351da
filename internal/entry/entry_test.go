package entry_test

import (
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"exeunt/internal/entry"

	"golang.org/x/sys/unix"
)

// role names what a copy of the test binary is to do instead of testing.
const role = "EXEUNT_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "inherit":
		inherit()
	case "notes":
		notes()
	case "exit":
	}
}

func TestItImportsNothing(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range tree.Imports {
			if spec.Path.Value != `"unsafe"` {
				t.Errorf("%s imports %s", file, spec.Path.Value)
			}
		}
	}
}

func TestItIsInitializedBeforeTheStandardLibrary(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), role+"=exit", "GODEBUG=inittrace=1")
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	early := []string{"errors", "sync", "syscall", "time", "os", "internal/godebug", "internal/poll"}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "init" {
			continue
		}
		if words[1] == "exeunt/internal/entry" {
			return
		}
		if slices.Contains(early, words[1]) {
			t.Errorf("%s is initialized before", words[1])
		}
	}
	t.Errorf("not initialized at all:\n%s", text)
}

// An inheritance is what a process gets from the one that executes it.
type inheritance struct {
	mask, ignored uint64
	soft          uint64 // RLIMIT_NOFILE
	closed        []int
}

// inherit becomes the program that its first argument names, with the
// inheritance that the others describe.
func inherit() {
	var with inheritance
	if _, err := fmt.Sscan(os.Args[2], &with.mask, &with.ignored, &with.soft); err != nil {
		panic(err)
	}
	limit := syscall.Rlimit{Cur: with.soft, Max: hardLimit()}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		panic(err)
	}
	os.Setenv(role, "notes")
	os.Setenv("GOMAXPROCS", "3") // the app's
	runtime.LockOSThread()
	for sig := uintptr(1); sig <= 64; sig++ {
		disposition := [4]uintptr{} // struct sigaction
		if with.ignored>>(sig-1)&1 != 0 {
			disposition[0] = 1
		}
		unix.RawSyscall6(unix.SYS_RT_SIGACTION, sig, uintptr(unsafe.Pointer(&disposition)), 0, 8, 0, 0)
	}
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&with.mask)), 0, 8, 0, 0)
	for _, n := range os.Args[3:] {
		unix.Close(int(n[0] - '0'))
	}
	panic(unix.Exec(os.Args[1], os.Args[1:2], os.Environ()))
}

// notes writes to descriptor 3 what was inherited.
func notes() {
	fmt.Fprintf(os.NewFile(3, "notes"), "known=%v mask=%#x ignored=%#x closed=%b nofile=%d processors=%d handlers=%v",
		entry.Known, entry.Mask, entry.Ignored, entry.Closed, entry.NoFile, runtime.GOMAXPROCS(0), entry.Handlers)
}

func hardLimit() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		panic(err)
	}
	return limit.Max
}

// noted is what binary notes of an inheritance.
func noted(t *testing.T, binary string, with inheritance) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.SetReadDeadline(time.Now().Add(20 * time.Second))
	cmd := exec.Command(os.Args[0], binary, fmt.Sprint(with.mask, with.ignored, with.soft))
	for _, n := range with.closed {
		cmd.Args = append(cmd.Args, fmt.Sprint(n))
	}
	cmd.Env = append(os.Environ(), role+"=inherit")
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = []*os.File{w}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	text, readErr := io.ReadAll(r)
	if readErr != nil {
		cmd.Process.Kill()
	}
	if err := errors.Join(readErr, cmd.Wait()); err != nil {
		t.Fatalf("%+v: %v", with, err)
	}
	return string(text)
}

// build is this test binary without cgo, linked as ldflags say.
func build(t *testing.T, ldflags string) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go command to build with")
	}
	file := filepath.Join(t.TempDir(), "entry.test")
	cmd := exec.Command("go", "test", "-c", "-o", file, "-ldflags", ldflags, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return file
}

const everything = ^uint64(0)

func TestTheEntryNotesWhatWasInherited(t *testing.T) {
	if !entry.Handlers {
		t.Skip("no entry of our own here")
	}
	binary := build(t, "-E exeunt/internal/entry.start")
	for _, mask := range []uint64{0, 1 << 14, 0xf000_0000_0000_0800, everything} {
		for _, ignored := range []uint64{0, 1<<0 | 1<<12, 1 << 16, everything} {
			with := inheritance{mask, ignored, 256, nil}
			// Nobody blocks or ignores KILL and STOP.
			const always = uint64(1<<8 | 1<<18)
			want := fmt.Sprintf("known=true mask=%#x ignored=%#x closed=0 nofile=[256 %d] processors=1 handlers=true",
				mask&^always, ignored&^always, hardLimit())
			if got := noted(t, binary, with); got != want {
				t.Errorf("%+v:\ngot  %s\nwant %s", with, got, want)
			}
		}
	}
	for bits := range 8 {
		with := inheritance{soft: 100}
		for n := range 3 {
			if bits>>n&1 != 0 {
				with.closed = append(with.closed, n)
			}
		}
		want := fmt.Sprintf("known=true mask=0x0 ignored=0x0 closed=%b nofile=[100 %d] processors=1 handlers=true", bits, hardLimit())
		if got := noted(t, binary, with); got != want {
			t.Errorf("%+v:\ngot  %s\nwant %s", with, got, want)
		}
	}
}

func TestAPlainBuildNotesWhatTheRuntimeLeaves(t *testing.T) {
	if entry.NoFile == [2]uint64{} {
		t.Skip("no limits to be had here")
	}
	with := inheritance{1 << 14, everything &^ (1 << 32), 300, []int{0}} // 33 is the runtime's, or libc's
	got := noted(t, os.Args[0], with)
	for _, want := range []string{"known=false mask=0x0", "closed=0 ", fmt.Sprintf("nofile=[300 %d]", hardLimit())} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want %s in it", got, want)
		}
	}
	var ignored uint64
	_, after, _ := strings.Cut(got, "ignored=")
	if _, err := fmt.Sscanf(after, "%v", &ignored); err != nil {
		t.Fatal(err)
	}
	// HUP INT CONT TSTP TTIN TTOU 34, and by the kind of build 32.
	const left = uint64(1<<0 | 1<<1 | 1<<17 | 1<<19 | 1<<20 | 1<<21 | 1<<33)
	if entry.Handlers && ignored&^(1<<31) != left {
		t.Errorf("got %s, want ignored=%#x", got, left)
	}
}

func TestWithoutADescriptorThereAreNoHandlers(t *testing.T) {
	if !entry.Handlers {
		t.Skip("no handlers here anyway")
	}
	got := noted(t, build(t, ""), inheritance{soft: 4})
	if !strings.HasSuffix(got, "handlers=false") {
		t.Errorf("got %s", got)
	}
}
