package platform

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOwnCodeIsWhatCannotBeWritten(t *testing.T) {
	const maps = `00400000-00853000 r-xp 00000000 fe:00 1234                       /usr/bin/exeunt
00853000-00cca000 r--p 00453000 fe:00 1234                       /usr/bin/exeunt
00cca000-00d0d000 rw-p 008ca000 fe:00 1234                       /usr/bin/exeunt (deleted)
00d0d000-02d51000 rw-p 00000000 00:00 0
2c2238000000-2c2238800000 rw-p 00000000 00:00 0
7f8dae07b000-7f8dae07d000 r-xp 00000000 00:00 0                  [vdso]
nonsense
`
	if got, want := ownCode(maps), []area{{0x400000, 0x853000}, {0x853000, 0xcca000}}; !slices.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
	const libraries = maps + "7f8d67600000-7f8d69600000 r--p 00000000 fe:00 99                 /usr/lib/libc.so.6\n"
	for _, maps := range []string{"", libraries} {
		if got := ownCode(maps); got != nil {
			t.Errorf("%x", got)
		}
	}
}

// TestGivenBackIsWhatIsNotUsed looks at the pages of the test program itself.
func TestGivenBackIsWhatIsNotUsed(t *testing.T) {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Skip(err)
	}
	areas := ownCode(string(maps))
	if len(areas) == 0 || !fixed() {
		t.Skip("the test program has libraries")
	}
	for _, a := range areas {
		if _, _, errno := unix.RawSyscall(unix.SYS_MADVISE, a.from, a.to-a.from, unix.MADV_POPULATE_READ); errno != 0 {
			t.Skip(errno)
		}
	}
	before := fileBacked(t)
	GiveBack()
	if after := fileBacked(t); after > before*3/4 {
		t.Errorf("%d KiB of files are mapped, %d before", after, before)
	}
}

// fileBacked is the size of the mapped pages of files, in KiB.
func fileBacked(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "RssFile:"); ok {
			n, err := strconv.Atoi(strings.Fields(value)[0])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Skip("no RssFile in /proc/self/status")
	return 0
}
