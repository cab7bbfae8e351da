package platform

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// The rest is in testdata/script, with the binary that is copied.
func TestACopyIsSeenWholeOrNotAtAll(t *testing.T) {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	dest := filepath.Join(folder, "init")
	if err := os.WriteFile(dest, []byte("what was there"), 0o600); err != nil {
		t.Fatal(err)
	}
	before, err := os.Open(dest)
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	if err := Copy(dest); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(dest); err != nil || !bytes.Equal(got, self) {
		t.Errorf("%d bytes of %d, %v", len(got), len(self), err)
	}
	// It was replaced, not written over: who had it open reads on.
	old := make([]byte, 32)
	if n, err := before.Read(old); string(old[:n]) != "what was there" {
		t.Errorf("the old file holds %q, %v", old[:n], err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 1 {
		t.Errorf("in the folder: %v, %v", left, err)
	}
}

func TestProcessesAreEveryoneButOurselves(t *testing.T) {
	pids, err := Processes()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, pid := range pids {
		seen[pid] = true
	}
	if parent := os.Getppid(); seen[os.Getpid()] || parent != 0 && !seen[parent] || len(seen) != len(pids) {
		t.Errorf("we are %d, child of %d: %v", os.Getpid(), os.Getppid(), pids)
	}
}
