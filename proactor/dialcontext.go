package proactor

import (
	"context"
	"net"
	"strings"
)

// DialContext connects to an address as a net.Conn, see Dialer.DialContext.
func (rt *Runtime) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return new(Dialer).DialContext(ctx, rt, network, address)
}

// DialContext connects to an address and waits until it is connected. It fits
// http.Transport and others as a dial function. The result depends on the caller. A
// goroutine gets what net.Dialer makes, a *net.TCPConn for example; the end of the runtime
// does not end that dial. A task gets a connection of its loop as by Conn.NetConn, which
// belongs to the task: its Reads and Writes give way to the loop, and end with the task and
// not with ctx. In a callback of a loop the error is futures.ErrNoTask.
//
// The networks are those of Dial, and "udp", "udp4", "udp6" and "unixgram", for which a
// task gets a connection as by PacketConn.NetPacketConn; a goroutine may use all networks
// of net.Dialer. Errors are those of Dial and of net.Dialer.
func (d *Dialer) DialContext(ctx context.Context, rt *Runtime, network, address string) (net.Conn, error) {
	l := rt.currentLoop()
	if l == nil {
		return d.dialStandard(ctx, rt, network, address)
	}
	task := l.engine.Tasks().Current()
	if err := rt.mayWait(); err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	if isPacketNetwork(network) {
		c, err := rt.DialPacket(ctx, network, address, d.packetOptions()...).Await(ctx)
		if err != nil {
			return nil, err
		}
		return c.netPacketConn(task), nil
	}
	c, err := d.Dial(ctx, rt, network, address).Await(ctx)
	if err != nil {
		return nil, err
	}
	return c.NetConn(task), nil
}

// dialStandard is DialContext on a goroutine. A Resolver that is no *net.Resolver is used
// by a Dial on a loop.
func (d *Dialer) dialStandard(ctx context.Context, rt *Runtime, network, address string) (net.Conn, error) {
	standard := net.Dialer{Timeout: d.Timeout, LocalAddr: d.LocalAddr, FallbackDelay: d.FallbackDelay}
	switch r := d.Resolver.(type) {
	case nil:
	case *net.Resolver:
		standard.Resolver = r
	default:
		if isPacketNetwork(network) {
			break // its address is looked up by net.DefaultResolver, as by DialPacket
		}
		c, err := d.Dial(ctx, rt, network, address).Await(ctx)
		if err != nil {
			return nil, err
		}
		return c.Detach()
	}
	return standard.DialContext(ctx, network, address)
}

func isPacketNetwork(network string) bool {
	return strings.HasPrefix(network, "udp") || network == "unixgram"
}

func (d *Dialer) packetOptions() []PacketOption {
	if d.LocalAddr == nil {
		return nil
	}
	return []PacketOption{WithLocalAddr(d.LocalAddr)}
}
