package reaper

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// LookupUser reads user[:group], each a name or a number, against /etc/passwd
// and /etc/group. It gives what gosu(1) and docker run --user give: a user
// without group has the passwd entry's group and the groups that list it as a
// member; a group named leaves no supplementary ones; a number needs no entry
// and has then our own group and the home "/"; an empty user is our own. It
// reads the files at each call and blocks for that.
func LookupUser(spec string) (*User, error) {
	return lookupUser(spec, "/etc/passwd", "/etc/group")
}

func lookupUser(spec, passwd, group string) (*User, error) {
	name, groupName, _ := strings.Cut(spec, ":")
	if name == "" {
		name = strconv.Itoa(os.Getuid())
	}
	u, err := lookupPasswd(name, passwd)
	if err != nil {
		return nil, fmt.Errorf("cannot find user %q: %w", name, err)
	}
	if groupName != "" {
		u.GID, err = lookupGroup(groupName, group)
		if err != nil {
			return nil, fmt.Errorf("cannot find group %q: %w", groupName, err)
		}
		return u, nil
	}
	if u.Name != "" {
		err = eachLine(group, 4, func(fields []string) {
			gid, err := parseID(fields[2])
			if err == nil && slices.Contains(strings.Split(fields[3], ","), u.Name) {
				u.Groups = append(u.Groups, gid)
			}
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("cannot find the groups of user %q: %w", name, err)
		}
	}
	return u, nil
}

// lookupPasswd finds a user by name or number.
func lookupPasswd(name, passwd string) (*User, error) {
	uid, notNumber := parseID(name)
	var found *User
	err := eachLine(passwd, 6, func(fields []string) {
		id, err := parseID(fields[2])
		gid, err2 := parseID(fields[3])
		if found == nil && err == nil && err2 == nil && (fields[0] == name || notNumber == nil && id == uid) {
			found = &User{UID: id, GID: gid, Name: fields[0], Home: fields[5]}
		}
	})
	switch {
	case found != nil:
		if found.Home == "" {
			found.Home = "/"
		}
		return found, nil
	case notNumber == nil:
		return &User{UID: uid, GID: uint32(os.Getgid()), Home: "/"}, nil
	case err != nil:
		return nil, fmt.Errorf("%w (a number needs no entry, as in 1000:1000)", err)
	}
	return nil, fmt.Errorf("not in %s (a number needs no entry, as in 1000:1000)", passwd)
}

// lookupGroup finds a group's number by name or number.
func lookupGroup(name, group string) (uint32, error) {
	if gid, err := parseID(name); err == nil {
		return gid, nil
	}
	var gid uint32
	found := false
	err := eachLine(group, 3, func(fields []string) {
		if id, err := parseID(fields[2]); err == nil && !found && fields[0] == name {
			gid, found = id, true
		}
	})
	switch {
	case found:
		return gid, nil
	case err != nil:
		return 0, fmt.Errorf("%w (a number needs no entry)", err)
	}
	return 0, fmt.Errorf("not in %s (a number needs no entry)", group)
}

// parseID reads a uid or gid. The largest number means "no change" to the
// kernel (setreuid(2)) and is nobody's.
func parseID(s string) (uint32, error) {
	id, err := strconv.ParseUint(s, 10, 32)
	if err == nil && id == 1<<32-1 {
		err = strconv.ErrRange
	}
	return uint32(id), err
}

// eachLine calls do with the fields of each line of a passwd(5) or group(5)
// file that has at least n of them.
func eachLine(path string, n int, do func(fields []string)) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20) // a group may have many members
	for lines.Scan() {
		if fields := strings.Split(strings.TrimSpace(lines.Text()), ":"); len(fields) >= n {
			do(fields)
		}
	}
	return lines.Err()
}

// Environ returns env with HOME, USER and LOGNAME of the user; without a name
// (a number that has no passwd entry) USER and LOGNAME are removed. env is not
// changed. A nil User returns env itself.
func (u *User) Environ(env []string) []string {
	if u == nil {
		return env
	}
	env = slices.DeleteFunc(slices.Clone(env), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return name == "HOME" || name == "USER" || name == "LOGNAME"
	})
	env = append(env, "HOME="+u.Home)
	if u.Name != "" {
		env = append(env, "USER="+u.Name, "LOGNAME="+u.Name)
	}
	return env
}

// credential is what has to be changed to become u. Changing to our own ids
// needs no privilege; groups that we have already are left alone, since
// setting them does.
func (u *User) credential() *credential {
	if u == nil {
		return nil
	}
	// The group itself counts whether or not it is listed among the others.
	wanted := map[uint32]bool{u.GID: true}
	for _, gid := range u.Groups {
		wanted[gid] = true
	}
	current, err := syscall.Getgroups()
	has := map[uint32]bool{u.GID: true}
	for _, gid := range current {
		has[uint32(gid)] = true
	}
	setGroups := err != nil || len(has) != len(wanted)
	for gid := range has {
		setGroups = setGroups || !wanted[gid]
	}
	return &credential{setGroups: setGroups, groups: u.Groups, uid: uintptr(u.UID), gid: uintptr(u.GID)}
}
