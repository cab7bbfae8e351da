// Package platform finds out where we run: under which platform with
// which grace period, whether a terminal is at hand, how often memory has run
// out; and where our own binary is.
package platform

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Platform is what runs the container, as far as it concerns the end.
type Platform struct {
	Name  string        // "docker", or "" if none is known
	Grace time.Duration // from its stop signal to its SIGKILL
	// Variable is the platform's own that says Grace. Empty means that Grace is
	// the platform's default, which whoever deploys may have changed.
	Variable string
}

// unknown is the grace period of a platform that is not known: Docker's, and
// the shortest of the common ones, since a guess above the truth ends in a
// SIGKILL before the post-stop hooks.
const unknown = 10 * time.Second

// draining is what Railway gives between TERM and KILL, in seconds; the one
// platform that tells those inside (docs.railway.com, "Deployment Teardown").
const draining = "RAILWAY_DEPLOYMENT_DRAINING_SECONDS"

// platforms are told by what all of their signs say: a variable that is not
// empty, one with a value, or a file. The first counts, so one that is built
// on another comes before it: Knative sets Cloud Run's variables in a pod, and
// the containers of ECS and Nomad are Docker's.
//
// The grace periods are the defaults of each platform's documentation.
var platforms = []struct {
	name  string
	grace time.Duration
	signs []string
}{
	{"railway", 3 * time.Second, []string{"RAILWAY_PROJECT_ID", "RAILWAY_SERVICE_ID"}},
	{"azure container apps", 30 * time.Second, []string{"CONTAINER_APP_NAME", "CONTAINER_APP_REVISION"}},
	{"kubernetes", 30 * time.Second, []string{"KUBERNETES_SERVICE_HOST"}},
	{"cloud run", 10 * time.Second, []string{"K_SERVICE", "K_REVISION"}},
	{"cloud run", 10 * time.Second, []string{"CLOUD_RUN_JOB", "CLOUD_RUN_EXECUTION"}},
	{"lambda", 300 * time.Millisecond, []string{"AWS_LAMBDA_RUNTIME_API"}},
	{"ecs", 30 * time.Second, []string{"ECS_CONTAINER_METADATA_URI_V4"}},
	{"ecs", 30 * time.Second, []string{"ECS_CONTAINER_METADATA_URI"}},
	{"app service", 5 * time.Second, []string{"WEBSITE_SITE_NAME", "WEBSITE_INSTANCE_ID"}},
	{"fly", 5 * time.Second, []string{"FLY_APP_NAME", "FLY_MACHINE_ID"}},
	{"nomad", 5 * time.Second, []string{"NOMAD_ALLOC_ID"}},
	{"heroku", 30 * time.Second, []string{"DYNO"}},
	{"render", 30 * time.Second, []string{"RENDER=true"}},
	{"cloud foundry", 10 * time.Second, []string{"VCAP_APPLICATION"}},
	{"kubernetes", 30 * time.Second, []string{"/var/run/secrets/kubernetes.io/serviceaccount"}},
	{"podman", 10 * time.Second, []string{"/run/.containerenv"}},
	{"podman", 10 * time.Second, []string{"container=podman"}},
	{"docker", 10 * time.Second, []string{"/.dockerenv"}},
}

// Detect tells the platform from the environment and from what is in the root
// file system. It costs at most three stat(2).
func Detect(env []string) Platform { return detect("", env) }

func detect(root string, env []string) Platform {
	shows := func(sign string) bool {
		if sign[0] == '/' {
			_, err := os.Lstat(root + sign)
			return err == nil
		}
		name, want, exact := strings.Cut(sign, "=")
		value := lookup(env, name)
		return value != "" && (!exact || value == want)
	}
	if seconds, err := strconv.ParseUint(lookup(env, draining), 10, 16); err == nil && seconds > 0 {
		return Platform{Name: "railway", Grace: time.Duration(seconds) * time.Second, Variable: draining}
	}
	for _, p := range platforms {
		if !slices.ContainsFunc(p.signs, func(sign string) bool { return !shows(sign) }) {
			return Platform{Name: p.name, Grace: p.grace}
		}
	}
	return Platform{Grace: unknown}
}

// lookup is the value of a variable, of which the first counts, as for
// getenv(3); empty is as good as none.
func lookup(env []string, name string) string {
	for _, entry := range env {
		if key, value, _ := strings.Cut(entry, "="); key == name {
			return value
		}
	}
	return ""
}

// Terminal reports whether the descriptor is a terminal.
func Terminal(fd int) bool {
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err == nil
}
