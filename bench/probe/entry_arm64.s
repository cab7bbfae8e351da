#include "textflag.h"

// The ELF entry: a g, as the compiler's code expects it, then Go.
TEXT ·start(SB),NOSPLIT|NOFRAME,$0
	MOVD	RSP, R0
	MOVD	$·fakeG(SB), g
	SUB	$64, RSP
	MOVD	R0, 8(RSP)
	CALL	·run(SB)
	BRK

TEXT ·told(SB),NOSPLIT|NOFRAME,$0
	MOVD	$·fakeG(SB), g
	SUB	$64, RSP
	CALL	·leave(SB)
	BRK

TEXT ·handlerAddress(SB),NOSPLIT,$0-8
	MOVD	$·told(SB), R0
	MOVD	R0, ret+0(FP)
	RET
