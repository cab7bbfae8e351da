package entry

// grow has the runtime give the calling goroutine a stack of 32 KiB. Defined in
// assembly.
func grow()

func init() {
	// After the handlers, which are waited for: files are initialized in the order
	// of their names. The main goroutine begins with 2 KiB and would come to 16 or
	// 32 by way of 4 and 8: each time all that is in use is moved, by tables that
	// nothing else reads yet, and 32 KiB of stacks of that size are made, one to be
	// used. Now there is next to nothing to move. It is 0.1 ms of the start and
	// 50 KiB.
	grow()
}
