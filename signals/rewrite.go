package signals

import (
	"fmt"
	"strings"
)

// Rewrites says which signal becomes which other one, or is dropped. It is a
// comparable value; the zero Rewrites changes nothing.
type Rewrites struct {
	to [RTMAX + 1]Signal // 0 leaves the signal alone
}

// dropped in the table is a signal that goes nowhere.
const dropped Signal = 255

// ParseRewrites reads entries as Add does, each on top of those before it.
func ParseRewrites(entries ...string) (Rewrites, error) {
	var r Rewrites
	for _, entry := range entries {
		if err := r.Add(entry); err != nil {
			return Rewrites{}, err
		}
	}
	return r, nil
}

// Add reads one entry: FROM:TO rewrites (TERM:QUIT, 15:3), FROM:drop and
// FROM:0 drop. A FROM that has an entry already is an error, so is one that
// never reaches us to be rewritten: KILL, STOP and CHLD. After an error r is
// unchanged.
func (r *Rewrites) Add(entry string) error {
	before, after, ok := strings.Cut(entry, ":")
	if !ok {
		return fmt.Errorf("cannot read rewrite %q: want FROM:TO, such as TERM:QUIT, or FROM:drop", entry)
	}
	from, err := Parse(before)
	if err != nil {
		return fmt.Errorf("cannot read rewrite %q: %w", entry, err)
	}
	to := dropped
	if after != "0" && !strings.EqualFold(after, "drop") {
		if to, err = Parse(after); err != nil {
			return fmt.Errorf("cannot read rewrite %q: %w", entry, err)
		}
	}
	switch {
	case from == KILL || from == STOP:
		return fmt.Errorf("cannot rewrite %q: no process can catch %s", entry, from)
	case from == CHLD:
		return fmt.Errorf("cannot rewrite %q: CHLD is never forwarded", entry)
	case r.to[from] != 0:
		return fmt.Errorf("cannot rewrite %q: %s is rewritten already", entry, from)
	}
	r.to[from] = to
	return nil
}

// Apply is what sig becomes, itself if nothing was said about it; ok is false
// if it is to be dropped. It is one step: with HUP:USR1 and USR1:HUP the two
// change places.
func (r Rewrites) Apply(sig Signal) (to Signal, ok bool) {
	if sig > RTMAX {
		return sig, true
	}
	switch to := r.to[sig]; to {
	case 0:
		return sig, true
	case dropped:
		return 0, false
	default:
		return to, true
	}
}
