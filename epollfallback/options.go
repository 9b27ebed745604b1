package epollfallback

// Options sets the sizes of a queue. The zero value gives the defaults.
type Options struct {
	// Entries is how many entries can be queued before Next submits them; it
	// is rounded up to a power of two. 256 if zero.
	Entries uint32

	// CQEntries is the nominal size of the completion queue; 4×Entries if
	// zero. More completions than that are kept too, and counted in
	// Stats.Overflows.
	CQEntries uint32
}

func (o Options) sizes() (entries, completions int) {
	entries, completions = 256, 4*256
	if o.Entries > 0 {
		entries = powerOfTwo(int(o.Entries))
		completions = 4 * entries
	}
	if o.CQEntries > 0 {
		completions = powerOfTwo(int(o.CQEntries))
	}
	return entries, max(completions, entries)
}

// powerOfTwo rounds n up.
func powerOfTwo(n int) int {
	p := 1
	for p < n {
		p <<= 1
	}
	return p
}
