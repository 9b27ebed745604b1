package epollfallback

// Options sets the sizes of a queue, as ring.Options does. The zero value
// gives the defaults. A queue here performs entries in Enter: there is nothing
// like a ring.SubmissionThread.
type Options struct {
	// Entries is the size of the submission queue, rounded up to a power of
	// two: how many entries fit before Next must submit. The default is 1024. The
	// largest has 32,768; whoever asks for more gets that.
	Entries uint32
	// CQEntries is the nominal size of the completion queue, at least twice
	// Entries. The default is four times Entries. The largest has 65,536. More
	// completions than fit are kept too, and counted in Stats.Overflows.
	CQEntries uint32
	// Workers is how many goroutines at most perform what may block and cannot
	// be waited for, the operations on files. Each holds a thread while it does.
	// They are started when there is work. What they have no time for stays
	// queued, in the order of submission. The default is 16.
	Workers uint32
	// ZeroCopyReceive makes a queue that can have a receive area, as in ring.Options.
	ZeroCopyReceive bool
}

func (o Options) workers() int {
	if o.Workers == 0 {
		return 16
	}
	return int(o.Workers)
}
