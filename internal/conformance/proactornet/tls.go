package proactornet

import (
	"context"
	"crypto/tls"
	"net"
)

// DialTLS is tls.DialWithDialer.
func DialTLS(d *net.Dialer, network, address string, config *tls.Config) (*tls.Conn, error) {
	ctx := context.Background()
	if d.Timeout != 0 {
		limited, cancel := context.WithTimeout(ctx, d.Timeout)
		defer cancel()
		ctx = limited
	}
	raw, err := DialContext(d, ctx, network, address)
	if err != nil {
		return nil, err
	}
	if config == nil {
		config = new(tls.Config)
	}
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			host = address
		}
		config = config.Clone()
		config.ServerName = host
	}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}
