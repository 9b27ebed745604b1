package main

// yamux has a goroutine that reads and one that writes for each session, and channels
// between them and the streams: no coroutines.
var yamux = suite{
	name:    "yamux",
	module:  "github.com/hashicorp/yamux",
	version: "v0.1.2",
	quick:   []string{"-run=^(TestPing|TestAccept|TestSendData_Small|TestClose|TestHalfClose|TestReadDeadline|TestWriteDeadline)$"},
	replace: []replacement{
		{file: "session_test.go", old: "net.ListenTCP(", new: "proactornet.ListenTCP("},
		{file: "session_test.go", old: "net.DialTimeout(", new: "proactornet.DialTimeout("},
	},
	modes: []mode{detached, shared},
	known: []known{
		{test: "TestManyStreams(_PingPong)?",
			reason: "gives up on a frame after 250 ms, and a busy machine wakes a thread later than that: with 17 processes for 2 processors it fails in 13 of 60 runs as published, on package net"},
	},
}
