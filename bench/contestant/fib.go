package contestant

import "context"

// fib needs a newer Go than this module: its server is a module of its own, built by
// the toolchain that its go.mod names, which the go command downloads. Where that cannot
// be had fib is left out.
var _ = register(Fib("fib", "fib 1.7.0, one poller and its pool of workers", "echo"))

// Fib is a server on fib: echo, http or proxy.
func Fib(name, about, serve string) Contestant {
	return Contestant{
		Name:      name,
		Family:    Peer,
		About:     about,
		MultiLoop: true,
		Build: func(ctx context.Context, dir string) ([]string, error) {
			program, err := build(ctx, dir, "fib", "bench", "fib")
			return []string{program, "-serve", serve}, err
		},
		Args: func(o Options) []string {
			args := standardArgs(o)
			if o.Upstream != "" {
				args = append(args, "-upstream", o.Upstream)
			}
			return args
		},
	}
}
