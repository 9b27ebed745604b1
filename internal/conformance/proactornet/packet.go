package proactornet

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/goproactor/goproactor/proactor"
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
	return netPacketConn(pc), nil
}

// netPacketConn is what NetPacketConn gives a goroutine, or a task that lasts as long as
// the socket.
func netPacketConn(pc *proactor.PacketConn) net.PacketConn {
	if !onLoop() {
		return pc.NetPacketConn(context.Background())
	}
	made := make(chan net.PacketConn, 1)
	pc.Loop().Go(context.Background(), func(ctx context.Context) error {
		made <- pc.NetPacketConn(ctx)
		_, err := pc.Closed().Await(ctx)
		return err
	})
	return <-made
}

// UDPConn has the methods of *net.UDPConn. Detached and on package net it is one.
type UDPConn interface {
	net.Conn
	net.PacketConn
	syscall.Conn
	ReadFromUDP(p []byte) (int, *net.UDPAddr, error)
	ReadFromUDPAddrPort(p []byte) (int, netip.AddrPort, error)
	ReadMsgUDP(p, oob []byte) (n, oobn, flags int, from *net.UDPAddr, err error)
	WriteToUDP(p []byte, to *net.UDPAddr) (int, error)
	WriteToUDPAddrPort(p []byte, to netip.AddrPort) (int, error)
	WriteMsgUDP(p, oob []byte, to *net.UDPAddr) (n, oobn int, err error)
	SetReadBuffer(bytes int) error
	SetWriteBuffer(bytes int) error
}

// ListenUDP is net.ListenUDP.
func ListenUDP(network string, local *net.UDPAddr) (UDPConn, error) {
	if onNet() {
		return net.ListenUDP(network, local)
	}
	address := ":0"
	if local != nil {
		address = local.String()
	}
	pc, err := ListenPacket(network, address)
	if err != nil {
		return nil, err
	}
	return udpConn(pc), nil
}

// DialUDP is net.DialUDP.
func DialUDP(network string, local, remote *net.UDPAddr) (UDPConn, error) {
	if onNet() {
		return net.DialUDP(network, local, remote)
	}
	var opts []proactor.PacketOption
	if local != nil {
		opts = append(opts, proactor.WithLocalAddr(local))
	}
	pc, err := Runtime().DialPacket(context.Background(), network, remote.String(), opts...).Await(context.Background())
	if err != nil {
		return nil, err
	}
	return udpConn(netPacketConn(pc)), nil
}

func udpConn(pc net.PacketConn) UDPConn {
	if udp, ok := pc.(*net.UDPConn); ok {
		return udp
	}
	if !onLoop() {
		panic(fmt.Sprintf("proactornet: want a *net.UDPConn, have %T", pc))
	}
	return pc.(UDPConn)
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
