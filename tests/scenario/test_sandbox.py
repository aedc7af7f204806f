"""The sandbox mail server, as the standard library and our own client see it."""

import asyncio
import imaplib
import smtplib
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from postroom.adapters.hosts import PublicHosts
from postroom.adapters.mailbox import ImapAccess
from postroom.adapters.submission import SmtpSubmission
from postroom.adapters.tls import client_context
from postroom.core.errors import MailServerError, ServerCode
from postroom.core.model import Login, Role, Server
from postroom.core.ports import NoSteps
from postroom.core.submission import Envelope
from postroom.sandbox.server import Sandbox, sandbox

ADDRESS = "grace@example.test"
MAIL = (
    b"From: ada@example.test\r\nSubject: A long\r\n way to say it\r\nMessage-ID: <1@example.test>\r\n"
    b"\r\nbody\r\n"
)


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with sandbox(tmp_path) as running:
        yield running


@contextmanager
def imap(servers: Sandbox, user: str = ADDRESS) -> Iterator[imaplib.IMAP4_SSL]:
    """The standard library's client, logged in."""
    context = ssl.create_default_context(cafile=str(servers.ca_file))
    with imaplib.IMAP4_SSL(servers.host, servers.imap_port, ssl_context=context, timeout=10) as client:
        client.login(user, servers.password)
        yield client


def login(servers: Sandbox, *, password: str = "", smtp: bool = False) -> Login:
    """What our own adapters need."""
    port, security = (servers.smtp_port, "starttls") if smtp else (servers.imap_port, "tls")
    server = Server(servers.host, port, "starttls" if security == "starttls" else "tls", trusted=True)
    return Login(server, ADDRESS, password or servers.password)


def access(servers: Sandbox) -> ImapAccess:
    return ImapAccess(PublicHosts(), client_context(servers.ca_file), NoSteps())


# --- the standard library's clients


async def test_a_submitted_mail_lies_in_every_recipients_inbox_as_it_was_sent(servers: Sandbox) -> None:
    def work() -> list[bytes]:
        with smtplib.SMTP(servers.host, servers.smtp_port, timeout=10) as smtp:
            smtp.starttls(context=ssl.create_default_context(cafile=str(servers.ca_file)))
            smtp.login("ada@example.test", servers.password)
            smtp.sendmail("ada@example.test", [ADDRESS, "heidi@example.test"], MAIL)
        found = []
        for user in (ADDRESS, "heidi@example.test"):
            with imap(servers, user) as client:
                client.select("INBOX")
                found.append(client.uid("FETCH", "1:*", "(BODY.PEEK[])")[1][0][1])
        return found

    for user, raw in zip((ADDRESS, "heidi@example.test"), await asyncio.to_thread(work), strict=True):
        assert raw == b"Return-Path: <ada@example.test>\r\nDelivered-To: " + user.encode() + b"\r\n" + MAIL


@pytest.mark.parametrize("encrypted", [False, True])
async def test_nobody_submits_without_tls_and_the_password(servers: Sandbox, encrypted: bool) -> None:
    def work() -> int:
        with smtplib.SMTP(servers.host, servers.smtp_port, timeout=10) as smtp:
            if encrypted:
                smtp.starttls(context=ssl.create_default_context(cafile=str(servers.ca_file)))
            smtp.ehlo()
            return smtp.mail("ada@example.test")[0]

    assert await asyncio.to_thread(work) == 530
    with pytest.raises(smtplib.SMTPAuthenticationError):
        await asyncio.to_thread(wrong_submission_login, servers)


def wrong_submission_login(servers: Sandbox) -> None:
    with smtplib.SMTP(servers.host, servers.smtp_port, timeout=10) as smtp:
        smtp.starttls(context=ssl.create_default_context(cafile=str(servers.ca_file)))
        smtp.login("ada@example.test", "wrong")


async def test_reading_without_peek_marks_as_read_and_peeking_does_not(servers: Sandbox) -> None:
    servers.world.deliver("ada@example.test", [ADDRESS], MAIL)

    def work() -> tuple[Any, Any, Any]:
        with imap(servers) as client:
            client.select("INBOX")
            client.fetch("1", "(BODY.PEEK[HEADER])")
            before = client.search(None, "UNSEEN")[1][0]
            fetched: list[Any] = client.fetch("1", "(BODY[TEXT])")[1]
            text = fetched[0][1]
            return before, text, client.search(None, "UNSEEN")[1][0]

    assert await asyncio.to_thread(work) == (b"1", b"body\r\n", b"")


async def test_parts_of_a_message_can_be_asked_for(servers: Sandbox) -> None:
    servers.world.deliver("", [ADDRESS], MAIL)

    def work() -> list[bytes]:
        asked = (
            "BODY.PEEK[HEADER.FIELDS (SUBJECT)]",
            "BODY.PEEK[]<0.12>",
            "BODY.PEEK[HEADER.FIELDS.NOT (FROM SUBJECT)]",
        )
        with imap(servers) as client:
            client.select("INBOX", readonly=True)
            return [client.uid("FETCH", "1", f"({item})")[1][0][1] for item in asked]

    subject, start, others = await asyncio.to_thread(work)
    assert subject == b"Subject: A long\r\n way to say it\r\n\r\n"
    assert start == b"Return-Path:"
    assert others == (
        b"Return-Path: <>\r\nDelivered-To: grace@example.test\r\nMessage-ID: <1@example.test>\r\n\r\n"
    )


async def test_flags_searches_and_expunging(servers: Sandbox) -> None:
    for _ in range(3):
        servers.world.deliver("ada@example.test", [ADDRESS], MAIL)

    def work() -> list[bytes]:
        with imap(servers) as client:
            client.select("INBOX")
            client.uid("STORE", "2", "+FLAGS", "(\\Deleted \\Flagged)")
            client.store("3", "+FLAGS.SILENT", "(\\Answered)")
            asked = ["ALL", "DELETED", "UNDELETED", "NOT FLAGGED", "ANSWERED", "UID 2:*", "SINCE 01-Jan-2020"]
            asked += ["BEFORE 01-Jan-2020", 'HEADER Message-ID "<1@"', 'SUBJECT "long way"', 'FROM "nobody"']
            found = [client.uid("SEARCH", criteria)[1][0] for criteria in asked]
            client.expunge()
            return [*found, client.uid("SEARCH", "ALL")[1][0]]

    assert await asyncio.to_thread(work) == [
        *(b"1 2 3", b"2", b"1 3", b"1 3", b"3", b"2 3", b"1 2 3"),
        *(b"", b"1 2 3", b"1 2 3", b"", b"1 3"),
    ]


async def test_copies_can_be_kept_and_mailboxes_made(servers: Sandbox) -> None:
    def work() -> tuple[list[Any], str, Any, Any]:
        with imap(servers) as client:
            created = client.create("Archive")[0]
            client.append("Sent", "(\\Seen)", '" 7-Feb-2026 10:20:30 +0100"', MAIL)
            status = client.status("Sent", "(MESSAGES UNSEEN UIDNEXT)")[1][0]
            client.select("Sent")
            date = client.uid("FETCH", "1", "(FLAGS INTERNALDATE)")[1][0]
            return client.list()[1], created, status, date

    listed, created, status, date = await asyncio.to_thread(work)
    assert created == "OK"
    assert b'(\\HasNoChildren \\Sent) "/" "Sent"' in listed
    assert b'(\\HasNoChildren) "/" "Archive"' in listed
    assert status == b'"Sent" (MESSAGES 1 UNSEEN 0 UIDNEXT 2)'
    assert b"FLAGS (\\Seen)" in date
    assert b'INTERNALDATE "07-Feb-2026 10:20:30 +0100"' in date


@pytest.mark.parametrize(
    "command",
    [("FETCH", "1", "(ENVELOPE)"), ("SEARCH", "LARGER", "5"), ("FETCH", "x", "(FLAGS)"), ("STORE", "1")],
)
async def test_what_is_not_known_is_refused_and_the_connection_lives(
    servers: Sandbox, command: tuple[str, ...]
) -> None:
    servers.world.deliver("", [ADDRESS], MAIL)

    def work() -> str:
        with imap(servers) as client:
            client.select("INBOX")
            with pytest.raises(imaplib.IMAP4.error, match="BAD"):
                client.uid(*command)
            return client.noop()[0]

    assert await asyncio.to_thread(work) == "OK"


async def test_one_client_is_told_what_another_one_changes(servers: Sandbox) -> None:
    for _ in range(2):
        servers.world.deliver("", [ADDRESS], MAIL)

    def work() -> tuple[list[bytes], list[bytes], list[bytes]]:
        with imap(servers) as one, imap(servers) as other:
            one.select("INBOX")
            other.select("INBOX")
            other.uid("STORE", "2", "+FLAGS", "(\\Flagged)")
            other.uid("STORE", "1", "+FLAGS", "(\\Deleted)")
            other.expunge()
            other.append("INBOX", "", "", MAIL)
            one.noop()
            return one.response("EXPUNGE")[1], one.response("FETCH")[1], one.response("EXISTS")[1]

    expunged, flagged, exists = await asyncio.to_thread(work)
    assert expunged == [b"1"]
    assert b"\\Flagged" in flagged[0]
    assert exists[-1] == b"2"


# --- our own client


async def test_our_client_is_told_of_new_mail_at_once(servers: Sandbox) -> None:
    async with access(servers).open(login(servers)) as session:
        assert (await session.roles())[Role.SENT] == "Sent"
        before = await session.status("INBOX")
        waiting = asyncio.create_task(session.wait("INBOX", 30))
        await idling(servers)
        servers.world.deliver("ada@example.test", [ADDRESS], MAIL)
        async with asyncio.timeout(5):
            assert await waiting is True
        assert session.pushes
        after = await session.status("INBOX")
        assert (before.uidnext, after.uidnext) == (1, 2)
        [message] = [found async for found in session.fetch("INBOX", [range(1, 10)], 1_000_000)]
    assert message.raw is not None
    assert message.raw.endswith(MAIL)


async def idling(servers: Sandbox) -> None:
    """Return when somebody waits for news of the inbox."""
    inbox = servers.world.account(ADDRESS)["INBOX"]
    async with asyncio.timeout(10):
        while not inbox.watched:  # noqa: ASYNC110 - the folder has no event for this, and needs none but here
            await asyncio.sleep(0)


async def test_our_client_flags_searches_and_files_copies_of_any_size(servers: Sandbox) -> None:
    servers.world.deliver("ada@example.test", [ADDRESS], MAIL)
    large = MAIL + b"x" * 70 + b"\r\n" * 100_000
    async with access(servers).open(login(servers)) as session:
        assert await session.find("INBOX", message_id="1@example.test") == (1,)
        await session.flag("INBOX", [1], ["\\Answered"])
        await session.append("Sent", large, ["\\Seen"])
    [mail] = servers.world.account(ADDRESS)["INBOX"].mails
    assert mail.flags == {"\\Answered"}
    [copy] = servers.world.account(ADDRESS)["Sent"].mails
    assert copy.raw == large


async def test_our_clients_are_refused_with_the_wrong_password(servers: Sandbox) -> None:
    with pytest.raises(MailServerError) as caught:
        await access(servers).probe(login(servers, password="wrong"))
    assert caught.value.server_code is ServerCode.AUTH_FAILED
    submission = SmtpSubmission(PublicHosts(), client_context(servers.ca_file), NoSteps())
    try:
        with pytest.raises(MailServerError) as caught:
            await submission.probe(login(servers, password="wrong", smtp=True))
    finally:
        await submission.close()
    assert caught.value.server_code is ServerCode.AUTH_FAILED


async def test_our_submission_delivers(servers: Sandbox) -> None:
    async def transmitting() -> None:
        assert servers.world.account("heidi@example.test")["INBOX"].mails == []

    submission = SmtpSubmission(PublicHosts(), client_context(servers.ca_file), NoSteps())
    try:
        envelope = Envelope(ADDRESS, ("heidi@example.test",))
        replies = await submission.submit(login(servers, smtp=True), envelope, MAIL, transmitting)
    finally:
        await submission.close()
    assert replies["heidi@example.test"].accepted
    async with asyncio.timeout(5):
        assert await servers.world.delivered("heidi@example.test", 1) > 0
