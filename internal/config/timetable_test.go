package config

import (
	"testing"
	"time"

	_ "time/tzdata" // the machine may have none
)

// TestATimetableFollowsTheClockOfItsZone has Debian's cron(8) as its model:
// "Local time changes of less than three hours […] are handled specially".
func TestATimetableFollowsTheClockOfItsZone(t *testing.T) {
	const layout = "2006-01-02 15:04:05 -0700"
	for _, c := range []struct {
		zone, schedule, after string
		want                  []string
	}{
		{"UTC", "*/20 * * * *", "2026-01-01 23:30:00 +0000", []string{"2026-01-01 23:40:00 +0000", "2026-01-02 00:00:00 +0000", "2026-01-02 00:20:00 +0000"}},
		{"UTC", "0 0 29 2 *", "2026-03-01 00:00:00 +0000", []string{"2028-02-29 00:00:00 +0000"}},
		{"UTC", "0 12 13 * FRI", "2026-01-01 00:00:00 +0000", []string{"2026-01-02 12:00:00 +0000", "2026-01-09 12:00:00 +0000", "2026-01-13 12:00:00 +0000"}}, // the 13th, and Fridays
		{"UTC", "@weekly", "2026-01-01 00:00:00 +0000", []string{"2026-01-04 00:00:00 +0000"}},
		{"UTC", "@every 90s", "2026-01-01 00:00:00 +0000", []string{"2026-01-01 00:01:30 +0000", "2026-01-01 00:03:00 +0000"}},
		{"Europe/Berlin", "0 3 * * *", "2026-01-01 00:00:00 +0000", []string{"2026-01-01 03:00:00 +0100"}},
		// 02:00 to 03:00 is left out: at once, and then as ever.
		{"Europe/Berlin", "30 2 * * *", "2026-03-28 03:00:00 +0100", []string{"2026-03-29 03:00:00 +0200", "2026-03-30 02:30:00 +0200"}},
		{"Europe/Berlin", "0,15,30 2 * * *", "2026-03-28 03:00:00 +0100", []string{"2026-03-29 03:00:00 +0200", "2026-03-30 02:00:00 +0200"}},
		{"Europe/Berlin", "*/20 1-4 * * *", "2026-03-29 01:30:00 +0100", []string{"2026-03-29 01:40:00 +0100", "2026-03-29 03:00:00 +0200", "2026-03-29 03:20:00 +0200"}},
		{"Europe/Berlin", "*/30 * * * *", "2026-03-29 01:10:00 +0100", []string{"2026-03-29 01:30:00 +0100", "2026-03-29 03:00:00 +0200", "2026-03-29 03:30:00 +0200"}},
		// 02:00 to 03:00 comes twice: once, but hourly ones go on.
		{"Europe/Berlin", "30 2 * * *", "2026-10-24 03:00:00 +0200", []string{"2026-10-25 02:30:00 +0200", "2026-10-26 02:30:00 +0100"}},
		{"Europe/Berlin", "30 2 * * *", "2026-10-25 02:10:00 +0100", []string{"2026-10-26 02:30:00 +0100"}},
		{"Europe/Berlin", "0 3 * * *", "2026-10-25 02:10:00 +0100", []string{"2026-10-25 03:00:00 +0100"}},
		{"Europe/Berlin", "*/30 * * * *", "2026-10-25 02:10:00 +0200", []string{"2026-10-25 02:30:00 +0200", "2026-10-25 02:00:00 +0100",
			"2026-10-25 02:30:00 +0100", "2026-10-25 03:00:00 +0100"}},
		// Midnight is left out.
		{"America/Santiago", "0 0 * * *", "2026-09-05 12:00:00 -0400", []string{"2026-09-06 01:00:00 -0300", "2026-09-07 00:00:00 -0300"}},
		// Half an hour of change.
		{"Australia/Lord_Howe", "0 * * * *", "2026-04-05 00:30:00 +1100", []string{"2026-04-05 01:00:00 +1100", "2026-04-05 02:00:00 +1030", "2026-04-05 03:00:00 +1030"}},
		{"Australia/Lord_Howe", "45 1 * * *", "2026-04-05 00:30:00 +1100", []string{"2026-04-05 01:45:00 +1100", "2026-04-06 01:45:00 +1030"}},
		{"Australia/Lord_Howe", "15 2 * * *", "2026-10-04 00:30:00 +1030", []string{"2026-10-04 02:30:00 +1100", "2026-10-05 02:15:00 +1100"}},
		// Far away, two changes of the clock between.
		{"Europe/Berlin", "0 * 1 1 *", "2026-02-01 00:00:00 +0100", []string{"2027-01-01 00:00:00 +0100"}},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		table, err := parseTimetable(c.schedule, zone)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(layout, c.after)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			next := table.Next(at)
			if again := table.Next(at); !again.Equal(next) {
				t.Errorf("%s: %v, and again %v", c.schedule, next, again)
			}
			if got := next.In(zone).Format(layout); got != want {
				t.Errorf("%s in %s after %s: %s, want %s", c.schedule, c.zone, at.In(zone).Format(layout), got, want)
			}
			at = next
		}
	}
}

// TestATimetableOnlyEverAdvances walks through both changes of a year, minute by
// minute.
func TestATimetableOnlyEverAdvances(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, schedule := range []string{"* * * * *", "*/7 * * * *", "30 2 * * *", "*/15 1-3 * * *", "0 0 1 * *", "59 23 * * SUN"} {
		table, err := parseTimetable(schedule, zone)
		if err != nil {
			t.Fatal(err)
		}
		for _, day := range []time.Time{time.Date(2026, 3, 28, 22, 0, 0, 0, zone), time.Date(2026, 10, 24, 22, 0, 0, 0, zone)} {
			last := time.Time{}
			for at := day; at.Sub(day) < 10*time.Hour; at = at.Add(time.Minute) {
				next := table.Next(at)
				if !next.After(at) || next.Before(last) {
					t.Fatalf("%s: after %v comes %v, and before that %v", schedule, at, next, last)
				}
				last = next
			}
		}
	}
}
