package output

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Save writes v to the file as JSON, mode 0600. A reader never sees half of it
// where the folder lets us put a new file in the old one's place; elsewhere (a
// mounted file, a FIFO, /dev/stderr) it is written directly. It does not wait
// for a reader that is not there, nor longer than a second for one that is slow.
func Save(file string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot write %q: %w", file, err)
	}
	text = append(text, '\n')
	if info, err := os.Lstat(file); errors.Is(err, os.ErrNotExist) || err == nil && info.Mode().IsRegular() {
		if replace(file, text) == nil {
			return nil
		}
	}
	// O_NONBLOCK is for a FIFO that nobody reads; the description is our own.
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NONBLOCK|unix.O_NOCTTY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot write report: %w", err)
	}
	_ = f.SetWriteDeadline(time.Now().Add(time.Second)) // an error where the file is none that could block
	_, err = f.Write(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("cannot write report: %w", err)
	}
	return nil
}

// replace puts a new file in the place of file, or changes nothing.
func replace(file string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".exeunt-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
