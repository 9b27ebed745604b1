//go:build !linux

package sockets

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// What Linux has and this system is not used for.
const (
	AcceptFlags  = 0
	PipeFlags    = 0
	ShutdownRead = 0
	ShutdownBoth = 2
)

// Packet is a socket for messages.
type Packet struct {
	FD, Family         int
	Headers, Connected bool
	Local, Remote      net.Addr
}

// The rest exists on Linux only.

func Listen(string, string, int, int) ([]int, net.Addr, error) {
	return nil, nil, errors.ErrUnsupported
}

func ListenPacket(string, string, *PacketOptions) (*Packet, error) {
	return nil, errors.ErrUnsupported
}

func DialPacket(string, PacketAddress, *PacketOptions) (*Packet, error) {
	return nil, errors.ErrUnsupported
}

func PrepareDial(net.Addr, net.Addr, *Address) (int, error) { return -1, errors.ErrUnsupported }
func Unconnected(string, string) (int, *Address, error) {
	return -1, nil, errors.ErrUnsupported
}
func ConnectedToItself(int, net.Addr) bool { return false }

func ListenError(_ string, _ net.Addr, err error) error  { return err }
func NamesOf(int) Names                                  { return Names{} }
func ShareBound(int) error                               { return errors.ErrUnsupported }
func JoinGroup(int, netip.Addr, int) error               { return errors.ErrUnsupported }
func LeaveGroup(int, netip.Addr, int) error              { return errors.ErrUnsupported }
func SetMulticastInterface(int, int, int) error          { return errors.ErrUnsupported }
func SetMulticastLoopback(int, int, bool) error          { return errors.ErrUnsupported }
func Adopt(int) (string, error)                          { return "", errors.ErrUnsupported }
func Duplicate(syscall.Conn) (int, error)                { return -1, errors.ErrUnsupported }
func DuplicateNumber(int) (int, error)                   { return -1, errors.ErrUnsupported }
func SetBlocking(int, bool) bool                         { return false }
func Pipe() ([2]int, error)                              { return [2]int{}, errors.ErrUnsupported }
func Pair(string) ([2]int, error)                        { return [2]int{}, errors.ErrUnsupported }
func PeerCredentials(int) (pid, uid, gid int, err error) { return 0, 0, 0, errors.ErrUnsupported }
func EncodeRights([]int) []byte                          { return nil }
func RightsSpace(int) int                                { return 0 }
func RemoveFile(string)                                  {}
func Close(int)                                          {}
func CloseAll([]int)                                     {}
func Reset(int)                                          {}
func StopListening(int)                                  {}
func MessagesEnded(int) bool                             { return true }

func SetNoDelay(int, bool) error                         { return errors.ErrUnsupported }
func SetReadBuffer(int, int) error                       { return errors.ErrUnsupported }
func SetWriteBuffer(int, int) error                      { return errors.ErrUnsupported }
func SetLinger(int, int) error                           { return errors.ErrUnsupported }
func SetKeepAlive(int, net.KeepAliveConfig) error        { return errors.ErrUnsupported }
func SetKeepAliveIdle(int, time.Duration) error          { return errors.ErrUnsupported }
func NetConn(int) (net.Conn, error)                      { return nil, errors.ErrUnsupported }
func NetPacketConn(int) (net.PacketConn, error)          { return nil, errors.ErrUnsupported }
func NetListener(int) (net.Listener, error)              { return nil, errors.ErrUnsupported }
func JoinListeners([]net.Listener) (net.Listener, error) { return nil, errors.ErrUnsupported }
func File(int, string) (*os.File, error)                 { return nil, errors.ErrUnsupported }
func Listening(int) (string, net.Addr, error)            { return "", nil, errors.ErrUnsupported }
func Listens(int) bool                                   { return false }
func SetTCPOptions(int) error                            { return errors.ErrUnsupported }
func AdoptPacket(int, *PacketOptions) (*Packet, error)   { return nil, errors.ErrUnsupported }
func (p *Packet) Network() string                        { return "" }
func WithoutBlocking(_ int, use func())                  { use() }
func IsPacket(int) bool                                  { return false }
func CloseOnExec(int)                                    {}

func SizedPipe(int) (int, int, int, error) { return -1, -1, 0, errors.ErrUnsupported }

func WritePipe(int, []byte) (int, error) { return 0, errors.ErrUnsupported }

func Splice(int, int, int) (int, syscall.Errno) { return 0, syscall.EINVAL }

func SpliceToSocket(int, int, int) (int, syscall.Errno) { return 0, syscall.EINVAL }

func Cached(int, int64, int64) bool { return false }

func RestOfFile(int) (at, left int64) { return 0, 0 }

func SendFile(int, int, int64, int) (int, syscall.Errno) { return 0, syscall.EINVAL }
