package sockets

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func nativeStates(s States) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(s)) }

// accepts runs a filter as the kernel does (net/ipv4/inet_diag.c,
// inet_diag_bc_run), after the checks by which it would refuse the filter
// (inet_diag_bc_audit): jumps lead forward to an operation, or four behind the end.
func accepts(t *testing.T, program []byte, port uint16) bool {
	t.Helper()
	u16 := func(at int) int { return int(binary.NativeEndian.Uint16(program[at:])) }
	begins := map[int]bool{len(program): true}
	for at := 0; at < len(program); at += int(program[at+1]) {
		begins[at] = true
	}
	for at := 0; at < len(program); {
		yes, no := at+int(program[at+1]), at+u16(at+2)
		if no != len(program)+4 && !begins[no] || yes > len(program) || no <= at {
			t.Fatalf("the operation at %d of %d leads to %d and %d", at, len(program), yes, no)
		}
		holds := false
		switch program[at] {
		case portAtLeast:
			holds = int(port) >= u16(at+6)
		case portAtMost:
			holds = int(port) <= u16(at+6)
		case jump:
		default:
			t.Fatalf("unknown operation %d", program[at])
		}
		if at = no; holds {
			at = yes
		}
		if at > len(program) {
			return false
		}
	}
	return true
}

func TestTheFilterLetsExactlyThePortsThrough(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for n := 1; n <= 60; n++ {
		ports := make([]uint16, n)
		for i := range ports {
			ports[i] = uint16(1 + random.IntN(100))
		}
		program := bytecode(ports)
		for port := range uint16(102) {
			if got := accepts(t, program, port); got != slices.Contains(ports, port) {
				t.Fatalf("%v: port %d goes through: %v", ports, port, got)
			}
		}
	}
}

func TestLinesInAnotherFormatAreErrors(t *testing.T) {
	const head, good = "  sl  local_address rem_address   st ...\n",
		"   0: 0100007F:1F90 0200007F:0050 01 00000001:00000002 00:00000000 00000000  1000        0 77 1 0 20 4 30 10 -1\n"
	for line, fine := range map[string]bool{
		good:             true,
		"":               true,
		"   0: \n":       false,
		good[:40] + "\n": false,
		"   0: 0100007F-1F90 0200007F:0050 01 00000001:00000002 00:00000000 00000000  1000        0 77\n": false,
		"   0: 0100007F:1F90 0200007F:0050 xx 00000001:00000002 00:00000000 00000000  1000        0 77\n": false,
		"   0: 010000:1F90 0200007F:0050 01 00000001:00000002 00:00000000 00000000  1000        0 77\n":   false,
		"   0: 0100007F:1F90 0200007F:0050 01 00000001:00000002 00:00000000 00000000  1000        0 -1\n": false,
	} {
		table := OpenProc(nil)
		table.proc = t.TempDir()
		if err := os.Mkdir(filepath.Join(table.proc, "net"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(table.proc, "net/tcp"), []byte(head+line), 0o600); err != nil {
			t.Fatal(err)
		}
		found, err := table.Find(t.Context(), Query{States: In(Established)}) // tcp6 is missing: no IPv6
		if (err == nil) != fine || line == good && (len(found) != 1 || found[0].Inode != 77 || found[0].UID != 1000 ||
			found[0].Unsent != 1 || found[0].Unread != 2 || found[0].Local.Port() != 8080) {
			t.Errorf("%q: %+v, %v", line, found, err)
		}
	}
}

// FuzzMessages feeds the reader of netlink with what no kernel sends.
func FuzzMessages(f *testing.F) {
	message := make([]byte, 16+messageSize)
	binary.NativeEndian.PutUint32(message, uint32(len(message)))
	message[4] = 20
	f.Add(message)
	f.Add(append(slices.Clone(message), 3, 0, 0, 0))
	f.Fuzz(func(t *testing.T, piece []byte) {
		d := diag{}
		_, _ = d.messages(piece, func(message []byte) {
			_, _ = inetSocket(message)
			_ = unixName(attribute(message, attributeName))
		})
	})
}

// FuzzProcSocket holds the reader of /proc/net/tcp to its query.
func FuzzProcSocket(f *testing.F) {
	f.Add("0: 0100007F:1F90 0200007F:0050 01 00000001:00000002 00:00000000 00000000  1000        0 77 1 0")
	f.Add("0: 00000000000000000000000001000000:1F90 00000000000000000000000001000000:0050 0A 0:0 0 0 0 0 0")
	f.Fuzz(func(t *testing.T, line string) {
		s, ok, err := procSocket([]byte(line), &Query{States: In(Established), Ports: []uint16{8080}})
		if ok && (err != nil || s.State != Established || s.Local.Port() != 8080) {
			t.Fatalf("%q: %+v, %v", line, s, err)
		}
	})
}
