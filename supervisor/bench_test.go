package supervisor

import (
	"fmt"
	"testing"
	"time"

	"exeunt/reaper"
)

// two hundred services, each but the first depending on the one of half its
// number, and every other with a probe: as many as a file may sensibly have.
func twoHundred() *Plan {
	p := &Plan{PID1: true, Managed: true, Straggler: -1, OnStopExit: -1, Budget: armed(30 * time.Second)}
	for i := range 200 {
		s := app(fmt.Sprintf("service-%d", i))
		if i > 0 {
			s.DependsOn = []Dependency{{On: fmt.Sprintf("service-%d", i/2)}}
		}
		if i%2 == 1 {
			s.Health = probed(s.Name)
		}
		s.Restart = Restart{When: OnFailure, Delay: time.Second, MaxDelay: 30 * time.Second}
		p.Services = append(p.Services, s)
	}
	return p
}

// started is a machine all of whose services run.
func started(p *Plan) (m *Machine, now time.Time, mains []int) {
	m, now = New(p), epoch
	pid := 9
	var step func(ev Event)
	step = func(ev Event) {
		for _, a := range m.Step(now, ev) {
			switch a := a.(type) {
			case Spawn:
				pid++
				if mains = append(mains, pid); len(mains) > 2*len(p.Services) {
					panic("they start again and again")
				}
				step(Spawned{a.ID, pid})
			case Perform:
				step(Performed{a.ID, a.Try, nil})
			}
		}
		m.fresh = nil
	}
	step(Booted{})
	return m, now, mains
}

// BenchmarkStart is the start of two hundred services.
func BenchmarkStart(b *testing.B) {
	p := twoHundred()
	for b.Loop() {
		if m, _, _ := started(p); m.phase != Run {
			b.Fatalf("phase %v", m.phase)
		}
	}
}

// BenchmarkOrphan is one orphan's death beside two hundred services, with the
// look at the next deadline that follows each Step.
func BenchmarkOrphan(b *testing.B) {
	m, now, _ := started(twoHundred())
	b.ReportAllocs()
	for b.Loop() {
		m.Step(now, Reaped{Exit: reaper.Exit{PID: 100_000}})
		m.Deadline()
		m.Deadline()
	}
}

// BenchmarkCrash is the death of one of two hundred services.
func BenchmarkCrash(b *testing.B) {
	p := twoHundred()
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		m, now, mains := started(p)
		b.StartTimer()
		for _, pid := range mains[100:] {
			m.Step(now, Reaped{Exit: reaper.Exit{PID: pid, Status: exit3}})
			m.Step(now, Surveyed{})
			m.Deadline()
			m.fresh = nil
		}
	}
}
