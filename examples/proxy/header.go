package main

import (
	"context"
	"net"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/proactor/proxyprotocol"
	"github.com/pires/go-proxyproto"
)

// headerPatience is how long a client has to send its header of the PROXY protocol.
const headerPatience = 5 * time.Second

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
	h, err := proxyprotocol.ReadHeader(ctx, client)
	switch {
	case err != nil:
		return ends{}, err
	case h.SourceAddr == nil: // the other proxy's own, such as its health checks
		return own, nil
	}
	return ends{h.SourceAddr, h.DestinationAddr}, nil
}

// format is the header that tells an upstream of the ends.
func (e ends) format(version string) ([]byte, error) {
	v := byte(1)
	if version == "v2" {
		v = 2
	}
	return proxyproto.HeaderProxyFromAddrs(v, e.source, e.destination).Format()
}
