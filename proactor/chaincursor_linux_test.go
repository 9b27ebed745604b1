package proactor_test

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/faultqueue"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

func TestConformanceChainCursor(t *testing.T) { conform(t, cursorsInChains) }

// waitingPipe is a named pipe as a file: reading at its cursor waits for write.
func waitingPipe(t *testing.T, ctx context.Context, rt *proactor.Runtime) (f *proactor.File, write func(string)) {
	t.Helper()
	name := pipeNamed(t)
	f, err := rt.OpenFile(name, os.O_RDWR, 0).Await(ctx)
	require.NoError(t, err)
	w, err := os.OpenFile(name, os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { w.Close() })
	return f, func(s string) {
		_, err := w.WriteString(s)
		require.NoError(t, err)
	}
}

var cursorsInChains = []behaviour{
	{name: "reads and writes go on where others stopped", without: faultqueue.ShortReads, show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f := chained(t, ctx, rt, "0123456789")
			p, q := make([]byte, 2), make([]byte, 3)
			_, err := f.Read(p).Await(ctx)
			require.NoError(t, err)
			results, err := rt.Chain(f.ReadNextFullStep(p), f.WriteNextStep([]byte("AB")), f.SyncStep(), f.ReadNextFullStep(q)).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, []proactor.StepResult{count(2), count(2), count(0), count(3)}, results)
			require.Equal(t, "23|678", string(p)+"|"+string(q))
			results, err = rt.Chain(f.ReadNextStep(q), f.ReadNextStep(q)).Await(ctx)
			require.Equal(t, io.EOF, err)
			require.Equal(t, count(1), results[0])
			_, err = f.Write([]byte("end")).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, "0123AB6789end", content(t, f))
			closed(t, ctx, f)
		})
	}},
	{name: "a chain keeps its place among the reads and writes at the cursor", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f := chained(t, ctx, rt, "")
			var want bytes.Buffer
			var writes []futures.Future[int]
			var chains []futures.Future[[]proactor.StepResult]
			for i := range 20 {
				one, two, three := bytes.Repeat([]byte{byte('a' + i)}, 100+i), []byte{byte('A' + i)}, bytes.Repeat([]byte("."), i)
				for _, p := range [][]byte{one, two, three, one} {
					want.Write(p)
				}
				writes = append(writes, f.Write(one))
				chains = append(chains, rt.Chain(f.WriteNextStep(two), f.SyncDataStep(), f.WriteNextStep(three)))
				writes = append(writes, f.Write(one))
			}
			for _, c := range chains {
				_, err := c.Await(ctx)
				require.NoError(t, err)
			}
			for _, w := range writes {
				_, err := w.Await(ctx)
				require.NoError(t, err)
			}
			require.Equal(t, want.String(), content(t, f))
			closed(t, ctx, f)
		})
	}},
	{name: "a journal is written at its end, and synced", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			name := named(t, "first\n")
			f, err := rt.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0).Await(ctx)
			require.NoError(t, err)
			for range 2 {
				results, err := rt.Chain(f.WriteNextStep([]byte("more\n")), f.SyncDataStep()).Await(ctx)
				require.NoError(t, err)
				require.Equal(t, count(5), results[0])
			}
			_, err = rt.Chain(f.WriteStep([]byte("x"), 0)).Await(ctx)
			require.ErrorContains(t, err, "WriteNextStep")
			require.Equal(t, "first\nmore\nmore\n", content(t, f))
			_, err = rt.Chain(f.WriteNextStep([]byte("last\n")), f.CloseStep()).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, "first\nmore\nmore\nlast\n", content(t, f))
		})
	}},
	{name: "a file opened with O_DIRECT", without: faultqueue.ShortReads, show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			const block, blocks = 4096, 5
			f := direct(t, ctx, rt)
			m := allocate(t, ctx, f.Loop(), 2*block*blocks)
			out, in := m.Bytes()[:block*blocks], m.Bytes()[block*blocks:]
			for i := range out {
				out[i] = byte(i ^ i>>12)
			}
			p := func(of []byte, i int) []byte { return of[i*block : (i+1)*block] }
			before := []futures.Future[int]{f.Write(p(out, 0)), f.Write(p(out, 1))}
			chain := rt.Chain(f.WriteNextStep(p(out, 2)), f.WriteNextStep(p(out, 3)), f.SyncStep())
			after := f.Write(p(out, 4))
			for _, w := range append(before, after) {
				_, err := w.Await(ctx)
				require.NoError(t, err)
			}
			results, err := chain.Await(ctx)
			require.NoError(t, err)
			require.Equal(t, []proactor.StepResult{count(block), count(block), count(0)}, results)
			again, err := rt.OpenFile(f.Name(), os.O_RDONLY|syscall.O_DIRECT, 0).Await(ctx)
			require.NoError(t, err)
			_, err = again.Read(p(in, 0)).Await(ctx)
			require.NoError(t, err)
			_, err = rt.Chain(again.ReadNextFullStep(p(in, 1)), again.ReadNextStep(p(in, 2)), again.ReadNextFullStep(p(in, 3))).Await(ctx)
			require.NoError(t, err)
			_, err = again.Read(p(in, 4)).Await(ctx)
			require.NoError(t, err)
			require.True(t, bytes.Equal(out, in))
			_, err = rt.Chain(again.ReadNextStep(p(in, 0)), again.CloseStep().Always()).Await(ctx)
			require.Equal(t, io.EOF, err)
			release(t, ctx, m)
		})
	}},
	{name: "where the file ends in the middle, the cursor is at its end", without: faultqueue.ShortReads, show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f := chained(t, ctx, rt, "12345")
			p := make([]byte, 3)
			results, err := rt.Chain(f.ReadNextFullStep(p), f.ReadNextFullStep(p), f.WriteNextStep([]byte("no"))).Await(ctx)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			require.ErrorAs(t, err, new(*fs.PathError))
			require.Equal(t, 2, results[1].N)
			require.Equal(t, futures.ErrCanceled, results[2].Err)
			_, err = f.Read(p).Await(ctx)
			require.Equal(t, io.EOF, err)
			require.Equal(t, "12345", content(t, f))
			closed(t, ctx, f)
		})
	}},
	{name: "canceled while it waits for its place", without: faultqueue.ShortReads, show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f, write := waitingPipe(t, ctx, rt)
			p, q := make([]byte, 3), make([]byte, 3)
			first := f.Read(p)
			one, two := rt.Chain(f.ReadNextStep(make([]byte, 3))), rt.Chain(f.ReadNextStep(make([]byte, 3)))
			last := f.Read(q)
			one.Cancel()
			two.Cancel()
			for _, c := range []futures.Future[[]proactor.StepResult]{one, two} {
				_, err := c.Await(ctx)
				require.ErrorIs(t, err, futures.ErrCanceled)
			}
			write("abcdef")
			_, err := first.Await(ctx)
			require.NoError(t, err)
			_, err = last.Await(ctx)
			require.NoError(t, err)
			require.Equal(t, "abcdef", string(p)+string(q))
			closed(t, ctx, f)
		})
	}},
	{name: "canceled when it has begun, it lets the next begin", without: faultqueue.ShortReads, show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f, write := waitingPipe(t, ctx, rt)
			p, q := make([]byte, 3), make([]byte, 3)
			chain := rt.Chain(f.ReadNextFullStep(make([]byte, 3)), f.ReadNextStep(make([]byte, 3)))
			next, last := rt.Chain(f.ReadNextFullStep(p)), f.Read(q)
			turn(ctx, rt)
			chain.Cancel()
			results, err := chain.Await(ctx)
			require.ErrorIs(t, err, futures.ErrCanceled)
			require.ErrorIs(t, results[1].Err, futures.ErrCanceled)
			write("abcdef")
			_, err = next.Await(ctx)
			require.NoError(t, err)
			_, err = last.Await(ctx)
			require.NoError(t, err)
			require.Equal(t, "abcdef", string(p)+string(q))
			closed(t, ctx, f)
		})
	}},
	{name: "a chain that another of its files refuses does not keep the cursor", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f := chained(t, ctx, rt, "")
			g, err := rt.Open(f.Name()).Await(ctx)
			require.NoError(t, err)
			closed(t, ctx, g)
			_, err = rt.Chain(f.WriteNextStep([]byte("no")), g.SyncStep()).Await(ctx)
			require.Error(t, err)
			_, err = rt.Chain(f.WriteNextStep([]byte("yes"))).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, "yes", content(t, f))
			closed(t, ctx, f)
		})
	}},
	{name: "a Close waits for those in line", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f, write := waitingPipe(t, ctx, rt)
			p, q := make([]byte, 3), make([]byte, 3)
			first := rt.Chain(f.ReadNextFullStep(p))
			second := rt.Chain(f.ReadNextFullStep(q), f.CloseStep())
			write("abcdef")
			_, err := second.Await(ctx)
			require.NoError(t, err)
			_, err = first.Await(ctx)
			require.NoError(t, err)
			require.Equal(t, "abcdef", string(p)+string(q))
			require.Equal(t, -1, f.Fd())

			f, write = waitingPipe(t, ctx, rt)
			first = rt.Chain(f.ReadNextFullStep(p))
			second = rt.Chain(f.ReadNextFullStep(q))
			closing := f.Close()
			write("ghijkl")
			_, err = closing.Await(ctx)
			require.NoError(t, err)
			_, err = first.Result()
			require.NoError(t, err)
			_, err = second.Result()
			require.NoError(t, err)
			require.Equal(t, "ghijkl", string(p)+string(q))
			_, err = rt.Chain(f.ReadNextFullStep(q)).Await(ctx)
			require.ErrorIs(t, err, fs.ErrClosed)
		})
	}},
	{name: "misuse", without: faultqueue.ShortReads, show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f := chained(t, ctx, rt, "x")
			for _, s := range []proactor.Step{f.ReadNextStep(nil), f.ReadNextFullStep(nil)} {
				_, err := rt.Chain(s).Await(ctx)
				require.ErrorAs(t, err, new(*fs.PathError))
				require.ErrorIs(t, err, syscall.EINVAL)
			}
			results, err := rt.Chain(f.WriteNextStep(nil), f.SyncStep()).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, count(0), results[0])
			r, err := rt.Open(f.Name()).Await(ctx)
			require.NoError(t, err)
			_, err = rt.Chain(r.WriteNextStep([]byte("no"))).Await(ctx)
			require.ErrorIs(t, err, syscall.EBADF)
			closed(t, ctx, f)
			closed(t, ctx, r)
		})
	}},
	{name: "the runtime ends with one under way and others in line", without: faultqueue.ShortReads, show: func(t *testing.T, rt *proactor.Runtime) {
		ctx := context.Background()
		f, _ := waitingPipe(t, ctx, rt)
		p := make([]byte, 3)
		read := f.Read(p)
		chains := []futures.Future[[]proactor.StepResult]{rt.Chain(f.ReadNextStep(make([]byte, 1))), rt.Chain(f.ReadNextStep(make([]byte, 1)))}
		last := f.Read(make([]byte, 3))
		g, _ := waitingPipe(t, ctx, rt)
		chains = append(chains, rt.Chain(g.ReadNextStep(make([]byte, 1)), g.CloseStep()))
		behind := rt.Chain(g.ReadNextStep(make([]byte, 1)))
		require.NoError(t, rt.Close())
		for _, c := range append(chains, behind) {
			_, err := c.Await(ctx)
			require.ErrorIs(t, err, proactor.ErrClosed)
		}
		for _, r := range []futures.Future[int]{read, last} {
			_, err := r.Await(ctx)
			require.ErrorIs(t, err, proactor.ErrClosed)
		}
		require.Equal(t, -1, f.Fd())
		require.Equal(t, -1, g.Fd())
	}},
}
