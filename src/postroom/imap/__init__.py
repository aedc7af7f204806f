"""An IMAP client fit for thousands of idle connections; imports nothing of ours."""
