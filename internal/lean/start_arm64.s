#include "textflag.h"

#define SYS_exit		93
#define SYS_futex		98
#define SYS_rt_sigprocmask	135
#define SYS_clone		220

DATA all<>+0(SB)/8, $-1
GLOBL all<>(SB), NOPTR|RODATA, $8

// A g without a stack limit, for the prologues that the compiler makes.
GLOBL zero<>(SB), NOPTR, $64

GLOBL stack<>(SB), NOPTR, $8

// The ELF entry.
TEXT ·start(SB),NOSPLIT|NOFRAME,$0
	MOVD	RSP, R20
	MOVD	R20, stack<>(SB)	// Go keeps no register
	MOVD	$2, R0			// SIG_SETMASK
	MOVD	$all<>(SB), R1
	MOVD	$exeunt∕internal∕entry·Mask(SB), R2
	MOVD	$8, R3
	MOVD	$SYS_rt_sigprocmask, R8
	SVC
	MOVD	$zero<>(SB), g
	SUB	$32, RSP
	MOVD	R20, 8(RSP)
	BL	·run(SB)
	MOVD	stack<>(SB), R20
	MOVD	R20, RSP
	B	exeunt∕internal∕entry·begin(SB)

// func call(trap, a1, a2, a3, a4, a5, a6 uintptr) int
TEXT ·call(SB),NOSPLIT,$0-64
	MOVD	trap+0(FP), R8
	MOVD	a1+8(FP), R0
	MOVD	a2+16(FP), R1
	MOVD	a3+24(FP), R2
	MOVD	a4+32(FP), R3
	MOVD	a5+40(FP), R4
	MOVD	a6+48(FP), R5
	SVC
	MOVD	R0, ret+56(FP)
	RET

// func fork() int
TEXT ·fork(SB),NOSPLIT,$0-8
	MOVD	$0x4111, R0		// CLONE_VFORK|CLONE_VM|SIGCHLD
	MOVD	$0, R1			// on our stack
	MOVD	$0, R2
	MOVD	$0, R3
	MOVD	$0, R4
	MOVD	$SYS_clone, R8
	SVC
	CBZ	R0, forked
	MOVD	R0, ret+0(FP)
	RET
forked:
	BL	·child(SB)
	BRK				// not reached

// func thread() int
TEXT ·thread(SB),NOSPLIT,$0-8
	MOVD	$0x50f00, R0		// CLONE_VM|FS|FILES|SIGHAND|THREAD|SYSVSEM
	MOVD	$zero<>(SB), R1		// a stack, which is not used
	MOVD	$0, R2
	MOVD	$0, R3
	MOVD	$0, R4
	MOVD	$SYS_clone, R8
	SVC
	CBZ	R0, closed
	MOVD	R0, ret+0(FP)
	RET
closed:
	MOVD	$·gate(SB), R0
	MOVD	$128, R1		// FUTEX_WAIT_PRIVATE
	MOVD	$0, R2			// while it is 0
	MOVD	$0, R3			// for ever
	MOVD	$SYS_futex, R8
	SVC
	MOVWU	·gate(SB), R4
	CBZ	R4, closed
	MOVD	$0, R0
	MOVD	$SYS_exit, R8
	SVC
	BRK				// not reached
