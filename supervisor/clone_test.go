package supervisor

import (
	"encoding/binary"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"
	"unsafe"

	"exeunt/signals"
)

// clone is a deep copy of the machine, but for the plan, which nobody changes.
// TestCloneForgetsNoField holds it to that.
func (m *Machine) clone() *Machine {
	c := *m
	c.services, c.before = slices.Clone(m.services), slices.Clone(m.before)
	c.sequences = slices.Clone(m.sequences)
	c.leaving = slices.Clone(m.leaving)
	c.remnants = slices.Clone(m.remnants)
	for i := range c.remnants {
		c.remnants[i].members = slices.Clone(c.remnants[i].members)
	}
	c.kept, c.waits = slices.Clone(m.kept), slices.Clone(m.waits)
	c.groups, c.toldGroups = slices.Clone(m.groups), slices.Clone(m.toldGroups)
	c.told = maps.Clone(m.told)
	c.alive = slices.Clone(m.alive)
	c.out, c.fresh = slices.Clone(m.out), slices.Clone(m.fresh)
	r := &c.report
	r.Phases, r.Services, r.Hooks = slices.Clone(r.Phases), slices.Clone(r.Services), slices.Clone(r.Hooks)
	r.Strays, r.Entries = slices.Clone(r.Strays), slices.Clone(r.Entries)
	return &c
}

// A key is a machine or a world as bytes: equal for two that will behave alike.
// Numbers of processes are their rank among the living, times are relative.
type key struct {
	b    []byte
	now  time.Time
	rank func(pid int) int
}

func (k *key) num(list ...int) {
	for _, n := range list {
		k.b = binary.AppendVarint(k.b, int64(n))
	}
}

func (k *key) flag(list ...bool) {
	for _, f := range list {
		n := byte(0)
		if f {
			n = 1
		}
		k.b = append(k.b, n)
	}
}

func (k *key) text(s string) { k.num(len(s)); k.b = append(k.b, s...) }

// longAgo is when one time in the past is like any other: the machine only
// asks whether a time has passed, and moves a schedule as a whole.
const longAgo = -15 * time.Second

func (k *key) time(list ...time.Time) {
	for _, t := range list {
		if t.IsZero() {
			k.b = binary.AppendVarint(k.b, 1<<60)
		} else {
			k.b = binary.AppendVarint(k.b, int64(max(t.Sub(k.now), longAgo)))
		}
	}
}

// machine adds all of the machine that decides anything.
func (k *key) machine(m *Machine) {
	k.num(int(m.phase), m.stage, int(m.signal), m.code, min(m.interrupts, 4))
	k.flag(m.asked, m.requested, m.fixed, m.childless, m.blind, m.toldAll, m.watched, m.flushing)
	k.num(int(m.standing), len(m.waits))
	for _, w := range m.waits {
		k.num(w.token, int(w.order))
		k.text(w.name)
	}
	k.time(m.end, m.startAt, m.surveyAt, m.lateAt)
	if m.phase != Start { // there it is a line in the log, and nothing else
		k.time(m.noticeAt)
	}
	s := &m.schedule
	k.time(s.Begin, s.PreStop, s.Services, s.Everyone, s.Kill, s.Done)
	k.num(int(s.Margin), int(s.Reserve))
	k.text(string(m.reason))
	for i := range m.services {
		s := &m.services[i]
		k.num(int(s.state), k.rank(s.pid), k.rank(s.group), int(s.status), s.rung, min(s.restarts, 1), min(s.row, 3), k.rank(s.rest), k.rank(s.heir), k.rank(s.born), s.missed, s.failures)
		k.flag(s.started, s.asShell, s.toStop, s.again, s.failed, s.final, s.completed && m.phase <= Run, s.tidy, s.held, s.due, s.unhealthy, s.reloading, s.start != 0)
		k.time(s.rungAt, s.groupAt, s.killAt, s.nextAt, s.againAt, s.restAt, s.readyBy, s.aliveBy)
		k.num(int(s.watchdog))
		if m.phase <= Run && i < len(m.plan.Services) && paced(&m.plan.Services[i].Restart) {
			k.time(m.report.Services[i].Started)
		}
	}
	k.num(len(m.sequences))
	for i := range m.sequences {
		q := &m.sequences[i]
		k.text(q.list)
		k.num(q.service, q.next, k.rank(q.try.pid))
		k.text(string(q.try.id))
		k.time(q.try.wakeAt, q.try.by, q.try.killAt)
		k.flag(q.try.asked)
		k.flag(q.try.id != "" && m.report.Hooks[q.try.report].Killed)
	}
	k.num(len(m.leaving))
	for _, l := range m.leaving {
		k.num(k.rank(l.pid))
		k.time(l.killAt)
	}
	k.num(len(m.remnants))
	for _, r := range m.remnants {
		k.num(k.rank(r.group), len(r.members))
		for _, p := range r.members {
			k.num(k.rank(p.pid), int(p.start))
		}
		k.time(r.killAt)
	}
	k.num(len(m.kept), len(m.groups))
	for _, sig := range m.kept {
		k.num(int(sig))
	}
	for _, pid := range m.groups {
		k.num(k.rank(pid))
	}
	k.num(len(m.toldGroups))
	for _, pid := range m.toldGroups {
		k.num(k.rank(pid))
	}
	told := slices.SortedFunc(maps.Keys(m.told), func(a, b stray) int { return a.pid - b.pid })
	k.num(len(told))
	for _, t := range told {
		place := m.told[t]
		k.num(k.rank(t.pid), min(place, 0))
		k.flag(place >= 0 && m.report.Strays[place].Killed)
	}
}

// paced reports whether it matters how long a service has run when it ends.
func paced(r *Restart) bool { return r.When != Never && (r.Delay > 0 || r.Max > 0) }

// behind is by how many tries an answer is late. Tries count on in each life of
// a service, and nothing else depends on their number.
func behind(m *Machine, p Perform) int {
	i := slices.IndexFunc(m.report.Hooks, func(h HookReport) bool { return h.ID == p.ID })
	if i < 0 {
		return 0 // the flush, or none
	}
	return min(m.report.Hooks[i].Tries-p.Try, 1)
}

// world adds all of the world that decides anything or is checked.
func (k *key) world(w *world) {
	k.machine(w.m)
	for i := range w.procs {
		p := &w.procs[i]
		if p.gone {
			continue
		}
		k.text(string(p.id))
		k.num(k.rank(p.group), k.rank(p.parent), p.service, p.told)
		k.flag(p.ours, p.alive, p.killed, p.killedWithGroup, p.seen, p.seenBefore, p.hookGroup, p.stopped, p.terminal, p.outOfReach)
		if !p.alive {
			k.num(int(p.status))
		}
		if p.told > 0 && p.service >= 0 {
			k.time(p.toldAt)
		}
	}
	k.text(fmt.Sprintf("%T", w.ask))
	if ask, ok := w.ask.(Spawn); ok {
		k.text(string(ask.ID))
	}
	for _, p := range append(slices.Clip(w.performing), w.late) {
		k.text(string(p.ID))
		k.num(behind(w.m, p))
	}
	for _, p := range w.performing {
		k.time(p.By)
	}
	k.flag(w.blind, w.fallen, w.ownEnd, w.refused, w.early)
	k.time(w.stopAt, w.asked)
	k.num(min(w.ints, 4), int(w.asSignal), int(w.standing), len(w.answered))
	for token := range 8 {
		k.flag(w.answered[token])
	}
}

func (w *world) key() []byte {
	k := key{now: w.now, rank: func(pid int) int {
		n := 0
		for i := range w.procs {
			if w.procs[i].gone {
				continue
			}
			if n++; w.procs[i].pid == pid {
				return n
			}
		}
		return 0
	}}
	k.world(w)
	return k.b
}

func (w *world) clone() *world {
	c := *w
	c.m = w.m.clone()
	c.procs, c.performing = slices.Clone(w.procs), slices.Clone(w.performing)
	c.entries, c.actions, c.broken = nil, nil, nil
	return &c
}

// filled sets every field below v to something that is not its zero value.
func filled(v reflect.Value) {
	if v.CanAddr() {
		v = reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem()
	}
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(epoch.Add(time.Second)))
			return
		}
		for i := range v.NumField() {
			filled(v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		filled(v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		filled(k)
		v.SetMapIndex(k, e)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if v.Type() != reflect.TypeFor[int]() {
			v.SetInt(1)
		}
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(1)
	case reflect.String:
		v.SetString("x")
	}
}

// shared lists the paths below a and b that lead to the same memory.
func shared(a, b reflect.Value, path string) (list []string) {
	switch a.Kind() {
	case reflect.Struct:
		if a.Type() == reflect.TypeFor[time.Time]() {
			return nil
		}
		for i := range a.NumField() {
			list = append(list, shared(a.Field(i), b.Field(i), path+"."+a.Type().Field(i).Name)...)
		}
	case reflect.Slice:
		if a.Len() > 0 && a.Pointer() == b.Pointer() {
			return []string{path}
		}
		for i := range min(a.Len(), b.Len()) {
			list = append(list, shared(a.Index(i), b.Index(i), path+"[]")...)
		}
	case reflect.Map, reflect.Pointer:
		if !a.IsNil() && a.Pointer() == b.Pointer() {
			return []string{path}
		}
	}
	return list
}

func filledMachine() *Machine {
	m := &Machine{}
	filled(reflect.ValueOf(m).Elem())
	m.plan, m.out = &Plan{}, []Action{Survey{}}
	return m
}

func TestCloneForgetsNoField(t *testing.T) {
	m := filledMachine()
	c := m.clone()
	if !reflect.DeepEqual(m, c) {
		t.Error("the clone differs from the machine")
	}
	constant := []string{"Machine.plan", "Machine.services[].below", "Machine.sequences[].hooks"}
	if got := shared(reflect.ValueOf(m).Elem(), reflect.ValueOf(c).Elem(), "Machine"); !slices.Equal(got, constant) {
		t.Errorf("the clone shares %q with the machine, want %q", got, constant)
	}
}

// TestKeyForgetsNoField changes one field at a time: the key must change with
// it, or the search would take two machines for one.
func TestKeyForgetsNoField(t *testing.T) {
	without := map[string]string{
		"Machine.plan": "constant", "Machine.sequences.hooks": "constant", "Machine.services.depth": "constant", "Machine.services.below": "constant",
		"Machine.now": "set by each Step", "Machine.out": "set by each Step", "Machine.heard": "set by each Step", "Machine.fresh": "the driver's",
		"Machine.began": "for the report", "Machine.from": "for the report", "Machine.report": "for the reader",
		"Machine.alive": "for the notice; set by each survey that uses it", "Machine.told": "checked below",
		"Machine.sequences.try.report": "a place in the report", "Machine.sequences.try.tries": "told from others only: see behind", "Machine.leaving.report": "a place in the report",
		"Machine.remnants.report": "a place in the report", "Machine.services.life.text": "for the reader", "Machine.before": "for the reader",
	}
	keyOf := func(m *Machine) string {
		k := key{now: epoch, rank: func(pid int) int { return pid }}
		k.machine(m)
		return string(k.b)
	}
	m := filledMachine()
	before := keyOf(m)
	var walk func(v reflect.Value, path string)
	walk = func(v reflect.Value, path string) {
		if without[path] != "" {
			return
		}
		v = reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem()
		if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct {
			v = v.Index(0)
		}
		if v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]() {
			for i := range v.NumField() {
				walk(v.Field(i), path+"."+v.Type().Field(i).Name)
			}
			return
		}
		old := reflect.New(v.Type()).Elem()
		old.Set(v)
		if v.Kind() == reflect.Int {
			v.SetInt(3)
		} else {
			v.SetZero()
		}
		if keyOf(m) == before {
			t.Errorf("%s is not in the key", path)
		}
		v.Set(old)
	}
	walk(reflect.ValueOf(m).Elem(), "Machine")
	for _, change := range []func(m *Machine){
		func(m *Machine) { m.told = nil },
		func(m *Machine) { m.told[stray{2, 2}] = unreported },
		func(m *Machine) { m.report.Strays[0].Killed = !m.report.Strays[0].Killed },
		func(m *Machine) { m.report.Hooks[0].Killed = !m.report.Hooks[0].Killed },
		func(m *Machine) { m.kept = append(m.kept, signals.USR2) },
	} {
		c := m.clone()
		if change(c); keyOf(c) == before {
			t.Error("a change of what was told, killed or kept is not in the key")
		}
	}
}
