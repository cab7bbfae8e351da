package control

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"exeunt/supervisor"
)

// metrics are how things are in the text format of Prometheus, version 0.0.4.
func metrics(now *supervisor.Snapshot) []byte {
	var p page
	p.family("exeunt_phase", "gauge", "How far the run has come: 1 for the phase it is in.")
	for phase := supervisor.Start; phase <= supervisor.Done; phase++ {
		p.sample(truth(phase == now.Phase), "phase", phase.String())
	}
	p.family("exeunt_ready", "gauge", "Whether every service that it takes is ready, and no stop has begun.")
	p.sample(truth(now.Standing == supervisor.Up))
	p.family("exeunt_orphans_reaped_total", "counter", "Processes that were left to PID 1 and have been collected.")
	p.sample(float64(now.Reaped))
	if !now.Deadline.IsZero() {
		p.family("exeunt_stop_deadline_timestamp_seconds", "gauge", "When the stop will be over at the latest.")
		p.sample(unixSeconds(now.Deadline))
	}
	p.services(now.Services)
	p.hooks(now.Hooks)
	return p.Bytes()
}

// A page is a text in the making.
type page struct {
	bytes.Buffer
	name string // of the family
}

func (p *page) family(name, kind, help string) {
	p.name = name
	fmt.Fprintf(p, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

// sample adds a line to the family; labels are names and values in turn.
func (p *page) sample(value float64, labels ...string) {
	p.WriteString(p.name)
	for i := 0; i < len(labels); i += 2 {
		fmt.Fprintf(p, `%c%s="%s"`, "{,"[min(i, 1)], labels[i], escape(labels[i+1]))
	}
	if len(labels) > 0 {
		p.WriteByte('}')
	}
	p.Write(append(strconv.AppendFloat([]byte{' '}, value, 'f', -1, 64), '\n'))
}

func (p *page) services(all []supervisor.ServiceStatus) {
	each := func(name, kind, help string, value func(*supervisor.ServiceStatus) (float64, bool)) {
		begun := false
		for i := range all {
			if v, known := value(&all[i]); known {
				if !begun {
					p.family(name, kind, help)
					begun = true
				}
				p.sample(v, "service", all[i].Name)
			}
		}
	}
	each("exeunt_service_up", "gauge", "Whether the service runs.", func(s *supervisor.ServiceStatus) (float64, bool) {
		return truth(running(s)), true
	})
	each("exeunt_service_ready", "gauge", "Whether it runs and is ready.", func(s *supervisor.ServiceStatus) (float64, bool) {
		return truth(s.Ready && !s.Unhealthy), true
	})
	each("exeunt_service_restarts_total", "counter", "How often it has been started again.", func(s *supervisor.ServiceStatus) (float64, bool) {
		return float64(s.Restarts), true
	})
	each("exeunt_service_start_timestamp_seconds", "gauge", "When it was started last.", func(s *supervisor.ServiceStatus) (float64, bool) {
		return unixSeconds(s.Started), !s.Started.IsZero()
	})
	each("exeunt_service_last_exit_code", "gauge", "The exit code of its last end, or 128 and the signal.", func(s *supervisor.ServiceStatus) (float64, bool) {
		return float64(s.Code), !s.Ended.IsZero()
	})
	each("exeunt_service_last_stop_duration_seconds", "gauge", "How long its last stop took.", func(s *supervisor.ServiceStatus) (float64, bool) {
		return time.Duration(s.StopTook).Seconds(), s.StopTook > 0
	})
}

// hooks shows of each hook its last run: names need not be unique, and a series
// must be.
func (p *page) hooks(all []supervisor.HookReport) {
	last := map[supervisor.ID]int{}
	for i := range all {
		if !all[i].Ended.IsZero() && !all[i].Skipped {
			last[all[i].ID] = i
		}
	}
	if len(last) == 0 {
		return
	}
	p.family("exeunt_hook_duration_seconds", "gauge", "How long the last run of a hook took, all its tries together.")
	for i := range all {
		h := &all[i]
		if n, ok := last[h.ID]; !ok || n != i {
			continue
		}
		service, list, number := hookID(h.ID)
		labels := []string{"hook", h.Name, "list", list, "number", number}
		if service != "" {
			labels = append(labels, "service", service)
		}
		p.sample(h.Ended.Sub(h.Began).Seconds(), labels...)
	}
}

// hookID is a hook's ID in its parts: "pre_stop/0", "web/pre_stop/0".
func hookID(id supervisor.ID) (service, list, number string) {
	list, number = cutLast(string(id))
	service, list = cutLast(list)
	return service, list, number
}

// cutLast cuts text around its last slash; without one it is all after it.
func cutLast(text string) (before, after string) {
	i := strings.LastIndexByte(text, '/')
	return text[:max(i, 0)], text[i+1:]
}

func running(s *supervisor.ServiceStatus) bool {
	return s.State >= supervisor.Starting && s.State < supervisor.Exited
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func unixSeconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// escape makes text fit for a label's value.
func escape(text string) string {
	var b strings.Builder
	for _, r := range text { // what is not UTF-8 is U+FFFD here
		switch r {
		case '\\', '"':
			b.WriteByte('\\')
		case '\n':
			b.WriteByte('\\')
			r = 'n'
		}
		b.WriteRune(r)
	}
	return b.String()
}
