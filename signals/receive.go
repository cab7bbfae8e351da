package signals

// Receive begins to deliver the signals that reach this process, in the order
// in which they came, those since the program's start included. It may be
// called once; nothing is lost while the channel (capacity 64) is full.
//
// Every signal that can be caught is delivered but CHLD, the URG with which
// the Go runtime preempts itself, a PIPE that our own write raised, and a
// fault of our own code.
func Receive() <-chan Received {
	received := make(chan Received, 64)
	go receive(received)
	return received
}
