package metrics

import (
	"expvar"

	"github.com/goproactor/goproactor/proactor"
)

// Vars is what Publish shows, as JSON: durations are nanoseconds, sizes bytes. The names
// are those of proactor.LoopStats.
type Vars struct {
	Backend string
	Kernel  string
	Total   proactor.LoopStats
	Loops   proactor.Stats // one each
}

// Publish shows the runtime's counters as the variable of that name, which package
// expvar serves at /debug/vars. A variable stays for the life of the process, with the
// last counters of a runtime that was closed; a name that is taken panics, as
// expvar.Publish does.
func Publish(name string, rt *proactor.Runtime) {
	expvar.Publish(name, expvar.Func(func() any { return varsOf(rt) }))
}

func varsOf(rt *proactor.Runtime) Vars {
	stats, backend := rt.Stats(), rt.Backend()
	return Vars{Backend: backend.Backend.String(), Kernel: backend.Kernel, Total: stats.Total(), Loops: stats}
}
