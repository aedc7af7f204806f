"""`postroom inspect`: how Postroom reads a mail, and why it would or would not answer it."""
