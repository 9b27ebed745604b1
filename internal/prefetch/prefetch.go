// Package prefetch asks the processor for memory before it is needed.
//
// A loop with a thousand connections finds hardly anything of the next one in
// its caches: since that one's last turn the kernel has worked through megabytes
// for the others. Each line of memory that is asked for a few steps ahead is
// one the loop need not stand still for.
package prefetch

// LineSize is the size of a cache line in bytes, on the processors known here.
const LineSize = 64
