"""A mail server for the demo and for trying things out; nothing else uses it.

Every address of every domain has a mailbox, in memory, behind one password. It speaks IMAP (TLS from the
start) and submission (STARTTLS), on loopback.
"""
