// Command bench measures exeunt and its peers side by side, each as the real
// PID 1 of a fresh PID namespace, in interleaved rounds.
//
//	go -C bench run . [-quick] [-only start,signal] [-rounds N] [NAME=COMMAND...]
//
// Without arguments it builds exeunt's release build and the probe, runs
// everything, and writes RESULTS.md (the tables) and results.json (every
// reading). Further subjects are named on the command line: the command is what
// comes before the app's. It runs on Linux, as root or where user namespaces
// are allowed; no more than 4,100 processes are alive at once, and every wait
// has a deadline.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The kernel kills what a space holds when the thread that made it dies
// (PR_SET_PDEATHSIG): it must be the one that lives longest.
func init() { runtime.LockOSThread() }

func main() {
	ok, err := bench()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(125)
	}
	if !ok {
		os.Exit(1)
	}
}

type flags struct {
	only    string
	over    string
	rounds  int
	quick   bool
	install bool
	entry   string
	exeunt  string
	guard   string
	out     string
}

func bench() (ok bool, err error) {
	var f flags
	names := make([]string, len(measures))
	for i, m := range measures {
		names[i] = m.name
	}
	flag.StringVar(&f.only, "only", "", "measure only these, separated by commas: "+strings.Join(names, ", "))
	flag.StringVar(&f.over, "subjects", "", "measure only these subjects, separated by commas, and those that the command line adds")
	flag.IntVar(&f.rounds, "rounds", 0, "rounds of each measure; 0 is each measure's own number")
	flag.BoolVar(&f.quick, "quick", false, "fewer rounds, for a first look")
	flag.BoolVar(&f.install, "install", false, "install missing peers with apt-get")
	flag.StringVar(&f.entry, "entry", "exeunt/internal/lean.start", "ELF entry of the build of exeunt that is measured")
	flag.StringVar(&f.exeunt, "exeunt", "", "measure this binary in place of a fresh release build")
	flag.StringVar(&f.guard, "guard", "", "compare with this older binary alone; exit 1 if a figure became worse beyond what is tolerated")
	flag.StringVar(&f.out, "out", "", "directory for RESULTS.md and results.json (default: the current one if everything ran in full, else none)")
	flag.Parse()
	selected, err := f.selected()
	if err != nil {
		return false, err
	}
	dir, err := os.MkdirTemp("", "exeunt-bench-")
	if err != nil {
		return false, fmt.Errorf("cannot build anywhere: %w", err)
	}
	defer os.RemoveAll(dir)
	over, err := f.subjects(dir)
	if err != nil {
		return false, err
	}
	// A collection would run beside what is measured; there is little garbage.
	debug.SetGCPercent(-1)
	// The pages of a file that has just been written would count as dirty memory
	// of who executes it.
	unix.Sync()
	r := measureAll(selected, over, f)
	if f.guard != "" {
		var keys []string
		for _, m := range selected {
			keys = append(keys, m.guardedBy()...)
		}
		return r.guard(os.Stdout, keys), nil
	}
	r.markdown(os.Stdout)
	return len(r.Failures) == 0, f.write(r)
}

// selected are the measures to run.
func (f *flags) selected() ([]*measure, error) {
	if f.rounds < 0 {
		return nil, fmt.Errorf("-rounds must not be negative, and is %d", f.rounds)
	}
	wanted := strings.FieldsFunc(f.only, func(r rune) bool { return r == ',' })
	for _, name := range wanted {
		if !slices.ContainsFunc(measures, func(m measure) bool { return m.name == name }) {
			return nil, fmt.Errorf("no measure %q; see -help", name)
		}
	}
	var selected []*measure
	for i := range measures {
		m := &measures[i]
		if (len(wanted) == 0 || slices.Contains(wanted, m.name)) && (f.guard == "" || len(m.guardedBy()) > 0) {
			selected = append(selected, m)
		}
	}
	return selected, nil
}

// subjects finds and builds what is measured, and the probe.
func (f *flags) subjects(dir string) (over []subject, err error) {
	if probe, err = buildProbe(dir); err != nil {
		return nil, errors.Join(err, errors.New("the suite is run in its own directory: go -C bench run"))
	}
	path, version := f.exeunt, ""
	if path == "" {
		path, version, err = buildExeunt(dir, f.entry)
	} else {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return nil, err
	}
	if f.guard != "" {
		old, err := filepath.Abs(f.guard)
		if err != nil {
			return nil, err
		}
		// Where a program lies is among its arguments, and read by it.
		newer, older := filepath.Join(dir, "newer"), filepath.Join(dir, "older")
		if err := errors.Join(os.Symlink(path, newer), os.Symlink(old, older)); err != nil {
			return nil, err
		}
		return append(ourselves("", newer, version), ourselves(before, older, "")...), nil
	}
	found, err := findPeers(f.install)
	if err != nil {
		return nil, err
	}
	over = append(append([]subject{{name: bare}}, found...), ourselves("", path, version)...)
	over = append(over,
		subject{name: timed, command: []string{path, "--grace-period", graceGiven.String(), "--"}, version: version},
		subject{name: several, command: []string{path}, version: version, tree: servicesOfExeunt})
	if f.exeunt == "" { // of another binary there is no source to put the limit into
		limits, err := buildLimits(dir, version)
		if err != nil {
			return nil, err
		}
		over = append(over, limits...)
	}
	if f.over != "" {
		wanted := strings.Split(f.over, ",")
		over = slices.DeleteFunc(over, func(s subject) bool { return !slices.Contains(wanted, s.name) })
	}
	for _, arg := range flag.Args() {
		s, err := named(arg)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(over, func(o subject) bool { return o.name == s.name }) {
			return nil, fmt.Errorf("there is a subject %q already", s.name)
		}
		over = append(over, s)
	}
	return over, nil
}

func measureAll(selected []*measure, over []subject, f flags) *results {
	r := &results{
		Command: strings.Join(append([]string{"go -C bench run ."}, os.Args[1:]...), " "),
		Began:   time.Now(),
		Entry:   f.entry,
		Machine: thisMachine(runtime.Version(), runtime.NumCPU()),
	}
	for _, s := range over {
		command := slices.Clone(s.command)
		if len(command) > 0 {
			command[0] = filepath.Base(command[0]) // where it was built or found is this machine's
		}
		r.Subjects = append(r.Subjects, subjectResult{s.name, s.version, command})
	}
	for _, m := range selected {
		rounds := m.rounds
		if f.quick {
			rounds = m.quick
		}
		if f.rounds > 0 {
			rounds = f.rounds
		}
		if f.guard != "" {
			rounds = max(rounds, enough)
		}
		r.add(m, m.run(rounds, over))
		runtime.GC()
	}
	r.Machine.LoadAfter = loadAverage()
	r.Took = time.Since(r.Began).Seconds()
	return r
}

// write saves the results. Only a full run of the usual subjects replaces the
// committed ones unasked.
func (f *flags) write(r *results) error {
	dir := f.out
	if dir == "" {
		if f.only != "" || f.over != "" || f.quick || f.rounds > 0 || f.exeunt != "" || f.guard != "" {
			return nil
		}
		dir = "."
	}
	if err := r.save(filepath.Join(dir, "results.json")); err != nil {
		return fmt.Errorf("cannot save the readings: %w", err)
	}
	var page strings.Builder
	fmt.Fprint(&page, "# Side by side\n\n")
	r.markdown(&page)
	path := filepath.Join(dir, "RESULTS.md")
	if former, err := os.ReadFile(path); err == nil {
		if _, written, ok := strings.Cut(string(former), byHand); ok {
			page.WriteString(byHand + written)
		}
	}
	if err := os.WriteFile(path, []byte(page.String()), 0o644); err != nil {
		return fmt.Errorf("cannot save the tables: %w", err)
	}
	return nil
}

// byHand begins the part of RESULTS.md that people write; it is kept.
const byHand = "\n## What was tried\n"
