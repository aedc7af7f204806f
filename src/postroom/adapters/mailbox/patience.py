"""How long an IMAP session waits for what."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """In seconds. `liveness`: a server that lives answers NOOP or DONE within it; else it is taken for dead.
    `compare`: how long the open mailbox is believed to show everything before STATUS is asked (stuck sessions
    exist). `probe`: a whole check. `goodbye`: the answer to LOGOUT.
    """

    liveness: float = 15.0
    compare: float = 300.0
    probe: float = 12.0
    goodbye: float = 1.0
