package proxyprotocol

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/pires/go-proxyproto"

	"github.com/goproactor/goproactor/proactor"
)

// ErrNoHeader says that the connection does not begin with a PROXY header.
var ErrNoHeader = proxyproto.ErrNoProxyProtocol

// ErrHeaderTooLong says that a header is longer than MaxHeader, or has no end.
var ErrHeaderTooLong = errors.New("proxyprotocol: the header is too long")

// MaxHeader is how many bytes of a header are read at most: 107 of version 1, which has
// no longer ones, and 2 KiB of version 2, which wants 536 and TLVs besides.
const MaxHeader = 2 << 10

const (
	maxText     = 107
	binaryFixed = 16 // bytes of version 2 before what its length counts
)

// ReadHeader reads the header that begins the connection, in one piece or in many, until
// ctx ends: give it a timeout. It takes the header only, and nothing if it fails: what
// follows is there for Recv, Reader, NetConn or Detach. SourceAddr and DestinationAddr of
// the result are nil if the header does not tell (LOCAL, UNKNOWN): the connection is then
// the load balancer's own.
//
// The errors are ErrNoHeader, as soon as a byte is not of a header; ErrHeaderTooLong;
// those of go-proxyproto for a header that is wrong; io.EOF or io.ErrUnexpectedEOF if the
// peer ends before; and those of receiving. They say whose connection it is.
func ReadHeader(ctx context.Context, c *proactor.Conn) (*proxyproto.Header, error) {
	h, err := readHeader(ctx, c)
	if err != nil && err != io.EOF {
		var known *net.OpError
		if !errors.As(err, &known) {
			err = &net.OpError{Op: "proxy header", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
		}
	}
	return h, err
}

func readHeader(ctx context.Context, c *proactor.Conn) (*proxyproto.Header, error) {
	in := c.Reader(proactor.WithFrameLimit(MaxHeader))
	defer in.Release()
	n, err := headerLength(ctx, in)
	if err != nil {
		return nil, err
	}
	raw, err := in.Peek(ctx, n)
	if err != nil {
		return nil, err
	}
	h, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(raw), MaxHeader))
	if err != nil {
		return nil, err
	}
	in.Discard(n)
	if h.Command.IsLocal() || h.TransportProtocol.IsUnspec() {
		h.SourceAddr, h.DestinationAddr = nil, nil
	}
	return h, nil
}

// headerLength waits for as much of the header as tells its length.
func headerLength(ctx context.Context, in *proactor.Reader) (int, error) {
	for n := 1; ; n = max(n+1, min(in.Buffered(), MaxHeader)) {
		p, err := in.Peek(ctx, n)
		if err != nil {
			return 0, err
		}
		switch signature := signatureOf(p); {
		case !bytes.HasPrefix(p, signature) && !bytes.HasPrefix(signature, p):
			return 0, ErrNoHeader
		case len(p) < len(signature):
		case p[0] == proxyproto.SIGV2[0]:
			return binaryLength(ctx, in)
		default:
			if end := bytes.IndexByte(p[:min(len(p), maxText)], '\n'); end >= 0 {
				return end + 1, nil
			}
			if len(p) >= maxText {
				return 0, fmt.Errorf("%w (%d bytes without an end)", ErrHeaderTooLong, maxText)
			}
		}
	}
}

// signatureOf is the signature that a header with that first byte has.
func signatureOf(p []byte) []byte {
	if p[0] == proxyproto.SIGV2[0] {
		return proxyproto.SIGV2
	}
	return proxyproto.SIGV1
}

func binaryLength(ctx context.Context, in *proactor.Reader) (int, error) {
	fixed, err := in.Peek(ctx, binaryFixed)
	if err != nil {
		return 0, err
	}
	n := binaryFixed + int(binary.BigEndian.Uint16(fixed[binaryFixed-2:]))
	if n > MaxHeader {
		return 0, fmt.Errorf("%w (%d bytes, and %d are read at most)", ErrHeaderTooLong, n, MaxHeader)
	}
	return n, nil
}
