//go:build (amd64 || arm64) && !cgo

#include "textflag.h"

DATA _cgo_sigaction+0(SB)/8, $·asked(SB)
GLOBL _cgo_sigaction(SB), NOPTR, $8
