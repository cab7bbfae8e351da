package platform

import (
	"os"
	"path/filepath"
	"testing"
)

// Two killed, in the words of each version. "oom 5" counts how often memory
// was short, not who was killed.
const (
	eventsFile  = "low 0\nhigh 0\nmax 9\noom 5\noom_kill 2\noom_group_kill 0\n"
	controlFile = "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"
)

func TestOOMKillsAreFoundWhereverTheCgroupIsMounted(t *testing.T) {
	const cgroupFile, mountsFile = "/proc/self/cgroup", "/proc/self/mountinfo"
	for name, c := range map[string]struct {
		files map[string]string
		kills int
		own   bool
	}{
		"version 2, cgroup namespace of its own": {map[string]string{
			cgroupFile:                     "0::/\n",
			mountsFile:                     "21 20 0:19 / /proc rw - proc proc rw\n30 20 0:25 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw,nsdelegate\n",
			"/sys/fs/cgroup/memory.events": eventsFile,
		}, 2, true},
		"version 2, the host's namespace": {map[string]string{
			cgroupFile: "0::/kubepods/pod1/2\n",
			mountsFile: "30 20 0:25 / /sys/fs/cgroup ro shared:4 - cgroup2 cgroup rw\n",
			"/sys/fs/cgroup/kubepods/pod1/2/memory.events": eventsFile,
			"/sys/fs/cgroup/memory.events":                 "oom_kill 7\n", // somebody else's
		}, 2, false},
		"version 1, mounted as Docker does": {map[string]string{
			cgroupFile: "5:cpu,cpuacct:/docker/1f\n4:memory:/docker/1f\n0::/docker/1f\n",
			mountsFile: "31 30 0:26 /docker/1f /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n" +
				"32 30 0:27 /docker/1f /sys/fs/cgroup/memory ro master:9 - cgroup cgroup rw,memory\n" +
				"33 30 0:28 /docker/1f /sys/fs/cgroup/unified ro - cgroup2 cgroup rw\n",
			"/sys/fs/cgroup/memory/memory.oom_control": controlFile,
		}, 2, true},
		"version 1, on the machine itself": {map[string]string{
			cgroupFile: "4:memory,hugetlb:/user.slice/a:b\n1:name=systemd:/\n",
			mountsFile: "32 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory,hugetlb\n",
			"/sys/fs/cgroup/memory/user.slice/a:b/memory.oom_control": controlFile,
			"/sys/fs/cgroup/memory/memory.oom_control":                "oom_kill 7\n",
		}, 2, false},
		"a mount from outside the namespace": {map[string]string{
			cgroupFile:                     "0::/\n",
			mountsFile:                     "30 20 0:25 /../../pod1 /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
			"/sys/fs/cgroup/memory.events": eventsFile,
		}, 2, false},
		"one mount from outside the namespace, one from inside": {map[string]string{
			cgroupFile:                     "0::/\n",
			mountsFile:                     "30 20 0:25 /../../pod1 /sys/fs/cgroup ro - cgroup2 cgroup rw\n31 20 0:25 / /cgroup ro - cgroup2 cgroup rw\n",
			"/sys/fs/cgroup/memory.events": "oom_kill 7\n",
			"/cgroup/memory.events":        eventsFile,
		}, 2, true},
		"a path that only begins like the mount's": {map[string]string{
			cgroupFile:                     "0::/pod10\n",
			mountsFile:                     "30 20 0:25 /pod1 /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
			"/sys/fs/cgroup/memory.events": eventsFile,
		}, 2, false},
		"version 2 without /proc":  {map[string]string{"/sys/fs/cgroup/memory.events": eventsFile}, 2, false},
		"version 1 without /proc":  {map[string]string{"/sys/fs/cgroup/memory/memory.oom_control": controlFile}, 2, false},
		"a kernel before 4.13":     {map[string]string{"/sys/fs/cgroup/memory.events": "low 0\nhigh 0\nmax 9\noom 5\n"}, 0, false},
		"nonsense for a number":    {map[string]string{"/sys/fs/cgroup/memory.events": "oom_kill many\n"}, 0, false},
		"nonsense for /proc":       {map[string]string{cgroupFile: "\n:\n0:\n4:memory\n", mountsFile: "- \n1 2 3 4 5\n - cgroup2\n\n"}, 0, false},
		"nothing is mounted":       {map[string]string{cgroupFile: "0::/\n", mountsFile: ""}, 0, false},
		"there is nothing to read": {nil, 0, false},
	} {
		root := t.TempDir()
		for path, text := range c.files {
			if err := os.MkdirAll(filepath.Dir(root+path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(root+path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if kills, own := oomKills(root); kills != c.kills || own != c.own {
			t.Errorf("%s: %d, own %v, want %d, %v", name, kills, own, c.kills, c.own)
		}
	}
}

func BenchmarkOOMKills(b *testing.B) {
	for b.Loop() {
		OOMKills()
	}
}
