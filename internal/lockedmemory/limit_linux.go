package lockedmemory

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// enough is the limit of an ordinary process since Linux 5.16. It was 64 KiB before.
const enough = 8 << 20

// Short returns nil if this process may lock as much memory as an ordinary process of Linux 5.16 and
// newer, or has CAP_IPC_LOCK. Else it returns an error that is errors.ErrUnsupported and
// says what to raise.
var Short = sync.OnceValue(func() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil || limit.Cur >= enough {
		return err
	}
	p, err := unix.Mmap(-1, 0, enough, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return err
	}
	defer unix.Munmap(p)
	if unix.Mlock(p) == nil { // the capability counts in the first user namespace only: this asks the kernel
		return nil
	}
	return fmt.Errorf("rings need up to %d KiB of locked memory, the limit is %d KiB: raise RLIMIT_MEMLOCK (ulimit -l): %w", enough>>10, limit.Cur>>10, errors.ErrUnsupported)
})
