#include "textflag.h"

#ifdef GOARCH_amd64
#define SYS_getrlimit 97
#endif
#ifdef GOARCH_arm64
#define SYS_getrlimit 163
#endif
#ifdef GOARCH_riscv64
#define SYS_getrlimit 163
#endif
#ifdef GOARCH_arm
#define SYS_getrlimit 191
#endif
#ifdef GOARCH_386
#define SYS_getrlimit 191
#endif
#ifdef GOARCH_s390x
#define SYS_getrlimit 191
#endif
#ifdef GOARCH_ppc64
#define SYS_getrlimit 190
#endif
#ifdef GOARCH_ppc64le
#define SYS_getrlimit 190
#endif
#define WORD 8
#define ARGUMENTS 48
#ifdef GOARCH_arm
#define SHORT
#endif
#ifdef GOARCH_386
#define SHORT
#endif
#ifdef SHORT
#undef WORD
#define WORD 4
#undef ARGUMENTS
#define ARGUMENTS 24
#endif
#ifndef SYS_getrlimit
#define SYS_getrlimit 0
#endif

DATA ·getrlimit(SB)/WORD, $SYS_getrlimit
GLOBL ·getrlimit(SB), NOPTR, $WORD

// func rawSyscall(trap, a1, a2, a3 uintptr) (r1, errno uintptr)
// The only raw system call that assembly outside the standard library may
// reach by name on every architecture; its arguments are ours.
TEXT ·rawSyscall(SB),NOSPLIT|NOFRAME,$0-ARGUMENTS
	JMP	syscall·rawVforkSyscall(SB)
