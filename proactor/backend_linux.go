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
		open: func(loop int) (ring.Queue, error) { return ring.OpenMasked(o.ringOptions(loop), o.masked) },
	}
	epoll := candidate{
		info: BackendInfo{Backend: Epoll, Kernel: kernel},
		open: func(int) (ring.Queue, error) {
			return epollfallback.Open(epollfallback.Options{Entries: o.entries, Workers: uint32(o.fileWorkers)})
		},
	}
	if o.backend == Epoll {
		return []candidate{epoll}, nil
	}
	report := ring.ProbeFor(o.ringOptions(0), o.masked)
	err := o.requireRing(report)
	uring.info.Features = report.SetupFlagsOf(o.ringOptions(0))
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

// ringOptions are those of a loop's ring.
func (o *options) ringOptions(loop int) ring.Options {
	return ring.Options{Entries: o.entries, SubmissionThread: o.submission.of(loop)}
}

// requireRing returns an error if the kernel lacks what a ring of these options needs.
func (o *options) requireRing(kernel ring.Report) error {
	if o.submission.idle == 0 {
		return kernel.Require()
	}
	return kernel.RequireFeature(ring.FeatureSubmissionThread)
}
