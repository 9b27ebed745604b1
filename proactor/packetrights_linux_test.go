package proactor_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestPacketRights(t *testing.T) { conform(t, descriptorMessages) }

const rightsSent = 50 // messages with two descriptors each

var descriptorMessages = []behaviour{
	{name: "descriptors that nobody asked for are closed", show: func(t *testing.T, rt *proactor.Runtime) {
		reads := map[string]func(ctx context.Context, c *proactor.PacketConn) error{
			"ReadFrom": func(ctx context.Context, c *proactor.PacketConn) error {
				_, _, err := c.NetPacketConn(ctx).ReadFrom(make([]byte, 10))
				return err
			},
			"ReadMsgUnix without room": func(ctx context.Context, c *proactor.PacketConn) error {
				_, _, _, _, err := c.NetPacketConn(ctx).(readsMsgUnix).ReadMsgUnix(make([]byte, 10), nil)
				return err
			},
			"Recv": func(ctx context.Context, c *proactor.PacketConn) error {
				m, err := c.Recv().Await(ctx)
				m.Release()
				return err
			},
		}
		for name, read := range reads {
			t.Run(name, func(t *testing.T) {
				for _, opts := range [][]proactor.PacketOption{nil, {proactor.WithTimestamps()}} {
					there := openDescriptors(t)
					c, peer := unixgrams(t, rt, opts...)
					sent := sendRights(t, peer)
					require.NoError(t, inTaskOf(t, c, func(ctx context.Context) error {
						for range rightsSent {
							if err := read(ctx, c); err != nil {
								return err
							}
						}
						return nil
					}))
					<-sent
					leftNoDescriptors(t, c, peer, there)
				}
			})
		}
	}},
	{name: "ReadMsgUnix gives descriptors, the others are closed", show: func(t *testing.T, rt *proactor.Runtime) {
		for _, ends := range []string{"Close", "Detach"} {
			there := openDescriptors(t)
			c, peer := unixgrams(t, rt)
			sent := sendRights(t, peer)
			require.NoError(t, inTaskOf(t, c, func(ctx context.Context) error {
				conn := c.NetPacketConn(ctx)
				for i := range rightsSent / 2 {
					if i == 20 {
						for range 3 {
							if _, _, err := conn.ReadFrom(make([]byte, 10)); err != nil {
								return err
							}
						}
					}
					want, oob := 2, make([]byte, 100)
					if i%2 == 1 {
						want, oob = 1, oob[:unix.CmsgLen(4)]
					}
					n, oobn, flags, _, err := conn.(readsMsgUnix).ReadMsgUnix(make([]byte, 10), oob)
					if err != nil {
						return err
					}
					if err := takeRights(oob[:oobn], want); err != nil {
						return fmt.Errorf("message %d: %w", i, err)
					}
					if cut := flags&unix.MSG_CTRUNC != 0; n != 1 || cut != (want == 1) {
						return fmt.Errorf("message %d of %d bytes: flags %x", i, n, flags)
					}
				}
				return nil
			}))
			if ends == "Detach" {
				std, err := c.Detach()
				require.NoError(t, err)
				for range rightsSent - rightsSent/2 - 3 {
					_, _, err := std.ReadFrom(make([]byte, 10))
					require.NoError(t, err)
				}
				require.NoError(t, std.Close())
			}
			closedPacket(t, c)
			peer.Close()
			<-sent
			eventually(t, func() bool { return openDescriptors(t) <= there }, func() string { return "left open" })
		}
	}},
	{name: "a descriptor of the sender's process is its reader's, or closed", show: func(t *testing.T, rt *proactor.Runtime) {
		reads := []struct {
			name  string
			room  int   // for control messages
			want  []int // descriptors, of each control message
			takes func(ctx context.Context, c *proactor.PacketConn, p, oob []byte) (oobn int, err error)
		}{
			{"ReadMsgUnix", 100, []int{unix.SCM_RIGHTS, unix.SCM_PIDFD}, readMsgUnix},
			{"ReadMsgUnix without room for it", unix.CmsgSpace(16) + unix.CmsgSpace(8) + 4, []int{unix.SCM_RIGHTS}, readMsgUnix},
			{"Recv", 0, nil, func(ctx context.Context, c *proactor.PacketConn, p, oob []byte) (int, error) {
				m, err := c.Recv().Await(ctx)
				m.Release()
				return 0, err
			}},
		}
		for _, read := range reads {
			t.Run(read.name, func(t *testing.T) {
				there := openDescriptors(t)
				c, peer := unixgrams(t, rt, proactor.WithTimestamps()) // for which there is room from the beginning
				requirePidfd(t, inTaskOf(t, c, func(ctx context.Context) error {
					return passProcesses(c.NetPacketConn(ctx).(syscall.Conn))
				}))
				sent := sendRights(t, peer)
				require.NoError(t, inTaskOf(t, c, func(ctx context.Context) error {
					for i := range rightsSent {
						oob := make([]byte, read.room)
						oobn, err := read.takes(ctx, c, make([]byte, 10), oob)
						if err != nil {
							return err
						}
						if got := closeReceived(oob[:oobn]); i > 0 && !slices.Equal(read.want, got) { // before the first, nobody had asked for any
							return fmt.Errorf("message %d: control messages of kinds %d, want %d", i, got, read.want)
						}
					}
					return nil
				}))
				<-sent
				leftNoDescriptors(t, c, peer, there)
			})
		}
	}},
	{name: "ReadMsgUnix after another method", show: func(t *testing.T, rt *proactor.Runtime) {
		there := openDescriptors(t)
		c, peer := unixgrams(t, rt)
		require.NoError(t, inTaskOf(t, c, func(ctx context.Context) error {
			conn := c.NetPacketConn(ctx)
			if err := conn.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
				return err
			}
			if _, _, err := conn.ReadFrom(make([]byte, 10)); !os.IsTimeout(err) {
				return err
			}
			return conn.SetReadDeadline(time.Time{})
		}))
		require.NoError(t, inTaskOf(t, c, func(ctx context.Context) error {
			oob := make([]byte, 100)
			next := c.NetPacketConn(ctx).(readsMsgUnix)
			got := make(chan struct{})
			go func() { <-got; peer.send() }()
			c.Loop().Do(func() { close(got) })
			_, oobn, _, _, err := next.ReadMsgUnix(make([]byte, 10), oob)
			if err != nil {
				return err
			}
			return takeRights(oob[:oobn], 2)
		}))
		peer.Close()
		closedPacket(t, c)
		eventually(t, func() bool { return openDescriptors(t) <= there }, func() string { return "left open" })
	}},
}

// passProcesses has the kernel add a descriptor of the sender's process to each message.
func passProcesses(c syscall.Conn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failure error
	err = raw.Control(func(fd uintptr) {
		failure = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSPIDFD, 1)
	})
	return errors.Join(err, failure)
}

// passCredentials has the kernel tell who sends.
func passCredentials(t *testing.T, c syscall.Conn) {
	t.Helper()
	raw, err := c.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
	}))
	require.NoError(t, err)
}

// closeReceived closes the descriptors in oob, and returns the kinds of the control
// messages that have some.
func closeReceived(oob []byte) (kinds []int) {
	list, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return []int{-1}
	}
	for _, m := range list {
		if m.Header.Level != unix.SOL_SOCKET || m.Header.Type != unix.SCM_RIGHTS && m.Header.Type != unix.SCM_PIDFD {
			continue
		}
		kinds = append(kinds, int(m.Header.Type))
		for data := m.Data; len(data) >= 4; data = data[4:] {
			unix.Close(int(int32(binary.NativeEndian.Uint32(data))))
		}
	}
	return kinds
}

func readMsgUnix(ctx context.Context, c *proactor.PacketConn, p, oob []byte) (oobn int, err error) {
	_, oobn, _, _, err = c.NetPacketConn(ctx).(readsMsgUnix).ReadMsgUnix(p, oob)
	return oobn, err
}

type readsMsgUnix interface {
	ReadMsgUnix(p, oob []byte) (n, oobn, flags int, from *net.UnixAddr, err error)
}

// rightsPeer sends messages with descriptors.
type rightsPeer struct {
	*net.UnixConn
	to *net.UnixAddr
}

// send sends a byte and two descriptors.
func (p *rightsPeer) send() error {
	_, _, err := p.WriteMsgUnix([]byte("x"), unix.UnixRights(0, 1), p.to)
	return err
}

// unixgrams is a PacketConn and a peer that sends to it.
func unixgrams(t *testing.T, rt *proactor.Runtime, opts ...proactor.PacketOption) (*proactor.PacketConn, *rightsPeer) {
	t.Helper()
	c, err := rt.ListenPacket("unixgram", "", opts...)
	require.NoError(t, err)
	peer, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { peer.Close() })
	return c, &rightsPeer{peer, c.LocalAddr().(*net.UnixAddr)}
}

// sendRights has the peer send, and closes sent when that is done.
func sendRights(t *testing.T, peer *rightsPeer) (sent chan struct{}) {
	t.Helper()
	sent = make(chan struct{})
	go func() {
		defer close(sent)
		for range rightsSent {
			if err := peer.send(); err != nil {
				if !errors.Is(err, unix.ECONNREFUSED) && !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
				return
			}
		}
	}()
	return sent
}

// takeRights closes the descriptors in oob, and checks their number and that they are
// close-on-exec.
func takeRights(oob []byte, want int) error {
	list, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(list) != 1 {
		return fmt.Errorf("%d control messages in %d bytes: %v", len(list), len(oob), err)
	}
	fds, err := unix.ParseUnixRights(&list[0])
	if err != nil || len(fds) != want {
		return fmt.Errorf("%d descriptors, want %d: %v", len(fds), want, err)
	}
	for _, fd := range fds {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC == 0 {
			return fmt.Errorf("descriptor %d has flags %x: %v", fd, flags, err)
		}
		unix.Close(fd)
	}
	return nil
}

// inTaskOf runs fn as a task on c's loop.
func inTaskOf(t *testing.T, c *proactor.PacketConn, fn func(ctx context.Context) error) error {
	t.Helper()
	_, err := c.Loop().Go(t.Context(), fn).Await(t.Context())
	return err
}

func closedPacket(t *testing.T, c *proactor.PacketConn) {
	t.Helper()
	c.Close()
	_, err := c.Closed().Await(t.Context())
	require.NoError(t, err)
}

// leftNoDescriptors checks that none of those that came with messages is open, before the
// connection is closed and after it. there is how many there were without the two.
func leftNoDescriptors(t *testing.T, c *proactor.PacketConn, peer io.Closer, there int) {
	t.Helper()
	require.LessOrEqual(t, openDescriptors(t), there+2)
	peer.Close()
	closedPacket(t, c)
	eventually(t, func() bool { return openDescriptors(t) <= there }, func() string { return "left open" })
}
