// Package proxyprotocol reads the PROXY header, version 1 or 2, with which a load
// balancer begins a connection to say whose it is. The header is parsed by
// github.com/pires/go-proxyproto; this package reads it in a coroutine, and leaves what
// follows it to be received in any way.
//
//   - [Accept] returns a net.Conn with the client's addresses;
//   - [ReadHeader] returns the header alone, for a handler that receives leases.
//
// What goroutines accept needs no more than that library:
//
//	&proxyproto.Listener{Listener: ln.NetListener()}
//
// Anybody who can connect can claim to be anybody. Look at the address that the
// connection comes from first, and read headers of your load balancers only.
//
// It is a module of its own, so that the library itself does not require another.
package proxyprotocol
