package ring

import (
	"syscall"
	"testing"
	"unsafe"

	iouring_syscall "github.com/iceber/iouring-go/syscall"
	"github.com/stretchr/testify/require"
)

// A ring does what it is for, and nothing else that the kernel could do.
func TestRestricted(t *testing.T) {
	r := open(t, Options{Entries: 8})
	for code, row := range operations {
		if !row.foreign {
			continue
		}
		c, err := r.perform(func(e *SQE) {
			e.entry().Opcode = uint8(code)
			e.SetUserData(trialData)
		})
		require.NoError(t, err)
		require.Contains(t, []syscall.Errno{syscall.EACCES, syscall.EINVAL}, syscall.Errno(-c.Result()), row.name) // EINVAL: unknown to this kernel
		if row.name == "EPOLL_CTL" {
			require.Equal(t, syscall.EACCES, syscall.Errno(-c.Result()))
		}
	}
	c, err := r.perform(func(e *SQE) {
		e.PrepNop()
		e.SetUserData(trialData)
	})
	require.NoError(t, err)
	require.Zero(t, c.Result())
	var fd int32
	_, err = register(r.fd, uint32(iouring_syscall.IORING_REGISTER_EVENTFD), unsafe.Pointer(&fd), 1)
	require.ErrorIs(t, err, syscall.EACCES)
}
