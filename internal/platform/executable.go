package platform

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Copy puts our own binary at dest, executable by everyone whatever the umask.
// In a folder that is there it is called exeunt. Who looks at dest sees what
// was there before or all of the new file, which may take the place of a binary
// that runs. An error is one line, and leaves nothing behind.
func Copy(dest string) error {
	path, err := target(dest)
	if err != nil {
		return err
	}
	self, err := executable()
	if err != nil {
		return err
	}
	defer self.Close()
	folder := filepath.Dir(path)
	file, err := os.CreateTemp(folder, ".exeunt-*")
	if err != nil {
		return fmt.Errorf("cannot create a file in %q: %w", folder, reason(err))
	}
	err = fill(file, self)
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name()) // the other error is the one to be told
		return fmt.Errorf("cannot write %q: %w", path, reason(err))
	}
	return nil
}

// target is the file that dest stands for. One that is no regular file is
// refused: a device would be replaced by the copy.
func target(dest string) (string, error) {
	stat, err := os.Stat(dest)
	switch {
	case err == nil && stat.IsDir():
		return filepath.Join(dest, "exeunt"), nil
	case err == nil && !stat.Mode().IsRegular():
		return "", fmt.Errorf("cannot copy to %q: it is neither a file nor a folder", dest)
	case err != nil && (!errors.Is(err, fs.ErrNotExist) || strings.HasSuffix(dest, "/")):
		return "", fmt.Errorf("cannot copy to %q: %w", dest, reason(err))
	}
	return dest, nil
}

// executable opens the binary that we run. Without /proc it is found by the
// name that we were started by, which is a path in a container's entry point.
func executable() (*os.File, error) {
	file, err := os.Open("/proc/self/exe")
	if err == nil {
		return file, nil
	}
	if path, executableErr := os.Executable(); executableErr == nil {
		if file, err = os.Open(path); err == nil {
			return file, nil
		}
	}
	if strings.Contains(os.Args[0], "/") {
		if file, err = os.Open(os.Args[0]); err == nil {
			return file, nil
		}
	}
	return nil, fmt.Errorf("cannot find our own binary as %q: %w", os.Args[0], reason(err))
}

// fill writes all of from into the file, makes that executable, and closes it.
func fill(file, from *os.File) error {
	_, err := io.Copy(file, from)
	if err == nil {
		err = file.Chmod(0o755)
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}

// reason is what the kernel said, without the names of files and calls.
func reason(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
