package output

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// longest is how many bytes a line may have; a longer one is cut into several.
const longest = 16 << 10

// cut calls line for each line of text that is whole, or as long as a line may
// be, and returns the rest: a line that has not ended yet.
func cut(text []byte, line func([]byte)) (rest []byte) {
	for {
		end := bytes.IndexByte(text, '\n')
		switch {
		case end >= 0 && end <= longest:
			line(text[:end])
			text = text[end+1:]
		case len(text) > longest:
			end = whole(text)
			line(text[:end])
			text = text[end:]
		default:
			return text
		}
	}
}

// whole is where to cut a line that is too long: not in the middle of a
// character, if it has any.
func whole(text []byte) int {
	for end := longest; end > longest-utf8.UTFMax; end-- {
		if utf8.RuneStart(text[end]) {
			return end
		}
	}
	return longest
}

// appendEscaped appends text as it is inside of a string in JSON (RFC 8259,
// section 7). What is not UTF-8 becomes U+FFFD, byte by byte.
func appendEscaped(to, text []byte) []byte {
	const hex = "0123456789abcdef"
	done := 0 // as much of text has been appended
	for i := plain(text); i < len(text); i += plain(text[i:]) {
		c := text[i]
		r, size := utf8.DecodeRune(text[i:])
		if c >= utf8.RuneSelf && (r != utf8.RuneError || size > 1) {
			i += size
			continue
		}
		to = append(to, text[done:i]...)
		switch {
		case c == '"' || c == '\\':
			to = append(to, '\\', c)
		case c == '\t':
			to = append(to, `\t`...)
		case c == '\r':
			to = append(to, `\r`...)
		case c < utf8.RuneSelf:
			to = append(to, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			to = append(to, `\ufffd`...)
		}
		i++
		done = i
	}
	return append(to, text[done:]...)
}

// plain is how many bytes of text, from its beginning, are ASCII and need no
// escape: eight at a time, or JSON would cost several times what the rest does.
func plain(text []byte) (n int) {
	const each = 0x0101010101010101 // times a byte: eight of them
	for ; len(text)-n >= 8; n += 8 {
		x := binary.LittleEndian.Uint64(text[n:])
		// The high bit of a byte is set where it is not ASCII, less than ' ', '"'
		// or '\\'. A byte that borrows from the next is one itself, so that the
		// lowest one found is right.
		found := x | (x - each*' ') | ((x ^ each*'"') - each) | ((x ^ each*'\\') - each)
		if found &= each * 0x80; found != 0 {
			return n + bits.TrailingZeros64(found)/8
		}
	}
	for n < len(text) && text[n] >= ' ' && text[n] < utf8.RuneSelf && text[n] != '"' && text[n] != '\\' {
		n++
	}
	return n
}
