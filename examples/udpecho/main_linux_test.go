package main_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/internal/exampletest"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { exampletest.Main(m) }

// small sizes are sent a few at a time, large ones by one client alone: a
// socket's buffer takes three of those, and drops the rest.
var small, large = []int{1, 64, 0, 1472, 5}, []int{9000, 65507}

// echoed sends messages of those sizes and wants each back. One may overtake another, over
// loopback too: on another processor.
func echoed(addr string, who int, sizes ...int) error {
	c, err := net.Dial("udp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	p := make([]byte, 1<<16)
	for i, size := range sizes {
		var sent [][]byte
		for k := range 3 {
			message := bytes.Repeat([]byte{byte(who), byte(i), byte(k)}, size/3+1)[:size]
			if _, err := c.Write(message); err != nil {
				return err
			}
			sent = append(sent, message)
		}
		for range 3 {
			n, err := c.Read(p)
			if err != nil {
				return err
			}
			at := slices.IndexFunc(sent, func(message []byte) bool { return bytes.Equal(p[:n], message) })
			if at < 0 {
				return fmt.Errorf("a message of %d bytes came back as %d bytes, or others", size, n)
			}
			sent = slices.Delete(sent, at, at+1)
		}
	}
	return nil
}

func TestUDPEcho(t *testing.T) {
	for _, backend := range exampletest.Backends(t) {
		for _, style := range []string{"await", "callback"} {
			t.Run(backend+"/"+style, func(t *testing.T) {
				s := exampletest.Start(t, "-addr", "127.0.0.1:0", "-backend", backend, "-style", style, "-loops", "2")
				require.Equal(t, fmt.Sprintf("listening on udp %s backend=%s loops=2 style=%s", s.Addr, backend, style), s.Banner)
				var all sync.WaitGroup
				for i := range 8 {
					all.Go(func() {
						if err := echoed(s.Addr, i, small...); err != nil {
							t.Error(err)
						}
					})
				}
				all.Wait()
				require.NoError(t, echoed(s.Addr, 9, large...))
				said := s.Stop(t, syscall.SIGTERM)
				require.Regexp(t, `(?m)^total: submitted=.* in-flight=\d+ .* out=0 `, said)
			})
		}
	}
}

func TestIPv6(t *testing.T) {
	if !exampletest.IPv6(t) {
		t.Skip("needs IPv6, see above")
	}
	for _, backend := range exampletest.Backends(t) {
		s := exampletest.Start(t, "-addr", "[::1]:0", "-network", "udp6", "-backend", backend)
		require.NoError(t, echoed(s.Addr, 1, small...))
		s.Stop(t, os.Interrupt)
	}
}

func TestBadUsage(t *testing.T) {
	for says, args := range map[string][]string{
		`style "x"`:                {"-style", "x"},
		`backend "y"`:              {"-backend", "y"},
		"0 loops":                  {"-loops", "0"},
		`invalid value "many"`:     {"-loops", "many"},
		"-unknown":                 {"-unknown"},
		`unexpected argument "up"`: {"up"},
	} {
		require.Contains(t, exampletest.Fails(t, 2, args...), says)
	}
}

func TestCannotListen(t *testing.T) {
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	other := exampletest.Start(t, "-addr", "127.0.0.1:0")
	for says, args := range map[string][]string{
		"address already in use":   {"-addr", taken.LocalAddr().String()},
		other.Addr:                 {"-addr", other.Addr},
		"unknown network":          {"-network", "carrier-pigeon"},
		"missing port":             {"-addr", "127.0.0.1"},
		"assign requested address": {"-addr", "192.0.2.1:1"},
	} {
		require.Contains(t, exampletest.Fails(t, 1, args...), says)
	}
	require.NoError(t, echoed(other.Addr, 1, small...), "the other one is none the worse")
	other.Stop(t, syscall.SIGTERM)
}

func TestHelp(t *testing.T) {
	out, err := exampletest.Command(t, "-help").Output()
	require.NoError(t, err)
	for _, flag := range []string{"-addr", "-network", "-backend", "-style", "-loops"} {
		require.Contains(t, string(out), flag)
	}
}
