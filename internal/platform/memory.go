package platform

import (
	"encoding/binary"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// GiveBack returns the memory that the start has used: garbage, and the pages of
// our own program, which the kernel maps again as they are used. It takes one to
// three milliseconds. Nothing fails where it can't; then we are larger.
func GiveBack() {
	debug.FreeOSMemory()
	if !fixed() {
		return
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for _, area := range ownCode(string(maps)) {
		_, _, _ = unix.RawSyscall(unix.SYS_MADVISE, area.from, area.to-area.from, unix.MADV_DONTNEED)
	}
}

// fixed reports whether the program runs at the addresses that it was linked for,
// ET_EXEC of elf(5). The constants of any other have been changed as it was
// loaded, and would come back as they are in the file.
func fixed() bool {
	program, err := os.Open("/proc/self/exe")
	if err != nil {
		return false
	}
	defer func() { _ = program.Close() }()
	var header [18]byte // up to e_type
	const executable = 2
	_, err = io.ReadFull(program, header[:])
	return err == nil && binary.NativeEndian.Uint16(header[16:]) == executable
}

type area struct{ from, to uintptr }

// ownCode finds what is mapped of the program in proc_pid_maps(5) and can't be
// written to. There is nothing of one that has libraries: some of that was
// written while they were bound to it.
func ownCode(maps string) (areas []area) {
	program := ""
	for line := range strings.Lines(maps) {
		words := strings.Fields(line) // from-to, rwxp, offset, device, inode, file
		if len(words) < 6 || len(words[1]) != 4 || words[4] == "0" {
			continue
		}
		if program == "" {
			program = words[4]
		}
		if words[4] != program {
			return nil
		}
		from, to, _ := strings.Cut(words[0], "-")
		begin, err1 := strconv.ParseUint(from, 16, strconv.IntSize)
		end, err2 := strconv.ParseUint(to, 16, strconv.IntSize)
		if words[1][1] == '-' && err1 == nil && err2 == nil && begin < end {
			areas = append(areas, area{uintptr(begin), uintptr(end)})
		}
	}
	return areas
}
