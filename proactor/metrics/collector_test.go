package metrics

import (
	"encoding/json"
	"expvar"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/proactor/proactortest"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

// numbers are the fields of LoopStats, those that are embedded included.
func numbers(v reflect.Value) (fields []reflect.Value) {
	for i := range v.NumField() {
		switch f := v.Field(i); {
		case f.Kind() == reflect.Struct:
			fields = append(fields, numbers(f)...)
		case f.Kind() != reflect.Pointer:
			fields = append(fields, f)
		}
	}
	return fields
}

// Every field has its metric, and no metric has another's.
func TestEveryNumberHasAMetric(t *testing.T) {
	var s proactor.LoopStats
	fields := numbers(reflect.ValueOf(&s).Elem())
	require.Len(t, loopMetrics, len(fields))
	seen := map[string]bool{}
	for _, f := range fields {
		switch f.Kind() {
		case reflect.Uint64:
			f.SetUint(7)
		default:
			f.SetInt(7)
		}
		var shown []string
		for _, m := range loopMetrics {
			if m.value(&s) != 0 {
				shown = append(shown, m.name)
			}
		}
		require.Len(t, shown, 1)
		require.False(t, seen[shown[0]])
		seen[shown[0]] = true
		f.SetZero()
	}
}

// traffic sends a message to an echo server on rt and back.
func traffic(t *testing.T, rt *proactor.Runtime) {
	t.Helper()
	ln, err := rt.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	require.NoError(t, ln.OnConn(func(c *proactor.Conn) {
		c.OnRecv(func(b proactor.Buffer, err error) {
			if err != nil {
				c.Close()
				return
			}
			c.Queue(b)
		})
	}))
	conn, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	fmt.Fprint(conn, "hello")
	_, err = io.ReadFull(conn, make([]byte, 5))
	require.NoError(t, err)
}

func TestCollector(t *testing.T) {
	proactortest.Each(t, func(t *testing.T, b proactor.Backend) {
		rt := proactortest.Start(t, proactor.WithBackend(b), proactor.WithLoops(2), proactor.WithTurnLatency())
		traffic(t, rt)
		c := NewCollector(rt)
		problems, err := testutil.CollectAndLint(c)
		require.NoError(t, err)
		require.Empty(t, problems)

		registry := prometheus.NewPedanticRegistry()
		require.NoError(t, registry.Register(c))
		require.Error(t, registry.Register(NewCollector(rt)), "the same again")
		require.NoError(t, registry.Register(NewCollector(rt, WithNamespace("other"), WithLabels(prometheus.Labels{"server": "two"}))))
		server := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
		defer server.Close()
		answer, err := http.Get(server.URL)
		require.NoError(t, err)
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		for _, want := range []string{
			"# TYPE goproactor_connections_accepted_total counter",
			"# TYPE goproactor_held_bytes gauge",
			"# TYPE goproactor_turn_duration_seconds histogram",
			`goproactor_turns_total{loop="1"}`,
			`goproactor_turn_duration_seconds_bucket{loop="0",le="2.56e-07"}`,
			`goproactor_turn_duration_seconds_bucket{loop="0",le="+Inf"}`,
			fmt.Sprintf(`goproactor_backend_info{backend="%v",kernel="%s"} 1`, rt.Backend().Backend, rt.Backend().Kernel),
			`other_turns_total{loop="0",server="two"}`,
		} {
			require.Contains(t, string(text), want)
		}
		accepted := 0.0
		for _, s := range rt.Stats() {
			accepted += float64(s.Accepted)
		}
		require.Equal(t, 1.0, accepted)
		require.Equal(t, 1, strings.Count(string(text), "goproactor_connections_accepted_total{loop=\"0\"} 1")+strings.Count(string(text), "goproactor_connections_accepted_total{loop=\"1\"} 1"))
	})
}

// Without the option there is no histogram, and after Close there are the last counters.
func TestCollectorOfAClosedRuntime(t *testing.T) {
	proactortest.Each(t, func(t *testing.T, b proactor.Backend) {
		rt, err := proactor.New(proactor.WithBackend(b), proactor.WithLoops(1))
		require.NoError(t, err)
		traffic(t, rt)
		require.NoError(t, rt.Close())
		c := NewCollector(rt)
		require.Equal(t, len(loopMetrics)+1, testutil.CollectAndCount(c))
		require.NoError(t, testutil.CollectAndCompare(c, strings.NewReader(`
			# HELP goproactor_connections_accepted_total Connections accepted.
			# TYPE goproactor_connections_accepted_total counter
			goproactor_connections_accepted_total{loop="0"} 1
			# HELP goproactor_connections Open connections.
			# TYPE goproactor_connections gauge
			goproactor_connections{loop="0"} 0
		`), "goproactor_connections_accepted_total", "goproactor_connections"))
	})
}

func TestBucketsAreCumulative(t *testing.T) {
	h := new(proactor.Histogram)
	h.Counts[0], h.Counts[2], h.Counts[proactor.HistogramBuckets-1] = 1, 2, 4
	buckets := bucketsOf(h)
	require.Len(t, buckets, proactor.HistogramBuckets-1)
	require.EqualValues(t, 1, buckets[proactor.HistogramBound(0).Seconds()])
	require.EqualValues(t, 1, buckets[proactor.HistogramBound(1).Seconds()])
	require.EqualValues(t, 3, buckets[proactor.HistogramBound(2).Seconds()])
	require.EqualValues(t, 3, buckets[proactor.HistogramBound(proactor.HistogramBuckets-2).Seconds()])
	require.EqualValues(t, 7, h.Count())
	require.Less(t, proactor.HistogramBound(proactor.HistogramBuckets-2), time.Minute)
}

func TestPublish(t *testing.T) {
	proactortest.Each(t, func(t *testing.T, b proactor.Backend) {
		rt := proactortest.Start(t, proactor.WithBackend(b), proactor.WithLoops(2), proactor.WithTurnLatency())
		traffic(t, rt)
		name := t.Name()
		Publish(name, rt)
		require.Panics(t, func() { Publish(name, rt) })
		server := httptest.NewServer(expvar.Handler())
		defer server.Close()
		answer, err := http.Get(server.URL)
		require.NoError(t, err)
		defer answer.Body.Close()
		var vars map[string]json.RawMessage
		require.NoError(t, json.NewDecoder(answer.Body).Decode(&vars))
		var got Vars
		require.NoError(t, json.Unmarshal(vars[name], &got))
		require.Equal(t, b.String(), got.Backend)
		require.Equal(t, rt.Backend().Kernel, got.Kernel)
		require.Len(t, got.Loops, 2)
		require.EqualValues(t, 1, got.Total.Accepted)
		require.Positive(t, got.Total.Submitted)
		require.Positive(t, got.Total.TurnLatency.Count())
	})
}
