//go:build ignore

// An echo server on level-triggered epoll, one thread: what the kernel lets one
// do without io_uring. With -broadcast, what comes in goes to every connection.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE (64 << 10)
#define EVENTS 1024

// A connection that is owed bytes is not read from until they are sent.
struct conn {
	bool open;
	char *owed;
	size_t owed_len, owed_off;
};

static struct conn *conns;
static int max_fd;
static int ep;
static bool broadcast;
static char buf[READ_SIZE];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void watch(int op, int fd, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.fd = fd};
	if (epoll_ctl(ep, op, fd, &e))
		die("epoll_ctl");
}

static void close_conn(int fd)
{
	free(conns[fd].owed);
	conns[fd] = (struct conn){0};
	close(fd);
}

static void send_to(int fd, const char *p, size_t n)
{
	struct conn *c = &conns[fd];
	if (!c->owed) {
		ssize_t m = send(fd, p, n, MSG_NOSIGNAL);
		if (m < 0 && errno != EAGAIN) {
			close_conn(fd);
			return;
		}
		if (m > 0) {
			p += m;
			n -= m;
		}
		if (!n)
			return;
		watch(EPOLL_CTL_MOD, fd, EPOLLOUT);
	}
	size_t left = c->owed_len - c->owed_off;
	char *all = malloc(left + n);
	if (!all)
		die("malloc");
	if (left)
		memcpy(all, c->owed + c->owed_off, left);
	memcpy(all + left, p, n);
	free(c->owed);
	c->owed = all;
	c->owed_len = left + n;
	c->owed_off = 0;
}

static void flush(int fd)
{
	struct conn *c = &conns[fd];
	ssize_t n = send(fd, c->owed + c->owed_off, c->owed_len - c->owed_off, MSG_NOSIGNAL);
	if (n < 0) {
		if (errno != EAGAIN)
			close_conn(fd);
		return;
	}
	c->owed_off += n;
	if (c->owed_off == c->owed_len) {
		free(c->owed);
		*c = (struct conn){.open = true};
		watch(EPOLL_CTL_MOD, fd, EPOLLIN);
	}
}

static void readable(int fd)
{
	ssize_t n = recv(fd, buf, sizeof buf, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		close_conn(fd);
		return;
	}
	if (!broadcast) {
		send_to(fd, buf, n);
		return;
	}
	for (int i = 0; i <= max_fd; i++)
		if (conns[i].open)
			send_to(i, buf, n);
}

static void accept_all(int listener)
{
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno == EAGAIN)
				return;
			if (errno == EINTR || errno == ECONNABORTED)
				continue;
			die("accept4");
		}
		int one = 1;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		conns[fd] = (struct conn){.open = true};
		if (fd > max_fd)
			max_fd = fd;
		watch(EPOLL_CTL_ADD, fd, EPOLLIN);
	}
}

static int listen_on(const char *text)
{
	char host[64];
	int port, one = 1;
	struct sockaddr_in addr = {.sin_family = AF_INET};
	socklen_t len = sizeof addr;
	if (sscanf(text, "%63[^:]:%d", host, &port) != 2 || inet_pton(AF_INET, host, &addr.sin_addr) != 1) {
		fprintf(stderr, "bad address %s: want IPV4:PORT\n", text);
		exit(2);
	}
	addr.sin_port = htons(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&addr, sizeof addr))
		die("bind");
	if (listen(fd, 4096))
		die("listen");
	getsockname(fd, (struct sockaddr *)&addr, &len);
	fprintf(stderr, "listening on tcp %s:%d\n", host, ntohs(addr.sin_port));
	return fd;
}

int main(int argc, char **argv)
{
	const char *addr = "127.0.0.1:0";
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-broadcast"))
			broadcast = true;
		else if (!strcmp(argv[i], "-addr") && i + 1 < argc)
			addr = argv[++i];
		else {
			fprintf(stderr, "usage: %s [-addr IPV4:PORT] [-broadcast]\n", argv[0]);
			return 2;
		}
	}
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	conns = calloc(files.rlim_cur, sizeof *conns);
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (!conns || ep < 0)
		die("start");
	int listener = listen_on(addr);
	watch(EPOLL_CTL_ADD, listener, EPOLLIN);

	static struct epoll_event events[EVENTS];
	for (;;) {
		int n = epoll_wait(ep, events, EVENTS, -1);
		if (n < 0 && errno != EINTR)
			die("epoll_wait");
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			if (fd == listener)
				accept_all(listener);
			else if (!conns[fd].open)
				continue;
			else if (conns[fd].owed)
				flush(fd);
			else
				readable(fd);
		}
	}
}
