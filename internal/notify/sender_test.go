package notify

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"exeunt/supervisor"
)

var ready = supervisor.Notice{Ready: true}

func TestTheServiceIsHeardHoweverItIsRelated(t *testing.T) {
	inWorld(t, false, nil, func(t *testing.T) {
		group, session := &syscall.SysProcAttr{Setpgid: true}, &syscall.SysProcAttr{Setsid: true}
		for _, test := range []struct {
			name   string
			attr   *syscall.SysProcAttr
			script string
		}{
			{"main", group, `exec "$0" stay READY=1`},
			{"child", group, `"$0" stay READY=1 & wait`},
			{"child in a group of its own", group, `GROUP=1 "$0" stay READY=1 & wait`},
			{"grandchild in a session of its own", group, `setsid sh -c '"$0" stay READY=1; :' "$0" & wait`},
			{"orphan in the group", group, `("$0" orphan READY=1 &); read never`},
			{"orphan in the session", session, `(GROUP=1 "$0" orphan READY=1 &); read never`},
			{"gone", group, `setsid "$0" say READY=1 & wait; echo over; read never`},
		} {
			t.Run(test.name, func(t *testing.T) {
				l := newListener(t)
				p := startAs(t, test.attr, l.socket("web", 0), test.script)
				p.expect("said")
				if test.name == "gone" {
					p.expect("over") // the shell has buried it
				}
				l.Main("web", p.pid())
				l.expect("web", p.pid(), ready)
				if n := l.Refused("web"); n != 0 {
					t.Errorf("%d refused", n)
				}
			})
		}
	})
}

func TestOthersAreNotHeard(t *testing.T) {
	inWorld(t, false, nil, func(t *testing.T) {
		l := newListener(t)
		address := l.socket("web", 0)
		web := start(t, address, `read never`)
		l.Main("web", web.pid())

		other := start(t, address, `"$0" stay READY=1 & echo $!; wait`)
		pid := other.line()
		if got, want := l.remark(), "web: a notification was refused: pid "+pid+" is not of the service"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		other.expect("said")

		stray := start(t, address, `setsid "$0" orphan READY=1 & exit`)
		stray.expect("said")
		l.speak(address, "READY=1") // nor are we ourselves
		wait(t, "three are refused", func() bool { return l.Refused("web") == 3 })
		l.silent()
	})
}

func TestAnotherUserIsNotHeard(t *testing.T) {
	inWorld(t, true, nil, func(t *testing.T) {
		for _, test := range []struct {
			name, script string
			of           uint32
			refused      int
		}{
			{"a child that is another user", `AS=1234 "$0" stay READY=1 & wait`, 0, 1},
			{"a child that is another user and has gone", `AS=1234 "$0" say READY=1; echo over; read never`, 0, 1},
			{"a child that is another user than the service's", `AS=1234 "$0" stay READY=1 & wait`, 1233, 1},
			{"a child that is the service's user", `AS=1234 "$0" stay READY=1 & wait`, 1234, 0},
			{"a service that has become another user", `AS=1234 exec "$0" stay READY=1`, 0, 0},
			{"root in another user's service", `exec "$0" stay READY=1`, 1234, 0},
		} {
			t.Run(test.name, func(t *testing.T) {
				l := newListener(t)
				p := start(t, l.socket("web", test.of), test.script)
				p.expect("said")
				if strings.HasSuffix(test.name, "gone") {
					p.expect("over")
				}
				l.Main("web", p.pid())
				if test.refused == 0 {
					l.expect("web", p.pid(), ready)
				} else if text := l.remark(); !strings.Contains(text, "is of uid 1234, which is neither the service's nor root") {
					t.Error(text)
				}
				if n := l.Refused("web"); n != test.refused {
					t.Errorf("%d refused, want %d", n, test.refused)
				}
				l.silent()
			})
		}
	})
}

func TestAnotherNamespaceIsNotHeard(t *testing.T) {
	spoken := make(chan error, 1)
	inWorld(t, false, func(line string) {
		spoken <- speak(line, "READY=1")
	}, func(t *testing.T) {
		l := newListener(t)
		address := l.socket("web", 0)
		l.Main("web", os.Getpid())
		fmt.Println("observe " + address)
		if got, want := l.remark(), "web: a notification was refused: it came from outside of our PID namespace"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		l.speak(address, "STATUS=inside") // the number 1 is ours alone
		l.expect("web", 1, supervisor.Notice{Status: "inside"})
		l.silent()
	})
	if os.Getenv(worldVar) == "" {
		select {
		case err := <-spoken:
			if err != nil {
				t.Error(err)
			}
		default:
			t.Error("nobody spoke from outside")
		}
	}
}

func TestWithoutAProcOfOursTheUserAloneCounts(t *testing.T) {
	inWorld(t, true, nil, func(t *testing.T) {
		l := newListener(t)
		address := l.socket("web", 0)
		web := start(t, address, `"$0" stay READY=1 & setsid "$0" stay STATUS=x MAINPID=$$ & AS=1234 "$0" stay STOPPING=1 & wait`)
		for range 3 {
			web.expect("said")
		}
		if err := unix.Unmount("/proc", unix.MNT_DETACH); err != nil {
			t.Fatal(err)
		}
		l.Main("web", web.pid())
		wait(t, "two are refused", func() bool { return l.Refused("web") == 2 }) // the user's and the MAINPID
		got := l.next().Notice
		for got != (supervisor.Notice{Ready: true, Status: "x"}) {
			next := l.next().Notice
			add(&got, next)
		}
		<-l.remarks
		l.silent()
	})
}

func TestMainPIDIsAProcessOfTheService(t *testing.T) {
	inWorld(t, true, nil, func(t *testing.T) {
		const user = 1234
		other := start(t, "", `echo begun; read never`)
		other.expect("begun")
		for _, test := range []struct {
			name, script string
			taken        bool
		}{
			{"its main", `AS=1234 "$0" stay MAINPID=$$ STATUS=x; :`, true},
			{"a child", `sleep 1000 & AS=1234 "$0" stay MAINPID=$! STATUS=x; :`, true},
			{"one that has gone", `true & wait; "$0" stay MAINPID=$! STATUS=x; :`, false},
			{"we", `"$0" stay MAINPID=1 STATUS=x; :`, false},
			{"nobody", `"$0" stay MAINPID=99999 STATUS=x; :`, false},
			{"another service's, says the user", fmt.Sprintf(`AS=1234 "$0" stay MAINPID=%d STATUS=x; :`, other.pid()), false},
			{"another service's, says root", fmt.Sprintf(`"$0" stay MAINPID=%d STATUS=x; :`, other.pid()), true},
		} {
			t.Run(test.name, func(t *testing.T) {
				l := newListener(t)
				p := start(t, l.socket("web", user), test.script)
				l.Main("web", p.pid())
				p.expect("said")
				var got supervisor.Notice
				for got.Status == "" { // which is said last
					add(&got, l.next().Notice)
				}
				if taken := got.MainPID != 0; taken != test.taken {
					t.Errorf("taken: %v (%d)", taken, got.MainPID)
				}
				if !test.taken {
					if text := l.remark(); !strings.HasSuffix(text, "was refused: no such process of the service") {
						t.Error(text)
					}
				}
				l.silent()
			})
		}
	})
}

func TestMainPIDIsADescendantOfOurs(t *testing.T) {
	l := newListener(t)
	address := l.own("web")
	child := start(t, "", `echo begun; read never`)
	child.expect("begun")
	l.speak(address, fmt.Sprintf("MAINPID=%d\nSTATUS=child", child.pid()))
	l.expect("web", os.Getpid(), supervisor.Notice{MainPID: child.pid(), Status: "child"})
	l.speak(address, fmt.Sprintf("MAINPID=%d\nSTATUS=parent", os.Getppid()))
	l.expect("web", os.Getpid(), supervisor.Notice{Status: "parent"})
	if text := l.remark(); text != fmt.Sprintf("web: MAINPID=%d was refused: no such process of the service", os.Getppid()) {
		t.Error(text)
	}
}

func TestTheRealSystemdNotifyIsUnderstood(t *testing.T) {
	if _, err := exec.LookPath("systemd-notify"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	inWorld(t, false, nil, func(t *testing.T) {
		l := newListener(t)
		// It ends with 0 once its barrier has been lifted.
		web := start(t, l.socket("web", 0), `systemd-notify --ready --status="all is well" --pid=$$ WATCHDOG_USEC=3000000 && echo told; read never`)
		l.Main("web", web.pid())
		web.expect("told")
		want := supervisor.Notice{Ready: true, Status: "all is well", MainPID: web.pid(), Watchdog: 3e9}
		l.expect("web", web.pid(), want)
		l.silent()
	})
}
