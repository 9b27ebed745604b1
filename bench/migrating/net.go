package migrating

import (
	"bufio"
	"fmt"
	"net"
	"sync"
	"time"
)

func linesOnNet(ln net.Listener, idle time.Duration) error {
	for {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			in := bufio.NewReader(c)
			for n := 1; ; n++ {
				c.SetReadDeadline(time.Now().Add(idle))
				line, err := in.ReadSlice('\n')
				if err != nil {
					return
				}
				fmt.Fprintf(c, "%d %s", n, line)
			}
		}()
	}
}

func roomOnNet(ln net.Listener) error {
	var mu sync.Mutex
	members := map[net.Conn]bool{}
	for {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			mu.Lock()
			members[c] = true
			mu.Unlock()
			defer func() {
				mu.Lock()
				delete(members, c)
				mu.Unlock()
			}()
			for in := bufio.NewReader(c); ; {
				line, err := in.ReadSlice('\n')
				if err != nil {
					return
				}
				mu.Lock()
				for m := range members {
					m.Write(line) // waits for a member that does not read, and all others with it
				}
				mu.Unlock()
			}
		}()
	}
}
