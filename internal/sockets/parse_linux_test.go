package sockets

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// FuzzControlMessages compares how a list of control messages is read with how
// x/sys reads it.
func FuzzControlMessages(f *testing.F) {
	var made Control
	made.add(solIP, ipPacketInfo, 12)
	made.add(solIPv6, ipv6TrafficClass, 4)
	made.add(solUDP, udpSegment, 2)
	f.Add(slices.Clone(made.Bytes()), int32(solIPv6), int32(ipv6TrafficClass))
	f.Add(unix.UnixRights(0, 1, 2), int32(unix.SOL_SOCKET), int32(unix.SCM_RIGHTS))
	f.Add([]byte{}, int32(0), int32(0))
	f.Fuzz(func(t *testing.T, list []byte, level, kind int32) {
		got := Received(list).find(level, kind)
		all, err := unix.ParseSocketControlMessage(list)
		if err != nil {
			Received(list).WithoutRights() // ours finds what is before the broken one, x/sys nothing
			return
		}
		at := slices.IndexFunc(all, func(m unix.SocketControlMessage) bool { return m.Header.Level == level && m.Header.Type == kind })
		if at < 0 {
			require.Nil(t, got)
			return
		}
		require.NotNil(t, got)
		require.Equal(t, all[at].Data, got)
	})
}

// FuzzAddresses reads addresses that were received, writes what it read and
// reads that again.
func FuzzAddresses(f *testing.F) {
	var a Address
	a.SetIP(netip.MustParseAddrPort("192.0.2.1:53"), false)
	f.Add(slices.Clone(a.Bytes()))
	a.SetIP(netip.MustParseAddrPort("192.0.2.1:53"), true)
	f.Add(slices.Clone(a.Bytes()))
	a.SetIP(netip.MustParseAddrPort("[fe80::1%7]:443"), true)
	f.Add(slices.Clone(a.Bytes()))
	for _, name := range []string{"/run/socket", "@abstract", "@", ""} {
		a.SetUnix(name)
		f.Add(slices.Clone(a.Bytes()))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if ip := IP(raw); ip.IsValid() {
			var again Address
			again.SetIP(ip, ip.Addr().Is6())
			require.Equal(t, ip, IP(again.Bytes()))
			again.SetIP(ip, true)
			require.Equal(t, ip, IP(again.Bytes()))
		}
		name := UnixName(raw)
		var again Address
		if again.SetUnix(name) && (name == "" || raw[2] == 0 || name[0] != '@') {
			require.Equal(t, name, UnixName(again.Bytes()))
		} else if len(raw) <= 2+sizeofUnixPath && name != "" && name[0] != '@' {
			// What the kernel reports can be written down, but for a path that
			// fills its field to the last byte.
			require.Len(t, name, sizeofUnixPath)
		}
	})
}
