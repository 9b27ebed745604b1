//go:build !linux

package simulation

import (
	"net/netip"
	"syscall"

	"github.com/goproactor/goproactor/internal/queueabi"
)

// No runtime starts on this system. These are for the compiler.

type handle struct {
	fd    int
	inet6 bool
}

type about struct {
	kind          kind
	local, remote netip.AddrPort
}

func identify(int) (h handle, a about, errno syscall.Errno) { return h, a, syscall.EOPNOTSUPP }

func (h handle) exists() bool                          { return false }
func (h handle) close()                                {}
func (h handle) names() (local, remote netip.AddrPort) { return local, remote }
func (h handle) isReset() bool                         { return false }
func (h handle) isListening() bool                     { return false }
func (h handle) connect([]byte) syscall.Errno          { return syscall.EOPNOTSUPP }
func (h handle) accept() (accepted handle, from netip.AddrPort, ok bool) {
	return accepted, from, false
}
func anyReady([]int) bool                { return false }
func (h handle) bytesPast() int          { return 0 }
func syscallClose(int) syscall.Errno     { return syscall.EOPNOTSUPP }
func isEvent(int) bool                   { return false }
func readEvent(int, []byte) bool         { return false }
func socketOption(*queueabi.Entry) int32 { return -int32(syscall.EOPNOTSUPP) }
