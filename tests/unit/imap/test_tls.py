"""TLS as a pure codec, against the server's side of it."""

import ssl
from contextlib import suppress
from pathlib import Path

import pytest

from postroom.imap.tls import TlsCodec
from tests.support.certificates import CertificateAuthority


class Server:
    """The other end, as bytes too."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def handshake(self, received: bytes) -> bytes:
        self._incoming.write(received)
        with suppress(ssl.SSLWantReadError):
            self._object.do_handshake()
        return self._outgoing.read()

    def encrypt(self, plaintext: bytes) -> bytes:
        self._object.write(plaintext)
        return self._outgoing.read()

    def decrypt(self, ciphertext: bytes) -> bytes:
        self._incoming.write(ciphertext)
        return b"".join(iter(self._next, b""))

    def say_goodbye(self) -> bytes:
        with pytest.raises(ssl.SSLError):
            self._object.unwrap()
        return self._outgoing.read()

    def _next(self) -> bytes:
        try:
            return self._object.read(1 << 20)
        except ssl.SSLWantReadError:
            return b""


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path)


def connected(authority: CertificateAuthority, chunk: int = 1 << 20) -> tuple[TlsCodec, Server]:
    """Both ends after the handshake, the client fed `chunk` bytes at a time."""
    server = Server(authority.localhost().context())
    codec = TlsCodec(authority.client_context(), "localhost")
    codec.handshake()
    for _ in range(4):
        if answer := server.handshake(codec.outgoing()):
            assert fed(codec, answer, chunk) == b""
    assert codec.established
    return codec, server


def fed(codec: TlsCodec, ciphertext: bytes, chunk: int) -> bytes:
    pieces = (ciphertext[start : start + chunk] for start in range(0, len(ciphertext), chunk))
    return b"".join(codec.decrypt(piece) for piece in pieces)


@pytest.mark.parametrize("chunk", [1, 5, 1000, 20_000, 1 << 20])
def test_bytes_arrive_however_they_are_cut(authority: CertificateAuthority, chunk: int) -> None:
    codec, server = connected(authority, chunk)
    mail = bytes(range(256)) * (400 if chunk > 5 else 80)
    assert fed(codec, server.encrypt(mail), chunk) == mail
    assert server.decrypt(codec.encrypt(mail)) == mail
    assert fed(codec, server.encrypt(b"again"), chunk) == b"again"


def test_the_end_is_told(authority: CertificateAuthority) -> None:
    codec, server = connected(authority)
    last = server.encrypt(b"last words")
    assert codec.decrypt(last + server.say_goodbye()) == b"last words"
    assert codec.closed


def test_a_changed_byte_is_an_error(authority: CertificateAuthority) -> None:
    codec, server = connected(authority)
    damaged = bytearray(server.encrypt(b"a mail"))
    damaged[-1] ^= 1
    with pytest.raises(ssl.SSLError):
        codec.decrypt(bytes(damaged))


def test_a_certificate_for_another_name_ends_the_handshake(authority: CertificateAuthority) -> None:
    server = Server(authority.other_host().context())
    codec = TlsCodec(authority.client_context(), "localhost")
    codec.handshake()
    with pytest.raises(ssl.SSLCertVerificationError):
        codec.decrypt(server.handshake(codec.outgoing()))
    assert not codec.established
    assert codec.outgoing(), "the alert that tells the server why"
