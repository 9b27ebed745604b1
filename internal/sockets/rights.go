package sockets

import "unsafe"

// MaxRights is how many descriptors one message passes (SCM_MAX_FD).
const MaxRights = 253

const (
	scmRights        = 1 // SCM_RIGHTS
	scmProcess       = 4 // SCM_PIDFD, Linux 6.5
	sizeofDescriptor = 4
)

// Rights are the descriptors that came with a message.
type Rights struct {
	Passed []int // by the sender
	// Processes is a descriptor of the sender's process (pidfd_open(2)), which the kernel
	// makes if the receiver has set SO_PASSPIDFD (unix(7)).
	Processes []int
}

// IsEmpty reports whether there are none.
func (r Rights) IsEmpty() bool { return len(r.Passed)+len(r.Processes) == 0 }

// Close closes them.
func (r Rights) Close() {
	CloseAll(r.Passed)
	CloseAll(r.Processes)
}

// WithoutRights takes the descriptors out of a list of control messages, and returns what
// is left of it, in the same memory. What says why the sender's process has no descriptor,
// a negative errno in the place of one, is left.
func (r Received) WithoutRights() (rest Received, rights Rights) {
	rest = r[:0]
	for list := r; len(list) >= sizeofCmsghdr; {
		h := (*cmsghdr)(unsafe.Pointer(unsafe.SliceData(list)))
		size := int(h.len)
		if size < sizeofCmsghdr || size > len(list) {
			break
		}
		whole := min(aligned(size), len(list))
		switch data := list[sizeofCmsghdr:size]; {
		case h.level == solSocket && h.kind == scmRights:
			for ; len(data) >= sizeofDescriptor; data = data[sizeofDescriptor:] {
				rights.Passed = append(rights.Passed, descriptorIn(data))
			}
		case h.level == solSocket && h.kind == scmProcess && len(data) >= sizeofDescriptor && descriptorIn(data) >= 0:
			rights.Processes = append(rights.Processes, descriptorIn(data))
		default:
			rest = append(rest, list[:whole]...)
		}
		list = list[whole:]
	}
	return rest, rights
}

func descriptorIn(data []byte) int { return int(*(*int32)(unsafe.Pointer(unsafe.SliceData(data)))) }

// PutRights appends the descriptors to the n bytes of control messages in oob, and returns
// those for which there is no room. The new length is that of recvmsg(2).
func PutRights(oob []byte, n int, r Rights) (length int, left Rights) {
	n, fit := putDescriptors(oob, n, scmRights, r.Passed)
	left.Passed = r.Passed[fit:]
	n, fit = putDescriptors(oob, n, scmProcess, r.Processes)
	left.Processes = r.Processes[fit:]
	return n, left
}

// putDescriptors appends a control message with descriptors, as many as there is room for.
func putDescriptors(oob []byte, n int, kind int32, fds []int) (length, fit int) {
	at := aligned(n)
	if fit = min(len(fds), (len(oob)-at-sizeofCmsghdr)/sizeofDescriptor); fit <= 0 {
		return n, 0
	}
	size := sizeofCmsghdr + fit*sizeofDescriptor
	h := cmsghdr{len: uintptr(size), level: solSocket, kind: kind}
	list := oob[at:]
	copy(list, unsafe.Slice((*byte)(unsafe.Pointer(&h)), sizeofCmsghdr))
	for i, fd := range fds[:fit] {
		raw := int32(fd)
		copy(list[sizeofCmsghdr+i*sizeofDescriptor:], unsafe.Slice((*byte)(unsafe.Pointer(&raw)), sizeofDescriptor))
	}
	return min(at+aligned(size), len(oob)), fit
}
