package proactor_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/goproactor/goproactor/proactor"
)

// packetConnOf is a socket on loopback, and its address.
func packetConnOf(rt *proactor.Runtime, opts ...proactor.PacketOption) (*proactor.PacketConn, netip.AddrPort) {
	pc := must(rt.ListenPacket("udp4", "127.0.0.1:0", opts...))
	return pc, pc.LocalAddr().(*net.UDPAddr).AddrPort()
}

func ExamplePacketConn_Recv() {
	rt := must(proactor.New())
	defer rt.Close()
	server, at := packetConnOf(rt)
	client, from := packetConnOf(rt)
	client.SendTo([]byte("one message"), at)
	m := must(server.Recv().Await(context.Background()))
	fmt.Printf("%s, from the client: %v\n", m.Bytes(), m.From() == from)
	m.Release()
	// Output: one message, from the client: true
}

// Messages come until the socket is closed.
func ExamplePacketConn_Messages() {
	rt := must(proactor.New())
	defer rt.Close()
	server, at := packetConnOf(rt)
	client, _ := packetConnOf(rt)
	for _, s := range []string{"one", "two", "bye"} {
		client.SendTo([]byte(s), at)
	}
	for m, err := range server.Messages(context.Background()) {
		if err != nil {
			fmt.Println(err) // receiving goes on
			continue
		}
		text := string(m.Bytes())
		m.Release()
		if fmt.Println(text); text == "bye" {
			server.Close() // ends the range
		}
	}
	// Output:
	// one
	// two
	// bye
}

// A received message is sent on without a copy. Queue waits only if the socket cannot
// keep up.
func ExamplePacketConn_Queue() {
	rt := must(proactor.New(proactor.WithLoops(1)))
	defer rt.Close()
	ctx := context.Background()
	relay, at := packetConnOf(rt)
	target, to := packetConnOf(rt)
	relay.Loop().Go(ctx, func(ctx context.Context) error {
		for m, err := range relay.Messages(ctx) {
			if err != nil {
				return err
			}
			if _, err := relay.Queue(m.Buffer, to).Await(ctx); err != nil { // it takes over the lease
				return err
			}
		}
		return nil
	})
	client, _ := packetConnOf(rt)
	client.SendTo([]byte("passed on"), at)
	m := must(target.Recv().Await(ctx))
	fmt.Printf("%s by the relay: %v\n", m.Bytes(), m.From() == at)
	m.Release()
	// Output: passed on by the relay: true
}

// The bytes may be changed before they are sent back.
func ExamplePacketConn_Reply() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	server, at := packetConnOf(rt)
	client, _ := packetConnOf(rt)
	client.SendTo([]byte("ping"), at)
	m := must(server.Recv().Await(ctx))
	copy(m.Bytes(), "pong")
	server.Reply(m) // it takes over the lease
	answer := must(client.Recv().Await(ctx))
	fmt.Printf("%s\n", answer.Bytes())
	answer.Release()
	// Output: pong
}

func ExamplePacketConn_Send() {
	rt, at := example()
	defer rt.Close()
	ctx := context.Background()
	pc := must(rt.DialPacket(ctx, "udp4", at.String()).Await(ctx))
	n := must(pc.Send([]byte("to the one it is connected to")).Await(ctx))
	m := must(pc.Recv().Await(ctx))
	fmt.Println(n == m.Len(), m.From() == at)
	m.Release()
	// Output: true true
}

// Queued messages are still sent after Close, which does not wait for that.
func ExamplePacketConn_Close() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	server, at := packetConnOf(rt)
	client, _ := packetConnOf(rt)
	client.SendTo([]byte("goodbye"), at)
	client.Close()
	m := must(server.Recv().Await(ctx))
	fmt.Printf("%s\n", m.Bytes())
	m.Release()
	_, err := client.SendTo([]byte("one more"), at).Await(ctx)
	fmt.Println(errors.Is(err, proactor.ErrClosed))
	// Output:
	// goodbye
	// true
}

// When it resolves the port is free.
func ExamplePacketConn_Closed() {
	rt := must(proactor.New())
	defer rt.Close()
	pc, at := packetConnOf(rt)
	pc.Close()
	must(pc.Closed().Await(context.Background()))
	again, err := rt.ListenPacket("udp4", at.String())
	fmt.Println(again.LocalAddr().String() == at.String(), err)
	// Output: true <nil>
}

// A deadline for receives and sends; the zero time is no limit.
func ExamplePacketConn_SetDeadline() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	pc, at := packetConnOf(rt)
	pc.SetDeadline(time.Now().Add(-time.Second))
	_, sent := pc.SendTo([]byte("too late"), at).Await(ctx)
	_, received := pc.Recv().Await(ctx)
	fmt.Println(errors.Is(sent, os.ErrDeadlineExceeded), errors.Is(received, os.ErrDeadlineExceeded))
	pc.SetDeadline(time.Time{})
	n, err := pc.SendTo([]byte("in time"), at).Await(ctx)
	fmt.Println(n, err)
	// Output:
	// true true
	// 7 <nil>
}

func ExamplePacketConn_SetWriteDeadline() {
	rt := must(proactor.New())
	defer rt.Close()
	pc, at := packetConnOf(rt)
	pc.SetWriteDeadline(time.Now().Add(-time.Second))
	_, err := pc.SendTo([]byte("too late"), at).Await(context.Background())
	fmt.Println(errors.Is(err, os.ErrDeadlineExceeded))
	// Output: true
}

// Messages to a group stay on this machine's loopback, and come back to a member.
func ExamplePacketConn_SetMulticastInterface() {
	rt := must(proactor.New())
	defer rt.Close()
	lo := must(net.InterfaceByName("lo"))
	member := must(rt.ListenPacket("udp4", ":0"))
	group := netip.MustParseAddr("224.0.0.251")
	if err := member.JoinGroup(group, lo); err != nil {
		panic(err)
	}
	sender, _ := packetConnOf(rt)
	if err := sender.SetMulticastInterface(lo); err != nil {
		panic(err)
	}
	port := uint16(member.LocalAddr().(*net.UDPAddr).Port)
	sender.SendTo([]byte("to all"), netip.AddrPortFrom(group, port))
	m := must(member.Recv().Await(context.Background()))
	fmt.Printf("%s\n", m.Bytes())
	m.Release()
	// Output: to all
}

// A member that does not receive its own messages any more.
func ExamplePacketConn_SetMulticastLoopback() {
	rt := must(proactor.New())
	defer rt.Close()
	pc, _ := packetConnOf(rt)
	fmt.Println(pc.SetMulticastLoopback(false))
	// Output: <nil>
}

func ExamplePacketConn_LeaveGroup() {
	rt := must(proactor.New())
	defer rt.Close()
	lo := must(net.InterfaceByName("lo"))
	pc := must(rt.ListenPacket("udp4", ":0"))
	group := netip.MustParseAddr("224.0.0.251")
	fmt.Println(pc.JoinGroup(group, lo), pc.LeaveGroup(group, lo))
	fmt.Println(pc.LeaveGroup(group, lo) == nil) // it is not a member any more
	// Output:
	// <nil> <nil>
	// false
}

// The sender as a net.Addr, for a library that needs one.
func ExampleMessage_FromAddr() {
	rt := must(proactor.New())
	defer rt.Close()
	pc, at := packetConnOf(rt)
	pc.SendTo([]byte("to myself"), at)
	m := must(pc.Recv().Await(context.Background()))
	fmt.Println(m.FromAddr().Network(), m.FromAddr().String() == at.String(), m.From() == at)
	m.Release()
	// Output: udp true true
}

// The messages that the kernel has joined, one by one.
func ExampleMessage_Segments() {
	rt := must(proactor.New())
	defer rt.Close()
	pc, at := packetConnOf(rt, proactor.WithGRO())
	pc.SendDatagram(proactor.Datagram{Data: []byte("aaaabbbbcc"), To: at, Segment: 4})
	for left := 3; left > 0; {
		m := must(pc.Recv().Await(context.Background()))
		for s := range m.Segments() {
			fmt.Printf("%s\n", s)
			left--
		}
		m.Release()
	}
	// Output:
	// aaaa
	// bbbb
	// cc
}

// When the kernel received it: later than it was sent, earlier than it was read.
func ExampleWithTimestamps() {
	rt := must(proactor.New())
	defer rt.Close()
	pc, at := packetConnOf(rt, proactor.WithTimestamps())
	pc.SendTo([]byte("when?"), at)
	m := must(pc.Recv().Await(context.Background()))
	stamp, known := m.Timestamp()
	fmt.Println(known, time.Since(stamp) < time.Hour)
	m.Release()
	// Output: true true
}

// A server that listens on every address answers from the one that the message was sent
// to.
func ExampleWithPacketInfo() {
	rt := must(proactor.New())
	defer rt.Close()
	server := must(rt.ListenPacket("udp4", ":0", proactor.WithPacketInfo()))
	client, _ := packetConnOf(rt)
	port := uint16(server.LocalAddr().(*net.UDPAddr).Port)
	client.SendTo([]byte("where?"), netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), port))
	m := must(server.Recv().Await(context.Background()))
	info, known := m.PacketInfo()
	fmt.Println(info.Addr, known)
	m.Release()
	// Output: 127.0.0.2 true
}

// How many more routers the message could have passed.
func ExampleWithHopLimit() {
	rt := must(proactor.New())
	defer rt.Close()
	pc, at := packetConnOf(rt, proactor.WithHopLimit())
	pc.SendTo([]byte("how far?"), at)
	m := must(pc.Recv().Await(context.Background()))
	hops, known := m.HopLimit()
	fmt.Println(hops > 0, known)
	m.Release()
	// Output: true true
}

func ExampleWithECN() {
	rt := must(proactor.New())
	defer rt.Close()
	pc, at := packetConnOf(rt, proactor.WithECN())
	pc.SendDatagram(proactor.Datagram{Data: []byte("marked"), To: at, ECN: proactor.ECT0})
	m := must(pc.Recv().Await(context.Background()))
	mark, known := m.ECN()
	fmt.Println(mark == proactor.ECT0, known)
	m.Release()
	// Output: true true
}

// The kernel joins consecutive messages of one sender.
func ExampleWithGRO() {
	rt := must(proactor.New())
	defer rt.Close()
	pc, at := packetConnOf(rt, proactor.WithGRO())
	pc.SendDatagram(proactor.Datagram{Data: make([]byte, 5000), To: at, Segment: 1000})
	messages, receives := 0, 0
	for messages < 5 {
		m := must(pc.Recv().Await(context.Background()))
		for range m.Segments() {
			messages++
		}
		receives++
		m.Release()
	}
	fmt.Println(messages, "messages, in fewer receives:", receives < messages)
	// Output: 5 messages, in fewer receives: true
}

// Two sockets share a port: the kernel spreads the senders over them.
func ExampleWithReusePort() {
	rt := must(proactor.New())
	defer rt.Close()
	_, at := packetConnOf(rt, proactor.WithReusePort())
	second, err := rt.ListenPacket("udp4", at.String(), proactor.WithReusePort())
	fmt.Println(second.LocalAddr().String() == at.String(), err)
	// Output: true <nil>
}

// Room for a burst that comes while the loop is busy. The system's limit is
// net.core.rmem_max.
func ExampleWithSocketBuffers() {
	rt := must(proactor.New())
	defer rt.Close()
	pc, at := packetConnOf(rt, proactor.WithSocketBuffers(4<<20, 0))
	n, err := pc.SendTo([]byte("hello"), at).Await(context.Background())
	fmt.Println(n, err)
	// Output: 5 <nil>
}

// The address that a connected socket sends from.
func ExampleWithLocalAddr() {
	rt := must(proactor.New())
	defer rt.Close()
	ctx := context.Background()
	server, at := packetConnOf(rt)
	from := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 5)}
	pc := must(rt.DialPacket(ctx, "udp4", at.String(), proactor.WithLocalAddr(from)).Await(ctx))
	must(pc.Send([]byte("hello")).Await(ctx))
	m := must(server.Recv().Await(ctx))
	fmt.Println(m.From().Addr())
	m.Release()
	// Output: 127.0.0.5
}
