// Package metrics shows the counters of a runtime to the outside: to package expvar
// with [Publish], to Prometheus with [NewCollector]. Both read proactor.Runtime.Stats
// when somebody asks, and cost nothing else.
//
// It is a module of its own: a program that does not import it has neither of the two
// in it.
package metrics
