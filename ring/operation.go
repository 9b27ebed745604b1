package ring

import "fmt"

// Op is an operation code (IORING_OP_*). Those that have a name here are those
// that every queue performs.
type Op uint8

// The operations. Each has a row in the table below.
const (
	OpNop            Op = 0
	OpReadv          Op = 1
	OpWritev         Op = 2
	OpFsync          Op = 3
	OpReadFixed      Op = 4
	OpWriteFixed     Op = 5
	OpPollAdd        Op = 6
	OpPollRemove     Op = 7
	OpSendmsg        Op = 9
	OpRecvmsg        Op = 10
	OpTimeout        Op = 11
	OpTimeoutRemove  Op = 12
	OpAccept         Op = 13
	OpAsyncCancel    Op = 14
	OpLinkTimeout    Op = 15
	OpConnect        Op = 16
	OpFallocate      Op = 17
	OpOpenat         Op = 18
	OpClose          Op = 19
	OpStatx          Op = 21
	OpRead           Op = 22
	OpWrite          Op = 23
	OpFadvise        Op = 24
	OpSend           Op = 26
	OpRecv           Op = 27
	OpSplice         Op = 30
	OpTee            Op = 33
	OpShutdown       Op = 34
	OpRenameat       Op = 35
	OpUnlinkat       Op = 36
	OpMkdirat        Op = 37
	OpSymlinkat      Op = 38
	OpLinkat         Op = 39
	OpSocket         Op = 45
	OpUringCmd       Op = 46
	OpSendZC         Op = 47
	OpReadMultishot  Op = 49
	OpFixedFDInstall Op = 54
	OpFtruncate      Op = 55
	OpRecvZC         Op = 58
	OpPipe           Op = 62
)

// operation is what there is to know of an operation code.
type operation struct {
	name   string // as in the kernel's header, without IORING_OP_
	since  string // first kernel that has it
	needed bool   // io_uring is no backend without it: what Linux 6.1 has and queues perform
	silent bool   // its failures break no link
	inline bool   // the kernel needs no worker thread for it, unless SQEAsync asks for one
	brings int    // descriptors that a success brings, unless the entry has a slot

	foreign bool // no queue of ours performs it
	asked   bool // a ring takes it only if the program has asked for it, see Options
}

// operations is every operation of the kernel by its code (linux/io_uring.h). What
// the probe requires and reports, what breaks a link and what is closed with a
// queue all come from here.
var operations = [...]operation{
	OpNop:            {name: "NOP", since: "5.1", needed: true, inline: true},
	OpReadv:          {name: "READV", since: "5.1", needed: true},
	OpWritev:         {name: "WRITEV", since: "5.1", needed: true},
	OpFsync:          {name: "FSYNC", since: "5.1", needed: true, silent: true},
	OpReadFixed:      {name: "READ_FIXED", since: "5.1", needed: true},
	OpWriteFixed:     {name: "WRITE_FIXED", since: "5.1", needed: true},
	OpPollAdd:        {name: "POLL_ADD", since: "5.1", needed: true, inline: true},
	OpPollRemove:     {name: "POLL_REMOVE", since: "5.1", needed: true, inline: true},
	8:                {name: "SYNC_FILE_RANGE", since: "5.2", foreign: true},
	OpSendmsg:        {name: "SENDMSG", since: "5.3", needed: true, inline: true},
	OpRecvmsg:        {name: "RECVMSG", since: "5.3", needed: true, inline: true},
	OpTimeout:        {name: "TIMEOUT", since: "5.4", needed: true, inline: true},
	OpTimeoutRemove:  {name: "TIMEOUT_REMOVE", since: "5.5", needed: true, inline: true},
	OpAccept:         {name: "ACCEPT", since: "5.5", needed: true, brings: 1, inline: true},
	OpAsyncCancel:    {name: "ASYNC_CANCEL", since: "5.5", needed: true, inline: true},
	OpLinkTimeout:    {name: "LINK_TIMEOUT", since: "5.5", needed: true, inline: true},
	OpConnect:        {name: "CONNECT", since: "5.5", needed: true, inline: true},
	OpFallocate:      {name: "FALLOCATE", since: "5.6", needed: true, silent: true},
	OpOpenat:         {name: "OPENAT", since: "5.6", needed: true, brings: 1},
	OpClose:          {name: "CLOSE", since: "5.6", needed: true, inline: true},
	20:               {name: "FILES_UPDATE", since: "5.6", foreign: true},
	OpStatx:          {name: "STATX", since: "5.6", needed: true, silent: true},
	OpRead:           {name: "READ", since: "5.6", needed: true},
	OpWrite:          {name: "WRITE", since: "5.6", needed: true},
	OpFadvise:        {name: "FADVISE", since: "5.6", needed: true},
	25:               {name: "MADVISE", since: "5.6", foreign: true},
	OpSend:           {name: "SEND", since: "5.6", needed: true, inline: true},
	OpRecv:           {name: "RECV", since: "5.6", needed: true, inline: true},
	28:               {name: "OPENAT2", since: "5.6", foreign: true},
	29:               {name: "EPOLL_CTL", since: "5.6", foreign: true},
	OpSplice:         {name: "SPLICE", since: "5.7", needed: true},
	31:               {name: "PROVIDE_BUFFERS", since: "5.7", foreign: true},
	32:               {name: "REMOVE_BUFFERS", since: "5.7", foreign: true},
	OpTee:            {name: "TEE", since: "5.8", needed: true},
	OpShutdown:       {name: "SHUTDOWN", since: "5.11", needed: true, silent: true},
	OpRenameat:       {name: "RENAMEAT", since: "5.11", needed: true, silent: true},
	OpUnlinkat:       {name: "UNLINKAT", since: "5.11", needed: true, silent: true},
	OpMkdirat:        {name: "MKDIRAT", since: "5.15", needed: true, silent: true},
	OpSymlinkat:      {name: "SYMLINKAT", since: "5.15", needed: true, silent: true},
	OpLinkat:         {name: "LINKAT", since: "5.15", needed: true, silent: true},
	40:               {name: "MSG_RING", since: "5.18", foreign: true},
	41:               {name: "FSETXATTR", since: "5.19", foreign: true},
	42:               {name: "SETXATTR", since: "5.19", foreign: true},
	43:               {name: "FGETXATTR", since: "5.19", foreign: true},
	44:               {name: "GETXATTR", since: "5.19", foreign: true},
	OpSocket:         {name: "SOCKET", since: "5.19", needed: true, brings: 1, inline: true},
	OpUringCmd:       {name: "URING_CMD", since: "5.19", inline: true},
	OpSendZC:         {name: "SEND_ZC", since: "6.0", needed: true, inline: true},
	48:               {name: "SENDMSG_ZC", since: "6.1", foreign: true},
	OpReadMultishot:  {name: "READ_MULTISHOT", since: "6.7", inline: true},
	50:               {name: "WAITID", since: "6.7", foreign: true},
	51:               {name: "FUTEX_WAIT", since: "6.7", foreign: true},
	52:               {name: "FUTEX_WAKE", since: "6.7", foreign: true},
	53:               {name: "FUTEX_WAITV", since: "6.7", foreign: true},
	OpFixedFDInstall: {name: "FIXED_FD_INSTALL", since: "6.8", brings: 1, inline: true},
	OpFtruncate:      {name: "FTRUNCATE", since: "6.9", silent: true},
	56:               {name: "BIND", since: "6.11", foreign: true},
	57:               {name: "LISTEN", since: "6.11", foreign: true},
	OpRecvZC:         {name: "RECV_ZC", since: "6.15", silent: true, inline: true, asked: true},
	59:               {name: "EPOLL_WAIT", since: "6.15", foreign: true},
	60:               {name: "READV_FIXED", since: "6.15", foreign: true},
	61:               {name: "WRITEV_FIXED", since: "6.15", foreign: true},
	OpPipe:           {name: "PIPE", since: "6.16", brings: 2, inline: true},
	63:               {name: "NOP128", since: "6.19", foreign: true},
	64:               {name: "URING_CMD128", since: "6.19", foreign: true},
}

// unknown is the row of the codes that the kernel has not.
var unknown operation

// row is what is known of an operation.
func (op Op) row() *operation {
	if int(op) < len(operations) {
		return &operations[op]
	}
	return &unknown
}

// String is the operation's name in the kernel's header, "IORING_OP_RECV".
func (op Op) String() string {
	if name := op.row().name; name != "" {
		return "IORING_OP_" + name
	}
	return fmt.Sprintf("Op(%d)", uint8(op))
}

// BreaksLink reports whether an operation that fails breaks the link to the next
// entry, as SQELink has it. The kernel does not mark the failures of some (seen on
// 6.18; older ones did): of what concerns names, of syncs, allocations,
// truncations and shutdowns. What must not run after such a failure is submitted
// when the success is known.
func (op Op) BreaksLink() bool { return !op.row().silent }

// Brings is how many descriptors a success of the operation brings: one in its
// result, two in memory (PrepPipe), or none. One with [SQE.SetSlot] brings none.
func (op Op) Brings() int { return op.row().brings }

// FirstKernel is the first kernel that has the operation, set-up flag or
// feature of that name, "5.6"; empty if there is none of that name.
func FirstKernel(name string) string {
	for op := range operations {
		if Op(op).String() == name {
			return operations[op].since
		}
	}
	return firstKernel(name)
}
