package proactor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/sockets"
)

// Dialer has the options of Dial. The zero Dialer is the one of Runtime.Dial. Dialing
// does not change it, and many goroutines may use it.
type Dialer struct {
	// Timeout limits the whole Dial, name resolution included. Zero is no
	// limit but that of the context and of the kernel; less than zero fails at
	// once.
	Timeout time.Duration

	// LocalAddr is the address to connect from, a *net.TCPAddr or a
	// *net.UnixAddr; nil lets the kernel choose. Addresses of another family are
	// not tried.
	LocalAddr net.Addr

	// FallbackDelay is the time after which the next address is tried while an
	// attempt is still under way (RFC 8305, Connection Attempt Delay). Zero means
	// 250 ms; with less than zero an attempt begins when the one before has failed.
	FallbackDelay time.Duration

	// Resolver looks names up; nil means net.DefaultResolver. It runs on a
	// goroutine of its own and should return when its context ends.
	Resolver Resolver
}

// Resolver is a resolver for Dialer, such as *net.Resolver. The network is "ip", "ip4" or
// "ip6".
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// defaultFallbackDelay is what RFC 8305 recommends.
const defaultFallbackDelay = 250 * time.Millisecond

// Dial connects to an address: see Dialer.Dial.
func (rt *Runtime) Dial(ctx context.Context, network, address string) futures.Future[*Conn] {
	return new(Dialer).Dial(ctx, rt, network, address)
}

// Dial connects to an address. The network is "tcp", "tcp4", "tcp6", "unix" or
// "unixpacket", the address host:port or a path (connect(2)). The connection belongs to the
// loop that the caller runs on, else to each in turn. Where the queue of a Unix listener is
// full it waits for room, as connect(2) does; package net fails with EAGAIN there.
//
// A name is resolved off the loop. If it has several addresses they are tried
// as RFC 8305 says: IPv6 and IPv4 by turns, each attempt FallbackDelay after
// the one before or as soon as that has failed; the first to succeed is the
// connection and the others are closed.
//
// When ctx ends, or the future is canceled, all attempts are ended, and the future fails
// once their sockets are closed. ctx has no effect on the connection once it is made.
//
// Errors are *net.OpError with Op "dial" and the error of the first address.
// errors.Is finds syscall.ECONNREFUSED, syscall.ENETUNREACH,
// syscall.ETIMEDOUT and so on; os.ErrDeadlineExceeded and
// context.DeadlineExceeded when Timeout or ctx's deadline has passed, for which
// Timeout() is true; futures.ErrCanceled after a cancel; ErrClosed when the
// runtime is shutting down. errors.As finds a *net.DNSError.
func (d *Dialer) Dial(ctx context.Context, rt *Runtime, network, address string) futures.Future[*Conn] {
	t := &dial{Dialer: *d, ctx: ctx, loop: rt.someLoop(), network: network, address: address, promise: futures.NewPromise[*Conn]()}
	if t.Resolver == nil {
		t.Resolver = net.DefaultResolver
	}
	if t.FallbackDelay == 0 {
		t.FallbackDelay = defaultFallbackDelay
	}
	if err := t.literal(); err != nil {
		return futures.Failed[*Conn](t.addressError(err))
	}
	if err := ctx.Err(); err != nil {
		return futures.Failed[*Conn](t.opError(nil, contextEnded(ctx)))
	}
	if d.Timeout < 0 {
		return futures.Failed[*Conn](t.opError(nil, errDialTimeout))
	}
	t.promise.SetCanceler(&t.starter)
	if !t.starter.start(t.loop, t) {
		t.refuse(errShutdownDone)
	}
	return t.promise.Future()
}

// contextEnded is why ctx ended, in the form of the standard library.
func contextEnded(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errDialTimeout
	}
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == nil || errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// errDialTimeout is the error after Dialer.Timeout.
var errDialTimeout error = dialTimeout{}

type dialTimeout struct{}

func (dialTimeout) Error() string   { return "i/o timeout" }
func (dialTimeout) Timeout() bool   { return true }
func (dialTimeout) Temporary() bool { return true }
func (dialTimeout) Is(target error) bool {
	return target == os.ErrDeadlineExceeded || target == context.DeadlineExceeded
}

// literal parses the address, and finds the addresses to try if it needs no resolver.
func (t *dial) literal() error {
	switch t.network {
	case "unix", "unixpacket":
		if t.LocalAddr != nil {
			if _, ok := t.LocalAddr.(*net.UnixAddr); !ok {
				return &net.AddrError{Err: "local address of another network: want a *net.UnixAddr", Addr: t.LocalAddr.String()}
			}
		}
		if t.address == "" {
			return &net.AddrError{Err: "missing address"}
		}
		t.candidates = []net.Addr{sockets.UnixAddr(t.address, t.network)}
		return nil
	case "tcp", "tcp4", "tcp6":
	default:
		return net.UnknownNetworkError(t.network)
	}
	if t.LocalAddr != nil {
		if _, ok := t.LocalAddr.(*net.TCPAddr); !ok {
			return &net.AddrError{Err: "local address of another network: want a *net.TCPAddr", Addr: t.LocalAddr.String()}
		}
	}
	if t.address == "" {
		return &net.AddrError{Err: "missing address"}
	}
	host, service, err := net.SplitHostPort(t.address)
	if err != nil {
		return err
	}
	t.host, t.service = host, service
	ip, err := netip.ParseAddr(host)
	if host != "" && err != nil || !sockets.Numeric(service) {
		return nil // for the resolver
	}
	port, err := net.LookupPort(t.network, service)
	if err != nil {
		return err
	}
	t.candidates, err = t.choose([]netip.Addr{ip}, port)
	return err
}

// resolve looks the name up. It runs on a goroutine of its own.
func (t *dial) resolve(ctx context.Context) ([]net.Addr, error) {
	port, err := net.DefaultResolver.LookupPort(ctx, t.network, t.service)
	if err != nil {
		return nil, err
	}
	family := map[string]string{"tcp": "ip", "tcp4": "ip4", "tcp6": "ip6"}[t.network]
	if ip, err := netip.ParseAddr(t.host); err == nil || t.host == "" {
		return t.choose([]netip.Addr{ip}, port) // only the port had a name
	}
	ips, err := t.Resolver.LookupNetIP(ctx, family, t.host)
	if err != nil {
		return nil, err
	}
	return t.choose(ips, port)
}

// choose makes the list of addresses to try, in its order.
func (t *dial) choose(ips []netip.Addr, port int) (list []net.Addr, err error) {
	for _, ip := range interleaved(ips) {
		ip = ip.Unmap()
		if !ip.IsValid() || ip.IsUnspecified() { // this machine
			ip = sockets.Loopback(t.network, ip)
		}
		if t.network == "tcp4" && !ip.Is4() || t.network == "tcp6" && !ip.Is6() || !t.reaches(ip) {
			continue
		}
		list = append(list, net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, uint16(port))))
	}
	if len(list) == 0 {
		return nil, &net.AddrError{Err: "no suitable address", Addr: t.host}
	}
	return list, nil
}

// reaches reports whether the local address is of ip's family, or not set.
func (t *dial) reaches(ip netip.Addr) bool {
	local, ok := t.LocalAddr.(*net.TCPAddr)
	if !ok || local == nil || len(local.IP) == 0 {
		return true
	}
	return (local.IP.To4() != nil) == ip.Is4()
}

// interleaved orders addresses as RFC 8305, section 4, has it: the family of
// the first, which the resolver prefers, then the other, by turns.
func interleaved(ips []netip.Addr) (list []netip.Addr) {
	var first, second []netip.Addr
	for _, ip := range ips {
		if ip.Unmap().Is4() == ips[0].Unmap().Is4() {
			first = append(first, ip)
		} else {
			second = append(second, ip)
		}
	}
	for i := range max(len(first), len(second)) {
		list = append(list, first[min(i, len(first)):min(i+1, len(first))]...)
		list = append(list, second[min(i, len(second)):min(i+1, len(second))]...)
	}
	return list
}
