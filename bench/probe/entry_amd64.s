#include "textflag.h"

// The ELF entry: a g and thread-local storage for it, as the compiler's code
// expects them, then Go.
TEXT ·start(SB),NOSPLIT|NOFRAME,$0
	MOVQ	SP, R12
	MOVL	$158, AX		// arch_prctl
	MOVL	$0x1002, DI		// ARCH_SET_FS
	LEAQ	·tls+64(SB), SI
	SYSCALL
	LEAQ	·fakeG(SB), R14
	MOVQ	R14, ·tls+56(SB)	// -8(FS)
	SUBQ	$64, SP
	ANDQ	$~15, SP
	MOVQ	R12, 0(SP)
	CALL	·run(SB)
	INT	$3

TEXT ·told(SB),NOSPLIT|NOFRAME,$0
	SUBQ	$64, SP
	ANDQ	$~15, SP
	CALL	·leave(SB)
	INT	$3

TEXT ·handlerAddress(SB),NOSPLIT,$0-8
	LEAQ	·told(SB), AX
	MOVQ	AX, ret+0(FP)
	RET
