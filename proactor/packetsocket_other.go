//go:build !linux

package proactor

import (
	"context"
	"errors"
	"net"
	"net/netip"
)

// No runtime exists on this system, so none of this is reached.

type packetAddress struct{}

func (packetAddress) addr(string) net.Addr { return nil }

func literalPacketAddress(string, string) (packetAddress, bool, error) {
	return packetAddress{}, false, errors.ErrUnsupported
}

func lookupPacketAddress(context.Context, string, string) (packetAddress, error) {
	return packetAddress{}, errors.ErrUnsupported
}

func setOption(int, socketOption) error                        { return errors.ErrUnsupported }
func listenError(string, net.Addr, error) error                { return errors.ErrUnsupported }
func (c *PacketConn) open(string, *packetOptions) error        { return errors.ErrUnsupported }
func (c *PacketConn) dial(packetAddress, *packetOptions) error { return errors.ErrUnsupported }

type socketOption struct{}

var reusePort socketOption

// JoinGroup has messages to a multicast group come in.
func (c *PacketConn) JoinGroup(netip.Addr, *net.Interface) error { return errors.ErrUnsupported }

// LeaveGroup undoes a JoinGroup.
func (c *PacketConn) LeaveGroup(netip.Addr, *net.Interface) error { return errors.ErrUnsupported }

// SetMulticastInterface is the interface that messages to groups go out on.
func (c *PacketConn) SetMulticastInterface(*net.Interface) error { return errors.ErrUnsupported }

// SetMulticastLoopback says whether messages to groups come back.
func (c *PacketConn) SetMulticastLoopback(bool) error { return errors.ErrUnsupported }
