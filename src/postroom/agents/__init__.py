"""One kind of agent each."""
