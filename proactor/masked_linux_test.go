package proactor_test

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/epollfallback"
	"github.com/goproactor/goproactor/internal/kernelmask"
	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
)

// onKernelWithout has a runtime find a kernel that lacks something.
func onKernelWithout(names ...string) proactor.Option {
	return kernelmask.Option(proactor.Option(nil), kernelmask.Of(names...))
}

// offered is what the kernel has, and a queue may use.
func offered(t *testing.T) (required, optional []ring.Support) {
	requireBackend(t, proactor.IOUring)
	performed := map[string]bool{}
	for _, d := range epollfallback.Descriptions() {
		performed[d.Op.String()] = true
	}
	report := ring.Probe()
	isForeign := func(s ring.Support) bool { return !performed[s.Name] }
	for _, s := range slices.Concat(slices.DeleteFunc(report.Ops, isForeign), report.Flags, report.Features) {
		switch {
		case !s.OK:
		case s.Required:
			required = append(required, s)
		default:
			optional = append(optional, s)
		}
	}
	return required, optional
}

// usedWithout is what a program does with each feature that the library uses, and may do
// without it.
var usedWithout = map[string][]behaviour{
	ring.OpReadMultishot.String(): {{name: "small messages through a pipe", show: func(t *testing.T, rt *proactor.Runtime) { sendSmall(t, rt, 100) }}},
	ring.OpFtruncate.String():     filing,
	ring.OpPipe.String():          {{name: "pipes", show: showPipe}},
	ring.OpUringCmd.String():      {{name: "socket options", show: showSocketOptions}},
	ring.FeatureSocketOptions:     {{name: "socket options", show: showSocketOptions}},
	ring.FeatureRegisteredBuffers: {{name: "aligned memory", show: showUnregistered}},
	ring.FeatureDirectDescriptors: slices.Concat(chainFileBehaviors, filesInChains),
	"IORING_SETUP_NO_SQARRAY":     slices.Concat(receiving, sending),
}

// Whatever one thing a kernel lacks that io_uring is a backend without, programs run as
// with it.
func TestMaskedFeatures(t *testing.T) {
	_, optional := offered(t)
	for _, s := range optional {
		t.Run(s.Name, func(t *testing.T) {
			without := onKernelWithout(s.Name)
			list, used := usedWithout[s.Name]
			for _, b := range list {
				t.Run(b.name, func(t *testing.T) { onIOUring(t, without, b) })
			}
			programs := deeds
			if !used {
				programs = deeds[:1] // for the rest it makes no difference
			}
			for _, d := range programs {
				t.Run(d.name, func(t *testing.T) { require.NoError(t, d.runWith(t, proactor.IOUring, without)) })
			}
		})
	}
}

func onIOUring(t *testing.T, without proactor.Option, b behaviour) {
	onBackend(t, proactor.IOUring, b.show, append([]proactor.Option{without}, b.opts...)...)
}

// A kernel that has what is required and nothing else keeps the promises, too.
func TestMaskedTogether(t *testing.T) {
	_, optional := offered(t)
	var names []string
	for _, s := range optional {
		names = append(names, s.Name)
	}
	without := onKernelWithout(names...)
	for name, list := range map[string][]behaviour{
		"Recv": receiving, "Send": sending, "Close": closing, "Listener": listening, "Dial": dialing, "Packet": packets, "Await": awaiting,
		"File": filing, "Chain": chaining, "ChainFile": chainFileBehaviors, "ChainOfFiles": filesInChains, "Splice": splicing,
	} {
		t.Run(name, func(t *testing.T) {
			for _, b := range list {
				t.Run(b.name, func(t *testing.T) { onIOUring(t, without, b) })
			}
		})
	}
}

// Without a thing that is required, Auto takes epoll and says why.
func TestMaskedRequirements(t *testing.T) {
	required, _ := offered(t)
	for _, s := range required {
		t.Run(s.Name, func(t *testing.T) {
			without := onKernelWithout(s.Name)
			reason := "lacks " + s.Name + " (Linux " + s.Since + ", this is " + ring.KernelRelease() + ")"
			_, err := proactor.New(proactor.WithBackend(proactor.IOUring), without)
			require.ErrorIs(t, err, errors.ErrUnsupported)
			require.ErrorContains(t, err, reason)
			rt, err := proactor.New(without, proactor.WithLoops(1))
			require.NoError(t, err)
			require.Equal(t, proactor.Epoll, rt.Backend().Backend)
			require.Contains(t, rt.Backend().Reason, reason)
			require.NoError(t, rt.Close())
		})
	}
}

// showUnregistered shows aligned memory that no queue takes.
func showUnregistered(t *testing.T, rt *proactor.Runtime) {
	everywhere(t, rt, func(ctx context.Context) {
		f := opened(t, ctx, rt, "0123456789")
		m := allocate(t, ctx, f.Loop(), 10_000)
		require.False(t, m.Registered())
		require.ErrorIs(t, m.Refusal(), errors.ErrUnsupported)
		require.ErrorIs(t, m.Refusal(), syscall.EINVAL)
		require.ErrorContains(t, m.Refusal(), "Linux 5.19, this is "+ring.KernelRelease())
		p := m.Bytes()
		n, err := f.ReadAt(p[5000:5004], 3).Await(ctx)
		require.NoError(t, err)
		require.Equal(t, "3456", string(p[5000:5000+n]))
		_, err = rt.Chain(f.WriteStep(p[5000:5004], 0), f.SyncDataStep()).Await(ctx)
		require.NoError(t, err)
		require.Equal(t, "3456456789", content(t, f))
		release(t, ctx, m)
	})
}
