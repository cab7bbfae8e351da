#include "funcdata.h"
#include "textflag.h"

// func grow()
//
// It has what the runtime measures by, a large frame, and leaves it as it is: an
// array of Go would be cleared, and so take the memory.
TEXT ·grow(SB),0,$16384-0
	NO_LOCAL_POINTERS
	RET
