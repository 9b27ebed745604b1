package proactornet

import (
	"context"
	"net"
)

// ListenPacket is net.ListenPacket.
func ListenPacket(network, address string) (net.PacketConn, error) {
	if onNet() {
		return net.ListenPacket(network, address)
	}
	pc, err := Runtime().ListenPacket(network, address)
	if err != nil {
		return nil, err
	}
	if onLoop() {
		return pc.NetPacketConn(context.Background()), nil
	}
	return pc.Detach()
}
