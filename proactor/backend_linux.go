package proactor

import (
	"github.com/goproactor/goproactor/epollfallback"
	"github.com/goproactor/goproactor/ring"
)

// chooseBackend is the only place that knows which backends exist. It returns those
// to try, the best first. Queues that it opens to find out are closed again: each loop
// opens its own.
func chooseBackend(o *options) ([]candidate, error) {
	kernel := ring.KernelRelease()
	uring := candidate{
		info: BackendInfo{Backend: IOUring, Kernel: kernel},
		open: func() (ring.Queue, error) { return ring.OpenMasked(ring.Options{Entries: o.entries}, o.masked) },
	}
	epoll := candidate{
		info: BackendInfo{Backend: Epoll, Kernel: kernel},
		open: func() (ring.Queue, error) {
			return epollfallback.Open(epollfallback.Options{Entries: o.entries, Workers: uint32(o.fileWorkers)})
		},
	}
	if o.backend == Epoll {
		return []candidate{epoll}, nil
	}
	report := ring.ProbeMasked(o.masked)
	err := report.Require()
	uring.info.Features = report.SetupFlags()
	switch {
	case err == nil && o.backend == IOUring:
		return []candidate{uring}, nil
	case err == nil:
		return []candidate{uring, epoll}, nil
	case o.backend == IOUring:
		return nil, err
	}
	epoll.info.Reason, epoll.refused = err.Error(), err
	return []candidate{epoll}, nil
}
