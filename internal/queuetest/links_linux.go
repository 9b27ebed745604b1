package queuetest

import (
	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// refusing is an address where nobody listens, and nobody else will as long as
// the case runs.
func (h *harness) refusing() *unix.SockaddrInet4 {
	fd := h.socket()
	require.NoError(h, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	sa, err := unix.Getsockname(fd)
	require.NoError(h, err)
	return sa.(*unix.SockaddrInet4)
}

// sealed is a file that may not grow.
func (h *harness) sealed() int {
	fd, err := unix.MemfdCreate("sealed", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	require.NoError(h, err)
	h.owned(fd)
	_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_GROW)
	require.NoError(h, err)
	return fd
}

// eachOperation has a case look at the operations that this kernel has, and the
// fallback always.
func (h *harness) eachOperation(look func(row *operation)) {
	_, err := h.tryArea(64)
	for i := range operations {
		row := &operations[i]
		if row.area {
			if err != nil {
				h.Logf("without %v: %v", row.op, err)
				continue
			}
			look(row)
			continue
		}
		if _, kernel := h.Queue.(*ring.Ring); kernel && !row.isOn(h.kernel) {
			h.Logf("Linux %s lacks %v %s", h.kernel.Kernel, row.op, row.needs)
			continue
		}
		look(row)
	}
}

// follows is what comes of an entry that is linked to one that has failed.
func follows(op ring.Op) error {
	if op.BreaksLink() {
		return unix.ECANCELED
	}
	return nil
}

var brokenLinks = []testCase{
	{"every operation succeeds, and what is linked to it runs", func(h *harness) {
		h.eachOperation(func(row *operation) {
			clear(h.objects) // what others have left changed
			r, _ := h.request(row, first)
			h.entry(1, r.prepare).SetFlags(ring.SQEHardLink)
			h.entry(2, (*ring.SQE).PrepNop)
			h.performed(row, 1, r)
			h.result(2)
		})
	}},
	{"which failures break a link, and which do not", func(h *harness) {
		h.eachOperation(func(row *operation) {
			if row.fails == nil {
				return
			}
			h.entry(1, row.fails(h)).SetFlags(ring.SQELink)
			h.entry(2, (*ring.SQE).PrepNop).SetFlags(ring.SQELink)
			h.entry(3, (*ring.SQE).PrepNop)
			require.Equal(h, error(row.errno), errnoOf(h.result(1)), "%v", row.op)
			require.Equal(h, follows(row.op), errnoOf(h.result(2)), "behind %v", row.op)
			require.Equal(h, follows(row.op), errnoOf(h.result(3)), "behind %v", row.op)
		})
	}},
	{"no failure breaks a hard link", func(h *harness) {
		h.eachOperation(func(row *operation) {
			if row.fails == nil {
				return
			}
			h.entry(1, row.fails(h)).SetFlags(ring.SQEHardLink)
			h.entry(2, (*ring.SQE).PrepNop)
			require.Equal(h, error(row.errno), errnoOf(h.result(1)), "%v", row.op)
			require.NoError(h, errnoOf(h.result(2)), "behind %v", row.op)
		})
	}},
	{"a descriptor that is none breaks every link, but that of names other than an open", func(h *harness) {
		h.eachOperation(func(row *operation) {
			if row.on == nil {
				return
			}
			r := row.entry(h, noDescriptor, first)
			h.entry(1, r.prepare).SetFlags(ring.SQELink)
			h.entry(2, (*ring.SQE).PrepNop)
			c := h.result(1)
			require.Equal(h, error(unix.EBADF), errnoOf(c), "%v", row.op)
			if c.More() {
				h.final(1, 0) // the notification
			}
			want := error(unix.ECANCELED)
			if row.on.names {
				want = follows(row.op)
			}
			require.Equal(h, want, errnoOf(h.result(2)), "behind %v", row.op)
		})
	}},
	{"closing the queue closes what every operation brought", func(h *harness) {
		h.eachOperation(func(row *operation) {
			r, _ := h.request(row, first)
			h.entry(uint64(row.op), r.prepare)
		})
		require.NoError(h, h.Enter(0))
		// run closes the queue and then counts descriptors.
	}},
}
