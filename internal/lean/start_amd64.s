#include "textflag.h"

#define SYS_rt_sigprocmask	14
#define SYS_clone		56
#define SYS_exit		60
#define SYS_arch_prctl		158
#define SYS_futex		202

DATA all<>+0(SB)/8, $-1
GLOBL all<>(SB), NOPTR|RODATA, $8

// A g without a stack limit, and thread-local storage to find it in, for the
// prologues and wrappers that the compiler makes.
GLOBL zero<>(SB), NOPTR, $64
GLOBL storage<>(SB), NOPTR, $16

GLOBL stack<>(SB), NOPTR, $8

// The ELF entry.
TEXT ·start(SB),NOSPLIT|NOFRAME,$0
	MOVQ	SP, stack<>(SB)		// Go keeps no register
	MOVL	$2, DI			// SIG_SETMASK
	LEAQ	all<>(SB), SI
	LEAQ	exeunt∕internal∕entry·Mask(SB), DX
	MOVL	$8, R10
	MOVL	$SYS_rt_sigprocmask, AX
	SYSCALL
	MOVL	$0x1003, DI		// ARCH_GET_FS
	LEAQ	storage<>(SB), SI
	MOVL	$SYS_arch_prctl, AX
	SYSCALL
	CMPQ	storage<>(SB), $0
	JNE	ordinary		// libc's, in a build with cgo: not ours to take
	MOVL	$0x1002, DI		// ARCH_SET_FS
	LEAQ	storage<>+16(SB), SI
	MOVL	$SYS_arch_prctl, AX
	SYSCALL
	LEAQ	zero<>(SB), R14
	MOVQ	R14, storage<>+8(SB)	// -8(FS)
	MOVQ	SP, BX
	SUBQ	$16, SP
	ANDQ	$~15, SP
	MOVQ	BX, 0(SP)
	CALL	·run(SB)
	MOVQ	stack<>(SB), SP
ordinary:
	JMP	exeunt∕internal∕entry·begin(SB)

// func call(trap, a1, a2, a3, a4, a5, a6 uintptr) int
TEXT ·call(SB),NOSPLIT,$0-64
	MOVQ	trap+0(FP), AX
	MOVQ	a1+8(FP), DI
	MOVQ	a2+16(FP), SI
	MOVQ	a3+24(FP), DX
	MOVQ	a4+32(FP), R10
	MOVQ	a5+40(FP), R8
	MOVQ	a6+48(FP), R9
	SYSCALL
	MOVQ	AX, ret+56(FP)
	RET

// func fork() int
TEXT ·fork(SB),NOSPLIT,$0-8
	MOVL	$0x4111, DI		// CLONE_VFORK|CLONE_VM|SIGCHLD
	XORL	SI, SI			// on our stack
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	MOVL	$SYS_clone, AX
	SYSCALL
	TESTQ	AX, AX
	JEQ	forked
	MOVQ	AX, ret+0(FP)
	RET
forked:
	CALL	·child(SB)
	INT	$3			// not reached

// func thread() int
TEXT ·thread(SB),NOSPLIT,$0-8
	MOVL	$0x50f00, DI		// CLONE_VM|FS|FILES|SIGHAND|THREAD|SYSVSEM
	LEAQ	storage<>(SB), SI	// a stack, which is not used
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	MOVL	$SYS_clone, AX
	SYSCALL
	TESTQ	AX, AX
	JEQ	closed
	MOVQ	AX, ret+0(FP)
	RET
closed:
	LEAQ	·gate(SB), DI
	MOVL	$128, SI		// FUTEX_WAIT_PRIVATE
	XORL	DX, DX			// while it is 0
	XORL	R10, R10		// for ever
	MOVL	$SYS_futex, AX
	SYSCALL
	CMPL	·gate(SB), $0
	JEQ	closed
	XORL	DI, DI
	MOVL	$SYS_exit, AX
	SYSCALL
	INT	$3			// not reached
