"""An IMAP client (RFC 3501, RFC 9051) fit for thousands of idle connections in one process.

It stands alone: nothing here imports the rest of Postroom. `client.Client` is what a mail reader calls,
`connection.Connection` carries commands over TLS, `wire` and `command` read and write the grammar without
I/O.
"""
