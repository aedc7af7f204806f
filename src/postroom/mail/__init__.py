"""What the RFCs say about a message: pure functions, no I/O."""
