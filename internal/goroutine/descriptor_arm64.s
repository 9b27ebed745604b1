#include "go_asm.h"
#include "textflag.h"

// func Current() uintptr
TEXT ·Current(SB),NOSPLIT,$0-8
	MOVD g, R0
	MOVD R0, ret+0(FP)
	RET

// func descriptor() uintptr
TEXT ·descriptor(SB),NOSPLIT,$0-8
	MOVD 48(g), R0
	MOVD R0, ret+0(FP)
	RET

// func here(t *Thread) bool
TEXT ·here(SB),NOSPLIT,$0-9
	MOVD t+0(FP), R1
	MOVD 48(g), R0
	MOVD Thread_descriptor(R1), R2
	CMP  R0, R2
	BNE  other
	MOVD $1, R0
	MOVB R0, ret+8(FP)
	RET
other:
	MOVD Thread_kernel(R1), R2
	CBNZ R2, kernel
	MOVB ZR, ret+8(FP)
	RET
kernel:
	JMP ·hereByKernel(SB)
