// Package lockedmemory tells tests of io_uring whether this process may lock what rings
// take: without CAP_IPC_LOCK most kernels count rings, and all count registered buffers, as
// locked memory (RLIMIT_MEMLOCK).
package lockedmemory
