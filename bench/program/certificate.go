package program

import (
	"crypto/tls"

	"github.com/goproactor/goproactor/bench/certificate"
)

// protocol is what TLS and QUIC agree on.
const protocol = "bench"

func serverTLS() (*tls.Config, error) {
	own, _, err := certificate.New()
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{own}, NextProtos: []string{protocol}}, nil
}

func clientTLS() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}} // the benchmark's own server, on loopback
}
