#include "go_asm.h"
#include "textflag.h"

// func Current() uintptr
TEXT ·Current(SB),NOSPLIT,$0-8
	MOVQ (TLS), AX
	MOVQ AX, ret+0(FP)
	RET

// func descriptor() uintptr
TEXT ·descriptor(SB),NOSPLIT,$0-8
	MOVQ (TLS), AX
	MOVQ 48(AX), AX
	MOVQ AX, ret+0(FP)
	RET

// func here(t *Thread) bool
TEXT ·here(SB),NOSPLIT,$0-9
	MOVQ t+0(FP), CX
	MOVQ (TLS), AX
	MOVQ 48(AX), AX
	CMPQ AX, Thread_descriptor(CX)
	JNE  other
	MOVB $1, ret+8(FP)
	RET
other:
	CMPQ Thread_kernel(CX), $0
	JNE  kernel
	MOVB $0, ret+8(FP)
	RET
kernel:
	JMP ·hereByKernel(SB)
