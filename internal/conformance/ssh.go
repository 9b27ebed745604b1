package main

// ssh waits on channels: no coroutines.
var ssh = suite{
	name:     "ssh",
	module:   "golang.org/x/crypto",
	version:  "v0.59.0",
	packages: []string{"./ssh", "./ssh/agent", "./ssh/test"},
	quick:    []string{"-run=^(TestHandshake|TestClientAuth|TestMux|TestAgent|TestServer)"},
	replace: []replacement{
		{file: "ssh/handshake_test.go", old: "net.Listen(", new: "proactornet.Listen("},
		{file: "ssh/handshake_test.go", old: "net.Dial(", new: "proactornet.Dial("},
		{file: "ssh/client_auth_test.go", old: "net.Dial(", new: "proactornet.Dial("},
		{file: "ssh/client.go", old: "net.DialTimeout(network, addr, config.Timeout)", new: "proactornet.DialTimeout(network, addr, config.Timeout)"},
		{file: "ssh/agent/client_test.go", old: "net.Listen(", new: "proactornet.Listen("},
		{file: "ssh/agent/client_test.go", old: "net.Dial(", new: "proactornet.Dial("},
		{file: "ssh/test/server_test.go", old: "net.Listen(", new: "proactornet.Listen("},
		{file: "ssh/test/dial_unix_test.go", old: "net.Listen(", new: "proactornet.Listen("},
		{file: "ssh/test/forward_unix_test.go", old: "net.Dial(", new: "proactornet.Dial("},
	},
	modes: []mode{detached, shared},
}
