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

// GoPacket is Go for messages.
func GoPacket(conn net.PacketConn, serve func(net.PacketConn)) {
	if !inTask() || !isOurs(conn) {
		go serve(conn)
		return
	}
	c, err := Runtime().AdoptPacket(conn) // the PacketConn that it stands for
	if err != nil {
		go serve(conn)
		return
	}
	c.Loop().Go(context.Background(), func(ctx context.Context) error {
		serve(c.NetPacketConn(ctx))
		return nil
	})
}
