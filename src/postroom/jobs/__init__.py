"""The doorbells."""
