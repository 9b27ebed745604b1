package sockets

// MaxRights is how many descriptors one message passes (SCM_MAX_FD).
const MaxRights = 253
