#include "textflag.h"

#define SYS_write		1
#define SYS_rt_sigaction	13
#define SYS_rt_sigprocmask	14
#define SYS_rt_sigreturn	15
#define SYS_fcntl		72

#define EBADF	9
#define EAGAIN	11

// SA_SIGINFO|SA_ONSTACK|SA_RESTART|SA_RESTORER
DATA ·catch+0(SB)/8, $·caught(SB)
DATA ·catch+8(SB)/8, $0x1c000004
DATA ·catch+16(SB)/8, $·restore(SB)
DATA ·catch+24(SB)/8, $-1
GLOBL ·catch(SB), NOPTR, $32

DATA ·keep+0(SB)/8, $·early(SB)
DATA ·keep+8(SB)/8, $0x1c000004
DATA ·keep+16(SB)/8, $·restore(SB)
DATA ·keep+24(SB)/8, $-1
GLOBL ·keep(SB), NOPTR, $32

// All but ILL TRAP ABRT BUS FPE SEGV STKFLT SYS (faults) and
// CHLD URG PROF 32 33 34 (the runtime's).
#define PUTOFF $0xfffffffc3bbe7b07

#define KEPT	0x4007 // HUP INT QUIT TERM

DATA all<>+0(SB)/8, $-1
GLOBL all<>(SB), NOPTR|RODATA, $8

DATA processors<>+0(SB)/8, $"GOMAXPRO"
DATA processors<>+8(SB)/8, $"CS=1\x00\x00\x00\x00"
GLOBL processors<>(SB), NOPTR|RODATA, $16

GLOBL scratch<>(SB), NOPTR, $32
GLOBL empty<>(SB), NOPTR|RODATA, $24

// The ELF entry. The stack pointer is not touched: the arguments are there.
TEXT ·start(SB),NOSPLIT|NOFRAME,$0
	MOVL	$2, DI			// SIG_SETMASK
	LEAQ	all<>(SB), SI
	LEAQ	·Mask(SB), DX
	MOVL	$8, R10
	MOVL	$SYS_rt_sigprocmask, AX
	SYSCALL
	JMP	·begin(SB)

// Where package lean, whose ELF entry takes the place of start, joins in: every
// signal is blocked, Mask is noted, the stack pointer is as it was.
TEXT ·begin(SB),NOSPLIT|NOFRAME,$0
	MOVL	$64, BX
action:
	MOVL	BX, DI
	XORL	SI, SI
	LEAQ	scratch<>(SB), DX
	MOVL	$8, R10
	MOVL	$SYS_rt_sigaction, AX
	SYSCALL
	TESTQ	AX, AX
	JNE	nextaction
	LEAQ	-1(BX), CX
	CMPQ	scratch<>(SB), $1	// SIG_IGN
	JNE	heeded
	BTSQ	CX, ·Ignored(SB)
heeded:
	MOVL	$KEPT, R8
	BTQ	CX, R8
	JCC	nextaction
	MOVL	BX, DI
	LEAQ	·keep(SB), SI
	XORL	DX, DX
	MOVL	$8, R10
	MOVL	$SYS_rt_sigaction, AX
	SYSCALL
nextaction:
	DECL	BX
	JNE	action
	MOVL	$2, BX
descriptor:
	MOVL	BX, DI
	MOVL	$1, SI			// F_GETFD
	MOVL	$SYS_fcntl, AX
	SYSCALL
	CMPQ	AX, $-EBADF
	JNE	open
	BTSL	BX, ·Closed(SB)
open:
	DECL	BX
	JGE	descriptor
	MOVB	$1, ·Known(SB)
	MOVQ	PUTOFF, AX
	ORQ	·Mask(SB), AX
	MOVQ	AX, scratch<>(SB)
	MOVL	$2, DI			// SIG_SETMASK
	LEAQ	scratch<>(SB), SI
	XORL	DX, DX
	MOVL	$8, R10
	MOVL	$SYS_rt_sigprocmask, AX
	SYSCALL
	// The runtime is given argc and argv as it takes them from the stack, with
	// argv moved to where argc was: that leaves room for a variable.
	MOVQ	0(SP), DI
	MOVQ	SP, SI
	MOVQ	DI, CX
argument:
	MOVQ	8(SI), AX
	MOVQ	AX, 0(SI)
	ADDQ	$8, SI
	DECQ	CX
	JGE	argument		// the nil too
	LEAQ	processors<>(SB), AX
	MOVQ	AX, 0(SI)
	MOVQ	SP, SI
	JMP	runtime·rt0_go(SB)

// The handler of HUP, INT, QUIT and TERM until init.
TEXT ·early(SB),NOSPLIT|NOFRAME,$0
	LEAL	-1(DI), CX
	LOCK
	BTSQ	CX, ·Pending(SB)
	RET

// What the runtime calls in place of rt_sigaction(2) until init, in C's calling
// convention: signal in DI, what to install in SI, where to put what was there
// in DX.
TEXT ·asked(SB),NOSPLIT|NOFRAME,$0
	TESTQ	SI, SI
	JEQ	ask
	LEAL	-1(DI), CX
	MOVL	$KEPT, R8
	BTQ	CX, R8
	JCC	ask
	MOVQ	0(SI), AX
	LEAQ	·runtimes(SB), R8
	MOVQ	AX, (R8)(DI*8)
	LEAQ	·keep(SB), SI
ask:
	MOVL	$8, R10
	MOVL	$SYS_rt_sigaction, AX
	SYSCALL
	RET

// The handler: C calling convention, signal in DI, siginfo_t in SI, ucontext
// in DX. rt_sigreturn restores every register.
TEXT ·caught(SB),NOSPLIT|NOFRAME,$0
	MOVL	8(SI), AX		// si_code
	MOVL	·self(SB), CX
	CMPL	16(SI), CX		// si_pid
	JNE	fault
	CMPL	AX, $-6			// SI_TKILL from ourselves: the runtime's
	JEQ	runtime
	TESTL	AX, AX			// SI_USER from ourselves: what a write to a
	JNE	fault			// pipe that nobody reads raises
	CMPL	DI, $13			// SIGPIPE
	JEQ	done
fault:
	TESTL	AX, AX
	JLE	record
	MOVL	$0x800109f0, R8		// ILL TRAP ABRT BUS FPE SEGV STKFLT SYS
	BTQ	DI, R8
	JCS	runtime
record:
	MOVL	DI, R12
	MOVL	·Pipe+4(SB), DI
	MOVL	$24, DX			// sizeof(Record)
	MOVL	$SYS_write, AX
	SYSCALL
	CMPQ	AX, $-EAGAIN
	JNE	done
	// Full. The reader may have emptied the pipe since, looked at Pending and
	// gone to sleep: an empty Record wakes it, or the pipe is still full.
	DECL	R12
	LOCK
	BTSQ	R12, ·Pending(SB)
	MOVL	·Pipe+4(SB), DI
	LEAQ	empty<>(SB), SI
	MOVL	$24, DX
	MOVL	$SYS_write, AX
	SYSCALL
done:
	RET
runtime:
	LEAQ	·runtimes(SB), CX
	MOVLQZX	DI, AX
	MOVQ	(CX)(AX*8), AX
	TESTQ	AX, AX
	JEQ	done
	JMP	AX

TEXT ·restore(SB),NOSPLIT|NOFRAME,$0
	MOVL	$SYS_rt_sigreturn, AX
	SYSCALL
	INT	$3			// not reached

// func rtSigaction(sig uintptr, install, before *sigaction) int
TEXT ·rtSigaction(SB),NOSPLIT,$0-32
	MOVQ	sig+0(FP), DI
	MOVQ	install+8(FP), SI
	MOVQ	before+16(FP), DX
	MOVL	$8, R10
	MOVL	$SYS_rt_sigaction, AX
	SYSCALL
	MOVQ	AX, ret+24(FP)
	RET

// func rtSigmask(mask *uint64)
TEXT ·rtSigmask(SB),NOSPLIT,$0-8
	MOVL	$2, DI			// SIG_SETMASK
	MOVQ	mask+0(FP), SI
	XORL	DX, DX
	MOVL	$8, R10
	MOVL	$SYS_rt_sigprocmask, AX
	SYSCALL
	RET
