package output

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"exeunt/signals"
	"exeunt/supervisor"
)

// A reader reads a log's lines.
type reader struct {
	t     *testing.T
	lines chan string
}

// newReader returns a log and what it writes.
func newReader(t *testing.T, console bool, level supervisor.Level) (*Log, *reader) {
	read, write := pipe(t)
	r := &reader{t, make(chan string, 10_000)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		in := bufio.NewReader(os.NewFile(uintptr(read), "read"))
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			r.lines <- line
		}
	}()
	t.Cleanup(func() { unix.Close(write); <-ended })
	return New(write, console, false, level), r
}

// next is the next line.
func (r *reader) next() string {
	r.t.Helper()
	select {
	case line := <-r.lines:
		return strings.TrimSuffix(line, "\n")
	case <-time.After(patience):
		r.t.Fatal("no line")
		return ""
	}
}

// none is that no line has come although all that was said is written.
func (r *reader) none(l *Log) {
	r.t.Helper()
	l.Note(supervisor.Entry{Level: supervisor.Error, Message: "the end"})
	if line := r.next(); !strings.Contains(line, "the end") {
		r.t.Errorf("unexpected line %q", line)
	}
}

var full = supervisor.Entry{
	At: time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.FixedZone("", 3600)), Level: supervisor.Warn, Message: "killed",
	Phase: supervisor.Kill, Service: "main", Hook: "a b", PID: 7, Signal: signals.KILL, From: 9, Code: 137,
	Took: 1500 * time.Millisecond, Left: 250 * time.Millisecond, Strays: 2, Err: `no "such"`,
}

func TestEntryIsOneLineOfJSON(t *testing.T) {
	l, r := newReader(t, false, supervisor.Info)
	l.Note(full)
	want := `{"level":"warn","time":"2026-01-02T02:04:05.006Z","service":"main","hook":"a b","pid":7,"phase":"kill",` +
		`"signal":"KILL","from":9,"code":137,"took_ms":1500,"left_ms":250,"strays":2,"err":"no \"such\"","message":"killed"}`
	if got := r.next(); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	l.Note(supervisor.Entry{At: full.At, Message: "hi"})
	if got, want := r.next(), `{"level":"info","time":"2026-01-02T02:04:05.006Z","phase":"start","message":"hi"}`; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestEntryIsOneLineForPeople(t *testing.T) {
	l, r := newReader(t, true, supervisor.Info)
	l.Note(full)
	want := `02:04:05.006 WRN killed service=main hook="a b" pid=7 phase=kill signal=KILL from=9 code=137 took_ms=1500 left_ms=250 strays=2 err="no \"such\""`
	if got := r.next(); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestEveryKeyOfALineIsInTheList(t *testing.T) {
	known := map[string]bool{"level": true, "time": true, "message": true}
	for _, key := range keys {
		known[key] = true
	}
	l, r := newReader(t, false, supervisor.Info)
	l.Note(full)
	var line map[string]any
	for _, text := range []string{r.next(), string(l.dropped(3))} {
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
		for key := range line {
			if !known[key] {
				t.Errorf("%s: key %q", text, key)
			}
		}
	}
	if line["dropped"] != 3.0 || line["level"] != "warn" {
		t.Errorf("%v", line)
	}
	l.console = true
	if text := string(l.dropped(3)); !regexp.MustCompile(`^\d\d:\d\d:\d\d\.\d{3} WRN dropped 3 lines: .* dropped=3\n$`).MatchString(text) {
		t.Errorf("%q", text)
	}
}

func TestLevelsBelowTheChosenOneAreSilent(t *testing.T) {
	for chosen := supervisor.Debug; chosen <= supervisor.Error; chosen++ {
		l, r := newReader(t, false, chosen)
		for level := supervisor.Debug; level <= supervisor.Error; level++ {
			l.Note(supervisor.Entry{Level: level, Message: "x"})
			if level >= chosen && !strings.HasPrefix(r.next(), `{"level":"`+level.String()+`"`) {
				t.Errorf("level %v is shown as another", level)
			}
		}
		r.none(l)
	}
}

func TestHooksLinesComeUnderItsName(t *testing.T) {
	l, r := newReader(t, true, supervisor.Info)
	w, err := l.Capture("migrate")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, "one\ntw")
	fmt.Fprint(w, "o\n\nthr\xffee\nrest")
	for _, want := range []string{"migrate | one", "migrate | two", "migrate | ", "migrate | thr\xffee"} {
		if got := r.next(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	w.Close()
	if got := r.next(); got != "migrate | rest" {
		t.Errorf("the line without an end: %q", got)
	}
}

func TestHooksLinesAreJSONWithItsKey(t *testing.T) {
	l, r := newReader(t, false, supervisor.Warn) // what a hook says is not ours to silence
	w, err := l.Capture("migrate")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, "say \"x\"\n")
	w.Close()
	var line map[string]any
	if err := json.Unmarshal([]byte(r.next()), &line); err != nil {
		t.Fatal(err)
	}
	delete(line, "time")
	if want := (map[string]any{"level": "info", "hook": "migrate", "message": `say "x"`}); !reflect.DeepEqual(line, want) {
		t.Errorf("%v, want %v", line, want)
	}
}

func TestLongLineIsCutIntoSeveral(t *testing.T) {
	l, r := newReader(t, true, supervisor.Info)
	w, err := l.Capture("h")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("0123456789", longest/5) + "." // twice the longest and one more
	fmt.Fprintln(w, text)
	fmt.Fprintln(w, strings.Repeat("y", longest)) // just fits
	w.Close()
	var got string
	for len(got) < len(text) {
		piece := strings.TrimPrefix(r.next(), "h | ")
		if len(piece) > longest {
			t.Fatalf("a line of %d bytes", len(piece))
		}
		got += piece
	}
	if got != text {
		t.Error("the pieces are not the line")
	}
	if got := r.next(); got != "h | "+strings.Repeat("y", longest) {
		t.Errorf("a line that just fits came as %d bytes", len(got))
	}
}

// TestNobodyWaitsForAGrandchild keeps the hook's end of the pipe open, as a
// process does that the hook left behind.
func TestNobodyWaitsForAGrandchild(t *testing.T) {
	l, r := newReader(t, true, supervisor.Info)
	w, err := l.Capture("h")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	fmt.Fprint(w, "said\nhalf")
	l.Close(time.Now().Add(patience))
	for _, want := range []string{"h | said", "h | half"} {
		if got := r.next(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	fmt.Fprint(w, "later\n")
	if got := r.next(); got != "h | later" {
		t.Errorf("after Close: %q", got)
	}
}

func TestWhatAHookSaidComesBeforeTheNextEntry(t *testing.T) {
	l, r := newReader(t, true, supervisor.Info)
	for i := range 200 {
		w, err := l.Capture("h")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(w, i)
		l.Note(supervisor.Entry{Message: "over"})
		w.Close()
		if got, want := r.next(), fmt.Sprintf("h | %d", i); got != want {
			t.Fatalf("%q, want %q", got, want)
		}
		if got := r.next(); !strings.Contains(got, "over") {
			t.Fatalf("%q", got)
		}
	}
}

func TestCaptureEndsAreClosedAndInherited(t *testing.T) {
	l, r := newReader(t, true, supervisor.Info)
	w, err := l.Capture("h")
	if err != nil {
		t.Fatal(err)
	}
	fd := int(w.Fd())
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("a hook would get a non-blocking pipe: %#x, %v", flags, err)
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("the app would inherit a hook's pipe: %#x, %v", flags, err)
	}
	w.Close()
	deadline := time.After(patience)
	for tick := time.Tick(time.Millisecond); ; {
		l.mu.Lock()
		open := len(l.captures)
		l.mu.Unlock()
		if open == 0 {
			break
		}
		select {
		case <-tick:
		case <-deadline:
			t.Fatal("the capture outlives its writers")
		}
	}
	r.none(l)
}

func TestStuckReaderDoesNotHoldUpTheLog(t *testing.T) {
	_, write := pipe(t) // nobody reads
	l := New(write, false, false, supervisor.Info)
	w, err := l.Capture("loud")
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan error, 1)
	go func() {
		_, err := w.WriteString(strings.Repeat(strings.Repeat("x", 99)+"\n", 30_000)) // the hook is not held up either
		said <- err
	}()
	select {
	case err := <-said:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("the hook is blocked by the log's reader")
	}
	for range 10_000 {
		l.Note(full)
	}
	l.Close(time.Now())
	if l.queue.dropped == 0 {
		t.Error("nothing was dropped")
	}
}

func TestReportIsSavedWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "report.json")
	for _, old := range []string{"", "something longer than the report"} {
		if old != "" {
			if err := os.WriteFile(file, []byte(old), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := Save(file, map[string]int{"code": 3}); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil || string(text) != "{\n  \"code\": 3\n}\n" {
			t.Errorf("%q, %v", text, err)
		}
		if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
		t.Errorf("left behind: %v, %v", names, err)
	}
	if err := Save(filepath.Join(dir, "no", "report"), 1); err == nil || !strings.Contains(err.Error(), "cannot write report") {
		t.Errorf("a folder that is not there: %v", err)
	}
	if err := Save(dir, 1); err == nil {
		t.Error("a folder was taken for a file")
	}
}

func TestReportGoesThroughAFIFOIfSomebodyReads(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Save(fifo, 1); err == nil {
		t.Error("written to nobody")
	}
	r, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := Save(fifo, 12); err != nil {
		t.Error(err)
	}
	text := make([]byte, 8)
	if n, err := r.Read(text); err != nil || string(text[:n]) != "12\n" {
		t.Errorf("%q, %v", text[:n], err)
	}
	if info, err := os.Lstat(fifo); err != nil || info.Mode().IsRegular() {
		t.Errorf("the FIFO became %v, %v", info.Mode(), err)
	}
	if err := Save(fifo, strings.Repeat("x", 1<<20)); err == nil || !strings.Contains(err.Error(), "timeout") {
		t.Errorf("a reader that does not read: %v", err)
	}
}

func TestLastWordsAreWrittenOnlyWhereNobodySpoke(t *testing.T) {
	dir := t.TempDir()
	missing, empty, taken := filepath.Join(dir, "missing"), filepath.Join(dir, "empty"), filepath.Join(dir, "taken")
	for file, text := range map[string]string{empty: "", taken: "the app's own"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	long := strings.Repeat("x", 5000)
	for _, file := range []string{missing, empty, taken, dir, os.DevNull} {
		LastWords(file, long)
	}
	if _, err := os.Lstat(missing); err == nil {
		t.Error("a file was made")
	}
	for file, want := range map[string]string{empty: long[:4096], taken: "the app's own"} {
		if text, err := os.ReadFile(file); err != nil || string(text) != want {
			t.Errorf("%s: %d bytes, %v", file, len(text), err)
		}
	}
}
