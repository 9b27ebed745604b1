package main

// nettest is the suite of what a net.Conn must do, by the authors of package net. It is
// a library of tests: the test that calls it is ours.
var nettest = suite{
	name:        "nettest",
	module:      "golang.org/x/net",
	version:     "v0.62.0",
	packages:    []string{"./nettest"},
	args:        []string{"-run=^TestSubstitute$", "-race", "-count=20"},
	quick:       []string{"-run=^TestSubstitute$", "-race", "-count=2"},
	timeout:     "10m",
	onlyPatched: true,
	files: map[string]string{"nettest/substitute_test.go": `package nettest

import (
	"net"
	"testing"

	"MODULE/internal/proactornet"
)

func TestSubstitute(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			TestConn(t, func() (one, other net.Conn, stop func(), err error) {
				address := "127.0.0.1:0"
				if network == "unix" {
					address = t.TempDir() + "/s"
				}
				one, other, err = proactornet.Pair(network, address)
				return one, other, func() { one.Close(); other.Close() }, err
			})
		})
	}
}
`},
	modes: []mode{detached, shared},
}
