package recipes

import (
	"path/filepath"
	"testing"
	"time"
)

// The sidecars that keep the pod of a job alive, and how each wants to be told
// that the job is done.
var sidecars = map[string]sidecar{
	"Istio":           {"127.0.0.1:15020", "/quitquitquit"},
	"Linkerd":         {"127.0.0.1:4191", "/shutdown"},
	"Cloud SQL Proxy": {"127.0.0.1:9091", "/quitquitquit"},
}

type sidecar struct{ address, path string }

func (s sidecar) begin(t *testing.T, pod *network, init []string) *space {
	t.Helper()
	beside := begin(t, options{network: pod}, append(init, part(t), "sidecar", s.address, s.path)...)
	beside.Out.await("sidecar: serving", 1)
	return beside
}

// When the app of a job ends by itself, whatever its code, nobody tells the
// other containers of its pod but the post-stop hook.
func TestSidecarIsToldToGoWhenTheJobIsDone(t *testing.T) {
	t.Parallel()
	need(t)
	each(t, sidecars, func(t *testing.T, s sidecar) {
		pod := newNetwork(t)
		beside := s.begin(t, pod, stopping("10s"))
		path := filepath.Join(t.TempDir(), "report")
		job := begin(t, options{network: pod}, append(stopping("10s", "--report", path,
			"--post-stop", "POST http://"+s.address+s.path), part(t), "work", "3")...)
		if code := job.wait(bound); code != 3 {
			t.Errorf("the job's exit code is %d, want its own, 3", code)
		}
		if code := beside.wait(bound); code != 0 {
			t.Errorf("the sidecar's exit code is %d, want its own, 0", code)
		}
		if after := beside.ended.Sub(job.ended); after > 2*time.Second {
			t.Errorf("the sidecar went %v after the job", after)
		}
		if r := readReport(t, path); r.Reason != "exit" || len(r.Hooks) != 1 || r.Hooks[0].Err != "" {
			t.Errorf("not an end by itself with one hook: %+v", r)
		}
	})
}

// The control: the job is done, and its pod goes on.
func TestSidecarStaysWhenTheJobIsDoneUnderTini(t *testing.T) {
	t.Parallel()
	need(t, "tini")
	pod := newNetwork(t)
	beside := sidecars["Istio"].begin(t, pod, tini)
	if code := begin(t, options{network: pod}, append(tini, part(t), "work", "3")...).wait(bound); code != 3 {
		t.Fatalf("the job's exit code is %d", code)
	}
	select {
	case <-beside.over:
		t.Error("the sidecar is gone: the test above proves nothing any more")
	case <-time.After(2 * time.Second):
	}
}
