package notify

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"exeunt/supervisor"
)

func TestDatagramsAreReadAsSystemdReadsThem(t *testing.T) {
	long := strings.Repeat("x", longestStatus)
	for text, want := range map[string]supervisor.Notice{
		"":                                   {},
		"READY=1":                            {Ready: true},
		"READY=1\n":                          {Ready: true},
		"READY=1\x00":                        {Ready: true},
		"READY=1\x00\x00":                    {},
		"READY=1\nSTATUS=a\x00b":             {},
		"READY=0":                            {},
		"READY=11":                           {},
		"READY":                              {},
		"ready=1":                            {},
		" READY=1":                           {},
		"READY=1\r\n":                        {},
		"STOPPING=1":                         {Stopping: true},
		"RELOADING=1":                        {Reloading: true},
		"READY=1\nRELOADING=1":               {Ready: true, Reloading: true},
		"RELOADING=1\nREADY=1":               {Ready: true},
		"WATCHDOG=1":                         {Alive: true},
		"WATCHDOG=trigger":                   {Failed: true},
		"WATCHDOG=0":                         {},
		"STATUS=half way: 50 %=½":            {Status: "half way: 50 %=½"},
		"STATUS=a\nSTATUS=b":                 {Status: "b"},
		"STATUS=a\tb\x1b[31m\xff":            {Status: "a?b?[31m?"},
		"STATUS=" + long + "y":               {Status: long},
		"STATUS=" + long[1:] + "½½":          {Status: long[1:]},
		"MAINPID=12":                         {MainPID: 12},
		"MAINPID=0":                          {},
		"MAINPID=-1":                         {},
		"MAINPID=1x":                         {},
		"MAINPID=4294967297":                 {},
		"WATCHDOG_USEC=20000000":             {Watchdog: 20 * time.Second},
		"WATCHDOG_USEC=0":                    {Watchdog: -1},
		"WATCHDOG_USEC=18446744073709551615": {Watchdog: -1},
		"WATCHDOG_USEC=18446744073709551616": {},
		"WATCHDOG_USEC=":                     {},
		"EXTEND_TIMEOUT_USEC=1500000":        {Extend: 1500 * time.Millisecond},
		"EXTEND_TIMEOUT_USEC=0":              {},
		"EXTEND_TIMEOUT_USEC=-5":             {},
		"EXTEND_TIMEOUT_USEC=18446744073709551615":                                        {},
		"EXTEND_TIMEOUT_USEC=18446744073709551614":                                        {Extend: longestTime},
		"EXTEND_TIMEOUT_USEC=1\nEXTEND_TIMEOUT_USEC=2\nEXTEND_TIMEOUT_USEC=x":             {Extend: 2 * time.Microsecond},
		"ERRNO=2\nBUSERROR=x\nEXIT_STATUS=1\nMONOTONIC_USEC=5\nFDSTORE=1\nBARRIER=1\nX=1": {},
		"MAINPID=7\nREADY=1\nSTATUS=up\nWATCHDOG=1\nSTOPPING=1":                           {Ready: true, Stopping: true, Alive: true, Status: "up", MainPID: 7},
	} {
		if got := parse([]byte(text)); got != want {
			t.Errorf("%q\ngot  %+v\nwant %+v", text, got, want)
		}
	}
}

// FuzzNotice reads two datagrams. What comes of them is bounded, and adding them
// up is the same as having got them in one.
func FuzzNotice(f *testing.F) {
	f.Fuzz(func(t *testing.T, first, second []byte) {
		a, b := parse(first), parse(second)
		for _, n := range []supervisor.Notice{a, b} {
			if len(n.Status) > longestStatus || !utf8.ValidString(n.Status) || strings.ContainsFunc(n.Status, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("status %q", n.Status)
			}
			if n.MainPID < 0 || n.Extend < 0 || n.Extend > longestTime || n.Watchdog < -1 || n.Watchdog > longestTime {
				t.Errorf("%+v", n)
			}
		}
		if strings.ContainsRune(string(first)+string(second), 0) {
			return
		}
		sum := a
		add(&sum, b)
		if whole := parse([]byte(string(first) + "\n" + string(second))); whole != sum {
			t.Errorf("%q and %q\nadded up   %+v\nin one     %+v", first, second, sum, whole)
		}
	})
}
