package e2e

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// No registry is asked for an image. Debian's comes from Debian's packages,
// the builder's is that with this machine's Go and the modules of this
// repository. Both are cached, and only where a real one is missing do they
// take its name.

// docker runs the docker command and returns what it printed.
func docker(t *testing.T, arguments ...string) string {
	t.Helper()
	output, err := exec.Command("docker", arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %q: %v\n%s", arguments, err, output)
	}
	return strings.TrimSpace(string(output))
}

func needDocker(t *testing.T) {
	t.Helper()
	need(t, "docker")
	if output, err := exec.Command("docker", "info").CombinedOutput(); err != nil {
		lack(t, fmt.Sprintf("no container engine answers: %v\n%s", err, output))
	}
}

func haveImage(name string) bool {
	return exec.Command("docker", "image", "inspect", name).Run() == nil
}

const debian = "debian:bookworm-slim"

// Debian's base image, made at most once a machine.
var makeDebian = sync.OnceValue(func() error {
	if haveImage(debian) {
		return nil
	}
	if _, err := exec.LookPath("debootstrap"); err != nil {
		return err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	cache = filepath.Join(cache, "exeunt-e2e")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	archive := filepath.Join(cache, "bookworm-minbase-1.tar")
	if _, err := os.Stat(archive); err != nil {
		root, err := os.MkdirTemp(cache, "root-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(root)
		if err := quiet("debootstrap", "--variant=minbase", "bookworm", root); err != nil {
			return err
		}
		// Device nodes are the engine's business.
		if err := quiet("tar", "-C", root, "-cf", root+".tar", "--exclude=./dev/*",
			"--exclude=./var/cache/apt/archives/*.deb", "--exclude=./var/lib/apt/lists/*", "."); err != nil {
			return err
		}
		// Only what is whole gets the name.
		if err := os.Rename(root+".tar", archive); err != nil {
			return err
		}
	}
	return quiet("docker", "import", archive, debian)
})

const makesBuilder = "FROM " + debian + `
COPY go /usr/local/go
COPY mod /go/pkg/mod
LABEL exeunt-e2e=
ENV PATH=/usr/local/go/bin:/usr/sbin:/usr/bin:/sbin:/bin GOPATH=/go GOPROXY=off GOTOOLCHAIN=local
`

// The image of the first stage of Dockerfile.example: what golang:1.26-bookworm
// is, with every module that the build asks for, since there may be no network.
var makeBuilder = sync.OnceValues(func() (string, error) {
	if err := makeDebian(); err != nil {
		return "", err
	}
	sums, err := os.ReadFile("../go.sum")
	if err != nil {
		return "", err
	}
	version, err := exec.Command("go", "env", "GOVERSION", "GOROOT").Output()
	if err != nil {
		return "", err
	}
	goroot := strings.Fields(string(version))[1]
	tag := fmt.Sprintf("exeunt-e2e-builder:%.16x", sha256.Sum256(append(append(sums, version...), makesBuilder...)))
	if haveImage(tag) {
		return tag, nil
	}
	context, err := os.MkdirTemp("", "exeunt-builder-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(context)
	modules := filepath.Join(context, "mod")
	download := exec.Command("go", "mod", "download")
	download.Dir = ".."
	download.Env = append(os.Environ(), "GOMODCACHE="+modules, "GOFLAGS=-modcacherw")
	if output, err := download.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot fetch the modules: %w\n%s", err, output)
	}
	if err := os.Mkdir(filepath.Join(context, "go"), 0o755); err != nil {
		return "", err
	}
	for _, part := range []string{"bin", "lib", "pkg", "src", "go.env", "VERSION"} {
		if err := quiet("cp", "-a", filepath.Join(goroot, part), filepath.Join(context, "go")); err != nil {
			return "", err
		}
	}
	if err := os.WriteFile(filepath.Join(context, "Dockerfile"), []byte(makesBuilder), 0o644); err != nil {
		return "", err
	}
	return tag, quiet("docker", "build", "-q", "-t", tag, context)
})

// buildExample builds a stage of Dockerfile.example, or all, from this
// repository as it is.
func buildExample(tag string, arguments ...string) (string, error) {
	builder, err := makeBuilder()
	if err != nil {
		return "", err
	}
	tag = "exeunt-e2e-example:" + tag
	return tag, quiet("docker", append([]string{"build", "--force-rm", "--network", "none", "-f", "../Dockerfile.example", "-t", tag,
		"--label", "exeunt-e2e", "--build-arg", "BUILDER=" + builder}, append(arguments, "..")...)...)
}

// The stage that compiles has a tag, so that it is kept as a cache, and what
// it was before can go.
var makeStage = sync.OnceValue(func() error {
	if _, err := buildExample("build", "--target", "build"); err != nil {
		return err
	}
	return quiet("docker", "image", "prune", "-f", "--filter", "label=exeunt-e2e")
})

// The images of Dockerfile.example, by their BASE.
var makeExample = map[string]func() (string, error){
	"scratch": sync.OnceValues(func() (string, error) { return buildFrom("scratch") }),
	debian:    sync.OnceValues(func() (string, error) { return buildFrom(debian) }),
}

func buildFrom(base string) (string, error) {
	if err := makeStage(); err != nil {
		return "", err
	}
	return buildExample(strings.ReplaceAll(base, ":", "-"), "--build-arg", "BASE="+base)
}

func example(t *testing.T, base string) string {
	t.Helper()
	needDocker(t)
	need(t, "debootstrap")
	tag, err := makeExample[base]()
	if err != nil {
		t.Fatal(err)
	}
	return tag
}

// quiet runs a command whose output matters only if it fails.
func quiet(name string, arguments ...string) error {
	command := exec.Command(name, arguments...)
	output, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %q: %w\n%s", name, arguments, err, output)
	}
	return nil
}
