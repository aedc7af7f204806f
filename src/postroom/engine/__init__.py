"""What we do with mail: decisions and their execution over ports; no sockets, no SQL."""
