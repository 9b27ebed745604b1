#include "go_asm.h"
#include "textflag.h"

// func Current() uintptr
TEXT ·Current(SB),NOSPLIT,$0-4
	MOVL (TLS), AX
	MOVL AX, ret+0(FP)
	RET

// func descriptor() uintptr
TEXT ·descriptor(SB),NOSPLIT,$0-4
	MOVL (TLS), AX
	MOVL 24(AX), AX
	MOVL AX, ret+0(FP)
	RET

// func here(t *Thread) bool
TEXT ·here(SB),NOSPLIT,$0-5
	MOVL t+0(FP), CX
	MOVL (TLS), AX
	MOVL 24(AX), AX
	CMPL AX, Thread_descriptor(CX)
	JNE  other
	MOVB $1, ret+4(FP)
	RET
other:
	CMPL Thread_kernel(CX), $0
	JNE  kernel
	MOVB $0, ret+4(FP)
	RET
kernel:
	JMP ·hereByKernel(SB)
