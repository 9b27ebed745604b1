package proactor_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/goproactor/goproactor/proactor"
)

// example is a runtime and the address of an echo server.
func example() (rt *proactor.Runtime, at netip.AddrPort) {
	rt, err := proactor.New()
	if err != nil {
		log.Fatal(err)
	}
	pc, err := rt.ListenPacket("udp4", "127.0.0.1:0", proactor.WithSocketBuffers(1<<20, 0))
	if err != nil {
		log.Fatal(err)
	}
	pc.OnMessage(func(m proactor.Message, err error) {
		if err == nil {
			pc.Reply(m)
		}
	})
	return rt, pc.LocalAddr().(*net.UDPAddr).AddrPort()
}

// An echo server: a handler on the socket's own loop.
func ExampleRuntime_ListenPacket() {
	rt, err := proactor.New()
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	pc, err := rt.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	served := pc.Loop().Go(context.Background(), func(ctx context.Context) error {
		for m, err := range pc.Messages(ctx) {
			if err != nil {
				return err
			}
			fmt.Printf("%s\n", m.Bytes())
			pc.Reply(m) // Reply takes over the lease
		}
		return nil
	})

	client, err := net.Dial("udp", pc.LocalAddr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	client.Write([]byte("hello"))
	answer := make([]byte, 16)
	n, err := client.Read(answer)
	fmt.Printf("%s %v\n", answer[:n], err)
	pc.Close()
	_, err = served.Await(context.Background())
	fmt.Println(err)
	// Output:
	// hello
	// hello <nil>
	// <nil>
}

func ExampleRuntime_ListenPackets() {
	rt, err := proactor.New(proactor.WithLoops(2))
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	all, err := rt.ListenPackets("udp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(all), "sockets on one port:", all[0].LocalAddr().String() == all[1].LocalAddr().String())
	// Output: 2 sockets on one port: true
}

func ExampleRuntime_DialPacket() {
	rt, at := example()
	defer rt.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	pc, err := rt.DialPacket(ctx, "udp", at.String()).Await(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer pc.Close()
	if _, err := pc.Send([]byte("ping")).Await(ctx); err != nil {
		log.Fatal(err)
	}
	m, err := pc.Recv().Await(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer m.Release()
	fmt.Printf("%s from the one we asked: %v\n", m.Bytes(), m.From() == at)
	// Output: ping from the one we asked: true
}

func ExamplePacketConn_SendTo() {
	rt, at := example()
	defer rt.Close()
	ctx := context.Background()
	pc, err := rt.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	n, err := pc.SendTo([]byte("hello"), at).Await(ctx) // the memory belongs to us again when the future has resolved
	fmt.Println(n, err)
	// Output: 5 <nil>
}

func ExamplePacketConn_SendBatch() {
	rt, at := example()
	defer rt.Close()
	ctx := context.Background()
	pc, err := rt.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	n, err := pc.SendBatch([]proactor.Datagram{
		{Data: []byte("one"), To: at},
		{Data: []byte("two"), To: at, ECN: proactor.ECT0},
	}).Await(ctx)
	fmt.Println(n, err)
	// Output: 2 <nil>
}

func ExamplePacketConn_OnMessage() {
	rt, err := proactor.New()
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	pc, err := rt.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	pc.OnMessage(func(m proactor.Message, err error) { // on the socket's loop
		if err == nil {
			pc.Reply(m) // Reply takes over the lease
		}
	})
	client, err := net.Dial("udp", pc.LocalAddr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	client.Write([]byte("by callback"))
	p := make([]byte, 16)
	n, err := client.Read(p)
	fmt.Printf("%s %v\n", p[:n], err)
	// Output: by callback <nil>
}

// Two sockets with abstract names, which have no file.
func ExamplePacketConn_SendToName() {
	rt, _ := example()
	defer rt.Close()
	ctx := context.Background()
	server, err := rt.ListenPacket("unixgram", fmt.Sprintf("@goproactor-example-%d", os.Getpid()))
	if err != nil {
		log.Fatal(err)
	}
	client, err := rt.ListenPacket("unixgram", fmt.Sprintf("@goproactor-example-%d-client", os.Getpid()))
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.SendToName([]byte("hello"), server.LocalAddr().String()).Await(ctx); err != nil {
		log.Fatal(err)
	}
	m, err := server.Recv().Await(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s, back to who sent it: %v\n", m.Bytes(), m.FromName() == client.LocalAddr().String())
	m.Release()
	// Output: hello, back to who sent it: true
}

// The buffers fit the largest message of UDP. Those of a Unix socket can be larger; the
// part that does not fit is lost.
func ExampleMessage_Truncated() {
	rt, _ := example()
	defer rt.Close()
	ctx := context.Background()
	pc, err := rt.ListenPacket("unixgram", fmt.Sprintf("@goproactor-example-%d-cut", os.Getpid()))
	if err != nil {
		log.Fatal(err)
	}
	pc.SendToName(make([]byte, 100_000), pc.LocalAddr().String())
	m, err := pc.Recv().Await(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Truncated(), m.Size(), m.Len() < m.Size())
	m.Release()
	// Output: true 100000 true
}

// The congestion mark that a router, or here the sender, has set.
func ExampleMessage_ECN() {
	rt, _ := example()
	defer rt.Close()
	ctx := context.Background()
	pc, err := rt.ListenPacket("udp4", "127.0.0.1:0", proactor.WithECN())
	if err != nil {
		log.Fatal(err)
	}
	to := pc.LocalAddr().(*net.UDPAddr).AddrPort()
	pc.SendDatagram(proactor.Datagram{Data: []byte("slow down"), To: to, ECN: proactor.CE})
	m, err := pc.Recv().Await(ctx)
	if err != nil {
		log.Fatal(err)
	}
	mark, known := m.ECN()
	fmt.Println(mark == proactor.CE, known)
	m.Release()
	// Output: true true
}

// A raw socket needs the capability CAP_NET_RAW, and the error says so.
func ExampleRuntime_ListenPacket_raw() {
	rt, _ := example()
	defer rt.Close()
	ctx := context.Background()
	pc, err := rt.ListenPacket("ip6:ipv6-icmp", "::1")
	switch {
	case errors.Is(err, os.ErrPermission):
		fmt.Println(err)
		return
	case err != nil:
		log.Fatal(err)
	}
	echo := []byte{128, 0, 0, 0, 0, 1, 0, 1} // the kernel fills in the checksum of ICMPv6
	if _, err := pc.SendTo(echo, netip.AddrPortFrom(netip.IPv6Loopback(), 0)).Await(ctx); err != nil {
		log.Fatal(err)
	}
	m, err := pc.Recv().Await(ctx) // without the IP header
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ICMPv6 message of type", m.Bytes()[0])
	m.Release()
}

// One send of many messages (UDP_SEGMENT), one receive of many (UDP_GRO).
func ExamplePacketConn_SendDatagram() {
	rt, at := example()
	defer rt.Close()
	ctx := context.Background()
	pc, err := rt.ListenPacket("udp4", "127.0.0.1:0", proactor.WithGRO())
	if err != nil {
		log.Fatal(err)
	}
	_, err = pc.SendDatagram(proactor.Datagram{Data: make([]byte, 2500), To: at, Segment: 1000}).Await(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for messages := 0; messages < 3; {
		m, err := pc.Recv().Await(ctx)
		if err != nil {
			log.Fatal(err)
		}
		for s := range m.Segments() {
			fmt.Println(len(s))
			messages++
		}
		m.Release()
	}
	// Output:
	// 1000
	// 1000
	// 500
}

func ExampleMessage_PacketInfo() {
	rt, at := example()
	defer rt.Close()
	ctx := context.Background()
	pc, err := rt.ListenPacket("udp4", ":0", proactor.WithPacketInfo(), proactor.WithTimestamps())
	if err != nil {
		log.Fatal(err)
	}
	if _, err := pc.SendTo([]byte("where am I?"), at).Await(ctx); err != nil {
		log.Fatal(err)
	}
	m, err := pc.Recv().Await(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer m.Release()
	info, _ := m.PacketInfo()
	_, stamped := m.Timestamp()
	fmt.Println(info.Addr, stamped)
	// Output: 127.0.0.1 true
}

func ExamplePacketConn_JoinGroup() {
	rt, _ := example()
	defer rt.Close()
	pc, err := rt.ListenPacket("udp4", ":0")
	if err != nil {
		log.Fatal(err)
	}
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		log.Fatal(err)
	}
	group := netip.MustParseAddr("224.0.0.251")
	fmt.Println(pc.JoinGroup(group, lo), pc.LeaveGroup(group, lo))
	// Output: <nil> <nil>
}

func ExamplePacketConn_SetReadDeadline() {
	rt, _ := example()
	defer rt.Close()
	pc, err := rt.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	pc.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err = pc.Recv().Await(context.Background())
	fmt.Println(errors.Is(err, os.ErrDeadlineExceeded))
	// Output: true
}

func ExamplePacketConn_NetPacketConn() {
	rt, at := example()
	defer rt.Close()
	pc, err := rt.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	std := pc.NetPacketConn(context.Background())
	defer std.Close()
	if _, err := std.WriteTo([]byte("hello"), net.UDPAddrFromAddrPort(at)); err != nil {
		log.Fatal(err)
	}
	p := make([]byte, 16)
	n, _, err := std.ReadFrom(p)
	fmt.Printf("%s %v\n", p[:n], err)
	// Output: hello <nil>
}
