package recipes

import (
	"context"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A registry is where services say that they are there and callers look for
// them, as with Nacos and Eureka: an instance is there from its first heartbeat
// on, unless it is disabled or deleted.
type registry struct {
	mu       sync.Mutex
	enabled  map[string]bool // by address
	departed time.Time       // when one was first disabled or deleted
}

// openRegistry serves one at 127.0.0.1:8848 of the network.
func openRegistry(n *network) *registry {
	r := &registry{enabled: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /beat/{address}", func(w http.ResponseWriter, request *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if address := request.PathValue("address"); !r.known(address) {
			r.enabled[address] = true
		}
	})
	mux.HandleFunc("PUT /nacos/v1/ns/instance", func(w http.ResponseWriter, request *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		address := net.JoinHostPort(request.FormValue("ip"), request.FormValue("port"))
		if !r.known(address) {
			http.Error(w, "no such instance", http.StatusNotFound)
			return
		}
		r.enabled[address] = request.FormValue("enabled") == "true"
		r.depart()
	})
	mux.HandleFunc("DELETE /eureka/v2/apps/web/{address}", func(w http.ResponseWriter, request *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.enabled, request.PathValue("address"))
		r.depart()
	})
	server := &http.Server{Handler: mux}
	go server.Serve(n.listen("127.0.0.1:8848"))
	n.t.Cleanup(func() { server.Close() })
	return r
}

func (r *registry) known(address string) bool {
	_, known := r.enabled[address]
	return known
}

func (r *registry) depart() {
	if r.departed.IsZero() {
		r.departed = time.Now()
	}
}

// instances are the addresses to be called.
func (r *registry) instances() (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, address := range slices.Sorted(maps.Keys(r.enabled)) {
		if r.enabled[address] {
			all = append(all, address)
		}
	}
	return all
}

// A caller looks into the registry once a second, and calls those that it then
// knew in turn.
type caller struct {
	mu     sync.Mutex
	cached []string
	asked  time.Time
	turn   int
	calls  map[string][]time.Time
}

func (c *caller) next(r *registry) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.asked) > time.Second {
		c.cached, c.asked = r.instances(), now
	}
	c.turn++
	address := c.cached[c.turn%len(c.cached)]
	c.calls[address] = append(c.calls[address], time.Now())
	return address
}

// leave stops the first of two instances under load, with these hooks. It
// returns the losses, the report, when the registry heard of it, and the calls
// that the instance got after that.
func leave(t *testing.T, hooks ...string) (lost int, ways string, r report, departed time.Time, late int) {
	t.Helper()
	need(t)
	n := newNetwork(t)
	reg := openRegistry(n)
	path := filepath.Join(t.TempDir(), "report")
	flags := []string{"--report", path}
	for _, hook := range hooks {
		flags = append(flags, "--pre-stop", hook)
	}
	const leaver, stayer = "127.0.0.1:8081", "127.0.0.1:8082"
	first := begin(t, options{network: n, env: []string{"POD_IP=127.0.0.1"}},
		append(stopping("30s", flags...), part(t), "web", leaver, "http://127.0.0.1:8848/beat/"+leaver)...)
	begin(t, options{network: n}, append(stopping("30s"), part(t), "web", stayer, "http://127.0.0.1:8848/beat/"+stayer)...)
	until(t, "both are in the registry", func() bool { return len(reg.instances()) == 2 })

	c := &caller{calls: map[string][]time.Time{}}
	client := &http.Client{Timeout: bound, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return n.dial(ctx, network, c.next(reg))
		},
	}}
	l := rush(client, "http://web/?for=20ms", 900, 150)
	l.await(75)
	first.send(syscall.SIGTERM)
	lost, ways = l.result()
	if code := first.wait(bound); code != 0 {
		t.Errorf("exit code %d, want the app's own, 0", code)
	}
	reg.mu.Lock()
	departed = reg.departed
	reg.mu.Unlock()
	for _, call := range c.calls[leaver] {
		if !departed.IsZero() && call.After(departed) {
			late++
		}
	}
	return lost, ways, readReport(t, path), departed, late
}

// First it leaves the registry, then it serves those who have not noticed, and
// only then is it told.
func TestServiceThatLeavesItsRegistryFirstLosesNothing(t *testing.T) {
	t.Parallel()
	lost, ways, r, departed, late := leave(t,
		"PUT http://127.0.0.1:8848/nacos/v1/ns/instance?ip=${POD_IP}&port=8081&enabled=false", "sleep:4s")
	if lost > 0 {
		t.Errorf("%d requests are lost: %s", lost, ways)
	}
	if late == 0 {
		t.Error("nobody called it after it had left the registry: nothing is proven")
	}
	if len(r.Hooks) != 2 || r.Hooks[0].Err != "" {
		t.Fatalf("hooks %+v", r.Hooks)
	}
	if told := r.Services[0].Told; departed.Before(r.Began) || told.Sub(departed) < 4*time.Second {
		t.Errorf("asked at %v, left the registry at %v, told at %v: not in this order, or no delay", r.Began, departed, told)
	}
}

// The control.
func TestServiceThatDoesNotLeaveItsRegistryIsCalledInVain(t *testing.T) {
	t.Parallel()
	lost, _, _, departed, _ := leave(t)
	if lost <= 50 || !departed.IsZero() {
		t.Errorf("%d requests are lost: the test above proves nothing any more", lost)
	}
}

// A trap: who is deleted and still sends heartbeats is back with the next one.
// The hook of the first test disables instead.
func TestServiceThatIsDeletedComesBackWithItsHeartbeat(t *testing.T) {
	t.Parallel()
	lost, _, r, departed, late := leave(t, "DELETE http://127.0.0.1:8848/eureka/v2/apps/web/127.0.0.1:8081", "sleep:2s")
	if len(r.Hooks) != 2 || r.Hooks[0].Err != "" || departed.IsZero() {
		t.Fatalf("the deletion went wrong: %+v", r.Hooks)
	}
	if lost <= 50 || late == 0 {
		t.Errorf("%d requests are lost: there is no trap any more", lost)
	}
}
