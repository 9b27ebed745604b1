package ring

// Options are the sizes of a queue. The zero value gives the defaults.
type Options struct {
	// Entries is the size of the submission queue, rounded up to a power of
	// two: how many entries fit before Next must submit. The default is 1024.
	Entries uint32
	// CQEntries is the size of the completion queue, at least twice Entries.
	// The default is four times Entries. More completions than that are kept
	// aside and cost more.
	CQEntries uint32
	// ZeroCopyReceive makes a queue that can have a receive area
	// ([Queue.RegisterReceiveArea]). Where the kernel knows that (Linux 6.15), the ring
	// takes the entries and the call for it, which others refuse, and each of its
	// completions is of 32 bytes instead of 16.
	ZeroCopyReceive bool
}

func (o *Options) defaults() {
	if o.Entries == 0 {
		o.Entries = 1024
	}
	if o.CQEntries < 2*o.Entries {
		o.CQEntries = 4 * o.Entries
	}
}
