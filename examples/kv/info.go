package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// redisVersion is the version whose commands these are, for clients that ask.
const redisVersion = "7.0.0"

var serverCommands = []command{
	{"info", -1, info, noKeys, 0, "Returns information and statistics about the server."},
	{"config", -2, configOf, noKeys, 0, "A container for server configuration commands."},
	{"command", -1, commandOf, noKeys, 0, "Returns detailed information about all commands."},
	{"time", 1, timeOf, noKeys, fast, "Returns the server time."},
}

// section is a part of INFO.
type section struct {
	name string
	text func(srv *server) string
}

var sections = []section{
	{"Server", (*server).serverInfo},
	{"Clients", (*server).clientsInfo},
	{"Memory", (*server).memoryInfo},
	{"Persistence", (*server).persistenceInfo},
	{"Stats", (*server).statsInfo},
	{"Replication", func(*server) string { return "role:master\r\nconnected_slaves:0\r\n" }},
	{"Loops", (*server).loopsInfo},
	{"Keyspace", (*server).keyspaceInfo},
}

func info(s *session, args [][]byte) {
	wanted := func(name string) bool {
		for _, a := range args[1:] {
			if isWord(a, strings.ToLower(name)) || isWord(a, "all") || isWord(a, "everything") || isWord(a, "default") {
				return true
			}
		}
		return len(args) == 1
	}
	var parts []string
	for _, part := range sections {
		if wanted(part.name) {
			parts = append(parts, "# "+part.name+"\r\n"+part.text(s.srv))
		}
	}
	s.bulkString(strings.Join(parts, "\r\n"))
}

func (srv *server) serverInfo() string {
	b := srv.rt.Backend()
	return fmt.Sprintf("redis_version:%s\r\nredis_mode:standalone\r\nos:%s %s\r\nmultiplexing_api:%v\r\nprocess_id:%d\r\ngo_version:%s\r\nuptime_in_seconds:%d\r\n",
		redisVersion, runtime.GOOS, b.Kernel, b.Backend, os.Getpid(), runtime.Version(), int(time.Since(srv.started).Seconds()))
}

func (srv *server) clientsInfo() string {
	return fmt.Sprintf("connected_clients:%d\r\npubsub_clients:%d\r\n", srv.rt.Stats().Total().Conns, srv.publishers.clients.Load())
}

func (srv *server) memoryInfo() string {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return fmt.Sprintf("used_memory:%d\r\nused_memory_rss:%d\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n", m.HeapAlloc, m.Sys)
}

func (srv *server) persistenceInfo() string {
	j := srv.journal
	if j == nil {
		return "loading:0\r\naof_enabled:0\r\n"
	}
	state := "ok"
	if j.isBroken() {
		state = "err"
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return fmt.Sprintf("loading:0\r\naof_enabled:1\r\naof_last_write_status:%s\r\naof_current_size:%d\r\naof_buffer_length:%d\r\n",
		state, j.durable.Load(), len(j.pending.data))
}

func (srv *server) statsInfo() string {
	return fmt.Sprintf("total_connections_received:%d\r\ntotal_commands_processed:%d\r\n", srv.clients.Load(), srv.commands.Load())
}

func (srv *server) loopsInfo() string {
	var b strings.Builder
	for i, s := range srv.rt.Stats() {
		fmt.Fprintf(&b, "loop%d:conns=%d,completed=%d,enters=%d,buffers_out=%d,no_buffers=%d\r\n", i, s.Conns, s.Completed, s.Enters, s.BuffersOut, s.NoBuffers)
	}
	return b.String()
}

func (srv *server) keyspaceInfo() string {
	keys, expires := 0, 0
	for i := range srv.keys.shards {
		h := &srv.keys.shards[i]
		h.mu.Lock()
		keys += len(h.all)
		expires += len(h.expiring)
		h.mu.Unlock()
	}
	if keys == 0 {
		return ""
	}
	return fmt.Sprintf("db0:keys=%d,expires=%d,avg_ttl=0\r\n", keys, expires)
}

// settings are what CONFIG GET tells.
func (srv *server) settings() [][2]string {
	durable := "no"
	if srv.journal != nil {
		durable = "yes"
	}
	bind, port, _ := strings.Cut(srv.config.addr, ":")
	return [][2]string{
		{"appendfilename", srv.config.journal},
		{"appendfsync", "always"},
		{"appendonly", durable},
		{"bind", bind},
		{"client-query-buffer-limit", strconv.Itoa(srv.frameLimit)},
		{"databases", "1"},
		{"io-threads", strconv.Itoa(len(srv.rt.Loops()))},
		{"maxmemory", "0"},
		{"maxmemory-policy", "noeviction"},
		{"port", port},
		{"proto-max-bulk-len", strconv.Itoa(srv.frameLimit)},
		{"save", ""},
		{"timeout", "0"},
	}
}

func configOf(s *session, args [][]byte) {
	switch {
	case isWord(args[1], "get") && len(args) > 2:
		var found []string
		for _, pair := range s.srv.settings() {
			for _, pattern := range args[2:] {
				if matches(strings.ToLower(string(pattern)), pair[0]) {
					found = append(found, pair[0], pair[1])
					break
				}
			}
		}
		s.array(len(found))
		for _, v := range found {
			s.bulkString(v)
		}
	case isWord(args[1], "resetstat") && len(args) == 2:
		s.srv.commands.Store(0)
		s.ok()
	case isWord(args[1], "set") && len(args) > 3:
		s.fail("ERR CONFIG SET failed - settings are flags of the program, see -help")
	default:
		s.unknownSubcommand(args)
	}
}

func commandOf(s *session, args [][]byte) {
	all := s.srv.named
	switch {
	case len(args) == 1:
		s.array(len(all))
		for _, c := range all {
			s.describe(c)
		}
	case isWord(args[1], "count") && len(args) == 2:
		s.count(len(all))
	case isWord(args[1], "list") && len(args) == 2:
		s.array(len(all))
		for name := range all {
			s.bulkString(name)
		}
	case isWord(args[1], "info"):
		s.array(len(args) - 2)
		for _, name := range args[2:] {
			if c := s.srv.commandTable.find(name); c != nil {
				s.describe(c)
			} else {
				s.null()
			}
		}
	case isWord(args[1], "docs"):
		s.document(args[2:])
	default:
		s.unknownSubcommand(args)
	}
}

// describe replies what clients know of a command: which arguments are keys.
func (s *session) describe(c *command) {
	s.array(10)
	s.bulkString(c.name)
	s.count(c.arity)
	var words []string
	for _, f := range []struct {
		flag flags
		word string
	}{{writes, "write"}, {reads, "readonly"}, {fast, "fast"}} {
		if c.has(f.flag) {
			words = append(words, f.word)
		}
	}
	s.array(len(words))
	for _, w := range words {
		s.simple(w)
	}
	s.count(c.keys.first)
	s.count(c.keys.last)
	s.count(c.keys.step)
	for range 4 { // categories, tips, key specifications, subcommands
		s.array(0)
	}
}

// document replies what the commands of these names are for, of all without names.
func (s *session) document(names [][]byte) {
	var found []*command
	for _, name := range names {
		if c := s.srv.commandTable.find(name); c != nil {
			found = append(found, c)
		}
	}
	if len(names) == 0 {
		for _, c := range s.srv.named {
			found = append(found, c)
		}
	}
	s.array(2 * len(found))
	for _, c := range found {
		s.bulkString(c.name)
		s.array(2)
		s.bulkString("summary")
		s.bulkString(c.about)
	}
}

func timeOf(s *session, _ [][]byte) {
	now := time.Now()
	s.array(2)
	s.bulkString(strconv.FormatInt(now.Unix(), 10))
	s.bulkString(strconv.Itoa(now.Nanosecond() / 1000))
}
