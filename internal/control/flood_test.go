package control

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// floods are what clients may do that mean no good, or know no better. Each
// returns when the server has had enough of it, at the latest when ctx is done.
var floods = map[string]func(ctx context.Context, conn net.Conn){
	"silent": func(ctx context.Context, conn net.Conn) { <-ctx.Done() },
	"half closed": func(ctx context.Context, conn net.Conn) {
		_ = conn.(*net.UnixConn).CloseWrite()
		<-ctx.Done()
	},
	"slow": func(ctx context.Context, conn net.Conn) {
		every := time.NewTicker(100 * time.Millisecond)
		defer every.Stop()
		for _, c := range []byte("GET /v1/status HTTP/1.1\r\nX: " + strings.Repeat("x", longestHead)) {
			select {
			case <-ctx.Done():
				return
			case <-every.C:
			}
			if _, err := conn.Write([]byte{c}); err != nil {
				return
			}
		}
	},
	"garbage": func(ctx context.Context, conn net.Conn) {
		garbage := make([]byte, 3*longestHead)
		for i := range garbage {
			garbage[i] = byte(rand.Uint32())
		}
		for ctx.Err() == nil {
			if _, err := conn.Write(garbage); err != nil {
				return
			}
		}
	},
	"endless head": func(ctx context.Context, conn net.Conn) {
		_, _ = io.WriteString(conn, "GET /v1/status HTTP/1.1\r\nX: ")
		more := bytes.Repeat([]byte("x"), 64<<10)
		for sent := 0; sent < 1<<30 && ctx.Err() == nil; sent += len(more) {
			if _, err := conn.Write(more); err != nil {
				return
			}
		}
	},
	"nobody reads": func(ctx context.Context, conn net.Conn) {
		_, _ = io.WriteString(conn, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
		<-ctx.Done()
	},
	"gone": func(ctx context.Context, conn net.Conn) {
		_, _ = io.WriteString(conn, "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
	},
}

func TestFloodsNeitherKeepOthersOutNorCostMemory(t *testing.T) {
	for name, flood := range floods {
		t.Run(name, func(t *testing.T) {
			socket := filepath.Join(t.TempDir(), "c.sock")
			s := raise(t, socket, nil)
			for range 200 { // what serving itself costs
				askOnce(t, socket)
			}
			memory, threads := s.status("VmRSS"), s.status("Threads")
			ctx, cancel := context.WithCancel(context.Background())
			var all sync.WaitGroup
			defer all.Wait()
			defer cancel()
			for range 1000 {
				conn := dial(t, "unix", socket)
				all.Go(func() {
					defer conn.Close()
					flood(ctx, conn)
				})
			}
			askQuickly(t, socket)
			// The runtime lets 4 MiB of garbage be.
			if after := s.status("VmRSS"); after > memory+5<<10 && !raceDetector() {
				t.Errorf("memory went from %d to %d KiB", memory, after)
			}
			if after := s.status("Threads"); after > threads {
				t.Errorf("threads went from %d to %d", threads, after)
			}
		})
	}
}

// raceDetector tells that memory is the race detector's.
func raceDetector() bool {
	info, _ := debug.ReadBuildInfo()
	return slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

func TestWithoutDescriptorsTheSilentOnesGo(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "c.sock")
	s := raise(t, socket, nil, "CONTROL_TEST_NOFILE=16") // not enough for all places
	for range 100 {
		dial(t, "unix", socket)
	}
	eventually(t, func() error { // else the test shows nothing
		files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
		if err == nil && len(files) < 15 {
			err = fmt.Errorf("%d descriptors of 16 are open", len(files))
		}
		return err
	})
	askQuickly(t, socket)
}

// askQuickly asks a few times and wants each answer within a second, but for one,
// which a busy machine may have kept.
func askQuickly(t *testing.T, socket string) {
	t.Helper()
	var late []time.Duration
	for range 10 {
		began := time.Now()
		askOnce(t, socket)
		if took := time.Since(began); took > time.Second {
			late = append(late, took)
		}
	}
	if len(late) > 1 {
		t.Errorf("answers took %v", late)
	}
}

func askOnce(t *testing.T, socket string) {
	t.Helper()
	status, _, _ := say(t, dial(t, "unix", socket), "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
	if status != "200 OK" {
		t.Fatal(status)
	}
}
