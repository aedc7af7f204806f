"""Logging in: which mechanism is chosen, what is sent, and what a refusal means."""

from base64 import b64decode

import pytest

from postroom.imap.client import Client
from postroom.imap.errors import ImapAuthenticationFailed, ImapBye, ImapError, ImapThrottled, Remedy
from postroom.imap.sasl import AccessToken, Password
from tests.support.certificates import CertificateAuthority
from tests.support.scripted_imap import Peer, ScriptedImap
from tests.wire.imap_calls import ACCOUNT, DEADLINES, PASSWORD, conversation, endpoint


async def test_plain_goes_with_the_command_where_the_server_takes_it(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.send("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello")
        command = await peer.expect("AUTHENTICATE")
        mechanism, initial = command.args
        assert mechanism == "PLAIN"
        assert isinstance(initial, str)
        assert b64decode(initial) == b"\0ann@example.test\0correct horse"
        await peer.send("* CAPABILITY IMAP4rev1 IDLE", f"{command.tag} OK in")
        await peer.answer("NOOP")

    async with conversation(authority, script) as (client, _):
        assert client.pushes
        await client.noop()


async def test_plain_waits_for_the_server_where_it_has_no_sasl_ir(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.send("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello")
        command = await peer.expect("AUTHENTICATE")
        assert command.args == ("PLAIN",)
        await peer.send("+")
        answer = await peer.expect("")
        assert b64decode(answer.line) == b"\0ann@example.test\0correct horse"
        await peer.send(f"{command.tag} OK [CAPABILITY IMAP4rev1] in")

    async with conversation(authority, script) as (client, _):
        assert client.is_open


@pytest.mark.parametrize("password", ['quo"te\\back', "snowman ☃", "{5}", ""])
async def test_login_carries_any_password(authority: CertificateAuthority, password: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.send("* OK hello")
        await peer.answer("CAPABILITY", "* CAPABILITY IMAP4rev1")
        login = await peer.expect("LOGIN")
        assert login.args == (b"ann@example.test", password.encode())
        await peer.send(f"{login.tag} OK in")
        await peer.answer("CAPABILITY", "* CAPABILITY IMAP4rev1 IDLE")

    credential = Password("ann@example.test", password)
    async with conversation(authority, script, credential=credential) as (client, server):
        assert client.capabilities == {"IMAP4REV1", "IDLE"}
        await server.finished()


async def test_logindisabled_without_plain_sends_no_password(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.send("* OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=XOAUTH2] hello")
        await peer.hang()

    async with ScriptedImap(script, tls=authority.localhost().context()) as server:
        with pytest.raises(ImapAuthenticationFailed) as failure:
            await Client.open(endpoint(server, authority), ACCOUNT, DEADLINES)
        await server.finished()
    assert failure.value.remedy is Remedy.OAUTH
    assert server.received == b""


async def test_plain_is_used_although_login_is_disabled(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.send("* OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=PLAIN SASL-IR] hello")
        command = await peer.expect("AUTHENTICATE")
        await peer.send(f"{command.tag} OK [CAPABILITY IMAP4rev1] in")

    async with conversation(authority, script) as (client, _):
        assert client.is_open


async def test_a_refused_oauthbearer_challenge_is_answered_and_the_refusal_heard(
    authority: CertificateAuthority,
) -> None:
    async def script(peer: Peer) -> None:
        await peer.send("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=OAUTHBEARER AUTH=XOAUTH2] hello")
        command = await peer.expect("AUTHENTICATE")
        assert command.args[0] == "OAUTHBEARER"
        initial = command.args[1]
        assert isinstance(initial, str)
        assert b64decode(initial) == b"n,a=ann@example.test,\x01auth=Bearer t0ken\x01\x01"
        await peer.send("+ eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIn0=")
        answer = await peer.expect("")
        assert b64decode(answer.line) == b"\x01"
        await peer.send(f"{command.tag} NO [AUTHENTICATIONFAILED] token is no good")

    token = AccessToken("ann@example.test", "t0ken")
    async with ScriptedImap(script, tls=authority.localhost().context()) as server:
        with pytest.raises(ImapAuthenticationFailed):
            await Client.open(endpoint(server, authority), token, DEADLINES)


async def test_a_refused_xoauth2_challenge_is_answered_with_an_empty_line(
    authority: CertificateAuthority,
) -> None:
    async def script(peer: Peer) -> None:
        await peer.send("* OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2] hello")
        command = await peer.expect("AUTHENTICATE")
        await peer.send("+ ")
        first = await peer.expect("")
        assert b64decode(first.line) == b"user=ann@example.test\x01auth=Bearer t0ken\x01\x01"
        await peer.send("+ eyJzdGF0dXMiOiI0MDAifQ==")
        assert (await peer.expect("")).line == b""
        await peer.send(f"{command.tag} NO AUTHENTICATE failed.")

    token = AccessToken("ann@example.test", "t0ken")
    async with ScriptedImap(script, tls=authority.localhost().context()) as server:
        with pytest.raises(ImapAuthenticationFailed):
            await Client.open(endpoint(server, authority), token, DEADLINES)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("NO [AUTHENTICATIONFAILED] Invalid credentials", ImapAuthenticationFailed),
        ("NO LOGIN failed.", ImapAuthenticationFailed),
        ("NO Invalid login or password, please try again", ImapAuthenticationFailed),
        ("BAD Invalid user or password", ImapAuthenticationFailed),
        ("NO [ALERT] Too many simultaneous connections. (Failure)", ImapThrottled),
        ("NO [LIMIT] Maximum number of connections from user+IP exceeded", ImapThrottled),
        ("NO [UNAVAILABLE] Temporary authentication failure", ImapThrottled),
        ("NO [INUSE] Mailbox in use", ImapThrottled),
        ("BAD User is authenticated but not connected.", ImapThrottled),
    ],
)
async def test_a_refusal_says_whether_to_wait_or_to_ask_the_owner(
    authority: CertificateAuthority, answer: str, kind: type[ImapError]
) -> None:
    async def script(peer: Peer) -> None:
        await peer.send("* OK [CAPABILITY IMAP4rev1] hello")
        login = await peer.expect("LOGIN")
        await peer.send(f"{login.tag} {answer}")
        await peer.hang()

    async with ScriptedImap(script, tls=authority.localhost().context()) as server:
        with pytest.raises(kind):
            await Client.open(endpoint(server, authority), ACCOUNT, DEADLINES)
        await server.finished()
        assert [command.name for command in server.peers[0].commands] == ["LOGIN"]


async def test_the_time_that_a_server_names_is_passed_on(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.answer(
            "SELECT", status="NO Request is throttled. Suggested Backoff Time: 299961 milliseconds"
        )

    async with conversation(authority, script) as (client, _):
        with pytest.raises(ImapThrottled) as failure:
            await client.select("INBOX")
        assert failure.value.wait_seconds == pytest.approx(299.961)
        assert client.is_open


async def test_a_bye_for_a_greeting_is_its_own_reason(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.send("* BYE [UNAVAILABLE] come back later")

    async def farewell(peer: Peer) -> None:
        await peer.send("* BYE not here")

    async with ScriptedImap(script, tls=authority.localhost().context()) as server:
        with pytest.raises(ImapThrottled):
            await Client.open(endpoint(server, authority), ACCOUNT, DEADLINES)
    async with ScriptedImap(farewell, tls=authority.localhost().context()) as server:
        with pytest.raises(ImapBye) as failure:
            await Client.open(endpoint(server, authority), ACCOUNT, DEADLINES)
    assert failure.value.server_text == "not here"


async def test_a_no_beside_a_bye_is_the_no(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.send("* OK [CAPABILITY IMAP4rev1] hello")
        login = await peer.expect("LOGIN")
        await peer.send_raw(f"* BYE enough\r\n{login.tag} NO [AUTHENTICATIONFAILED] no\r\n".encode())

    async with ScriptedImap(script, tls=authority.localhost().context()) as server:
        with pytest.raises(ImapAuthenticationFailed):
            await Client.open(endpoint(server, authority), ACCOUNT, DEADLINES)


async def test_no_error_shows_a_secret_or_the_servers_words(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.send("* OK [CAPABILITY IMAP4rev1] hello")
        login = await peer.expect("LOGIN")
        await peer.send(f"{login.tag} NO ann@example.test may not use {PASSWORD}")

    async with ScriptedImap(script, tls=authority.localhost().context()) as server:
        with pytest.raises(ImapAuthenticationFailed) as failure:
            await Client.open(endpoint(server, authority), ACCOUNT, DEADLINES)
    shown = f"{failure.value} {failure.value!r} {failure.value.args} {ACCOUNT!r}"
    assert PASSWORD not in shown
    assert "ann@" not in shown
    assert "may not use" in failure.value.server_text


async def test_the_server_is_told_who_calls_when_it_asks(authority: CertificateAuthority) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in("IMAP4rev1 ID")
        command = await peer.answer("ID", '* ID ("Name" "GImap" "vendor" NIL)')
        assert command.args == ((b"name", b"Postroom", b"version", b"1"),)

    async with ScriptedImap(script, tls=authority.localhost().context()) as server:
        identity = {"name": "Postroom", "version": "1"}
        client = await Client.open(endpoint(server, authority), ACCOUNT, DEADLINES, identity=identity)
        await client.close()
        await server.finished()
