#include "textflag.h"

#define SYS_fcntl		25
#define SYS_write		64
#define SYS_rt_sigaction	134
#define SYS_rt_sigprocmask	135

#define EBADF	9
#define EAGAIN	11

// SA_SIGINFO|SA_ONSTACK|SA_RESTART. The kernel's vdso has the restorer.
DATA ·catch+0(SB)/8, $·caught(SB)
DATA ·catch+8(SB)/8, $0x18000004
DATA ·catch+16(SB)/8, $0
DATA ·catch+24(SB)/8, $-1
GLOBL ·catch(SB), NOPTR, $32

DATA ·keep+0(SB)/8, $·early(SB)
DATA ·keep+8(SB)/8, $0x18000004
DATA ·keep+16(SB)/8, $0
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
	MOVD	$2, R0			// SIG_SETMASK
	MOVD	$all<>(SB), R1
	MOVD	$·Mask(SB), R2
	MOVD	$8, R3
	MOVD	$SYS_rt_sigprocmask, R8
	SVC
	B	·begin(SB)

// Where package lean, whose ELF entry takes the place of start, joins in: every
// signal is blocked, Mask is noted, the stack pointer is as it was.
TEXT ·begin(SB),NOSPLIT|NOFRAME,$0
	MOVD	$64, R20
action:
	MOVD	R20, R0
	MOVD	$0, R1
	MOVD	$scratch<>(SB), R2
	MOVD	$8, R3
	MOVD	$SYS_rt_sigaction, R8
	SVC
	CBNZ	R0, nextaction
	SUB	$1, R20, R4
	MOVD	$1, R5
	LSL	R4, R5, R5
	MOVD	scratch<>(SB), R4
	CMP	$1, R4			// SIG_IGN
	BNE	heeded
	MOVD	·Ignored(SB), R4
	ORR	R5, R4, R4
	MOVD	R4, ·Ignored(SB)
heeded:
	MOVD	$KEPT, R6
	AND	R6, R5, R5
	CBZ	R5, nextaction
	MOVD	R20, R0
	MOVD	$·keep(SB), R1
	MOVD	$0, R2
	MOVD	$8, R3
	MOVD	$SYS_rt_sigaction, R8
	SVC
nextaction:
	SUB	$1, R20, R20
	CBNZ	R20, action
	MOVD	$2, R20
descriptor:
	MOVD	R20, R0
	MOVD	$1, R1			// F_GETFD
	MOVD	$SYS_fcntl, R8
	SVC
	CMN	$EBADF, R0
	BNE	open
	MOVD	$1, R5
	LSL	R20, R5, R5
	MOVWU	·Closed(SB), R4
	ORR	R5, R4, R4
	MOVW	R4, ·Closed(SB)
open:
	SUBS	$1, R20, R20
	BGE	descriptor
	MOVD	$1, R4
	MOVB	R4, ·Known(SB)
	MOVD	·Mask(SB), R4
	ORR	PUTOFF, R4, R4
	MOVD	R4, scratch<>(SB)
	MOVD	$2, R0			// SIG_SETMASK
	MOVD	$scratch<>(SB), R1
	MOVD	$0, R2
	MOVD	$8, R3
	MOVD	$SYS_rt_sigprocmask, R8
	SVC
	// The runtime is given argc and argv as it takes them from the stack, with
	// argv moved to where argc was: that leaves room for a variable.
	MOVD	0(RSP), R0
	MOVD	RSP, R1
	MOVD	R0, R4
argument:
	MOVD	8(R1), R5
	MOVD	R5, 0(R1)
	ADD	$8, R1, R1
	SUBS	$1, R4, R4
	BGE	argument		// the nil too
	MOVD	$processors<>(SB), R5
	MOVD	R5, 0(R1)
	MOVD	RSP, R1
	B	runtime·rt0_go(SB)

// The handler of HUP, INT, QUIT and TERM until init.
TEXT ·early(SB),NOSPLIT|NOFRAME,$0
	MOVW	R0, R9
	B	pend<>(SB)

// What the runtime calls in place of rt_sigaction(2) until init, in C's calling
// convention: signal in R0, what to install in R1, where to put what was there
// in R2.
TEXT ·asked(SB),NOSPLIT|NOFRAME,$0
	CBZ	R1, ask
	SUB	$1, R0, R3
	MOVD	$KEPT, R4
	LSR	R3, R4, R4
	TBZ	$0, R4, ask
	MOVD	(R1), R3
	MOVD	$·runtimes(SB), R4
	MOVD	R3, (R4)(R0<<3)
	MOVD	$·keep(SB), R1
ask:
	MOVD	$8, R3
	MOVD	$SYS_rt_sigaction, R8
	SVC
	RET

// Sets signal R9 in Pending, and returns to who called the caller.
TEXT pend<>(SB),NOSPLIT|NOFRAME,$0
	SUBW	$1, R9, R9
	MOVD	$1, R5
	LSL	R9, R5, R5
	MOVD	$·Pending(SB), R3
again:
	LDAXR	(R3), R4
	ORR	R5, R4, R4
	STLXR	R4, (R3), R6
	CBNZ	R6, again
	RET

// The handler: C calling convention, signal in R0, siginfo_t in R1, ucontext
// in R2. rt_sigreturn restores every register but LR, which leads there.
TEXT ·caught(SB),NOSPLIT|NOFRAME,$0
	MOVW	8(R1), R3		// si_code
	MOVW	16(R1), R4		// si_pid
	MOVW	·self(SB), R5
	CMPW	R4, R5
	BNE	fault
	CMNW	$6, R3			// SI_TKILL from ourselves: the runtime's
	BEQ	runtime
	CBNZW	R3, fault		// SI_USER from ourselves: what a write to a
	CMPW	$13, R0			// pipe that nobody reads raises: SIGPIPE
	BEQ	done
fault:
	CMPW	$0, R3
	BLE	record
	MOVD	$0x800109f0, R4		// ILL TRAP ABRT BUS FPE SEGV STKFLT SYS
	LSR	R0, R4, R4
	TBNZ	$0, R4, runtime
record:
	MOVW	R0, R9
	MOVW	·Pipe+4(SB), R0
	MOVD	$24, R2			// sizeof(Record)
	MOVD	$SYS_write, R8
	SVC
	CMN	$EAGAIN, R0
	BNE	done
	// Full. The reader may have emptied the pipe since, looked at Pending and
	// gone to sleep: an empty Record wakes it, or the pipe is still full.
	MOVD	LR, R10
	BL	pend<>(SB)
	MOVD	R10, LR
	MOVW	·Pipe+4(SB), R0
	MOVD	$empty<>(SB), R1
	MOVD	$24, R2
	MOVD	$SYS_write, R8
	SVC
done:
	RET
runtime:
	MOVD	$·runtimes(SB), R3
	MOVD	(R3)(R0<<3), R3
	CBZ	R3, done
	B	(R3)

// func rtSigaction(sig uintptr, install, before *sigaction) int
TEXT ·rtSigaction(SB),NOSPLIT,$0-32
	MOVD	sig+0(FP), R0
	MOVD	install+8(FP), R1
	MOVD	before+16(FP), R2
	MOVD	$8, R3
	MOVD	$SYS_rt_sigaction, R8
	SVC
	MOVD	R0, ret+24(FP)
	RET

// func rtSigmask(mask *uint64)
TEXT ·rtSigmask(SB),NOSPLIT,$0-8
	MOVD	$2, R0			// SIG_SETMASK
	MOVD	mask+0(FP), R1
	MOVD	$0, R2
	MOVD	$8, R3
	MOVD	$SYS_rt_sigprocmask, R8
	SVC
	RET
