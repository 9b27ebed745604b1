package sockets

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// connectedTo listens as the package does and connects with package net. It
// returns the accepted descriptor.
func connectedTo(t testing.TB, network, address string) (fd int, peer net.Conn, listening net.Addr) {
	t.Helper()
	fds, at, err := Listen(network, address, 1, 8)
	require.NoError(t, err)
	t.Cleanup(func() { CloseAll(fds); RemoveFile(at.String()) })
	to := at.String()
	if tcp, ok := at.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		to = net.JoinHostPort(Loopback("tcp4", IP(nil).Addr()).String(), strings.TrimPrefix(to, "[::]:"))
	}
	peer, err = net.Dial(network, to)
	require.NoError(t, err)
	t.Cleanup(func() { peer.Close() })
	fd, _, err = unix.Accept4(fds[0], AcceptFlags)
	require.NoError(t, err)
	t.Cleanup(func() { Close(fd) })
	return fd, peer, at
}

// needsNetwork skips what this machine has no address for: IPv6 may be switched off.
func needsNetwork(t *testing.T, network, address string) {
	if network != "tcp6" {
		return
	}
	ln, err := net.Listen(network, address)
	if errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.EAFNOSUPPORT) {
		t.Skip("no IPv6 here: ", err)
	}
	require.NoError(t, err)
	ln.Close()
}

func TestNamesOf(t *testing.T) {
	for _, at := range [][2]string{{"tcp", "127.0.0.1:0"}, {"tcp", ":0"}, {"tcp6", "[::1]:0"}, {"unix", filepath.Join(t.TempDir(), "s")}, {"unix", ""}} {
		t.Run(at[0]+" "+at[1], func(t *testing.T) {
			needsNetwork(t, at[0], at[1])
			fd, peer, _ := connectedTo(t, at[0], at[1])
			names := NamesOf(fd)
			require.True(t, names.Connected())
			require.Equal(t, peer.RemoteAddr().String(), names.Local(at[0]).String())
			require.Equal(t, peer.LocalAddr().String(), names.Remote(at[0]).String())
			require.Equal(t, at[0][:3], names.Remote(at[0]).Network()[:3])
			if at[0] != "unix" {
				require.Zero(t, testing.AllocsPerRun(100, func() { NamesOf(fd) }))
			}
		})
	}
}

// A reset by the peer takes its name from getpeername, but not from the kernel.
func TestNamesOfAfterReset(t *testing.T) {
	for _, at := range [][2]string{{"tcp", "127.0.0.1:0"}, {"tcp", ":0"}, {"tcp6", "[::1]:0"}} {
		t.Run(at[0]+" "+at[1], func(t *testing.T) {
			needsNetwork(t, at[0], at[1])
			fd, peer, _ := connectedTo(t, at[0], at[1])
			require.NoError(t, peer.(*net.TCPConn).SetLinger(0))
			require.NoError(t, peer.Close())
			n, err := unix.Read(fd, make([]byte, 1)) // waits for it
			require.ErrorIs(t, err, unix.ECONNRESET, n)
			_, err = unix.Getpeername(fd)
			require.ErrorIs(t, err, unix.ENOTCONN)
			names := NamesOf(fd)
			require.Equal(t, peer.LocalAddr().String(), names.Remote(at[0]).String())
			require.Equal(t, peer.RemoteAddr().String(), names.Local(at[0]).String())
		})
	}
}

func TestNamesOfNothing(t *testing.T) {
	names := NamesOf(-1)
	require.False(t, names.Connected())
	for _, network := range []string{"tcp", "udp", "ip4:icmp", "unix"} {
		require.NotNil(t, names.Local(network))
		require.NotNil(t, names.Remote(network))
	}
}

// Accepted sockets inherit what package net sets on each.
func TestAcceptedSocketsInheritOptions(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	theirs, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	defer theirs.Close()
	their, err := Duplicate(theirs.(*net.TCPConn))
	require.NoError(t, err)
	defer Close(their)
	accepted, _, _ := connectedTo(t, "tcp", "127.0.0.1:0")
	var to Address
	dialed, err := PrepareDial(ln.Addr(), nil, &to)
	require.NoError(t, err)
	defer Close(dialed)
	for _, o := range tcpOptions {
		want, err := unix.GetsockoptInt(their, o.level, o.code)
		require.NoError(t, err)
		for what, fd := range map[string]int{"accepted": accepted, "dialed": dialed} {
			got, err := unix.GetsockoptInt(fd, o.level, o.code)
			require.NoError(t, err)
			require.Equal(t, want, got, "%s of a socket %s", o.name, what)
		}
	}
}

// Names given to Listen mean and are shown as with package net.
func TestUnixNamesAsPackageNet(t *testing.T) {
	t.Chdir(t.TempDir())
	own := strconv.Itoa(os.Getpid()) // abstract names are the whole system's
	long := own + strings.Repeat("x", sizeofUnixPath-1-len(own))
	for _, name := range []string{"@sockets-at" + own, "\x00sockets-nul" + own, "@" + long, "relative", long, long + "x", "", "no/such/directory"} {
		t.Run(name, func(t *testing.T) {
			std, stdErr := net.Listen("unix", name)
			shown := ""
			if stdErr == nil {
				shown = std.Addr().String()
				require.NoError(t, std.Close())
			}
			fds, addr, err := Listen("unix", name, 1, 8)
			if stdErr != nil {
				require.EqualError(t, err, stdErr.Error())
				return
			}
			require.NoError(t, err)
			defer CloseAll(fds)
			defer RemoveFile(addr.String())
			if name == "" { // the kernel's choice
				require.Regexp(t, "^@[0-9a-f]{5}$", shown)
				require.Regexp(t, "^@[0-9a-f]{5}$", addr.String())
				name = addr.String()
			} else {
				require.Equal(t, shown, addr.String())
			}
			for _, spelled := range []string{name, addr.String()} {
				var to Address
				fd, err := PrepareDial(&net.UnixAddr{Name: spelled, Net: "unix"}, nil, &to)
				require.NoError(t, err)
				require.NoError(t, connect(fd, &to))
				Close(fd)
			}
			c, err := net.Dial("unix", name)
			require.NoError(t, err)
			require.NoError(t, c.Close())
		})
	}
}

// Wildcards and errors of Listen are those of package net.
func TestListenAsPackageNet(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for _, at := range [][2]string{{"tcp", "0.0.0.0:0"}, {"tcp", "[::]:0"}, {"tcp", ":0"}, {"tcp", ""}, {"tcp4", ":0"}, {"tcp4", "0.0.0.0:0"}, {"tcp6", ":0"}, {"tcp", "127.0.0.1:0"},
		{"tcp", taken.Addr().String()}, {"tcp", "nonsense"}, {"tcp", "127.0.0.1:70000"}, {"tcp", "192.0.2.1:0"}, {"carrier-pigeon", "x"}} {
		t.Run(at[0]+" "+at[1], func(t *testing.T) {
			std, stdErr := net.Listen(at[0], at[1])
			fds, addr, err := Listen(at[0], at[1], 2, 8)
			if stdErr != nil {
				require.EqualError(t, err, stdErr.Error())
				return
			}
			require.NoError(t, err)
			defer std.Close()
			defer CloseAll(fds)
			require.Equal(t, std.Addr().(*net.TCPAddr).IP.String(), addr.(*net.TCPAddr).IP.String())
			require.NotZero(t, addr.(*net.TCPAddr).Port)
			require.Len(t, fds, 2)
		})
	}
}

// Wildcards of message sockets are those of package net.
func TestListenPacketAsPackageNet(t *testing.T) {
	for _, at := range [][2]string{{"udp", "0.0.0.0:0"}, {"udp", "[::]:0"}, {"udp", ":0"}, {"udp", ""}, {"udp4", ":0"}, {"udp4", ""}, {"udp6", ":0"}, {"udp", "127.0.0.1:0"},
		{"udp", "nonsense"}, {"udp", "192.0.2.1:0"}, {"unixgram", "@sockets-gram" + strconv.Itoa(os.Getpid())}, {"unixgram", "\x00sockets-gram" + strconv.Itoa(os.Getpid())}, {"unixgram", ""}, {"carrier-pigeon", "x"}, {"carrier-pigeon", ""}} {
		t.Run(at[0]+" "+at[1], func(t *testing.T) {
			std, stdErr := net.ListenPacket(at[0], at[1])
			var theirs string
			if stdErr == nil {
				theirs = std.LocalAddr().String()
				require.NoError(t, std.Close())
			}
			p, err := ListenPacket(at[0], at[1], new(PacketOptions))
			if stdErr != nil {
				require.EqualError(t, err, stdErr.Error())
				return
			}
			require.NoError(t, err)
			defer Close(p.FD)
			switch a := p.Local.(type) {
			case *net.UDPAddr:
				host, _, err := net.SplitHostPort(theirs)
				require.NoError(t, err)
				require.Equal(t, host, a.IP.String())
				require.NotZero(t, a.Port)
			case *net.UnixAddr:
				if at[1] != "" {
					require.Equal(t, theirs, a.String())
				}
				require.Len(t, a.Name, len(theirs))
			}
		})
	}
}

func BenchmarkNamesOf(b *testing.B) {
	fd, _, _ := connectedTo(b, "tcp", "127.0.0.1:0")
	b.ReportAllocs()
	for b.Loop() {
		NamesOf(fd)
	}
}
