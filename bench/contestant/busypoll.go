package contestant

// Non-blocking descriptors and nobody to say which one is ready: ask every one
// of them, for ever. It never sleeps, so its processor is always full.
var _ = register(Contestant{
	Name:   "busy-poll",
	Family: Textbook,
	About:  "non-blocking reads of every connection in turn, one thread that never sleeps",
	Serve:  serveBusyPoll,
})

func serveBusyPoll(o Options) error {
	r, err := newReactor(o)
	if err != nil {
		return err
	}
	r.opened = func(*conn) error { return nil }
	for {
		if err := r.accept(); err != nil {
			return err
		}
		for _, c := range r.conns {
			switch {
			case c == nil:
			case len(c.owed) > 0:
				r.flush(c)
			default:
				r.read(c)
			}
		}
	}
}
