package platform

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestEachPlatformIsKnownByItsSigns also holds the order: a container may show
// the signs of what its platform is built on.
func TestEachPlatformIsKnownByItsSigns(t *testing.T) {
	for _, c := range []struct {
		env, files string
		want       Platform
	}{
		{"", "", Platform{Grace: 10 * time.Second}},
		{"KUBERNETES_SERVICE_HOST=10.0.0.1", "", Platform{Name: "kubernetes", Grace: 30 * time.Second}},
		{"", "/var/run/secrets/kubernetes.io/serviceaccount/token", Platform{Name: "kubernetes", Grace: 30 * time.Second}},
		{"K_SERVICE=web K_REVISION=web-1 KUBERNETES_SERVICE_HOST=10.0.0.1", "", Platform{Name: "kubernetes", Grace: 30 * time.Second}}, // Knative
		{"K_SERVICE=web K_REVISION=web-1", "", Platform{Name: "cloud run", Grace: 10 * time.Second}},
		{"CLOUD_RUN_JOB=import CLOUD_RUN_EXECUTION=import-1", "", Platform{Name: "cloud run", Grace: 10 * time.Second}},
		{"CONTAINER_APP_NAME=web CONTAINER_APP_REVISION=web--1 KUBERNETES_SERVICE_HOST=10.0.0.1", "", Platform{Name: "azure container apps", Grace: 30 * time.Second}},
		{"ECS_CONTAINER_METADATA_URI_V4=http://169.254.170.2/v4/1", "/.dockerenv", Platform{Name: "ecs", Grace: 30 * time.Second}},
		{"ECS_CONTAINER_METADATA_URI=http://169.254.170.2/v3/1", "/.dockerenv", Platform{Name: "ecs", Grace: 30 * time.Second}},
		{"AWS_LAMBDA_RUNTIME_API=127.0.0.1:9001", "", Platform{Name: "lambda", Grace: 300 * time.Millisecond}},
		{"WEBSITE_SITE_NAME=web WEBSITE_INSTANCE_ID=1", "/.dockerenv", Platform{Name: "app service", Grace: 5 * time.Second}},
		{"FLY_APP_NAME=web FLY_MACHINE_ID=1", "", Platform{Name: "fly", Grace: 5 * time.Second}},
		{"NOMAD_ALLOC_ID=1", "/.dockerenv", Platform{Name: "nomad", Grace: 5 * time.Second}},
		{"DYNO=web.1", "", Platform{Name: "heroku", Grace: 30 * time.Second}},
		{"RENDER=true", "/.dockerenv", Platform{Name: "render", Grace: 30 * time.Second}},
		{"RENDER=opengl", "/.dockerenv", Platform{Name: "docker", Grace: 10 * time.Second}},
		{"VCAP_APPLICATION={}", "", Platform{Name: "cloud foundry", Grace: 10 * time.Second}},
		{"container=podman", "", Platform{Name: "podman", Grace: 10 * time.Second}},
		{"", "/run/.containerenv", Platform{Name: "podman", Grace: 10 * time.Second}},
		{"", "/.dockerenv", Platform{Name: "docker", Grace: 10 * time.Second}},
		{"RAILWAY_PROJECT_ID=1 RAILWAY_SERVICE_ID=2", "", Platform{Name: "railway", Grace: 3 * time.Second}},
		{"KUBERNETES_SERVICE_HOST=10.0.0.1 RAILWAY_DEPLOYMENT_DRAINING_SECONDS=45", "",
			Platform{Name: "railway", Grace: 45 * time.Second, Variable: "RAILWAY_DEPLOYMENT_DRAINING_SECONDS"}},
		// One of two signs, an empty one, and of two entries not the first.
		{"K_SERVICE=web", "", Platform{Grace: 10 * time.Second}},
		{"KUBERNETES_SERVICE_HOST= DYNO", "", Platform{Grace: 10 * time.Second}},
		{"DYNO= DYNO=web.1", "", Platform{Grace: 10 * time.Second}},
		{"XDYNO=1 DYNOX=1", "", Platform{Grace: 10 * time.Second}},
	} {
		root := t.TempDir()
		for file := range strings.FieldsSeq(c.files) {
			if err := os.MkdirAll(filepath.Dir(root+file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(root+file, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := detect(root, strings.Fields(c.env)); got != c.want {
			t.Errorf("variables %q, files %q: %+v, want %+v", c.env, c.files, got, c.want)
		}
	}
}

// A platform's variable arms a KILL: what is not a plain number of seconds does
// not.
func TestADrainingTimeThatIsNoneIsTheDefault(t *testing.T) {
	want := Platform{Name: "railway", Grace: 3 * time.Second}
	for _, value := range []string{"", "0", "-5", "1.5", "30s", "soon", "1e3", " 30", "99999999"} {
		env := []string{draining + "=" + value, "RAILWAY_PROJECT_ID=1", "RAILWAY_SERVICE_ID=2"}
		if got := detect(t.TempDir(), env); got != want {
			t.Errorf("%q: %+v, want %+v", value, got, want)
		}
	}
}

func TestTerminalTellsAPtyFromAPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if Terminal(int(r.Fd())) || Terminal(-1) {
		t.Error("a pipe or no descriptor at all passes for a terminal")
	}
	pty, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no pty here: %v", err)
	}
	defer unix.Close(pty)
	if !Terminal(pty) {
		t.Error("a pty does not pass for a terminal")
	}
}
