package proactor_test

import (
	"context"
	"net"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// serveUDPEcho echoes in the given style until the test ends.
func serveUDPEcho(t testing.TB, rt *proactor.Runtime, style string) *proactor.PacketConn {
	t.Helper()
	c, err := rt.ListenPacket("udp", "127.0.0.1:0", proactor.WithPacketInfo(), proactor.WithECN())
	require.NoError(t, err)
	done := make(chan struct{})
	close(done)
	switch style {
	case "callback":
		c.OnMessage(func(m proactor.Message, err error) {
			if err == nil {
				c.Reply(m)
			}
		})
	case "await": // waits for each send
		done = make(chan struct{})
		c.Loop().Go(context.Background(), func(ctx context.Context) error {
			for {
				m, err := c.Recv().Await(ctx)
				if err != nil {
					return err
				}
				_, err = c.SendTo(m.Bytes(), m.From()).Await(ctx)
				m.Release()
				if err != nil {
					return err
				}
			}
		}).Then(func(struct{}, error) { close(done) })
	case "queue":
		done = make(chan struct{})
		c.Loop().Go(context.Background(), func(ctx context.Context) error {
			for m, err := range c.Messages(ctx) {
				if err != nil {
					return err
				}
				if _, err := c.Queue(m.Buffer, m.From()).Await(ctx); err != nil {
					return err
				}
			}
			return nil
		}).Then(func(struct{}, error) { close(done) })
	}
	t.Cleanup(func() { c.Close(); <-done })
	return c
}

// TestUDPEchoAllocatesNothing is TestEchoAllocatesNothing with messages.
func TestUDPEchoAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates on its own")
	}
	for _, style := range styles {
		t.Run(style, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				c := serveUDPEcho(t, rt, style)
				fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
				require.NoError(t, err)
				defer syscall.Close(fd)
				to := &syscall.SockaddrInet4{Port: c.LocalAddr().(*net.UDPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
				require.NoError(t, syscall.Connect(fd, to))
				const window = 8
				msg := make([]byte, 64)
				trip := func() {
					for range window {
						syscall.Write(fd, msg)
					}
					for range window {
						if n, err := syscall.Read(fd, msg); err != nil || n != len(msg) {
							t.Fatal(n, err)
						}
					}
				}
				requireNoAllocs(t, trip)
			})
		})
	}
}
