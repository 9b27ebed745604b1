package main

import (
	"fmt"
	"slices"
	"strings"
)

var connectionCommands = []command{
	{"ping", -1, ping, noKeys, fast | subscribed, "Returns the server's liveliness response."},
	{"echo", 2, echo, noKeys, fast, "Returns the given string."},
	{"select", 2, selectDB, noKeys, fast, "Changes the selected database."},
	{"hello", -1, hello, noKeys, fast, "Handshakes with the server."},
	{"auth", -2, auth, noKeys, fast, "Authenticates the connection."},
	{"client", -2, client, noKeys, 0, "A container for client connection commands."},
	{"quit", -1, quit, noKeys, fast | subscribed, "Closes the connection."},
	{"reset", 1, reset, noKeys, fast | subscribed | alone, "Resets the connection."},
	// What a browser sends that was led here by a page from elsewhere.
	{"post", -1, hangUp, noKeys, 0, "Closes the connection without an answer: the client speaks HTTP."},
	{"host:", -1, hangUp, noKeys, 0, "Closes the connection without an answer: the client speaks HTTP."},
}

func ping(s *session, args [][]byte) {
	switch {
	case len(args) > 2:
		s.wrongArity("ping")
	case s.subscriptions != nil:
		s.array(2)
		s.bulkString("pong")
		if len(args) == 2 {
			s.bulk(args[1])
		} else {
			s.bulkString("")
		}
	case len(args) == 2:
		s.bulk(args[1])
	default:
		s.simple("PONG")
	}
}

func echo(s *session, args [][]byte) { s.bulk(args[1]) }

func selectDB(s *session, args [][]byte) {
	switch n, ok := parseInt(args[1]); {
	case !ok:
		s.notInteger()
	case n != 0:
		s.fail("ERR DB index is out of range")
	default:
		s.ok()
	}
}

func hello(s *session, args [][]byte) {
	if len(args) > 1 {
		switch version, ok := parseInt(args[1]); {
		case !ok:
			s.fail("ERR Protocol version is not an integer or out of range")
			return
		case version != 2:
			s.fail("NOPROTO unsupported protocol version")
			return
		}
	}
	name := s.name
	for i := 2; i < len(args); i++ {
		if !isWord(args[i], "setname") || i+1 == len(args) {
			s.fail("ERR Syntax error in HELLO option '" + strings.ToLower(string(args[i])) + "'")
			return
		}
		i++
		if !validName(args[i]) {
			s.fail(invalidName)
			return
		}
		name = string(args[i])
	}
	s.name = name
	s.array(14)
	s.bulkString("server")
	s.bulkString("redis")
	s.bulkString("version")
	s.bulkString(redisVersion)
	s.bulkString("proto")
	s.count(2)
	s.bulkString("id")
	s.integer(s.id)
	s.bulkString("mode")
	s.bulkString("standalone")
	s.bulkString("role")
	s.bulkString("master")
	s.bulkString("modules")
	s.array(0)
}

func auth(s *session, args [][]byte) {
	if len(args) > 3 {
		s.syntaxError()
		return
	}
	s.fail("ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?")
}

const invalidName = "ERR Client names cannot contain spaces, newlines or special characters."

func validName(p []byte) bool {
	return !slices.ContainsFunc(p, func(b byte) bool { return b <= ' ' || b > '~' })
}

func client(s *session, args [][]byte) {
	what, n := args[1], len(args)
	switch {
	case isWord(what, "id") && n == 2:
		s.integer(s.id)
	case isWord(what, "getname") && n == 2 && s.name == "":
		s.null()
	case isWord(what, "getname") && n == 2:
		s.bulkString(s.name)
	case isWord(what, "setname") && n == 3 && !validName(args[2]):
		s.fail(invalidName)
	case isWord(what, "setname") && n == 3:
		s.name = string(args[2])
		s.ok()
	case isWord(what, "setinfo") && n == 4:
		s.setInfo(args[2])
	case isWord(what, "info") && n == 2:
		s.bulkString(fmt.Sprintf("id=%d addr=%v laddr=%v name=%s db=0 resp=2\n", s.id, s.conn.RemoteAddr(), s.conn.LocalAddr(), s.name))
	case isWord(what, "no-evict") && n == 3, isWord(what, "no-touch") && n == 3:
		s.ok()
	default:
		s.unknownSubcommand(args)
	}
}

// setInfo takes what a client library tells of itself.
func (s *session) setInfo(what []byte) {
	if isWord(what, "lib-name") || isWord(what, "lib-ver") {
		s.ok()
		return
	}
	s.fail("ERR Unrecognized option '" + string(what) + "'")
}

// unknownSubcommand answers a subcommand that is not there, or not with so many
// arguments.
func (s *session) unknownSubcommand(args [][]byte) {
	s.fail(fmt.Sprintf("ERR unknown subcommand or wrong number of arguments for '%.128s'. Try %s HELP.",
		args[1], strings.ToUpper(s.command.name)))
}

func quit(s *session, _ [][]byte) {
	s.ok()
	s.closes = true
}

func reset(s *session, _ [][]byte) {
	s.unsubscribeAll()
	s.name = ""
	s.simple("RESET")
}

// hangUp drops what was to be answered, too.
func hangUp(s *session, _ [][]byte) { s.out, s.writes, s.closes = s.out[:0], s.writes[:0], true }
