package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"github.com/pires/go-proxyproto"
)

// Of the header of the PROXY protocol
// (https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt): how long a client has
// to send it, how long a line of v1 and a block of v2 may be, and where the latter
// says how much follows.
const (
	headerPatience = 5 * time.Second
	longestLine    = 107
	longestBlock   = 4096
	blockStart     = 16
	blockLength    = 14
)

var errNoHeader = errors.New("no PROXY protocol header, which -accept-proxy wants")

// ends are the two ends of a client's connection, which may be that of another proxy.
type ends struct{ source, destination net.Addr }

// ends are those that the client's header names, if it is to begin with one.
func (p *proxy) ends(ctx context.Context, client *proactor.Conn) (ends, error) {
	own := ends{client.RemoteAddr(), client.LocalAddr()}
	if !p.acceptProxy {
		return own, nil
	}
	ctx, cancel := context.WithTimeout(ctx, headerPatience)
	defer cancel()
	h, err := readHeader(ctx, client)
	switch {
	case err != nil:
		return ends{}, fmt.Errorf("header of %v: %w", own.source, err)
	case h.Command.IsLocal() || h.SourceAddr == nil: // the other proxy's own, such as its health checks
		return own, nil
	}
	return ends{h.SourceAddr, h.DestinationAddr}, nil
}

// readHeader takes the header from a connection. What comes behind it is there for the
// next receive.
func readHeader(ctx context.Context, c *proactor.Conn) (*proxyproto.Header, error) {
	r := c.Reader(proactor.WithFrameLimit(blockStart + longestBlock))
	defer r.Release()
	raw, err := peekHeader(ctx, r)
	if err != nil {
		return nil, err
	}
	// The library wants a bufio.Reader: of no more than the header, or it would take
	// what belongs to the upstream.
	return proxyproto.Read(bufio.NewReader(bytes.NewReader(raw)))
}

// peekHeader reads as much as the header has.
func peekHeader(ctx context.Context, r *proactor.Reader) ([]byte, error) {
	first, err := r.Peek(ctx, 1)
	if err != nil {
		return nil, err
	}
	switch first[0] {
	case proxyproto.SIGV1[0]:
		return readLine(ctx, r)
	case proxyproto.SIGV2[0]:
		return readBlock(ctx, r)
	}
	return nil, errNoHeader
}

// readLine reads a header of v1. The bytes are valid until the next read.
func readLine(ctx context.Context, r *proactor.Reader) ([]byte, error) {
	for n := len(proxyproto.SIGV1); ; n++ {
		line, err := r.Peek(ctx, n)
		switch {
		case err != nil:
			return nil, err
		case !bytes.HasPrefix(line, proxyproto.SIGV1), n > longestLine:
			return nil, errNoHeader
		case line[n-1] == '\n':
			line = bytes.Clone(line)
			r.Discard(n)
			return line, nil
		}
	}
}

// readBlock reads a header of v2.
func readBlock(ctx context.Context, r *proactor.Reader) ([]byte, error) {
	start, err := r.Peek(ctx, blockStart)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(start, proxyproto.SIGV2) {
		return nil, errNoHeader
	}
	n := int(binary.BigEndian.Uint16(start[blockLength:]))
	if n > longestBlock {
		return nil, fmt.Errorf("a header of %d bytes: want %d at most", n, longestBlock)
	}
	block, err := r.Peek(ctx, blockStart+n)
	if err != nil {
		return nil, err
	}
	block = bytes.Clone(block)
	r.Discard(blockStart + n)
	return block, nil
}

// format is the header that tells an upstream of the ends.
func (e ends) format(version string) ([]byte, error) {
	v := byte(1)
	if version == "v2" {
		v = 2
	}
	return proxyproto.HeaderProxyFromAddrs(v, e.source, e.destination).Format()
}
