package proactor

import (
	"github.com/goproactor/goproactor/epollfallback"
	"github.com/goproactor/goproactor/ring"
)

// chooseBackend is the one place that knows which backends there are. It opens
// nothing for keeps: each loop opens its own queue with the function returned.
func chooseBackend(o *options) (func() (ring.Queue, error), BackendInfo, error) {
	info := BackendInfo{Backend: o.backend, Kernel: ring.KernelRelease()}
	uring := func() (ring.Queue, error) { return ring.Open(ring.Options{Entries: o.entries}) }
	epoll := func() (ring.Queue, error) {
		return epollfallback.Open(epollfallback.Options{Entries: o.entries})
	}
	if o.backend == Epoll {
		return epoll, info, nil
	}
	report := ring.Probe()
	err := report.Require()
	if err == nil {
		info.Backend, info.Features = IOUring, report.SetupFlags()
		return uring, info, nil
	}
	if o.backend == IOUring {
		return nil, info, err
	}
	info.Backend, info.Reason = Epoll, err.Error()
	return epoll, info, nil
}
