package main

// grpc runs the interoperability tests of gRPC: the client and the server that all
// implementations have, each a program, over TLS and without. gRPC waits on channels: it
// cannot run in a task.
var grpc = suite{
	name:        "grpc",
	module:      "google.golang.org/grpc",
	version:     "v1.85.0",
	packages:    []string{"./interop"},
	args:        []string{"-run=^TestInterop$"},
	quick:       []string{"-run=^TestInterop$/^tls$"},
	onlyPatched: true,
	modes:       []mode{detached, shared},
	files:       map[string]string{"interop/programs_test.go": grpcInterop},
	replace: []replacement{
		{file: "interop/server/server.go", old: "net.Listen(", new: "proactornet.Listen("},
		{
			file: "internal/transport/http2_client.go",
			old:  "internal.NetDialerWithTCPKeepalive().DialContext(ctx,",
			new:  "proactornet.DialContext(internal.NetDialerWithTCPKeepalive(), ctx,",
		},
	},
}

const grpcInterop = `package interop_test

import (
	"context"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// The cases of interop_test.sh.
var cases = []string{
	"empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream",
	"timeout_on_sleeping_server", "cancel_after_begin", "cancel_after_first_response",
	"status_code_and_message", "special_status_message", "custom_metadata", "unimplemented_method",
	"unimplemented_service", "orca_per_rpc", "orca_oob", "rpc_soak", "channel_soak",
}

func TestInterop(t *testing.T) {
	dir := t.TempDir()
	for _, program := range []string{"client", "server"} {
		if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, program), "./"+program).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	for name, secure := range map[string]bool{"tcp": false, "tls": true} {
		t.Run(name, func(t *testing.T) { interop(t, dir, secure) })
	}
}

func interop(t *testing.T, dir string, secure bool) {
	port := freePort(t)
	arguments := []string{"--port=" + port}
	if secure {
		arguments = append(arguments, "--use_tls")
	}
	server := exec.CommandContext(t.Context(), filepath.Join(dir, "server"), arguments...)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer server.Wait()
	defer server.Process.Kill()
	awaitListener(t, port)
	for _, c := range cases {
		t.Run(c, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			arguments := []string{"--server_port=" + port, "--test_case=" + c,
				` + "`" + `--service_config_json={"loadBalancingConfig":[{"test_backend_metrics_load_balancer":{}}]}` + "`" + `}
			if secure {
				arguments = append(arguments, "--use_tls", "--use_test_ca", "--server_host_override=foo.test.google.fr")
			}
			if c == "rpc_soak" || c == "channel_soak" {
				arguments = append(arguments, "--soak_iterations=40", "--soak_num_threads=4", "--soak_overall_timeout_seconds=40")
			}
			if out, err := exec.CommandContext(ctx, filepath.Join(dir, "client"), arguments...).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// awaitListener returns when the server has begun to listen.
func awaitListener(t *testing.T, port string) {
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			c.Close()
			return
		}
		if time.Since(begun) > time.Minute {
			t.Fatal(err)
		}
	}
}

func freePort(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)
}
`
