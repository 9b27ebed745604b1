package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
)

// dialTimeout is how long a server has to accept a connection, and to shake hands.
const dialTimeout = 10 * time.Second

// fetcher is what all downloads share.
type fetcher struct {
	config
	rt     *proactor.Runtime
	client *http.Client
	screen screen
}

// run downloads everything. It reports whether it has.
func run(ctx context.Context, c config) bool {
	rt, err := proactor.New(proactor.WithBackend(c.backend), proactor.WithLoops(1))
	if err != nil {
		fmt.Fprintln(os.Stderr, "fetch:", err)
		return false
	}
	defer rt.Close()
	f := &fetcher{config: c, rt: rt}
	transport, err := f.transport()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fetch:", err)
		return false
	}
	defer transport.CloseIdleConnections()
	f.client = &http.Client{Transport: transport, CheckRedirect: checkRedirect}
	f.screen.open()
	all := f.downloads(ctx)
	f.screen.close()
	return report(ctx, all)
}

// downloads runs as many downloads at once as the limit allows. One that fails does not
// end the others.
func (f *fetcher) downloads(ctx context.Context) []*download {
	group := futures.NewGroup(ctx)
	group.SetLimit(f.limit)
	var all []*download
	for _, t := range f.targets {
		d := &download{target: t, fetcher: f, part: partOf(t.name), from: originOf(t.name)}
		all = append(all, d)
		group.Go(func(ctx context.Context) error {
			d.err = d.run(ctx)
			return nil
		})
	}
	group.Wait(ctx)
	return all
}

// report says how each download has ended.
func report(ctx context.Context, all []*download) (whole bool) {
	whole = true
	for _, d := range all {
		switch {
		case d.err == nil:
			fmt.Println(d)
		case ctx.Err() != nil && errors.Is(d.err, context.Canceled):
			whole = false
		default:
			fmt.Fprintln(os.Stderr, "fetch:", d.err)
			whole = false
		}
	}
	if ctx.Err() != nil && !whole {
		fmt.Fprintln(os.Stderr, "fetch: interrupted; the same command goes on from here")
	}
	return whole
}

// transport is net/http's, with connections of the runtime. It runs on goroutines, where
// these are as those of package net.
func (f *fetcher) transport() (*http.Transport, error) {
	dialer := &proactor.Dialer{Timeout: dialTimeout}
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, f.rt, network, address)
		},
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: f.stall,
		MaxIdleConnsPerHost:   f.limit,
		DisableCompression:    true, // a Range is one of the file as it is
	}
	if f.authority == "" {
		return t, nil
	}
	certificates, err := os.ReadFile(f.authority)
	if err != nil {
		return nil, err
	}
	t.TLSClientConfig.RootCAs = x509.NewCertPool()
	if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(certificates) {
		return nil, fmt.Errorf("%s has no certificate in PEM", f.authority)
	}
	return t, nil
}

// checkRedirect follows where it is led, but not out of TLS.
func checkRedirect(to *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return permanent(errors.New("more than 10 redirects"))
	}
	if via[len(via)-1].URL.Scheme == "https" && to.URL.Scheme != "https" {
		return permanent(fmt.Errorf("redirect from https to %s", to.URL.Redacted()))
	}
	return nil
}
