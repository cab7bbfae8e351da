package signals

import (
	"fmt"
	"strconv"
	"strings"
)

// names are the signals with a name of their own; the real-time signals
// between RTMIN and RTMAX are written relative to the nearer of the two, as
// kill -l does, and 32 and 33, which libc keeps for itself, have only numbers.
var names = [...]string{
	1: "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1",
	"SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP",
	"TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
	RTMIN: "RTMIN", RTMAX: "RTMAX",
}

// aliases are the second names of signal(7).
var aliases = map[string]Signal{"CLD": CHLD, "POLL": 29, "IOT": 6}

// String is the name without SIG: "TERM", "RTMIN+3", "RTMAX-1"; "32" and "33"
// for the two that have no name, "none" for the zero Signal. Parse reads back
// all but "none".
func (sig Signal) String() string {
	switch {
	case sig == 0:
		return "none"
	case int(sig) < len(names) && names[sig] != "":
		return names[sig]
	case sig > RTMIN && sig < 50: // where kill -l changes over
		return "RTMIN+" + strconv.Itoa(int(sig-RTMIN))
	case sig >= 50 && sig < RTMAX:
		return "RTMAX-" + strconv.Itoa(int(RTMAX-sig))
	}
	return strconv.Itoa(int(sig))
}

// MarshalText is String, but empty for the zero Signal.
func (sig Signal) MarshalText() ([]byte, error) {
	if sig == 0 {
		return nil, nil
	}
	return []byte(sig.String()), nil
}

// UnmarshalText is Parse, but an empty text is the zero Signal.
func (sig *Signal) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*sig = 0
		return nil
	}
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*sig = parsed
	return nil
}

// Parse reads a signal as people write it: a name with or without SIG in any
// case (TERM, sigterm, RTMIN+3, RTMAX-1, and the aliases CLD, POLL and IOT) or
// a number from 1 to 64. Nothing may stand before or after it. The error names
// s and, where one is near, the name that was probably meant.
func Parse(s string) (Signal, error) {
	if n, ok := number(s); ok && 1 <= n && n <= int(RTMAX) {
		return Signal(n), nil
	}
	name := strings.TrimPrefix(strings.ToUpper(s), "SIG")
	if sig, ok := byName(name); ok {
		return sig, nil
	}
	if near := nearest(name); near != "" {
		return 0, fmt.Errorf("unknown signal %q, did you mean %s?", s, near)
	}
	return 0, fmt.Errorf("unknown signal %q: want a name such as TERM, or a number from 1 to 64", s)
}

// byName finds an upper-case name without SIG.
func byName(name string) (Signal, bool) {
	if sig, ok := aliases[name]; ok {
		return sig, true
	}
	for sig, known := range names {
		if known != "" && known == name {
			return Signal(sig), true
		}
	}
	const span = int(RTMAX - RTMIN)
	if plus, ok := strings.CutPrefix(name, "RTMIN+"); ok {
		if n, ok := number(plus); ok && n <= span {
			return RTMIN + Signal(n), true
		}
	}
	if minus, ok := strings.CutPrefix(name, "RTMAX-"); ok {
		if n, ok := number(minus); ok && n <= span {
			return RTMAX - Signal(n), true
		}
	}
	return 0, false
}

// number reads one or two decimal digits and nothing else: no sign, no space,
// and no leading zero, which elsewhere means octal.
func number(s string) (int, bool) {
	if len(s) == 0 || len(s) > 2 || len(s) == 2 && s[0] == '0' {
		return 0, false
	}
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// nearest is the name that is at most one slip away from name, two if name is
// longer than four letters, or empty.
func nearest(name string) string {
	limit := 1
	if len(name) > 4 {
		limit = 2
	}
	if len(name) < 2 || len(name) > 12 {
		return ""
	}
	best, found := limit+1, ""
	for _, known := range names {
		if known == "" {
			continue
		}
		if d := slips(name, known); d < best {
			best, found = d, known
		}
	}
	return found
}

// slips counts the letters to insert, delete, replace or swap with their
// neighbour to make a into b (optimal string alignment distance).
func slips(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			replace := row[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			next[j] = min(row[j]+1, next[j-1]+1, replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}

// String lists the set in ascending order, as ParseSet reads it: "INT,TERM".
func (s Set) String() string {
	var list []string
	for sig := Signal(1); sig <= RTMAX; sig++ {
		if s.Has(sig) {
			list = append(list, sig.String())
		}
	}
	return strings.Join(list, ",")
}

// ParseSet reads a list of signals separated by commas: "TERM,INT". The empty
// string is the empty set; a signal that is named twice counts once.
func ParseSet(list string) (Set, error) {
	var s Set
	if list == "" {
		return s, nil
	}
	for name := range strings.SplitSeq(list, ",") {
		sig, err := Parse(name)
		if err != nil {
			return 0, err
		}
		s = s.With(sig)
	}
	return s, nil
}
