package program

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"time"

	"github.com/goproactor/goproactor/bench/load"
)

// tlsBulk is how much is moved at a time.
const tlsBulk = 16 * mebibyte

var _ = register(Program{
	Name:    "tls-send",
	About:   "crypto/tls, the server sends",
	Unit:    "MiB",
	Bulk:    true,
	Listen:  listenTLS(sendBulk),
	Handler: handlerTLS(sendBulk),
	Load:    load.Job{Conns: 4, Window: 1},
	drive:   driveTLS(askForBulk),
})

var _ = register(Program{
	Name:    "tls-receive",
	About:   "crypto/tls, the server receives",
	Unit:    "MiB",
	Bulk:    true,
	Listen:  listenTLS(receiveBulk),
	Handler: handlerTLS(receiveBulk),
	Load:    load.Job{Conns: 4, Window: 1},
	drive:   driveTLS(giveBulk),
})

func serverTLS() (*tls.Config, error) {
	certificate, err := selfSigned()
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"bench"}}, nil
}

func clientTLS() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"bench"}} // the benchmark's own server, on loopback
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

func listenTLS(serve func(net.Conn) error) func(net.Listener, Options) error {
	return func(ln net.Listener, _ Options) error {
		config, err := serverTLS()
		if err != nil {
			return err
		}
		ln = tls.NewListener(ln, config)
		for {
			c, err := ln.Accept()
			if err != nil {
				return err
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}
}

func handlerTLS(serve func(net.Conn) error) func(Options) (Handler, error) {
	return func(Options) (Handler, error) {
		config, err := serverTLS()
		if err != nil {
			return nil, err
		}
		return func(_ context.Context, c net.Conn) error { return serve(tls.Server(c, config)) }, nil
	}
}

// sendBulk sends so much for each byte that it receives.
func sendBulk(c net.Conn) error {
	request, memory := make([]byte, 1), make([]byte, 64<<10)
	for {
		if _, err := c.Read(request); err != nil {
			return err
		}
		for left := tlsBulk; left > 0; left -= len(memory) {
			if _, err := c.Write(memory); err != nil {
				return err
			}
		}
	}
}

func receiveBulk(c net.Conn) error {
	memory := make([]byte, 64<<10)
	for {
		if _, err := c.Read(memory); err != nil {
			return err
		}
	}
}

// driveTLS connects before anything is measured.
func driveTLS(move func(context.Context, net.Conn, func(float64)) error) func(load.Job) (load.Result, error) {
	return func(job load.Job) (load.Result, error) {
		return driveWorkers(job, func(ctx context.Context, _ int, count func(float64)) error {
			c, err := tls.Dial("tcp", job.Addr, clientTLS())
			if err != nil {
				return err
			}
			defer c.Close()
			defer context.AfterFunc(ctx, func() { c.NetConn().Close() })()
			return move(ctx, c, count)
		})
	}
}

func askForBulk(ctx context.Context, c net.Conn, count func(float64)) error {
	memory := make([]byte, 64<<10)
	for ctx.Err() == nil {
		if _, err := c.Write(memory[:1]); err != nil {
			return err
		}
		if err := discard(c, tlsBulk, memory, count); err != nil {
			return err
		}
	}
	return nil
}

func giveBulk(ctx context.Context, c net.Conn, count func(float64)) error {
	memory := make([]byte, 64<<10)
	for ctx.Err() == nil {
		n, err := c.Write(memory)
		if err != nil {
			return err
		}
		count(float64(n) / mebibyte)
	}
	return nil
}
