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
}

func (o *Options) defaults() {
	if o.Entries == 0 {
		o.Entries = 1024
	}
	if o.CQEntries < 2*o.Entries {
		o.CQEntries = 4 * o.Entries
	}
}
