package reaper

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const passwdFile = `root:x:0:0:root:/root:/bin/sh
# a comment
daemon:x:1:1::/usr/sbin:/usr/sbin/nologin
games:x:5:60:games:/usr/games:/usr/sbin/nologin
broken:x:abc:1::/:
short:x:6
homeless:x:7:7:::
huge:x:4294967295:1::/:
toor:x:0:0:second of its number:/toor:/bin/sh
`

const groupFile = `root:x:0:
daemon:x:1:
bin:x:2:daemon
users:x:100:games,daemon
audio:x:29:daemon,games
notmine:x:30:gamesx,xgames
broken:x:abc:games
short:x
`

// TestUserSpecsAreReadAsGosuReadsThem is the matrix of gosu's own tests, and more.
func TestUserSpecsAreReadAsGosuReadsThem(t *testing.T) {
	dir := t.TempDir()
	passwd := write(t, filepath.Join(dir, "passwd"), passwdFile, 0o644)
	group := write(t, filepath.Join(dir, "group"), groupFile, 0o644)
	nowhere := filepath.Join(dir, "nowhere")
	uid, gid := uint32(os.Getuid()), uint32(os.Getgid())
	root := User{Name: "root", Home: "/root"}
	games := User{UID: 5, GID: 60, Groups: []uint32{100, 29}, Name: "games", Home: "/usr/games"}
	withGroup := func(u User, gid uint32) User {
		u.GID, u.Groups = gid, nil
		return u
	}
	for spec, want := range map[string]User{
		"0":            root,
		"0:":           root,
		"0:0":          root,
		"root":         root,
		"root:root":    root,
		"0:root":       root,
		"0:1000":       withGroup(root, 1000),
		"root:daemon":  withGroup(root, 1),
		"1000":         {UID: 1000, GID: gid, Home: "/"},
		"1000:1000":    {UID: 1000, GID: 1000, Home: "/"},
		"1000:root":    {UID: 1000, GID: 0, Home: "/"},
		"1000:daemon":  {UID: 1000, GID: 1, Home: "/"},
		"games":        games,
		"5":            games,
		"games:daemon": withGroup(games, 1),
		"homeless":     {UID: 7, GID: 7, Name: "homeless", Home: "/"},
		"toor":         {Name: "toor", Home: "/toor"},
		"4294967294":   {UID: 1<<32 - 2, GID: gid, Home: "/"},
	} {
		if got, err := lookupUser(spec, passwd, group); err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("%q: %+v %v, want %+v", spec, got, err, want)
		}
	}
	for _, spec := range []string{"", ":"} {
		if got, err := lookupUser(spec, passwd, group); err != nil || got.UID != uid {
			t.Errorf("%q: %+v %v, want ourselves", spec, got, err)
		}
	}
	if got, err := lookupUser(":1", passwd, group); err != nil || got.UID != uid || got.GID != 1 {
		t.Errorf("group alone: %+v %v", got, err)
	}
	if got, err := lookupUser("1000:1000", nowhere, nowhere); err != nil || !reflect.DeepEqual(*got, User{UID: 1000, GID: 1000, Home: "/"}) {
		t.Errorf("numbers without files: %+v %v", got, err)
	}
}

func TestBadUserSpecsAreClearErrors(t *testing.T) {
	dir := t.TempDir()
	passwd := write(t, filepath.Join(dir, "passwd"), passwdFile, 0o644)
	group := write(t, filepath.Join(dir, "group"), groupFile, 0o644)
	nowhere := filepath.Join(dir, "nowhere")
	for spec, says := range map[string]string{
		"bogus":       `cannot find user "bogus": not in ` + passwd,
		"0day":        `cannot find user "0day"`,
		"0:bogus":     `cannot find group "bogus": not in ` + group,
		"0:0day":      `cannot find group "0day"`,
		"0:0:0":       `cannot find group "0:0"`,
		"-1":          `cannot find user "-1"`,
		"4294967295":  `cannot find user "4294967295"`,
		"4294967296":  `cannot find user`,
		"0:-1":        `cannot find group "-1"`,
		"huge":        `cannot find user "huge"`,
		"broken":      `cannot find user "broken"`,
		"short":       `cannot find user "short"`,
		"# a comment": `cannot find user`,
		" root":       `cannot find user`,
		"root ":       `cannot find user`,
	} {
		if got, err := lookupUser(spec, passwd, group); err == nil || !strings.HasPrefix(err.Error(), says) || !strings.Contains(err.Error(), "a number needs no entry") {
			t.Errorf("%q: %+v %v", spec, got, err)
		}
	}
	for _, spec := range []string{"web", "0:web"} {
		if got, err := lookupUser(spec, nowhere, nowhere); err == nil || !strings.Contains(err.Error(), nowhere) {
			t.Errorf("%q without files: %+v %v", spec, got, err)
		}
	}
}

func TestEnvironmentIsTheUsers(t *testing.T) {
	env := []string{"HOME=/a", "A=1", "USER=b", "A=2", "LOGNAME=c", "HOMER=d", "odd", "HOME=/e"}
	before := slices.Clone(env)
	for want, u := range map[string]*User{
		"HOME=/a A=1 USER=b A=2 LOGNAME=c HOMER=d odd HOME=/e": nil,
		"A=1 A=2 HOMER=d odd HOME=/srv USER=web LOGNAME=web":   {Name: "web", Home: "/srv"},
		"A=1 A=2 HOMER=d odd HOME=/":                           {UID: 1000, Home: "/"},
	} {
		if got := strings.Join(u.Environ(env), " "); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if !slices.Equal(env, before) {
		t.Errorf("the argument was changed: %q", env)
	}
}

// TestChildRunsAsTheUser needs the machine's own user nobody, as every
// distribution has it.
func TestChildRunsAsTheUser(t *testing.T) {
	world{root: true}.in(t, func(t *testing.T, r *Reaper) {
		const script = `for i in Uid Gid Groups; do sed -n "s/^$i:[[:space:]]*//p" /proc/self/status; done`
		ids := func(u *User) string {
			c := shell(script)
			c.User, c.Dir = u, "/"
			return strings.Join(strings.Fields(output(t, r, c)), " ")
		}
		for want, u := range map[string]*User{
			"1000 1000 1000 1000 1001 1001 1001 1001":         {UID: 1000, GID: 1001},
			"1000 1000 1000 1000 1001 1001 1001 1001 7 70000": {UID: 1000, GID: 1001, Groups: []uint32{7, 70000}},
			"70000 70000 70000 70000 0 0 0 0":                 {UID: 70000},
			"0 0 0 0 0 0 0 0 7":                               {Groups: []uint32{7}},
			"0 0 0 0 0 0 0 0":                                 {},
		} {
			if got := ids(u); got != want {
				t.Errorf("%+v: %q, want %q", u, got, want)
			}
		}
		nobody, err := LookupUser("nobody")
		if err != nil {
			t.Fatal(err)
		}
		// Groups as id(1) names them; the file is the authority of both.
		want, err := exec.Command("id", "-G", "nobody").Output()
		if err != nil {
			t.Fatal(err)
		}
		got := output(t, r, &Command{Args: []string{"id", "-G"}, User: nobody, Dir: "/"})
		if got != strings.TrimSpace(string(want)) {
			t.Errorf("nobody's groups: %q, want %q", got, want)
		}
		secret := t.TempDir()
		if err := os.Chmod(secret, 0o700); err != nil {
			t.Fatal(err)
		}
		// The directory is entered as the user.
		_, err = r.Start(&Command{Args: []string{"/bin/true"}, User: nobody, Dir: secret})
		if want := fmt.Sprintf("cannot change to directory %q: permission denied", secret); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v", err)
		}
	})
}

func TestOurOwnUserNeedsNoPrivilege(t *testing.T) {
	// setgroups(2) is denied in this world.
	world{}.in(t, func(t *testing.T, r *Reaper) {
		own := &User{UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
		groups, err := os.Getgroups()
		if err != nil {
			t.Fatal(err)
		}
		for _, gid := range groups {
			own.Groups = append(own.Groups, uint32(gid))
		}
		c := shell("exit 9")
		c.User = own
		if status := collect(t, r, start(t, r, c)); status != 9<<8 {
			t.Errorf("status %#x", uint32(status))
		}
	})
}
