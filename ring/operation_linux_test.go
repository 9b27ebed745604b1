package ring

import (
	"testing"

	iouring_syscall "github.com/iceber/iouring-go/syscall"
	"github.com/stretchr/testify/require"
)

// TestOperationCodes compares with the codes that iouring-go has.
func TestOperationCodes(t *testing.T) {
	for op, code := range map[Op]uint8{
		OpNop: iouring_syscall.IORING_OP_NOP, OpSendmsg: iouring_syscall.IORING_OP_SENDMSG, OpAccept: iouring_syscall.IORING_OP_ACCEPT,
		OpOpenat: iouring_syscall.IORING_OP_OPENAT, OpStatx: iouring_syscall.IORING_OP_STATX, OpRecv: iouring_syscall.IORING_OP_RECV,
		OpSplice: iouring_syscall.IORING_OP_SPLICE, OpTee: iouring_syscall.IORING_OP_TEE, OpLinkat: iouring_syscall.IORING_OP_LINKAT,
		OpSocket: iouring_syscall.IORING_OP_SOCKET, OpSendZC: iouring_syscall.IORING_OP_SEND_ZC,
	} {
		require.Equal(t, code, uint8(op), "%v", op)
	}
}

// IsForeign reports whether no queue performs the operation.
func IsForeign(op Op) bool { return op.row().foreign }
