"""Logging in to read: each refusal with its code and next move (A3), and no credential before TLS (D10)."""

import asyncio

import pytest

from postroom.adapters.mailbox.patience import Patience
from postroom.core.errors import MailServerError, ServerCode
from postroom.core.model import Login, Server
from tests.support.certificates import CertificateAuthority
from tests.support.reading import SECRET, USER, Reader, farewell, login_for, noop, select
from tests.support.scripted_imap import Peer, ScriptedImap


async def refusing(peer: Peer, answer: str) -> None:
    await peer.send("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready")
    command = await peer.receive()
    await peer.send(f"{command.tag} {answer}" if not answer.startswith("*") else answer)
    await peer.hang()


async def failing(reader: Reader, server: ScriptedImap, **how: str) -> MailServerError:
    with pytest.raises(MailServerError) as caught:
        await reader.access.probe(login_for(server, **how))
    assert caught.value.hint
    shown = f"{caught.value} {caught.value.hint} {caught.value!r}"
    assert not any(word in shown for word in (SECRET, USER))
    return caught.value


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("NO [AUTHENTICATIONFAILED] Authentication failed.", ServerCode.AUTH_FAILED),
        ("NO LOGIN failed.", ServerCode.AUTH_FAILED),
        ("NO [ALERT] Application-specific password required", ServerCode.APP_PASSWORD_REQUIRED),
        ("NO BasicAuthBlocked: basic authentication is disabled", ServerCode.NEEDS_OAUTH),
        ("NO [UNAVAILABLE] Temporary authentication failure", ServerCode.THROTTLED),
        ("NO [LIMIT] Too many simultaneous connections", ServerCode.THROTTLED),
        ("NO User is authenticated but not connected.", ServerCode.THROTTLED),
        ("BAD what?", ServerCode.PROTOCOL_ERROR),
        ("* BYE Too many connections, try again later", ServerCode.THROTTLED),
        ("this is not IMAP", ServerCode.TIMEOUT),
    ],
)
async def test_a3_each_refused_login_says_what_it_means(
    reader: Reader, answer: str, code: ServerCode
) -> None:
    async def script(peer: Peer) -> None:
        await refusing(peer, answer)

    async with reader.served(script) as server:
        error = await failing(reader, server)
        assert error.server_code is code
        assert len(server.peers) == 1, "a refused login must not be tried twice"


async def test_a_named_time_to_wait_is_handed_on(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await refusing(peer, "NO Request is throttled. Suggested Backoff Time: 299961 milliseconds")

    async with reader.served(script) as server:
        assert (await failing(reader, server)).after == pytest.approx(299.961)


@pytest.mark.parametrize(
    ("greeting", "code"),
    [
        ("* BYE closed today", ServerCode.CONNECT_FAILED),
        ("* BYE [UNAVAILABLE] back soon", ServerCode.THROTTLED),
        ("220 mail.example.test ESMTP", ServerCode.PROTOCOL_ERROR),
        ("+OK POP3 ready", ServerCode.PROTOCOL_ERROR),
    ],
)
async def test_a_greeting_that_is_no_welcome(reader: Reader, greeting: str, code: ServerCode) -> None:
    async def script(peer: Peer) -> None:
        await peer.send(greeting)
        await peer.hang()

    async with reader.served(script) as server:
        assert (await failing(reader, server)).server_code is code
        assert server.received == b""


async def test_a3_without_a_way_for_passwords_oauth_is_asked_for(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await peer.send("* OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=XOAUTH2 AUTH=OAUTHBEARER] ready")
        await peer.hang()

    async with reader.served(script) as server:
        assert (await failing(reader, server)).server_code is ServerCode.NEEDS_OAUTH
        assert SECRET.encode() not in server.received


async def test_an_access_token_is_used_as_such(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await peer.send("* OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR] ready")
        command = await peer.expect("AUTHENTICATE")
        assert b"XOAUTH2" in command.line
        await peer.send(f"{command.tag} OK [CAPABILITY IMAP4rev1] in")
        await peer.answer("STATUS", "* STATUS INBOX (MESSAGES 3 UNSEEN 1)")
        await farewell(peer)

    async with reader.served(script) as server:
        login = login_for(server)
        probe = await reader.access.probe(Login(login.server, login.username, "ya29.token", "oauth"))
    assert (probe.total, probe.unseen, probe.capabilities) == (3, 1, ("IMAP4REV1",))


@pytest.mark.parametrize("secret", ["pw\r\nA1 LOGOUT", "pw\n", "p\0w"])
async def test_a_password_with_control_characters_is_refused_and_not_cut(reader: Reader, secret: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.send("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready")
        await peer.hang()

    async with reader.served(script) as server:
        assert (await failing(reader, server, secret=secret)).server_code is ServerCode.AUTH_FAILED


@pytest.mark.parametrize(
    ("certificate", "fault"),
    [
        ("other_host", "does not name this host"),
        ("expired", "has expired"),
        ("self_signed", "signed by itself"),
    ],
)
async def test_d10_a_certificate_that_proves_nothing_gets_no_credential(
    authority: CertificateAuthority, reader: Reader, certificate: str, fault: str
) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()

    async with ScriptedImap(script, tls=getattr(authority, certificate)().context()) as server:
        error = await failing(reader, server)
        assert (error.server_code, fault in str(error)) == (ServerCode.TLS_FAILED, True)
        assert server.received == b""


@pytest.mark.parametrize(
    "greeting",
    [
        "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] no STARTTLS here",
        "* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] welcome",
    ],
)
async def test_d10_without_starttls_nothing_is_sent(reader: Reader, greeting: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.send(greeting)
        await peer.hang()

    async with ScriptedImap(script) as server:
        secure = login_for(server).server
        login = Login(Server(secure.host, secure.port, "starttls", trusted=True), USER, SECRET)
        with pytest.raises(MailServerError) as caught:
            await reader.access.probe(login)
        assert caught.value.server_code is ServerCode.TLS_FAILED
        assert b"PLAIN" not in server.received
        assert b"LOGIN" not in server.received


async def test_d10_a_host_that_is_not_allowed_is_never_connected_to(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()

    async with reader.served(script) as server:
        stranger = Login(Server("localhost", server.address[1], "tls"), USER, SECRET)
        with pytest.raises(MailServerError) as caught:
            async with reader.access.open(stranger):
                pytest.fail("it was opened")
        assert (caught.value.server_code, server.peers) == (ServerCode.HOST_NOT_ALLOWED, [])


async def test_a_closed_port_is_a_failed_connection(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()

    async with reader.served(script) as server:
        login = login_for(server)
    with pytest.raises(MailServerError) as caught:
        await reader.access.probe(login)
    assert caught.value.server_code is ServerCode.CONNECT_FAILED


async def test_a3_the_check_ends_in_time_whatever_the_server_does(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.expect("STATUS")
        await peer.hang()

    reader = Reader(authority, Patience(probe=0.5, goodbye=0.1))
    async with reader.served(script) as server, asyncio.timeout(5):
        assert (await failing(reader, server)).server_code is ServerCode.TIMEOUT
        await server.finished()


async def test_who_asks_is_told_who_calls(reader: Reader) -> None:
    """Some providers open no mailbox before they got an ID (RFC 2971); a refusal of it is no fault."""
    for status in ("OK thanks", "BAD none of my business"):

        async def script(peer: Peer, status: str = status) -> None:
            await peer.log_in("IMAP4rev1 ID")
            command = await peer.answer("ID", status=status)
            assert b'"Postroom"' in command.line
            await select(peer, exists=0, uidnext=1)
            await farewell(peer)

        async with reader.session(script) as session:
            assert (await session.status("INBOX")).uidnext == 1


async def test_leaving_logs_out_and_closes_even_after_an_error(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await select(peer, exists=0, uidnext=1)
        await noop(peer)
        await farewell(peer)
        await peer.hang()

    async def fails(login: Login) -> None:
        async with reader.access.open(login) as session:
            await session.status("INBOX")
            await session.status("INBOX")
            raise ZeroDivisionError

    async with reader.served(script) as server:
        with pytest.raises(ZeroDivisionError):
            await fails(login_for(server))
        await server.finished()
    assert server.peers[0].gone
