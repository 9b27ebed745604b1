package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"github.com/goproactor/goproactor/internal/exampletest"
	"github.com/stretchr/testify/require"
)

// violations are what breaks the protocol, and the answers of Redis.
var violations = []struct{ sent, answer string }{
	{"*x\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
	{"*2147483648\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
	{"*99999999999999999999\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
	{"*1\r\nGET\r\n", "-ERR Protocol error: expected '$', got 'G'\r\n"},
	{"*1\r\n$x\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
	{"*1\r\n$-1\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
	{"*1\r\n$-2\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
	{"*1\r\n$9223372036854775807\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
	{"*1\r\n$9223372036854775806\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
	{"*1\r\n$99999999999999999999\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
	{"*2\r\n$3\r\nGET\r\n$4294967296\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
	{"SET a 'b\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"},
	{strings.Repeat("x", 1<<17), "-ERR Protocol error: too big inline request\r\n"},
	{"PING\r\n*x\r\n", "+PONG\r\n-ERR Protocol error: invalid multibulk length\r\n"},
	{"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", ""},
	{"POST / HTTP/1.1\r\n\r\n", ""},
}

// TestViolations: the client is told and its connection closed; others go on.
func TestViolations(t *testing.T) {
	onEach(t, func(t *testing.T, s *exampletest.Server) {
		other := dial(t, "tcp", s.Addr)
		for _, v := range violations {
			require.Equal(t, v.answer, conversation(t, "tcp", s.Addr, v.sent), "%.60q", v.sent)
			require.Equal(t, "+PONG\r\n", other.do(t, "PING"))
		}
	})
}

// TestViolationsOfRedis compares the answers with the real server's.
func TestViolationsOfRedis(t *testing.T) {
	addr := startRedis(t)
	for _, v := range violations {
		require.Equal(t, v.answer, conversation(t, "unix", addr, v.sent), "%.60q", v.sent)
	}
}

// conversation is all that the server says until it closes the connection.
func conversation(t *testing.T, network, addr, sent string) string {
	c := dial(t, network, addr)
	c.Write([]byte(sent)) // it may close before it has all
	p, _ := io.ReadAll(c) // a reset is what may come for what it has not read
	return string(p)
}

// TestOddRequests sends what is odd and answered all the same.
func TestOddRequests(t *testing.T) {
	onEach(t, func(t *testing.T, s *exampletest.Server) {
		c := dial(t, "tcp", s.Addr)
		for _, v := range []struct{ sent, answer string }{
			{"*0\r\n\r\n*-1\r\n*-10\r\nPING\r\n", "+PONG\r\n"},
			{"   PING   \r\n", "+PONG\r\n"},
			{"PING\n", "+PONG\r\n"},
			{"SET a \"b c\\n\"\r\n", "+OK\r\n"},
			{"GET 'a'\r\n", "$4\r\nb c\n\r\n"},
			{"*1\r\n$0\r\n\r\n", "-ERR unknown command '', with args beginning with: \r\n"},
			{"$3\r\n", "-ERR unknown command '$3', with args beginning with: \r\n"},
			{"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", "$0\r\n\r\n"},
			{"{a}\r\n", "-ERR unknown command '{a}', with args beginning with: \r\n"},
			{"a\x00b\r\n", "-ERR unknown command 'a\x00b', with args beginning with: \r\n"},
		} {
			c.send(t, []byte(v.sent))
			require.Equal(t, v.answer, c.reply(t), "%q", v.sent)
		}
	})
}

// TestPieces sends commands in pieces of all sizes.
func TestPieces(t *testing.T) {
	onEach(t, func(t *testing.T, s *exampletest.Server) {
		random := rand.New(rand.NewPCG(1, 2))
		big := strings.Repeat("value ", 100_000)
		many := []string{"MSET"}
		for i := range 20_000 {
			many = append(many, fmt.Sprint("key", i), fmt.Sprint(i))
		}
		var sent, want []byte
		for i := range 300 {
			sent = append(sent, request("SET", "k", fmt.Sprint(i))...)
			sent = append(sent, "GET k\r\n"...)
			want = fmt.Appendf(want, "+OK\r\n$%d\r\n%d\r\n", len(fmt.Sprint(i)), i)
		}
		sent = append(sent, request("SET", "big", big)...)
		sent = append(sent, request("GET", "big")...)
		sent = append(sent, request(many...)...)
		sent = append(sent, request("MGET", "key0", "key19999")...)
		want = fmt.Appendf(want, "+OK\r\n$%d\r\n%s\r\n+OK\r\n*2\r\n$1\r\n0\r\n$5\r\n19999\r\n", len(big), big)
		c := dial(t, "tcp", s.Addr)
		go func() {
			for rest := sent; len(rest) > 0; {
				n := min(1+random.IntN(100_000>>random.IntN(17)), len(rest))
				if _, err := c.Write(rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
		}()
		got := make([]byte, len(want))
		_, err := io.ReadFull(c, got)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got))
	})
}

// TestFrameLimit refuses a command that is too big before it is there.
func TestFrameLimit(t *testing.T) {
	onEach(t, func(t *testing.T, s *exampletest.Server) {
		fits := strings.Repeat("x", 100<<10)
		c := dial(t, "tcp", s.Addr)
		require.Equal(t, "+OK\r\n", c.do(t, "SET", "a", fits))
		require.Equal(t, "-ERR Protocol error: invalid bulk length\r\n",
			conversation(t, "tcp", s.Addr, "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$200000\r\n"))
		require.Equal(t, "-ERR Protocol error: too big request\r\n",
			conversation(t, "tcp", s.Addr, "*4\r\n$4\r\nMSET\r\n$1\r\na\r\n$100000\r\n"+fits[:100000]+"\r\n$100000\r\n"))
		require.Equal(t, "-ERR Protocol error: invalid multibulk length\r\n", conversation(t, "tcp", s.Addr, "*1048577\r\n"))
		require.Equal(t, "+PONG\r\n", c.do(t, "PING"))
	}, "-framelimit", "131072")
}

// TestRepliesNobodyReads: a client that asks for much and takes nothing costs itself.
func TestRepliesNobodyReads(t *testing.T) {
	onEach(t, func(t *testing.T, s *exampletest.Server) {
		c := dial(t, "tcp", s.Addr)
		value := strings.Repeat("x", 1<<20)
		require.Equal(t, "+OK\r\n", c.do(t, "SET", "a", value))
		const times = 2000 // 2 GB, if it were all queued
		c.send(t, bytes.Repeat(request("GET", "a"), times))
		other := dial(t, "tcp", s.Addr)
		require.Equal(t, "+PONG\r\n", other.do(t, "PING"))
		for range 20 {
			require.Equal(t, len(value)+len("$1048576\r\n\r\n"), len(c.reply(t)))
		}
		require.Equal(t, "+PONG\r\n", other.do(t, "PING"))
		require.Less(t, infoNumber(t, other, "used_memory"), int64(200<<20))
	}, "-loops", "1")
}

// infoNumber is a number in INFO.
func infoNumber(t *testing.T, c *peer, name string) (n int64) {
	info := c.do(t, "INFO")
	_, after, found := strings.Cut(info, "\r\n"+name+":")
	require.True(t, found, info)
	_, err := fmt.Sscan(after, &n)
	require.NoError(t, err)
	return n
}

// FuzzParser: whatever comes, the parser does not fail, and takes what comes in pieces
// for what comes at once.
func FuzzParser(f *testing.F) {
	for _, v := range violations {
		f.Add([]byte(v.sent))
	}
	f.Add(append(request("SET", "a", "b"), "PING\r\n*0\r\n$5\r\n"...))
	f.Fuzz(func(t *testing.T, p []byte) {
		whole := parser{limit: 1 << 20}
		pieces := parser{limit: 1 << 20}
		for len(p) > 0 {
			args, used, need, err := whole.next(p)
			for n := 1; n < len(p) && n < max(used, 1); n++ {
				_, early, _, failed := pieces.next(p[:n])
				require.Zero(t, early)
				if failed != nil {
					require.Error(t, err)
				}
			}
			if err != nil || used == 0 {
				require.True(t, err != nil || need > len(p))
				return
			}
			again, n, _, err := pieces.next(p)
			require.NoError(t, err)
			require.Equal(t, used, n)
			require.Equal(t, args, again)
			p = p[used:]
		}
	})
}

func TestManyConnections(t *testing.T) {
	onEach(t, func(t *testing.T, s *exampletest.Server) {
		var all []*peer
		for range 200 {
			all = append(all, dial(t, "tcp", s.Addr))
		}
		for _, c := range all {
			c.send(t, request("INCR", "n"))
		}
		for _, c := range all {
			c.reply(t)
		}
		require.Equal(t, "$3\r\n200\r\n", all[0].do(t, "GET", "n"))
		for _, c := range all[:100] {
			c.Conn.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
		require.Equal(t, "$3\r\n200\r\n", all[100].do(t, "GET", "n"))
	}, "-loops", "2")
}
