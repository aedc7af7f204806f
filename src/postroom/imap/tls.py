"""TLS without I/O: ciphertext in, plaintext out, and the other way round.

The loops' own TLS keeps buffers of up to a megabyte and a half for a connection that once carried a large
message. Here bytes pass in small slices that are taken out again at once, so OpenSSL's buffers stay small,
and an idle connection costs what it cost before its first message.
"""

import ssl
from typing import Final

_SLICE: Final = 8192
"""Bytes that enter OpenSSL at a time; its buffers grow to a little more than this and never shrink."""

_RECORD: Final = 1 << 14


class TlsCodec:
    """The client's side of one TLS connection. Every method may raise ssl.SSLError."""

    __slots__ = ("_incoming", "_object", "_outgoing", "closed", "established")

    def __init__(self, context: ssl.SSLContext, server_hostname: str) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname)
        self.established = False
        self.closed = False

    def handshake(self) -> None:
        """Goes on with the handshake as far as the bytes received allow; `established` when it is done."""
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return
        self.established = True

    def decrypt(self, ciphertext: bytes) -> bytes:
        """Takes what came from the network and gives the plaintext in it; handshakes first if need be.

        `closed` is set when the peer said that no more will come.
        """
        pieces: list[bytes] = []
        view = memoryview(ciphertext)
        for start in range(0, len(view), _SLICE):
            self._incoming.write(view[start : start + _SLICE])
            if not self.established:
                self.handshake()
            if self.established:
                self._read_into(pieces)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def encrypt(self, plaintext: bytes) -> bytes:
        """What has to go to the network for these bytes."""
        pieces: list[bytes] = []
        view = memoryview(plaintext)
        for start in range(0, len(view), _SLICE):
            self._object.write(view[start : start + _SLICE])
            pieces.append(self._outgoing.read())
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def outgoing(self) -> bytes:
        """What the protocol itself has to say: handshake, key updates, alerts; often nothing."""
        return self._outgoing.read() if self._outgoing.pending else b""

    def _read_into(self, pieces: list[bytes]) -> None:
        try:
            while self._incoming.pending or self._object.pending():
                piece = self._object.read(_RECORD)
                if not piece:
                    self.closed = True
                    return
                pieces.append(piece)
        except ssl.SSLWantReadError:
            return
        except ssl.SSLZeroReturnError:
            self.closed = True
