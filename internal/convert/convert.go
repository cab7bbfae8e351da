// Package convert writes what another supervisor is told in its own files as
// our YAML: supervisord.conf, a Procfile, a folder of s6-rc. What has no
// equivalent becomes a comment that says what to do instead; nothing is left
// out without one.
package convert

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// File converts the file or folder at path into the text of an exeunt.yaml.
// It may be called by anyone; files that it names are read as well. The kind is
// told by what is there: a folder is one of s6-rc, a file that is called
// Procfile or has no section in brackets is a Procfile, any other is
// supervisord's. An error is one line, where possible with file and line.
func File(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("cannot read %q: %w", path, cause(err))
	}
	if info.IsDir() {
		return services(path, os.DirFS(path))
	}
	d := disk{read: readFile, glob: filepath.Glob, absolute: filepath.Abs}
	text, err := d.text(path)
	if err != nil {
		return "", err
	}
	if isProcfile(path, text) {
		dotenv, err := os.Stat(filepath.Join(filepath.Dir(path), ".env"))
		return procfile(path, text, err == nil && dotenv.Mode().IsRegular())
	}
	return supervisord(d, path, text)
}

func isProcfile(path, text string) bool {
	base := filepath.Base(path)
	if base == "Procfile" || strings.HasPrefix(base, "Procfile.") {
		return true
	}
	if ext := filepath.Ext(base); ext == ".conf" || ext == ".ini" {
		return false
	}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' && line[0] != ';' {
			return line[0] != '['
		}
	}
	return false
}

// A disk is where files are.
type disk struct {
	read     func(path string) (string, error)
	glob     func(pattern string) ([]string, error)
	absolute func(path string) (string, error)
}

// text is that of a file, and fit to be read by lines.
func (d disk) text(path string) (string, error) {
	text, err := d.read(path)
	if err != nil {
		return "", fmt.Errorf("cannot read %q: %w", path, cause(err))
	}
	return proper(path, text)
}

// proper checks what is taken for granted of a text, and gives it the line ends
// of Unix.
func proper(path, text string) (string, error) {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimPrefix(text, "\ufeff"))
	number := 0
	for line := range strings.Lines(text) {
		number++
		if !utf8.ValidString(line) || strings.ContainsAny(line, "\x00"+opening+closing) {
			return "", mistake(path, number, "this line is not text in UTF-8")
		}
	}
	return text, nil
}

// longest is what is read of a file, as exeunt.yaml itself may have.
const longest = 1 << 20

func readFile(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, longest+1))
	if err == nil && len(text) > longest {
		err = fmt.Errorf("it has more than %d KiB", longest>>10)
	}
	return string(text), err
}

// cause is what went wrong with a file, without what it was and where.
func cause(err error) error {
	if at := (*fs.PathError)(nil); errors.As(err, &at) {
		return at.Err
	}
	return err
}

// mistake is an error about a line of a file.
func mistake(path string, line int, format string, args ...any) error {
	text := fmt.Sprintf(format, args...) // with values that may have several lines
	return fmt.Errorf("%s:%d: %s", path, line, strings.ReplaceAll(text, "\n", " "))
}
