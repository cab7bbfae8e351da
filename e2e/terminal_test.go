package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// A terminal is the keyboard and the screen of a pseudo-terminal: what docker
// run -it and a person bring.
type terminal struct {
	*transcript          // the screen
	keys        *os.File // the keyboard
	end         *os.File // the init's side
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	var number, locked uint32
	ioctl(t, keys, syscall.TIOCSPTLCK, unsafe.Pointer(&locked))
	ioctl(t, keys, syscall.TIOCGPTN, unsafe.Pointer(&number))
	end, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	screen := newTranscript(t)
	go screen.follow(keys) // closes it
	t.Cleanup(func() { end.Close() })
	return &terminal{screen, keys, end}
}

func ioctl(t *testing.T, file *os.File, request uintptr, argument unsafe.Pointer) {
	t.Helper()
	connection, err := file.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	connection.Control(func(descriptor uintptr) {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, descriptor, request, uintptr(argument)); errno != 0 {
			t.Fatalf("ioctl %#x: %v", request, errno)
		}
	})
}

// press types text. Control-C is "\x03", as on a keyboard.
func (k *terminal) press(text string) {
	k.t.Helper()
	if _, err := k.keys.WriteString(text); err != nil {
		k.t.Fatal(err)
	}
}

// resize makes the window rows high and columns wide.
func (k *terminal) resize(rows, columns uint16) {
	size := [4]uint16{rows, columns}
	ioctl(k.t, k.keys, syscall.TIOCSWINSZ, unsafe.Pointer(&size))
}

// awaitMode waits until the terminal hands over whole lines, or single keys: a
// shell takes keys at its prompt, and gives that up while it runs a command.
func (k *terminal) awaitMode(lines bool) {
	k.t.Helper()
	poll(k.t, "the terminal's other mode", func() bool {
		var mode syscall.Termios
		ioctl(k.t, k.keys, syscall.TCGETS, unsafe.Pointer(&mode))
		return mode.Lflag&syscall.ICANON != 0 == lines
	})
}

// onTerminal starts argv as PID 1 that owns a terminal.
func onTerminal(t *testing.T, argv ...string) (*terminal, *space) {
	t.Helper()
	k := newTerminal(t)
	return k, begin(t, options{tty: k.end, env: []string{"PS1=$ ", "TERM=dumb"}}, argv...)
}

const presses = 200

func TestKeysReachMainOnce(t *testing.T) {
	t.Parallel()
	for sent, act := range map[string]func(*terminal, int){
		"INT":   func(k *terminal, i int) { k.press("\x03") },
		"QUIT":  func(k *terminal, i int) { k.press("\x1c") },
		"WINCH": func(k *terminal, i int) { k.resize(50+uint16(i), 100) },
	} {
		t.Run(sent, func(t *testing.T) {
			w := newWitness(t, t.TempDir(), "main")
			k, s := onTerminal(t, under("5s", app, "witness", w.FIFO)...)
			w.await("ready")
			// Two signals at once may arrive as one, so they are looked for often,
			// and where they would come from.
			if inForeground(t, s.PID) {
				t.Error("the terminal sends its signals to the init as well")
			}
			for i := range presses {
				act(k, i)
				w.awaitCount(sent, i+1)
			}
			// TERM goes through the init: it comes after all that may be forwarded.
			s.send(syscall.SIGTERM)
			if code := s.wait(bound); code != 0 {
				t.Errorf("exit code %d, want main's own, 0", code)
			}
			w.end()
			if count := strings.Count(w.String(), sent); count != presses {
				t.Errorf("%d presses arrived %d times", presses, count)
			}
		})
	}
}

// The control: an init that stays in its child's process group gets the key as
// well, and forwards it.
func TestDumbInitForwardsControlCThatMainHasAlready(t *testing.T) {
	t.Parallel()
	need(t, "dumb-init")
	w := newWitness(t, t.TempDir(), "main")
	k, s := onTerminal(t, "dumb-init", "-v", "-c", "--", app, "witness", w.FIFO)
	w.await("ready")
	if !inForeground(t, s.PID) {
		t.Error("the terminal sends it nothing: the test above proves nothing any more")
	}
	k.press("\x03")
	w.await("INT")
	k.await("Received signal 2")
	k.await("Forwarded signal 2")
}

// inForeground tells whether a process is in the foreground group of its
// terminal, which is whom the keys signal.
func inForeground(t *testing.T, pid int) bool {
	t.Helper()
	fields, ok := stat(pid)
	if !ok {
		t.Fatalf("process %d is gone", pid)
	}
	return fields[4] == fields[7]
}

func TestControlCEndsMainWithoutPreStopHooks(t *testing.T) {
	t.Parallel()
	need(t, "cat")
	k, s := onTerminal(t, exeunt, "--pre-stop", `sh -c "echo hooked"`, "--", "cat")
	k.press("echo\n")
	k.awaitCount("echo", 2) // by the terminal, and by cat
	pressed := time.Now()
	k.press("\x03")
	if code := s.wait(bound); code != 128+2 {
		t.Errorf("exit code %d, want 130", code)
	}
	s.took(pressed, 0, 2*time.Second)
	if strings.Contains(k.String(), "hooked") {
		t.Errorf("a pre-stop hook ran:\n%s", k)
	}
}

func TestControlBackslashEndsMain(t *testing.T) {
	t.Parallel()
	need(t, "cat")
	k, s := onTerminal(t, under("5s", "cat")...)
	k.press("echo\n")
	k.awaitCount("echo", 2)
	k.press("\x1c")
	if code := s.wait(bound); code != 128+3 {
		t.Errorf("exit code %d, want 131", code)
	}
}

func TestMainThatControlZStoppedEndsAtTERM(t *testing.T) {
	t.Parallel()
	need(t, "cat")
	k, s := onTerminal(t, under("5s", "cat")...)
	k.press("echo\n")
	k.awaitCount("echo", 2)
	k.press("\x1a")
	awaitState(t, childOf(t, s.PID), "T")
	told := s.send(syscall.SIGTERM)
	if code := s.wait(bound); code != 128+15 {
		t.Errorf("exit code %d, want 143", code)
	}
	s.took(told, 0, 2*time.Second)
}

func TestShellHasJobControl(t *testing.T) {
	t.Parallel()
	need(t, "bash")
	k, s := onTerminal(t, under("5s", "bash", "--norc", "--noprofile", "-i")...)
	k.await("$ ")
	k.press("cat\n")
	k.awaitMode(true)
	k.press("first\n")
	k.awaitCount("first", 2)
	k.press("\x1a")
	k.await("Stopped")
	k.awaitMode(false)
	k.press("fg\n")
	k.awaitMode(true)
	k.press("second\n")
	k.awaitCount("second", 2)
	k.press("\x03")
	k.awaitMode(false) // Control-C throws away what is typed too early
	k.press("echo code=$?\n")
	k.await("code=130")
	k.resize(31, 77)
	k.press("stty size\n")
	k.await("31 77")
	k.press("exit 7\n")
	if code := s.wait(bound); code != 7 {
		t.Errorf("exit code %d, want the shell's, 7", code)
	}
	for _, complaint := range []string{"no job control", "cannot set terminal process group"} {
		if strings.Contains(k.String(), complaint) {
			t.Errorf("the shell complains: %q", complaint)
		}
	}
}

// A shell at its prompt ignores TERM, and HUP is what ends it.
func TestShellLeftByExecIsHungUp(t *testing.T) {
	t.Parallel()
	need(t, "bash", "nsenter")
	w := newWitness(t, t.TempDir(), "main")
	s := begin(t, options{}, under("8s", app, "witness", w.FIFO)...)
	w.await("ready")
	k := newTerminal(t)
	shell := exec.Command("nsenter", "--target", fmt.Sprint(s.PID), "--pid", "--mount",
		"bash", "--norc", "--noprofile", "-i")
	shell.Stdin, shell.Stdout, shell.Stderr = k.end, k.end, k.end
	shell.Env = append(environment(), "PS1=$ ", "TERM=dumb")
	shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shell.Wait() })
	k.press("echo $((6*7))\n")
	k.await("42")
	told := s.send(syscall.SIGTERM)
	if code := s.wait(bound); code != 0 {
		t.Errorf("exit code %d, want main's own, 0", code)
	}
	s.took(told, 0, 4*time.Second) // everyone would be killed at 7.24 s
}
