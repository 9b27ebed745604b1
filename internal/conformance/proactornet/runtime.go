package proactornet

import (
	"fmt"
	"os"
	"sync"

	"github.com/goproactor/goproactor/proactor"
)

var (
	backend = os.Getenv("PROACTORNET_BACKEND")
	mode    = os.Getenv("PROACTORNET_MODE")
)

// onNet reports whether package net itself is behind the functions.
func onNet() bool { return backend == "net" || backend == "" }

// onLoop reports whether connections stay on their loop.
func onLoop() bool { return !onNet() && mode != "detached" }

// inTask reports whether Run and Go start tasks.
func inTask() bool { return !onNet() && mode == "coroutine" }

// Runtime is the one that everything here uses. It lives as long as the process.
var Runtime = sync.OnceValue(func() *proactor.Runtime {
	loops := 2
	if inTask() {
		loops = 8 // handlers of a suite may sleep, which holds up their loop
	}
	b, err := proactor.ParseBackend(backend)
	if err == nil {
		var rt *proactor.Runtime
		if rt, err = proactor.New(proactor.WithBackend(b), proactor.WithLoops(loops)); err == nil {
			return rt
		}
	}
	panic(fmt.Sprintf("proactornet: %v", err))
})
