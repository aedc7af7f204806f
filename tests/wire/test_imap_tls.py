"""Nothing is said to a server before TLS is sure: stripped, refused, injected, wrong and bad certificates."""

import ssl

import pytest

from postroom.imap.client import Client
from postroom.imap.dial import Deadlines, Endpoint, Security
from postroom.imap.errors import (
    ImapClosed,
    ImapConnectError,
    ImapError,
    ImapInvalidArgument,
    ImapProtocolError,
    ImapTimeout,
    ImapTlsError,
    TlsFault,
)
from tests.support.certificates import CertificateAuthority
from tests.support.scripted_imap import Peer, ScriptedImap
from tests.wire.imap_calls import ACCOUNT, DEADLINES, PASSWORD, endpoint


async def refused(
    server: ScriptedImap,
    authority: CertificateAuthority,
    security: Security,
    kind: type[ImapError],
    server_hostname: str = "localhost",
) -> ImapError:
    """The error of a client that has to give up, having shown its account to nobody."""
    with pytest.raises(kind) as failure:
        await Client.open(endpoint(server, authority, security, server_hostname), ACCOUNT, DEADLINES)
    await server.finished()
    assert PASSWORD.encode() not in server.received
    assert b"ann@" not in server.received
    assert b"AUTHENTICATE" not in server.received
    return failure.value


async def test_starttls_then_login_with_capabilities_asked_anew(authority: CertificateAuthority) -> None:
    certificate = authority.localhost()

    async def script(peer: Peer) -> None:
        await peer.send("* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED AUTH=EVIL] hello")
        await peer.answer("STARTTLS")
        await peer.start_tls(certificate.context())
        await peer.answer("CAPABILITY", "* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR")
        login = await peer.expect("AUTHENTICATE")
        await peer.send(f"{login.tag} OK [CAPABILITY IMAP4rev1 IDLE] in")
        await peer.answer("NOOP")

    async with ScriptedImap(script) as server:
        client = await Client.open(endpoint(server, authority, Security.STARTTLS), ACCOUNT, DEADLINES)
        assert client.capabilities == {"IMAP4REV1", "IDLE"}
        await client.noop()
        await client.close()
        await server.finished()


async def test_starttls_is_found_by_asking_when_the_greeting_is_silent(
    authority: CertificateAuthority,
) -> None:
    certificate = authority.localhost()

    async def script(peer: Peer) -> None:
        await peer.send("* OK hello")
        await peer.answer("CAPABILITY", "* CAPABILITY IMAP4rev1 starttls")
        await peer.answer("STARTTLS")
        await peer.start_tls(certificate.context())
        await peer.answer("CAPABILITY", "* CAPABILITY IMAP4rev1")
        login = await peer.expect("LOGIN")
        await peer.send(f"{login.tag} OK [CAPABILITY IMAP4rev1] in")

    async with ScriptedImap(script) as server:
        client = await Client.open(endpoint(server, authority, Security.STARTTLS), ACCOUNT, DEADLINES)
        await client.close()


async def test_stripped_starttls_is_refused(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.send("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hello")
        await peer.hang()

    async with ScriptedImap(script) as server:
        failure = await refused(server, authority, Security.STARTTLS, ImapTlsError)
    assert isinstance(failure, ImapTlsError)
    assert failure.fault is TlsFault.STARTTLS_MISSING


@pytest.mark.parametrize("answer", ["NO not today", "BAD what?"])
async def test_refused_starttls_is_the_end(authority: CertificateAuthority, answer: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.send("* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] hello")
        await peer.answer("STARTTLS", status=answer)
        await peer.hang()

    async with ScriptedImap(script) as server:
        failure = await refused(server, authority, Security.STARTTLS, ImapTlsError)
    assert isinstance(failure, ImapTlsError)
    assert failure.fault is TlsFault.STARTTLS_REFUSED


@pytest.mark.parametrize(
    "injected",
    [b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n", b"P2 OK [CAPABILITY IMAP4rev1] welcome\r\n", b"* O", b"\r\n"],
)
async def test_bytes_between_starttls_and_the_handshake_are_refused(
    authority: CertificateAuthority, injected: bytes
) -> None:
    certificate = authority.localhost()

    async def script(peer: Peer) -> None:
        await peer.send("* OK [CAPABILITY IMAP4rev1 STARTTLS] hello")
        command = await peer.expect("STARTTLS")
        await peer.send_raw(command.tag.encode() + b" OK go ahead\r\n" + injected)
        await peer.start_tls(certificate.context())
        await peer.hang()

    async with ScriptedImap(script) as server:
        failure = await refused(server, authority, Security.STARTTLS, ImapTlsError)
    assert isinstance(failure, ImapTlsError)
    assert failure.fault is TlsFault.INJECTED


async def test_bytes_injected_after_the_client_began_its_handshake_are_no_responses(
    authority: CertificateAuthority,
) -> None:
    async def script(peer: Peer) -> None:
        await peer.send("* OK [CAPABILITY IMAP4rev1 STARTTLS] hello")
        await peer.answer("STARTTLS")
        await peer.reader.readexactly(16)
        await peer.send("* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR", "P2 OK done")
        await peer.hang()

    async with ScriptedImap(script) as server:
        await refused(server, authority, Security.STARTTLS, ImapTlsError)


async def test_preauth_on_a_plain_connection_is_refused(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.send("* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] welcome back")
        await peer.hang()

    async with ScriptedImap(script) as server:
        failure = await refused(server, authority, Security.STARTTLS, ImapTlsError)
    assert isinstance(failure, ImapTlsError)
    assert failure.fault is TlsFault.PREAUTH


@pytest.mark.parametrize("flaw", ["other_host", "expired", "self_signed"])
@pytest.mark.parametrize("security", list(Security))
async def test_a_bad_certificate_is_refused(
    authority: CertificateAuthority, flaw: str, security: Security
) -> None:
    certificate = getattr(authority, flaw)()

    async def from_the_start(peer: Peer) -> None:
        await peer.send("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello")
        await peer.hang()

    async def later(peer: Peer) -> None:
        await peer.send("* OK [CAPABILITY IMAP4rev1 STARTTLS] hello")
        await peer.answer("STARTTLS")
        await peer.start_tls(certificate.context())
        await from_the_start(peer)

    script = from_the_start if security is Security.TLS else later
    tls = certificate.context() if security is Security.TLS else None
    async with ScriptedImap(script, tls=tls) as server:
        failure = await refused(server, authority, security, ImapTlsError)
    assert isinstance(failure, ImapTlsError)
    assert failure.fault is TlsFault.CERTIFICATE
    assert failure.reason


async def test_the_certificate_has_to_name_the_host_asked_for(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.hang()

    async with ScriptedImap(script, tls=authority.localhost().context()) as server:
        failure = await refused(server, authority, Security.TLS, ImapTlsError, "imap.example.test")
    assert isinstance(failure, ImapTlsError)
    assert failure.fault is TlsFault.CERTIFICATE


async def test_an_address_can_be_what_the_certificate_names(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()

    async with ScriptedImap(script, tls=authority.localhost().context()) as server:
        place = endpoint(server, authority, server_hostname="127.0.0.1")
        client = await Client.open(place, ACCOUNT, DEADLINES)
        await client.close()


async def test_a_context_that_does_not_verify_is_not_taken(authority: CertificateAuthority) -> None:
    careless = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    careless.check_hostname = False
    with pytest.raises(ImapInvalidArgument):
        Endpoint(("127.0.0.1", 993), "localhost", Security.TLS, careless)


@pytest.mark.parametrize("host", ["", "a..b", "x" * 70])
async def test_what_is_no_host_name_is_not_taken(authority: CertificateAuthority, host: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.hang()

    async with ScriptedImap(script, tls=authority.localhost().context()) as server:
        await refused(server, authority, Security.TLS, ImapInvalidArgument, host)


async def test_an_address_has_to_be_resolved(authority: CertificateAuthority) -> None:
    with pytest.raises(ImapInvalidArgument):
        Endpoint(("localhost", 993), "localhost", Security.TLS, authority.client_context())


async def test_a_server_that_ends_tls_ends_the_connection(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.expect("NOOP")
        peer.writer.close()

    async with ScriptedImap(script, tls=authority.localhost().context()) as server:
        client = await Client.open(endpoint(server, authority), ACCOUNT, DEADLINES)
        with pytest.raises(ImapClosed):
            await client.noop()
        await client.close()


async def test_a_server_without_tls_on_the_tls_port_is_a_tls_error(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.send("* OK [CAPABILITY IMAP4rev1] hello")
        await peer.hang()

    async with ScriptedImap(script) as server:
        await refused(server, authority, Security.TLS, ImapTlsError)


@pytest.mark.parametrize("greeting", ["220 mail.example.test ESMTP", "+OK POP3 ready", "HTTP/1.1 400 Bad"])
async def test_another_protocol_is_told_at_once(authority: CertificateAuthority, greeting: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.send(greeting)
        await peer.hang()

    async with ScriptedImap(script) as server:
        await refused(server, authority, Security.STARTTLS, ImapProtocolError)


async def test_nobody_listening_is_a_connect_error(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.hang()

    async with ScriptedImap(script) as server:
        place = endpoint(server, authority)
    with pytest.raises(ImapConnectError):
        await Client.open(place, ACCOUNT, DEADLINES)


@pytest.mark.parametrize("security", list(Security))
async def test_a_silent_server_is_given_up(authority: CertificateAuthority, security: Security) -> None:
    async def script(peer: Peer) -> None:
        await peer.hang()

    short = Deadlines(connect=0.2, greeting=0.2, command=0.2, transfer=0.2)
    async with ScriptedImap(script) as server:
        with pytest.raises(ImapTimeout):
            await Client.open(endpoint(server, authority, security), ACCOUNT, short)
        await server.finished()
        assert server.peers[0].gone


async def test_a_greeting_without_an_end_is_given_up(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.send_raw(b"* OK ")
        while True:
            await peer.send_raw(b"and so on " * 1000)

    async with ScriptedImap(script) as server:
        await refused(server, authority, Security.STARTTLS, ImapProtocolError)
