//go:build debug

package proactor_test

import (
	"fmt"
	"testing"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

//go:noinline
func theFirstToRelease(b proactor.Buffer) { b.Release() }

//go:noinline
func giveAway(c *proactor.Conn, b proactor.Buffer) { c.Send(b) }

// TestDebugNamesTheCulprit: the panic of who uses a lease that has ended shows
// who ended it, and what is left of its memory is no data.
func TestDebugNamesTheCulprit(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		misuse := func(fn func()) (said string) {
			defer func() { said = fmt.Sprint(recover()) }()
			fn()
			return ""
		}
		for culprit, end := range map[string]func(proactor.Buffer){
			"theFirstToRelease": theFirstToRelease,
			"giveAway":          func(b proactor.Buffer) { giveAway(c, b) },
		} {
			wrote(t, peer, "data")
			b, err := c.Recv().Await(t.Context())
			require.NoError(t, err)
			kept := b.Bytes()
			end(b)
			for _, use := range []func(){b.Release, func() { b.Bytes() }, func() { c.Send(b) }, func() { c.Queue(b) }} {
				require.Contains(t, misuse(use), culprit)
			}
			if culprit == "giveAway" {
				require.Equal(t, "data", readFull(t, peer, 4))
			}
			eventually(t, func() bool { return rt.Stats().Total().BuffersOut == 0 }, rt.Describe)
			doOnLoop(t, c.Loop(), func() { require.Equal(t, "\xdb\xdb\xdb\xdb", string(kept)) })
		}
	})
}
