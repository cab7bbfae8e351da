package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"exeunt/supervisor"

	cron "github.com/netresearch/go-cron"
)

// timetable reads a service's schedule, by the time zone of its environment.
func (c *cast) timetable(s *service, env []string) supervisor.Timetable {
	at := s.node.at("schedule")
	zone := time.Local
	if name, ok := find(env, "TZ"); ok {
		loaded, err := time.LoadLocation(strings.TrimPrefix(name, ":"))
		if err != nil {
			c.wrong(at, "cannot find its time zone: TZ is %q, and there is no such file in /usr/share/zoneinfo", name)
			return nil
		}
		zone = loaded
	}
	t, err := parseTimetable(s.schedule, zone)
	if err != nil {
		c.wrong(at, "%v", err)
		return nil
	}
	return t
}

// parseTimetable reads the five fields of cron, or @daily and its like. Day of
// month and day of week are either's, as crontab(5) has it, if both are given.
func parseTimetable(text string, zone *time.Location) (supervisor.Timetable, error) {
	if strings.Contains(text, "=") { // the parser's own way to give a time zone
		return nil, errors.New("the time zone is that of TZ in the environment")
	}
	parsed, err := cron.MustNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor | cron.DowOrDom).Parse(text)
	if err != nil {
		return nil, fmt.Errorf("cannot read %q as minute, hour, day of month, month and day of week: %w", text, err)
	}
	spec, fields := parsed.(*cron.SpecSchedule)
	if !fields { // @every
		return parsed, nil
	}
	spec.Location = time.UTC
	if spec.Next(time.Unix(0, 0)).IsZero() {
		return nil, fmt.Errorf("%q never comes", text)
	}
	return timetable{spec, zone}, nil
}

// A timetable is cron's, on the clock of a time zone. Where that clock is set
// forward, what was due in the hour that is left out runs at once; where it is
// set back, nothing runs twice, but what runs every hour goes on by the time
// that passes. So does cron(8) of Debian.
type timetable struct {
	spec *cron.SpecSchedule // in UTC, which stands for the clock on the wall
	zone *time.Location
}

const everyHour = 1<<24 - 1

// Next implements supervisor.Timetable.
func (t timetable) Next(after time.Time) time.Time {
	if t.spec.Hour&everyHour == everyHour {
		return t.hourly(after)
	}
	for wall := clock(after.In(t.zone)); ; {
		if wall = t.spec.Next(wall); wall.IsZero() {
			return wall
		}
		if due := t.at(wall); due.After(after) {
			return due
		}
	}
}

// hourly goes by the offset from UTC that holds, until the next one does.
func (t timetable) hourly(after time.Time) time.Time {
	for local := after.In(t.zone); ; {
		_, seconds := local.Zone()
		offset := time.Duration(seconds) * time.Second
		due := t.spec.Next(after.UTC().Add(offset))
		if due.IsZero() {
			return due
		}
		due = due.Add(-offset).In(t.zone)
		_, end := local.ZoneBounds()
		if end.IsZero() || due.Before(end) {
			return due
		}
		after, local = end.Add(-1), end
	}
}

// clock is what the clock on the wall shows, as a time in UTC.
func clock(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// at is when the clock on the wall shows that: the first time if twice, and the
// moment of the change if never.
func (t timetable) at(wall time.Time) time.Time {
	due := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, t.zone)
	start, end := due.ZoneBounds()
	switch shown := clock(due); {
	case shown.After(wall):
		return start
	case shown.Before(wall):
		return end
	}
	if start.IsZero() {
		return due
	}
	// Before the clock was set back it may have shown the same.
	_, now := due.Zone()
	_, before := start.Add(-1).Zone()
	if earlier := due.Add(time.Duration(now-before) * time.Second); earlier.Before(start) && clock(earlier.In(t.zone)).Equal(wall) {
		return earlier
	}
	return due
}
