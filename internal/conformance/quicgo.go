package main

// quicgo runs the integration tests of quic-go. Detached, its sockets are genuine
// *net.UDPConns, of which it uses the batches, the segmentation and the control messages;
// it uses those of the others, too: it sends by WriteMsgUDP and receives by SyscallConn.
// QUIC waits on channels: it cannot run in a task.
var quicgo = suite{
	name:     "quic-go",
	module:   "github.com/quic-go/quic-go",
	version:  "v0.65.0",
	packages: []string{"./integrationtests/self", "./integrationtests/versionnegotiation", "./integrationtests/tools/proxy"},
	args:     []string{"-short"},
	quick:    []string{"-short", "-run=^(TestHandshake|TestDatagram|TestConnectionMigration|TestStatelessReset|TestMultiplex)"},
	modes:    []mode{detached, shared},
	replace: []replacement{
		{file: "client.go", old: "net.ListenUDP(", new: "proactornet.ListenUDP("},
		{file: "server.go", old: "net.ListenUDP(", new: "proactornet.ListenUDP("},
		{file: "server.go", old: "(*net.UDPConn, error)", new: "(proactornet.UDPConn, error)"},
		{file: "http3/server.go", old: "net.ListenUDP(", new: "proactornet.ListenUDP("},
		{file: "http3/transport.go", old: "net.ListenUDP(", new: "proactornet.ListenUDP("},
		{file: "integrationtests/self/*_test.go", old: "net.ListenUDP(", new: "proactornet.ListenUDP("},
		{file: "integrationtests/self/*_test.go", old: "*net.UDPConn", new: "proactornet.UDPConn"},
		{file: "integrationtests/versionnegotiation/*_test.go", old: "net.ListenUDP(", new: "proactornet.ListenUDP("},
		{file: "integrationtests/tools/proxy/*.go", old: "net.ListenUDP(", new: "proactornet.ListenUDP("},
		{file: "integrationtests/tools/proxy/*.go", old: "*net.UDPConn", new: "proactornet.UDPConn"},
		{file: "integrationtests/tools/proxy/*_test.go", old: "net.DialUDP(", new: "proactornet.DialUDP("},
	},
}
