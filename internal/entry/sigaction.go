//go:build (amd64 || arm64) && !cgo

package entry

import "unsafe"

// From its beginning to our init the runtime asks asked, in assembly, for its
// handlers, by the variable that runtime/cgo sets for the sanitizers
// (runtime/cgo_sigaction.go): it gets all but those of HUP, INT, QUIT and TERM,
// which would end us with exit code 2. They are early's meanwhile.
//
//go:linkname cgoSigaction _cgo_sigaction
var cgoSigaction unsafe.Pointer

func init() {
	cgoSigaction = nil
	if Handlers {
		return
	}
	// For os/signal, which believes that they are there.
	const urg = 23
	if rtSigaction(urg, nil, &before) != 0 {
		return
	}
	for _, sig := range [...]uintptr{1, 2, 3, 15} {
		if runtimes[sig] != 0 {
			rtSigaction(sig, &before, nil)
		}
	}
}
