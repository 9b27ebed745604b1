package main

import (
	"context"
	"os"
	"os/exec"
	"syscall"
)

// goredis is a client for Redis. Its tests talk to a server of their own, which the row
// starts, and to servers that the tests write themselves, which listen here. A client has
// goroutines that wait on channels: it cannot run in a task.
//
// Left out is what one server of Debian's version without modules does not have:
// clusters, rings and sentinels (several servers under fixed ports), the modules (JSON,
// search, time series, probabilistic types, vector sets), the commands of Redis 8, and
// TLS to a server of go-redis's own images.
var goredis = suite{
	name:    "go-redis",
	module:  "github.com/redis/go-redis/v9",
	version: "v9.23.0",
	args:    []string{"-skip=" + goredisOtherServers},
	quick:   []string{"-run=" + goredisQuick, "-skip=" + goredisOtherServers},
	timeout: "5m",
	modes:   []mode{detached, shared},
	needs:   inPath("redis-server", "apt-get install redis-server"),
	start:   startRedis,
	files: map[string]string{
		"conformance_test.go":          goredisSpecs,
		"conformance_internal_test.go": "package redis\n\nimport \"os\"\n\nvar serverAddress = \":\" + os.Getenv(\"REDIS_PORT\")\n",
	},
	// As published, the tests look for the server at Redis's own port, where they would
	// empty whatever server of the machine's owner is there.
	onlyPatched: true,
	replace: []replacement{
		{file: "options.go", old: "return netDialer.DialContext(ctx, network, addr)", new: "return proactornet.DialContext(netDialer, ctx, network, addr)"},
		{file: "options.go", old: "tls.DialWithDialer(", new: "proactornet.DialTLS("},
		{file: "*_test.go", old: "net.Listen(", new: "proactornet.Listen("},
		{file: "*_test.go", old: "net.Dial(", new: "proactornet.Dial("},
		{file: "*_test.go", old: "(&net.Dialer{}).DialContext(", new: "proactornet.DialContext(&net.Dialer{}, "},
		{file: "redis_test.go", old: "return d.DialContext(", new: "return proactornet.DialContext(&d, "},
		{file: "main_test.go", old: `redisStackPort = "6379"`, new: `redisStackPort = os.Getenv("REDIS_PORT")`},
		{file: "main_test.go", old: `RunSpecs(t, "go-redis")`, new: `RunSpecs(t, "go-redis", specsOfOneServer())`},
		{file: "autopipeline_bench_test.go", old: `const benchAddr = ":6379"`, new: `var benchAddr = serverAddress`},
		{file: "*_test.go", old: `":6379"`, new: "serverAddress"},
		{file: "autopipeline_fullduplex_test.go", old: `"127.0.0.1:6379"`, new: `"127.0.0.1" + serverAddress`},
		{file: "languages_test.go", old: `"localhost:6379"`, new: `"localhost" + serverAddress`},
	},
}

const (
	// goredisOtherServers are the tests outside of TestGinkgoSuite that do not ask for
	// the server, or print its port.
	goredisOtherServers = "Cluster|Sentinel|Search|TimeSeries|VectorSet|Digest|TestTLS|^Example"
	goredisQuick        = "^TestGinkgoSuite$/^(Client_OnConnect|Conn|Hook|pipelining|Tx)_.*$"
)

// goredisSpecs chooses the specs, and has each of them count as a test: the lines it
// prints are what test2json reads.
const goredisSpecs = `package redis_test

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/bsm/ginkgo/v2"
	"github.com/bsm/ginkgo/v2/types"
)

var serverAddress = ":" + os.Getenv("REDIS_PORT")

// specsOfOneServer are those that need one server and nothing else, or of them what -run
// chooses.
func specsOfOneServer() types.SuiteConfig {
	config, _ := ginkgo.GinkgoConfiguration()
	config.FocusStrings = []string{"^go-redis (" +
		"Client|Client (timeout|OnConnect|context cancellation|creation)|Conn|Hook|Hook with MinIdleConns|Dialer connection timeouts|" +
		"Credentials Provider Priority|pool|PubSub|pipelining|Tx|ScanIterator|races|Commands|Cmd|RawCmd|RawWriteToCmd|NoRetry behavior|" +
		"BitCountBite|BitCountByte|error|NewScriptServerSHA|AutoPipeline|AutoPipeline Blocking Commands|AutoPipeline Cmdable Interface|" +
		"Client-side cache (.*)|Client-side cache strategies) "}
	if _, chosen, ok := strings.Cut(flag.Lookup("test.run").Value.String(), "/"); ok {
		// A name of a test has "_" and "|" where that of its spec has something else.
		chosen = strings.NewReplacer("_", ".", "\\|", ".").Replace(strings.TrimPrefix(chosen, "^"))
		config.FocusStrings = []string{"^go-redis " + chosen}
	}
	return config
}

var _ = ginkgo.ReportAfterEach(func(r ginkgo.SpecReport) {
	verdict := map[types.SpecState]string{types.SpecStatePassed: "PASS", types.SpecStateSkipped: "SKIP", types.SpecStatePending: "SKIP"}[r.State]
	switch {
	case verdict == "SKIP" && r.NumAttempts == 0:
		return // not chosen
	case verdict == "":
		verdict = "FAIL"
	}
	name := "TestGinkgoSuite/" + strings.Map(func(c rune) rune {
		if c <= ' ' || c > '~' {
			return '_'
		}
		return c
	}, strings.ReplaceAll(r.FullText(), "/", "|"))
	fmt.Printf("\n\x16=== RUN   %s\n%s\n\x16--- %s: %s (%.2fs)\n", name, r.FailureMessage(), verdict, name, r.RunTime.Seconds())
})
`

// startRedis starts a server that keeps nothing.
func startRedis(ctx context.Context, _ string) (environment []string, stop func(), err error) {
	dir, err := os.MkdirTemp("", "conformance-redis-")
	if err != nil {
		return nil, nil, err
	}
	port, err := freePort()
	if err == nil {
		cmd := exec.CommandContext(ctx, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "",
			"--enable-debug-command", "yes", "--enable-module-command", "yes", "--dir", dir)
		cmd.Dir = dir
		var s *service
		if s, err = startService(ctx, cmd, syscall.SIGTERM, "127.0.0.1:"+port); err == nil {
			// RE_CLUSTER has the suite look for one server only.
			environment = []string{"REDIS_PORT=" + port, "RE_CLUSTER=true", "RCE_DOCKER=true", "REDIS_VERSION=7.0"}
			return environment, func() { s.stop(); os.RemoveAll(dir) }, nil
		}
	}
	os.RemoveAll(dir)
	return nil, nil, err
}
