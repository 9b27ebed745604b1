package sockets

import "unsafe"

// MaxRights is how many descriptors one message passes (SCM_MAX_FD).
const MaxRights = 253

const (
	scmRights        = 1 // SCM_RIGHTS
	sizeofDescriptor = 4
)

// WithoutRights takes the descriptors out of a list of control messages, and returns what
// is left of it, in the same memory.
func (r Received) WithoutRights() (rest Received, fds []int) {
	rest = r[:0]
	for list := r; len(list) >= sizeofCmsghdr; {
		h := (*cmsghdr)(unsafe.Pointer(unsafe.SliceData(list)))
		size := int(h.len)
		if size < sizeofCmsghdr || size > len(list) {
			break
		}
		whole := min(aligned(size), len(list))
		if h.level == solSocket && h.kind == scmRights {
			for data := list[sizeofCmsghdr:size]; len(data) >= sizeofDescriptor; data = data[sizeofDescriptor:] {
				fds = append(fds, int(*(*int32)(unsafe.Pointer(unsafe.SliceData(data)))))
			}
		} else {
			rest = append(rest, list[:whole]...)
		}
		list = list[whole:]
	}
	return rest, fds
}

// PutRights appends to the n bytes of control messages in oob one with descriptors, as
// many as there is room for, which it returns. The new length is that of recvmsg(2).
func PutRights(oob []byte, n int, fds []int) (length, fit int) {
	at := aligned(n)
	if fit = min(len(fds), (len(oob)-at-sizeofCmsghdr)/sizeofDescriptor); fit <= 0 {
		return n, 0
	}
	size := sizeofCmsghdr + fit*sizeofDescriptor
	h := cmsghdr{len: uintptr(size), level: solSocket, kind: scmRights}
	list := oob[at:]
	copy(list, unsafe.Slice((*byte)(unsafe.Pointer(&h)), sizeofCmsghdr))
	for i, fd := range fds[:fit] {
		raw := int32(fd)
		copy(list[sizeofCmsghdr+i*sizeofDescriptor:], unsafe.Slice((*byte)(unsafe.Pointer(&raw)), sizeofDescriptor))
	}
	return min(at+aligned(size), len(oob)), fit
}
