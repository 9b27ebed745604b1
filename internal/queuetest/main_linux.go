package queuetest

import (
	"flag"
	"os"
	"testing"
)

// Main runs the tests of a package some of which limit how large files of the process may
// grow (RLIMIT_FSIZE). For 'go test' a test process keeps a log of what it opens, to cache
// the result. A part of that written under the limit fails with EFBIG, and then all have
// failed. So there is none, and no result is cached.
func Main(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.testlogfile", ""); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
