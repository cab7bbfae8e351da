package supervisor

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// table reads the first column of the table in the package comment whose head
// begins with the given word.
func table(t *testing.T, head string) (words []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	in := false
	for line := range strings.Lines(file.Doc.Text()) {
		row := strings.Fields(line)
		switch {
		case !strings.HasPrefix(line, "\t"):
			in = false
		case row[0] == head:
			in = true
		case in:
			words = append(words, row[0])
		}
	}
	return words
}

func TestPackageCommentHasThePhasesAndStates(t *testing.T) {
	if got := table(t, "phase"); !slices.Equal(got, phaseNames[:]) {
		t.Errorf("the comment has the phases %q, the code %q", got, phaseNames)
	}
	if got := table(t, "state"); !slices.Equal(got, stateNames[:]) {
		t.Errorf("the comment has the states %q, the code %q", got, stateNames)
	}
	if len(phaseNames) != int(Done)+1 || len(stateNames) != int(Exited)+1 {
		t.Error("a phase or a state has no name")
	}
}

// TestDecidingFilesHaveNeitherClockNorGoroutine: what decides can be run,
// rehearsed and searched only as long as it is a function of its arguments.
func TestDecidingFilesHaveNeitherClockNorGoroutine(t *testing.T) {
	driving := []string{"drive.go", "inbox.go", "system.go", "spawn.go", "perform.go", "doc.go"}
	forbidden := regexp.MustCompile(`time\.(Now|Since|Until|After|AfterFunc|NewTimer|NewTicker|Sleep|Tick)\b|"sync|"context"|"os"|"syscall"|\bgo func|\bchan\b|\bselect \{|golang.org/x/sys`)
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || slices.Contains(driving, name) {
			continue
		}
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for n, line := range strings.Split(string(source), "\n") {
			code, _, _ := strings.Cut(line, "//")
			if bad := forbidden.FindString(code); bad != "" {
				t.Errorf("%s:%d: %s in a file that decides", name, n+1, bad)
			}
		}
	}
	if !forbidden.MatchString("	now := time.Now()") || !forbidden.MatchString("	go func() {") {
		t.Error("the rule matches nothing")
	}
}
