package proactor_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"testing"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// What errors.Is finds in each error that stands for several is what is documented, and
// nothing else.
func TestErrorsMatchExactly(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		targets := map[string]error{
			"net.ErrClosed": net.ErrClosed, "proactor.ErrClosed": proactor.ErrClosed, "futures.ErrClosed": futures.ErrClosed,
			"fs.ErrClosed": fs.ErrClosed, "ErrMoved": proactor.ErrMoved, "ErrDetached": proactor.ErrDetached, "ErrIdle": proactor.ErrIdle,
			"os.ErrDeadlineExceeded": os.ErrDeadlineExceeded, "context.DeadlineExceeded": context.DeadlineExceeded,
			"context.Canceled": context.Canceled, "futures.ErrCanceled": futures.ErrCanceled, "io.EOF": io.EOF,
		}
		plain := []string{"futures.ErrClosed", "net.ErrClosed", "proactor.ErrClosed"}
		f := opened(t, t.Context(), rt, "content")
		_, err := f.Close().Await(t.Context())
		require.NoError(t, err)
		_, ofFile := f.Read(make([]byte, 1)).Await(t.Context())
		_, ofDial := (&proactor.Dialer{Timeout: -1}).Dial(t.Context(), rt, "tcp", "127.0.0.1:1").Await(t.Context())
		require.NoError(t, rt.Close())
		_, late := rt.Dial(t.Context(), "tcp", "127.0.0.1:1").Await(t.Context())
		for name, c := range map[string]struct {
			err   error
			finds []string
		}{
			"futures.ErrClosed":   {futures.ErrClosed, plain},
			"proactor.ErrClosed":  {proactor.ErrClosed, plain},
			"ErrMoved":            {proactor.ErrMoved, append(plain, "ErrMoved")},
			"ErrDetached":         {proactor.ErrDetached, append(plain, "ErrDetached")},
			"a file closed":       {ofFile, append(plain, "fs.ErrClosed")},
			"after Close":         {late, plain},
			"ErrIdle":             {proactor.ErrIdle, []string{"ErrIdle", "os.ErrDeadlineExceeded"}},
			"the time of a Dial":  {ofDial, []string{"context.DeadlineExceeded", "os.ErrDeadlineExceeded"}},
			"futures.ErrCanceled": {futures.ErrCanceled, []string{"context.Canceled", "futures.ErrCanceled"}},
		} {
			var found []string
			for target, e := range targets {
				if errors.Is(c.err, e) {
					found = append(found, target)
				}
			}
			slices.Sort(found)
			want := slices.Clone(c.finds)
			slices.Sort(want)
			require.Equal(t, want, found, name)
		}
	})
}
