package metrics_test

import (
	"expvar"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/proactor/metrics"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// get is the answer of a handler of net/http.
func get(h http.Handler) string {
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, httptest.NewRequest("GET", "/", nil))
	return answer.Body.String()
}

// Counters for Prometheus, at /metrics.
func ExampleNewCollector() {
	rt, err := proactor.New(proactor.WithTurnLatency())
	if err != nil {
		panic(err)
	}
	defer rt.Close()

	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics.NewCollector(rt))
	handler := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	http.Handle("/metrics", handler)

	text := get(handler)
	fmt.Println(strings.Contains(text, `goproactor_turn_duration_seconds_bucket{loop="0",le="2.56e-07"}`))
	// Output: true
}

// Counters for package expvar, at /debug/vars.
func ExamplePublish() {
	rt, err := proactor.New(proactor.WithLoops(2))
	if err != nil {
		panic(err)
	}
	defer rt.Close()

	metrics.Publish("server", rt)

	fmt.Println(strings.Contains(get(expvar.Handler()), `"server": {"Backend":`))
	// Output: true
}
