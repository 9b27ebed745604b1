package futures_test

import (
	"context"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/stretchr/testify/require"
)

// What docs/testing-your-server.md says of testing/synctest: among the goroutines of a
// bubble, waiting is durable and time is fake.
func TestInABubble(t *testing.T) {
	for name, show := range map[string]func(t *testing.T){
		"promise": func(t *testing.T) {
			begun, p := time.Now(), futures.NewPromise[int]()
			go func() {
				time.Sleep(time.Hour)
				p.Resolve(1)
			}()
			v, err := p.Future().Await(t.Context())
			require.NoError(t, err)
			require.Equal(t, 1, v)
			require.Equal(t, time.Hour, time.Since(begun))
		},
		"timeout": func(t *testing.T) {
			begun := time.Now()
			_, err := futures.WithTimeout(futures.NewPromise[int]().Future(), time.Minute).Await(t.Context())
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.Equal(t, time.Minute, time.Since(begun))
		},
		"context": func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var never futures.Event
			require.ErrorIs(t, never.Wait(ctx), context.DeadlineExceeded)
		},
		"mutex": func(t *testing.T) {
			var m futures.Mutex
			require.NoError(t, m.Lock(t.Context()))
			locked := false
			go func() {
				if m.Lock(context.Background()) == nil {
					locked = true
					m.Unlock()
				}
			}()
			synctest.Wait()
			require.False(t, locked)
			m.Unlock()
			synctest.Wait()
			require.True(t, locked)
		},
		"blocking": func(t *testing.T) {
			begun := time.Now()
			_, err := futures.Blocking(t.Context(), func() (struct{}, error) { time.Sleep(time.Hour); return struct{}{}, nil })
			require.NoError(t, err)
			require.Equal(t, time.Hour, time.Since(begun))
		},
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, show) })
	}
}
