package main_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A source is one Go file of ours.
type source struct {
	path, folder string // folder is "." for the root
	test         bool
	file         *ast.File
	set          *token.FileSet
}

// at is a place in the file, for an error.
func (s source) at(n ast.Node) token.Position { return s.set.Position(n.Pos()) }

// imports reports whether the file imports the package.
func (s source) imports(path string) bool {
	return slices.ContainsFunc(s.file.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == strconv.Quote(path) })
}

// calls reports each mention of pkg.name.
func (s source) calls(pkg, name string, report func(ast.Node)) {
	ast.Inspect(s.file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == name {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == pkg {
				report(n)
			}
		}
		return true
	})
}

// sources is every Go file, tests and the other modules included.
func sources(t *testing.T) (all []source) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		all = append(all, source{path, filepath.Dir(path), strings.HasSuffix(path, "_test.go"), file, set})
		return err
	})
	if err != nil || len(all) < 20 {
		t.Fatalf("%d files, %v", len(all), err)
	}
	return all
}

// product is what the binary is built from.
func product(t *testing.T) []source {
	return slices.DeleteFunc(sources(t), func(s source) bool {
		top, _, _ := strings.Cut(s.path, "/")
		return s.test || top == "e2e" || top == "bench" || slices.Contains(strings.Split(s.path, "/"), "testdata")
	})
}

func TestNoTestSleeps(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			s.calls("time", "Sleep", func(n ast.Node) { t.Errorf("%s: a test waits for a condition, not for a time", s.at(n)) })
		}
	}
}

func TestDecisionsHaveNeitherClockNorConcurrency(t *testing.T) {
	for _, s := range product(t) {
		if s.folder != "supervisor" || slices.Contains([]string{"drive.go", "inbox.go", "system.go", "spawn.go", "perform.go"}, filepath.Base(s.path)) {
			continue
		}
		for _, pkg := range []string{"sync", "sync/atomic", "os", "syscall", "golang.org/x/sys/unix", "context"} {
			if s.imports(pkg) {
				t.Errorf("%s imports %s", s.path, pkg)
			}
		}
		for _, clock := range []string{"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Sleep"} {
			s.calls("time", clock, func(n ast.Node) { t.Errorf("%s: time is an argument", s.at(n)) })
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n.(type) {
			case *ast.GoStmt, *ast.ChanType, *ast.SelectStmt, *ast.SendStmt:
				t.Errorf("%s: concurrency among the decisions", s.at(n))
			}
			return true
		})
	}
}

// arrows is what each package may import of ours; those of internal/ that are
// not named may import the core, and main everything.
var arrows = map[string][]string{
	"internal/entry":   {},
	"internal/lean":    {"internal/entry"},
	"signals":          {"internal/entry"},
	"internal/sockets": {},
	"hooks":            {"internal/sockets", "signals"},
	"reaper":           {"internal/entry", "signals"},
	"supervisor":       {"hooks", "reaper", "signals"},
	// Another init's command line is read into what ours is read into.
	"internal/compat": {"hooks", "internal/config", "reaper", "signals", "supervisor"},
}

func TestImportsFollowTheArrows(t *testing.T) {
	for _, s := range product(t) {
		allowed, named := arrows[s.folder]
		if !named {
			allowed = []string{"hooks", "reaper", "signals", "supervisor"}
		}
		for _, i := range s.file.Imports {
			path, ours := strings.CutPrefix(strings.Trim(i.Path.Value, `"`), "exeunt/")
			if ours && s.folder != "." && !slices.Contains(allowed, path) {
				t.Errorf("%s: %s may not import %s", s.at(i), s.folder, path)
			}
			if s.folder == "internal/entry" && i.Path.Value != `"unsafe"` {
				t.Errorf("%s: its init must come before that of any other package", s.at(i))
			}
		}
	}
}

func TestNoSignalIsIgnored(t *testing.T) {
	for _, s := range product(t) {
		s.calls("signal", "Ignore", func(n ast.Node) { t.Errorf("%s: the app would inherit it", s.at(n)) })
	}
}

func TestChildrenHaveOneOwner(t *testing.T) {
	for _, s := range product(t) {
		if s.imports("os/exec") {
			t.Errorf("%s imports os/exec, whose Wait loses statuses to the reaper", s.path)
		}
		if s.folder == "reaper" || s.folder == "internal/rehearse" { // rehearse is a program of its own, without a reaper
			continue
		}
		for _, call := range [][2]string{{"syscall", "Wait4"}, {"unix", "Wait4"}, {"unix", "Waitid"}, {"syscall", "SYS_WAITID"},
			{"unix", "SYS_WAITID"}, {"syscall", "ForkExec"}, {"os", "StartProcess"}} {
			s.calls(call[0], call[1], func(n ast.Node) { t.Errorf("%s: children belong to package reaper", s.at(n)) })
		}
	}
}

func TestEveryExportedNameHasADocComment(t *testing.T) {
	for _, s := range product(t) {
		for _, decl := range s.file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				// String and Error say what they are by being fmt.Stringer and error.
				if d.Name.IsExported() && d.Doc == nil && d.Name.Name != "String" && d.Name.Name != "Error" && exported(d.Recv) {
					t.Errorf("%s: %s has no doc comment", s.at(d), d.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					undocumented(d, spec, func(name *ast.Ident) { t.Errorf("%s: %s has no doc comment", s.at(name), name.Name) })
				}
			}
		}
	}
}

// exported reports whether a method's receiver is an exported type; a function
// has none and counts as one.
func exported(recv *ast.FieldList) bool {
	if recv == nil {
		return true
	}
	of := recv.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	name, ok := of.(*ast.Ident)
	return !ok || name.IsExported()
}

// undocumented reports the exported names of a declaration that have no comment:
// neither one of their own nor one of the group.
func undocumented(d *ast.GenDecl, spec ast.Spec, report func(*ast.Ident)) {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() && s.Doc == nil && s.Comment == nil && d.Doc == nil {
			report(s.Name)
		}
	case *ast.ValueSpec:
		for _, name := range s.Names {
			if name.IsExported() && s.Doc == nil && s.Comment == nil && d.Doc == nil {
				report(name)
			}
		}
	}
}

func TestFunctionsAndFilesAreShort(t *testing.T) {
	for _, s := range product(t) {
		if lines := s.set.Position(s.file.End()).Line; lines > 400 || s.path == "main.go" && lines > 250 {
			t.Errorf("%s has %d lines", s.path, lines)
		}
		for _, decl := range s.file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if ok && s.set.Position(f.End()).Line-s.at(f).Line >= 60 {
				t.Errorf("%s: %s has more than 60 lines", s.at(f), f.Name.Name)
			}
		}
	}
}
