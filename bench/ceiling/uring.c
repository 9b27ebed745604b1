//go:build ignore

// An echo server on raw io_uring, one thread: what the kernel lets one do.
// Multishot accept (5.19), multishot receive into provided buffers (6.0),
// SINGLE_ISSUER (6.0) and DEFER_TASKRUN (6.1). With -broadcast, what comes in
// goes to every connection.
//
// One send is in flight per connection, the rest is queued behind it. A client
// that never reads can hold every buffer; the servers that are to be used in
// earnest pause such a client, this one does not.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SQ_ENTRIES 4096
#define CQ_ENTRIES 32768
#define BUF_SIZE (32 << 10)
#define BUFS 4096	// at most
#define FIRST_BUFS 64	// doubled when a receive finds none: few buffers stay in the cache
#define BUF_STRIDE (BUF_SIZE + 4096 + 64) // a power of two would put them all on the same cache lines
#define GROUP 0

enum { ACCEPT, RECV, SEND, CLOSE };

// A piece of data on its way to one connection. A buffer goes back to the
// kernel when the last piece of it is sent.
struct piece {
	uint32_t next; // index + 1
	uint32_t len, off;
	uint16_t buf;
};

struct conn {
	uint32_t head, tail; // pieces, index + 1
	bool open, receiving, sending, starved, eof;
};

static struct conn *conns;
static int max_fd;
static bool broadcast;

static struct piece *pieces;
static uint32_t pieces_len, pieces_free;

static char *bufs;
static uint32_t buf_refs[BUFS];
static uint32_t bufs_held, bufs_provided;
static struct io_uring_buf_ring *buf_ring;
static uint16_t buf_tail;

static int *starved; // connections whose receive found no buffer
static int starved_len;

static int ring_fd;
static unsigned enter_flags;
static struct io_uring_sqe *sqes;
static unsigned sq_tail, sq_mask, to_submit;
static _Atomic unsigned *sq_head_shared, *sq_tail_shared;
static unsigned cq_mask;
static _Atomic unsigned *cq_head_shared, *cq_tail_shared;
static struct io_uring_cqe *cqes;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void enter(unsigned wait)
{
	atomic_store_explicit(sq_tail_shared, sq_tail, memory_order_release);
	int n = syscall(__NR_io_uring_enter, ring_fd, to_submit, wait, enter_flags | IORING_ENTER_GETEVENTS, NULL, 0);
	if (n < 0) {
		if (errno != EINTR && errno != EAGAIN && errno != EBUSY)
			die("io_uring_enter");
		return;
	}
	to_submit -= n;
}

static struct io_uring_sqe *next_sqe(int op, int fd)
{
	while (sq_tail - atomic_load_explicit(sq_head_shared, memory_order_acquire) == SQ_ENTRIES)
		enter(0);
	struct io_uring_sqe *e = &sqes[sq_tail & sq_mask];
	memset(e, 0, sizeof *e);
	e->fd = fd;
	e->user_data = (uint64_t)op << 32 | (uint32_t)fd;
	sq_tail++;
	to_submit++;
	return e;
}

static void arm_accept(int listener)
{
	struct io_uring_sqe *e = next_sqe(ACCEPT, listener);
	e->opcode = IORING_OP_ACCEPT;
	e->ioprio = IORING_ACCEPT_MULTISHOT;
	e->accept_flags = SOCK_CLOEXEC;
}

static void arm_recv(int fd)
{
	struct io_uring_sqe *e = next_sqe(RECV, fd);
	e->opcode = IORING_OP_RECV;
	e->ioprio = IORING_RECV_MULTISHOT;
	e->flags = IOSQE_BUFFER_SELECT;
	e->buf_group = GROUP;
	conns[fd].receiving = true;
}

static void provide(uint16_t buf)
{
	struct io_uring_buf *b = &buf_ring->bufs[buf_tail++ & (BUFS - 1)];
	b->addr = (uint64_t)(uintptr_t)(bufs + (size_t)buf * BUF_STRIDE);
	b->len = BUF_SIZE;
	b->bid = buf;
}

static void publish_bufs(void)
{
	atomic_store_explicit((_Atomic uint16_t *)&buf_ring->tail, buf_tail, memory_order_release);
}

static void provide_more(uint32_t n)
{
	for (; n && bufs_provided < BUFS; n--)
		provide(bufs_provided++);
	publish_bufs();
}

static void release(uint16_t buf)
{
	if (--buf_refs[buf] == 0) {
		provide(buf);
		bufs_held--;
	}
}

static void send_head(int fd)
{
	struct conn *c = &conns[fd];
	struct piece *p = &pieces[c->head - 1];
	struct io_uring_sqe *e = next_sqe(SEND, fd);
	e->opcode = IORING_OP_SEND;
	e->addr = (uint64_t)(uintptr_t)(bufs + (size_t)p->buf * BUF_STRIDE + p->off);
	e->len = p->len - p->off;
	e->msg_flags = MSG_NOSIGNAL | MSG_WAITALL;
	c->sending = true;
}

static void drop_head(struct conn *c)
{
	uint32_t i = c->head;
	struct piece *p = &pieces[i - 1];
	c->head = p->next;
	if (!c->head)
		c->tail = 0;
	release(p->buf);
	p->next = pieces_free;
	pieces_free = i;
}

static void queue_piece(int fd, uint16_t buf, uint32_t len)
{
	struct conn *c = &conns[fd];
	if (!pieces_free) {
		uint32_t more = pieces_len ? pieces_len : 4096;
		pieces = realloc(pieces, (pieces_len + more) * sizeof *pieces);
		if (!pieces)
			die("realloc");
		for (uint32_t i = 0; i < more; i++) {
			pieces[pieces_len + i].next = pieces_free;
			pieces_free = pieces_len + i + 1;
		}
		pieces_len += more;
	}
	uint32_t i = pieces_free;
	struct piece *p = &pieces[i - 1];
	pieces_free = p->next;
	*p = (struct piece){.len = len, .buf = buf};
	buf_refs[buf]++;
	if (c->tail)
		pieces[c->tail - 1].next = i;
	else
		c->head = i;
	c->tail = i;
	if (!c->sending)
		send_head(fd);
}

static void close_if_done(int fd)
{
	struct conn *c = &conns[fd];
	if (!c->eof || c->receiving || c->sending)
		return;
	while (c->head)
		drop_head(c);
	*c = (struct conn){0};
	next_sqe(CLOSE, fd)->opcode = IORING_OP_CLOSE;
}

static void accepted(int listener, const struct io_uring_cqe *cqe)
{
	if (!(cqe->flags & IORING_CQE_F_MORE))
		arm_accept(listener);
	int fd = cqe->res;
	if (fd < 0)
		return;
	int one = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	conns[fd] = (struct conn){.open = true};
	if (fd > max_fd)
		max_fd = fd;
	arm_recv(fd);
}

static void received(int fd, const struct io_uring_cqe *cqe)
{
	struct conn *c = &conns[fd];
	if (!(cqe->flags & IORING_CQE_F_MORE))
		c->receiving = false;
	if (cqe->flags & IORING_CQE_F_BUFFER) {
		uint16_t buf = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
		buf_refs[buf] = 1; // held here until queued
		bufs_held++;
		if (cqe->res > 0 && !broadcast) {
			if (!c->eof)
				queue_piece(fd, buf, cqe->res);
		} else if (cqe->res > 0) {
			for (int i = 0; i <= max_fd; i++)
				if (conns[i].open && !conns[i].eof)
					queue_piece(i, buf, cqe->res);
		}
		release(buf);
	}
	if (cqe->res == -ENOBUFS) {
		c->starved = true;
		starved[starved_len++] = fd;
		return;
	}
	if (cqe->res <= 0)
		c->eof = true;
	else if (!c->receiving)
		arm_recv(fd);
	// What is still owed is sent before the connection is closed.
	close_if_done(fd);
}

static void sent(int fd, const struct io_uring_cqe *cqe)
{
	struct conn *c = &conns[fd];
	c->sending = false;
	if (cqe->res < 0) {
		while (c->head)
			drop_head(c);
		c->eof = true;
		shutdown(fd, SHUT_RDWR); // ends the receive
		close_if_done(fd);
		return;
	}
	struct piece *p = &pieces[c->head - 1];
	p->off += cqe->res;
	if (p->off == p->len)
		drop_head(c);
	if (c->head)
		send_head(fd);
	else
		close_if_done(fd);
}

// rearm resumes the receives that found no buffer, once there are some.
static void rearm(void)
{
	if (!starved_len)
		return;
	provide_more(bufs_provided);
	if (bufs_held == bufs_provided)
		return;
	for (int i = 0; i < starved_len; i++) {
		struct conn *c = &conns[starved[i]];
		if (!c->starved)
			continue;
		c->starved = false;
		if (c->eof)
			close_if_done(starved[i]);
		else
			arm_recv(starved[i]);
	}
	starved_len = 0;
}

static void set_up_bufs(void)
{
	buf_ring = mmap(NULL, BUFS * sizeof(struct io_uring_buf), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bufs = mmap(NULL, (size_t)BUFS * BUF_STRIDE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buf_ring == MAP_FAILED || bufs == MAP_FAILED)
		die("mmap");
	struct io_uring_buf_reg reg = {.ring_addr = (uint64_t)(uintptr_t)buf_ring, .ring_entries = BUFS, .bgid = GROUP};
	if (syscall(__NR_io_uring_register, ring_fd, IORING_REGISTER_PBUF_RING, &reg, 1))
		die("IORING_REGISTER_PBUF_RING");
	provide_more(FIRST_BUFS);
}

static void set_up_ring(void)
{
	struct io_uring_params p = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL,
		.cq_entries = CQ_ENTRIES,
	};
	ring_fd = syscall(__NR_io_uring_setup, SQ_ENTRIES, &p);
	if (ring_fd < 0)
		die("io_uring_setup");
	size_t sq_size = p.sq_off.array + p.sq_entries * sizeof(unsigned);
	size_t cq_size = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	size_t size = sq_size > cq_size ? sq_size : cq_size;
	char *rings = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring_fd, IORING_OFF_SQ_RING);
	sqes = mmap(NULL, p.sq_entries * sizeof *sqes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring_fd, IORING_OFF_SQES);
	if (rings == MAP_FAILED || sqes == MAP_FAILED)
		die("mmap");
	sq_head_shared = (_Atomic unsigned *)(rings + p.sq_off.head);
	sq_tail_shared = (_Atomic unsigned *)(rings + p.sq_off.tail);
	sq_mask = p.sq_entries - 1;
	unsigned *array = (unsigned *)(rings + p.sq_off.array);
	for (unsigned i = 0; i < p.sq_entries; i++)
		array[i] = i;
	cq_head_shared = (_Atomic unsigned *)(rings + p.cq_off.head);
	cq_tail_shared = (_Atomic unsigned *)(rings + p.cq_off.tail);
	cq_mask = p.cq_entries - 1;
	cqes = (struct io_uring_cqe *)(rings + p.cq_off.cqes);

	set_up_bufs();

	// An index for the ring's descriptor saves looking it up at each enter (5.18).
	struct io_uring_rsrc_update reg = {.offset = -1U, .data = ring_fd};
	if (syscall(__NR_io_uring_register, ring_fd, IORING_REGISTER_RING_FDS, &reg, 1) == 1) {
		ring_fd = reg.offset;
		enter_flags = IORING_ENTER_REGISTERED_RING;
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
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
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
	starved = calloc(files.rlim_cur, sizeof *starved);
	if (!conns || !starved)
		die("calloc");
	set_up_ring();
	int listener = listen_on(addr);
	arm_accept(listener);

	for (;;) {
		enter(1);
		unsigned head = atomic_load_explicit(cq_head_shared, memory_order_relaxed);
		unsigned tail = atomic_load_explicit(cq_tail_shared, memory_order_acquire);
		for (; head != tail; head++) {
			struct io_uring_cqe cqe = cqes[head & cq_mask];
			int fd = (int)(uint32_t)cqe.user_data;
			switch (cqe.user_data >> 32) {
			case ACCEPT:
				accepted(fd, &cqe);
				break;
			case RECV:
				received(fd, &cqe);
				break;
			case SEND:
				sent(fd, &cqe);
				break;
			}
		}
		atomic_store_explicit(cq_head_shared, head, memory_order_release);
		publish_bufs();
		rearm();
	}
}
