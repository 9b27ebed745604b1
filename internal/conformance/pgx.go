package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// pgx is a driver for PostgreSQL. Its tests talk to a server of their own, over TCP, TLS
// and a Unix socket. A connection of pgx has goroutines that wait on channels: it cannot
// run in a task.
var pgx = suite{
	name:     "pgx",
	module:   "github.com/jackc/pgx/v5",
	version:  "v5.12.0",
	packages: []string{".", "./pgconn", "./pgxpool", "./stdlib"},
	args:     []string{"-p=1"},
	quick:    []string{"-p=1", "-short", "-run=^(TestConnect|TestExec|TestSendBatch|TestConnCopyFrom)"},
	timeout:  "5m",
	modes:    []mode{detached, shared},
	needs:    lacksPostgreSQL,
	start:    startPostgreSQL,
	replace: []replacement{
		{file: "pgconn/config.go", old: "config.DialFunc = defaultDialer.DialContext", new: "config.DialFunc = dialWith(defaultDialer)"},
		{file: "pgconn/config.go", old: "return d.DialContext\n", new: "return dialWith(d)\n"},
		{file: "pgconn/config.go", old: "func makeDefaultDialer() *net.Dialer {", new: `func dialWith(d *net.Dialer) DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		return proactornet.DialContext(d, ctx, network, address)
	}
}

func makeDefaultDialer() *net.Dialer {`},
		{file: "pgconn/pgconn_test.go", old: "net.Dial(network, address)", new: "proactornet.Dial(network, address)"},
		{file: "pgxpool/helper_test.go", old: "net.Dial(network, addr)", new: "proactornet.Dial(network, addr)"},
	},
}

// programsOfPostgreSQL are those that the server needs.
var programsOfPostgreSQL = []string{"initdb", "postgres", "psql"}

func lacksPostgreSQL() string {
	for _, program := range programsOfPostgreSQL {
		if lack := inPath(program, "apt-get install postgresql, and its bin in PATH")(); lack != "" {
			return lack
		}
	}
	return ""
}

// startPostgreSQL sets a server up as the tests want it: see pgx's DEVELOPMENT.md.
func startPostgreSQL(ctx context.Context, published string) (environment []string, stop func(), err error) {
	dir, as, err := ordinary("conformance-postgresql-")
	if err != nil {
		return nil, nil, err
	}
	clean := func() { os.RemoveAll(dir) }
	defer func() {
		if err != nil {
			clean()
		}
	}()
	port, err := freePort()
	if err != nil {
		return nil, nil, err
	}
	command := func(program string, arguments ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, program, arguments...)
		cmd.Dir, cmd.SysProcAttr = dir, as
		return cmd
	}
	data := filepath.Join(dir, "data")
	if out, err := command("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8").CombinedOutput(); err != nil {
		return nil, nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	if err := configurePostgreSQL(published, data, dir, port); err != nil {
		return nil, nil, err
	}
	server, err := startService(ctx, command("postgres", "-D", data), syscall.SIGQUIT, "127.0.0.1:"+port)
	if err != nil {
		return nil, nil, err
	}
	psql := func(arguments ...string) error {
		out, err := command("psql", append([]string{"-h", dir, "-p", port, "-U", "postgres"}, arguments...)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("psql: %w: %s", err, out)
		}
		return nil
	}
	setup, err := os.ReadFile(filepath.Join(published, "testsetup", "postgresql_setup.sql"))
	if err == nil {
		err = psql("-c", "create database pgx_test")
	}
	if err == nil {
		script := filepath.Join(dir, "setup.sql")
		if err = os.WriteFile(script, setup, 0o644); err == nil {
			err = psql("-d", "pgx_test", "-f", script)
		}
	}
	if err != nil {
		server.stop()
		return nil, nil, err
	}
	return environmentOfPgx(dir, port), func() { server.stop(); clean() }, nil
}

// configurePostgreSQL gives the server the certificates and rules of the tests.
func configurePostgreSQL(published, data, dir, port string) error {
	setup := filepath.Join(published, "testsetup")
	owner, err := os.Stat(data)
	if err != nil {
		return err
	}
	id := owner.Sys().(*syscall.Stat_t)
	write := func(name string, text []byte) error {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			return err
		}
		return os.Chown(name, int(id.Uid), int(id.Gid))
	}
	for target, source := range map[string]string{
		filepath.Join(data, "server.crt"):     "localhost.crt.b64",
		filepath.Join(data, "server.key"):     "localhost.key.b64",
		filepath.Join(data, "root.crt"):       "ca.pem.b64",
		filepath.Join(dir, "ca.pem"):          "ca.pem.b64",
		filepath.Join(dir, "pgx_sslcert.crt"): "pgx_sslcert.crt.b64",
		filepath.Join(dir, "pgx_sslcert.key"): "pgx_sslcert.key.b64",
	} {
		text, err := os.ReadFile(filepath.Join(setup, "certs", source))
		if err != nil {
			return err
		}
		plain, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(text)), ""))
		if err != nil {
			return fmt.Errorf("%s: %w", source, err)
		}
		if err := write(target, plain); err != nil {
			return err
		}
	}
	rules, err := os.ReadFile(filepath.Join(setup, "pg_hba.conf"))
	if err != nil {
		return err
	}
	secure, err := os.ReadFile(filepath.Join(setup, "postgresql_ssl.conf"))
	if err != nil {
		return err
	}
	settings := fmt.Sprintf("%s\nport = %s\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '%s'\nfsync = off\n", secure, port, dir)
	if err := write(filepath.Join(data, "pg_hba.conf"), rules); err != nil {
		return err
	}
	return write(filepath.Join(data, "postgresql.auto.conf"), []byte(settings))
}

// environmentOfPgx tells the tests where the server is.
func environmentOfPgx(dir, port string) []string {
	tcp := func(user string) string {
		return "host=127.0.0.1 port=" + port + " password=secret dbname=pgx_test user=" + user
	}
	secure := func(user string) string {
		return "host=localhost port=" + port + " dbname=pgx_test sslmode=verify-full sslrootcert=" + dir + "/ca.pem user=" + user
	}
	return []string{
		"PGX_TEST_DATABASE=" + tcp("pgx_md5"),
		"PGX_TEST_TCP_CONN_STRING=" + tcp("pgx_md5"),
		"PGX_TEST_MD5_PASSWORD_CONN_STRING=" + tcp("pgx_md5"),
		"PGX_TEST_PLAIN_PASSWORD_CONN_STRING=" + tcp("pgx_pw"),
		"PGX_TEST_SCRAM_PASSWORD_CONN_STRING=" + tcp("pgx_scram") + " channel_binding=disable",
		"PGX_TEST_UNIX_SOCKET_CONN_STRING=host=" + dir + " port=" + port + " user=postgres dbname=pgx_test",
		"PGX_TEST_SCRAM_PLUS_CONN_STRING=" + secure("pgx_ssl") + " password=secret channel_binding=require",
		"PGX_TEST_TLS_CONN_STRING=" + secure("pgx_ssl") + " password=secret channel_binding=disable",
		"PGX_TEST_TLS_CLIENT_CONN_STRING=" + secure("pgx_sslcert") + " sslcert=" + dir + "/pgx_sslcert.crt sslkey=" + dir + "/pgx_sslcert.key",
		"PGX_SSL_PASSWORD=certpw",
	}
}
