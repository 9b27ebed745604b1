//go:build !linux

package proactor_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/goproactor/goproactor/proactor"
)

// TestMain stands for all tests of the package where there is no backend: what
// can be shown there is that every backend is refused for that reason.
func TestMain(*testing.M) {
	for _, b := range []proactor.Backend{proactor.Auto, proactor.IOUring, proactor.Epoll} {
		rt, err := proactor.New(proactor.WithBackend(b))
		if rt != nil || !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), runtime.GOOS) {
			fmt.Printf("--- FAIL: New(%s) on %s returned %v, %v; want errors.ErrUnsupported that names the system\n", b, runtime.GOOS, rt, err)
			os.Exit(1)
		}
	}
	fmt.Println("PASS: no backend on", runtime.GOOS)
}
