package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	linesMade  = 1_000_000
	writers    = 4
	longEnough = 2 * time.Minute
	// stopPatience is when the suite kills what a TERM left, as a platform would.
	stopPatience = 30 * time.Second
)

// A tree is what a supervisor is to run: so many services, each the probe in a
// role that takes no more words than these.
type tree struct {
	services int
	role     []string
	output   outputKind
}

// An outputKind is where what the services write is to go.
type outputKind int

const (
	asUsual   outputKind = iota // wherever the supervisor sends it unasked
	prefixed                    // to the supervisor's standard output, marked, where it can do that
	inherited                   // there too, but not by way of the supervisor
)

// A layout writes what a supervisor reads into the directory, and returns the
// command; nil if the supervisor can't do that.
type layout func(program, dir string, t tree) ([]string, error)

// servicesOfExeunt restarts without a delay, which the others can't.
func servicesOfExeunt(program, dir string, t tree) ([]string, error) {
	text := "services:\n"
	for n := range t.services {
		text += fmt.Sprintf("  s%d: {command: %q, restart: always, restart_delay: 0s", n, t.command())
		if t.output == inherited {
			text += ", stdout: inherit"
		}
		text += "}\n"
	}
	path := filepath.Join(dir, "services.yaml")
	return []string{program, "run", "-c", path}, os.WriteFile(path, []byte(text), 0o644)
}

func servicesOfSupervisord(program, dir string, t tree) ([]string, error) {
	if t.output == inherited {
		return nil, nil
	}
	text := "[supervisord]\nnodaemon=true\nsilent=true\nuser=root\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile=" + filepath.Join(dir, "pid") + "\n"
	for n := range t.services {
		text += fmt.Sprintf("[program:s%d]\ncommand=%s\nautorestart=true\nstdout_logfile=/dev/fd/1\nstdout_logfile_maxbytes=0\nstderr_logfile=NONE\n", n, t.command())
	}
	path := filepath.Join(dir, "supervisord.conf")
	return []string{program, "-c", path}, os.WriteFile(path, []byte(text), 0o644)
}

func servicesOfS6(program, dir string, t tree) ([]string, error) {
	return []string{program, dir}, t.directories(dir, "s6-log T 1")
}

func servicesOfRunit(program, dir string, t tree) ([]string, error) {
	if t.output == prefixed {
		return nil, nil // svlogd writes into directories alone
	}
	return []string{program, dir}, t.directories(dir, "")
}

// pipeOf is no supervisor: the services write into a pipe, and cat reads it.
func pipeOf(program, _ string, t tree) ([]string, error) {
	if t.output == inherited {
		return nil, nil
	}
	return []string{"/bin/sh", "-c", "{ " + strings.Repeat(t.command()+" & ", t.services) + "wait; } | " + program}, nil
}

func (t tree) command() string { return strings.Join(append([]string{probe}, t.role...), " ") }

// directories are the services as daemontools has them, each with a logger where
// output is to be marked.
func (t tree) directories(dir, logger string) error {
	for n := range t.services {
		service := filepath.Join(dir, "s"+strconv.Itoa(n))
		err := runnable(service, t.command())
		if err == nil && t.output == prefixed {
			err = runnable(filepath.Join(service, "log"), logger)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func runnable(dir, command string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "run"), []byte("#!/bin/sh\nexec "+command+"\n"), 0o755)
}

// errNotItsJob is of a supervisor that can't do what is measured.
var errNotItsJob = errors.New("can't do that")

// raise starts a supervisor with its services. The directory is deleted when the
// space is closed by the function that raise returns.
func raise(s subject, t tree) (sp *space, leave func(), err error) {
	dir, err := os.MkdirTemp("", "exeunt-bench-tree-")
	if err != nil {
		return nil, nil, err
	}
	words, err := s.tree(s.command[0], dir, t)
	if err == nil && words == nil {
		err = errNotItsJob
	}
	if err == nil {
		sp, err = enter(subject{name: s.name, command: words}, longEnough)
	}
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return sp, func() { sp.close(); _ = os.RemoveAll(dir) }, nil
}

var fewServices = measure{
	name: "services", about: "supervisors with 10 and 20 services that end at once on TERM: exec to the last one's first instruction; kill -9 of one to the first instruction of the next; TERM to everybody gone, killed by the suite after 30 s",
	rounds: 5, quick: 1, several: true,
	metrics: slices.Concat(serviceMetrics(10), serviceMetrics(20)),
	round: inTurn(func(_ int, s subject, t *tally) error {
		return errors.Join(serve(s, t, 10), serve(s, t, 20))
	}),
}

var manyServices = measure{
	name: "services-200", about: "the same with 200",
	rounds: 3, quick: 1, several: true,
	metrics: serviceMetrics(200),
	round:   inTurn(func(_ int, s subject, t *tally) error { return serve(s, t, 200) }),
}

func serviceMetrics(n int) []metric {
	key, many := "services-"+strconv.Itoa(n)+"-", strconv.Itoa(n)+" services"
	return []metric{
		{key: key + "up", title: many + " all up", unit: "ms"},
		{key: key + "back", title: "one of " + many + " killed and back", unit: "ms"},
		{key: key + "gone", title: many + ", TERM to all gone", unit: "ms"},
		{key: key + "handled", title: "handlers run of " + many},
		{key: key + "killed", title: "the platform had to kill, " + many},
	}
}

// starting is the value of a service's first record; its handler's is 0.
const starting = 1

// serve takes one reading of each metric of so many services.
func serve(s subject, t *tally, n int) error {
	key := "services-" + strconv.Itoa(n) + "-"
	sp, leave, err := raise(s, tree{services: n, role: []string{"service"}})
	if err != nil {
		return err
	}
	defer leave()
	up, err := sp.readN(1 + n)
	if err != nil {
		return err
	}
	t.take(s, key+"up", milli(last(up).since(up[0].at)))
	sleepUntil(now().add(settle))
	killed := now()
	if err := sp.killOne(); err != nil {
		return err
	}
	back, err := sp.read()
	if err != nil {
		return err
	}
	t.take(s, key+"back", milli(back.at.since(killed)))
	sleepUntil(now().add(settle))
	sp.hold()
	sent := now()
	if err := sp.signal(unix.SIGTERM); err != nil {
		return err
	}
	e, ok := sp.wait(sent.add(stopPatience))
	t.take(s, key+"killed", map[bool]float64{false: 1}[ok])
	if !ok {
		if err := sp.signal(unix.SIGKILL); err != nil {
			return err
		}
		if e, ok = sp.wait(sp.deadline); !ok {
			return sp.failed("outlived SIGKILL")
		}
	}
	t.take(s, key+"gone", milli(e.at.since(sent)))
	handled := 0
	for _, rec := range sp.rest() {
		if rec.value != starting {
			handled++
		}
	}
	t.take(s, key+"handled", float64(handled))
	return nil
}

func last(records []record) (at instant) {
	for _, r := range records {
		at = max(at, r.at)
	}
	return at
}

var serviceMemory = measure{
	name: "services-memory", about: "the memory of everybody in the container but the services, of which there are 50, and 200",
	rounds: 5, quick: 1, several: true,
	metrics: slices.Concat(serviceMemoryMetrics(50), serviceMemoryMetrics(200)),
	round: inTurn(func(_ int, s subject, t *tally) error {
		return errors.Join(weigh(s, t, 50), weigh(s, t, 200))
	}),
}

func serviceMemoryMetrics(n int) []metric {
	key, many := "-services-"+strconv.Itoa(n), strconv.Itoa(n)+" services"
	return []metric{
		{key: "pss" + key, title: "PSS of the supervisor, " + many, unit: "KiB"},
		{key: "dirty" + key, title: "private dirty of the supervisor, " + many, unit: "KiB"},
		{key: "processes" + key, title: "processes of the supervisor, " + many},
	}
}

// weigh takes the memory of a supervisor of so many services.
func weigh(s subject, t *tally, n int) error {
	sp, leave, err := raise(s, tree{services: n, role: []string{"service"}})
	if err != nil {
		return err
	}
	defer leave()
	if _, err := sp.readN(1 + n); err != nil {
		return err
	}
	sleepUntil(now().add(settle))
	members, err := sp.members()
	if err != nil {
		return err
	}
	var pss, dirty, processes float64
	for _, m := range members {
		if m.service {
			continue
		}
		path := filepath.Join("/proc", strconv.Itoa(m.pid), "smaps_rollup")
		p, err := procField(path, "Pss")
		if err != nil {
			return err
		}
		d, err := procField(path, "Private_Dirty")
		if err != nil {
			return err
		}
		pss, dirty, processes = pss+p, dirty+d, processes+1
	}
	key := "-services-" + strconv.Itoa(n)
	t.take(s, "pss"+key, pss)
	t.take(s, "dirty"+key, dirty)
	t.take(s, "processes"+key, processes)
	return nil
}

var writings = measure{
	name: "output", about: "1,000,000 lines of 100 bytes that four services write as fast as they can, from the first byte to the last line. With a prefix: as the supervisor marks them (exeunt: the service's name; s6: s6-log with a time; supervisord: not at all). Inherited: the supervisor's own standard output. cat: through a pipe and cat alone",
	rounds: 5, quick: 1, several: true, bare: true,
	metrics: []metric{
		{key: "lines-prefixed", title: "lines with a prefix", unit: "M/s"},
		{key: "lines-inherited", title: "lines, output inherited", unit: "M/s"},
		{key: "lines-lost", title: "lines lost of 1,000,000"},
	},
	round: inTurn(func(_ int, s subject, t *tally) error {
		for kind, key := range map[outputKind]string{prefixed: "lines-prefixed", inherited: "lines-inherited"} {
			got, took, err := readLines(s, kind)
			if errors.Is(err, errNotItsJob) {
				continue
			}
			if err != nil {
				return err
			}
			t.take(s, key, float64(got)/took.Seconds()/1e6)
			if kind == prefixed {
				t.take(s, "lines-lost", float64(linesMade-got))
			}
		}
		return nil
	}),
}

// readLines counts the lines that come out of a supervisor, until all have, or
// none has come for a time.
func readLines(s subject, output outputKind) (got int, took time.Duration, err error) {
	sp, leave, err := raise(s, tree{services: writers, role: []string{"lines", strconv.Itoa(linesMade / writers)}, output: output})
	if err != nil {
		return 0, 0, err
	}
	defer leave()
	if _, err := sp.read(); err != nil { // boot's
		return 0, 0, err
	}
	var first, latest instant
	b := make([]byte, 1<<20)
	for got < linesMade && readable(sp.out, now().add(answerPatience)) {
		n, err := unix.Read(sp.out, b)
		if n <= 0 || err != nil {
			break
		}
		if latest = now(); first == 0 {
			first = latest
		}
		got += bytes.Count(b[:n], []byte{'\n'})
	}
	if got == 0 {
		return 0, 0, sp.failed("said nothing")
	}
	return got, latest.since(first), nil
}

// A member is a process of a space.
type member struct {
	pid     int
	service bool // it is the probe
}

// members are everyone in the space.
func (sp *space) members() ([]member, error) {
	namespace, err := os.Readlink("/proc/" + strconv.Itoa(sp.pid) + "/ns/pid")
	if err != nil {
		return nil, sp.failed(err.Error())
	}
	var all []member
	for _, dir := range glob("/proc/[1-9]*") {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		if of, err := os.Readlink(dir + "/ns/pid"); err != nil || of != namespace {
			continue // somebody else's, or gone
		}
		exe, err := os.Readlink(dir + "/exe")
		if errors.Is(err, fs.ErrNotExist) {
			continue // a zombie
		}
		all = append(all, member{pid, exe == probe})
	}
	return all, nil
}

func glob(pattern string) []string {
	paths, _ := filepath.Glob(pattern)
	return paths
}

// killOne kills one of the services. By pidfd: it is in the space still once it
// is held, so nobody else can be hit.
func (sp *space) killOne() error {
	members, err := sp.members()
	if err != nil {
		return err
	}
	at := slices.IndexFunc(members, func(m member) bool { return m.service && m.pid != sp.pid })
	if at < 0 {
		return sp.failed("has no service")
	}
	fd, err := unix.PidfdOpen(members[at].pid, 0)
	if err != nil {
		return sp.failed(err.Error())
	}
	defer unix.Close(fd)
	if again, err := sp.members(); err != nil || !slices.Contains(again, members[at]) {
		return sp.failed("lost a service")
	}
	return unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
}
