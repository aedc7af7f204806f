"""Mailbox and submission against Dovecot and Postfix, the servers that most people run."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from postroom.adapters.hosts import PublicHosts
from postroom.adapters.mailbox import ImapAccess
from postroom.adapters.tls import client_context
from postroom.core.errors import MailServerError, ServerCode
from postroom.core.model import Role
from postroom.core.ports import FetchedMessage, MailSession, NoSteps
from postroom.core.submission import Envelope
from tests.support.submitting import PATIENT, Client
from tests.support.world import World

CAP = 1_000_000


def mail(subject: str = "hello", body: str = "body", message_id: str = "") -> bytes:
    lines = [
        "From: someone@example.test",
        f"Subject: {subject}",
        f"Message-ID: <{message_id or uuid4().hex}>",
    ]
    return "\r\n".join([*lines, "", body, ""]).encode()


@pytest.fixture
def user() -> str:
    """A mailbox of the test's own."""
    return f"u{uuid4().hex[:12]}@example.test"


@pytest.fixture
def access(world: World) -> ImapAccess:
    return ImapAccess(PublicHosts(), client_context(world.ca_file), NoSteps())


@pytest.fixture
async def submission(world: World) -> AsyncIterator[Client]:
    client = Client(client_context(world.ca_file), PATIENT)
    yield client
    await client.submission.close()


async def fetched(session: MailSession, *ranges: range, cap: int = CAP) -> list[FetchedMessage]:
    return [message async for message in session.fetch("INBOX", ranges, cap)]


# --- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_a3_the_check_counts_the_inbox(
    world: World, access: ImapAccess, user: str, security: str
) -> None:
    for _ in range(3):
        world.deliver(user, mail())
    probe = await access.probe(world.imap_login(user, security="tls" if security == "tls" else "starttls"))
    assert (probe.total, probe.unseen) == (3, 3)
    assert {"IDLE", "UIDPLUS"} <= set(probe.capabilities)
    assert 0 < probe.latency < 5


async def test_a3_a_wrong_password_is_told_from_everything_else(
    world: World, access: ImapAccess, user: str
) -> None:
    with pytest.raises(MailServerError) as caught:
        await access.probe(world.imap_login(user, password="not this one"))
    assert (caught.value.server_code, caught.value.temporary) == (ServerCode.AUTH_FAILED, False)
    assert "not this one" not in f"{caught.value!r} {caught.value.hint}"


async def test_messages_are_fetched_whole_and_leave_no_trace(
    world: World, access: ImapAccess, user: str
) -> None:
    for number in range(5):
        world.deliver(user, mail(f"number {number}", "x" * number * 1000 + "\r\n.\r\n..\r\nend"))
    async with access.open(world.imap_login(user)) as session:
        status = await session.status("INBOX")
        assert (status.uidnext, status.exists) == (6, 5)
        messages = await fetched(session, range(1, 6))
        again = await fetched(session, range(1, 6))
    assert [message.uid for message in messages] == [1, 2, 3, 4, 5]
    for number, message in enumerate(messages):
        assert message.raw is not None
        assert message.raw.endswith(b"x" * number * 1000 + b"\r\n.\r\n..\r\nend\r\n")
        assert message.size == len(message.raw)
        assert abs(message.received_at - datetime.now(UTC)) < timedelta(minutes=5)
    assert not any("\\Seen" in message.flags for message in again)
    assert [message.raw for message in again] == [message.raw for message in messages]


async def test_only_what_lies_in_the_ranges_is_given(world: World, access: ImapAccess, user: str) -> None:
    for _ in range(5):
        world.deliver(user, mail())
    async with access.open(world.imap_login(user)) as session:
        assert [m.uid for m in await fetched(session, range(4, 5), range(2, 3))] == [2, 4]
        assert await fetched(session, range(100, 200)) == []
        assert await fetched(session) == []


async def test_above_the_cap_there_are_headers_only(world: World, access: ImapAccess, user: str) -> None:
    world.deliver(user, mail("small"))
    world.deliver(user, mail("large", "y" * 200_000))
    async with access.open(world.imap_login(user)) as session:
        small, large = await fetched(session, range(1, 3), cap=100_000)
    assert (small.raw is None, large.raw is None) == (False, True)
    assert b"Subject: large\r\n" in large.headers
    assert large.size > 200_000


async def test_what_vanishes_is_left_out(world: World, access: ImapAccess, user: str) -> None:
    for _ in range(4):
        world.deliver(user, mail())
    async with access.open(world.imap_login(user)) as session:
        await session.status("INBOX")
        # As another program would: gone from the disk before it is asked for.
        maildir = world.root / "mail" / user / "Maildir"
        lying = [*(maildir / "new").iterdir(), *(maildir / "cur").iterdir()]
        sorted(lying, key=lambda path: path.stat().st_mtime_ns)[1].unlink()
        await session.status("INBOX")
        assert [m.uid for m in await fetched(session, range(1, 5))] == [1, 3, 4]


async def test_b2_a_push_ends_the_wait_and_the_status_knows_the_new_message(
    world: World, access: ImapAccess, user: str
) -> None:
    async with access.open(world.imap_login(user)) as session:
        before = await session.status("INBOX")
        assert session.pushes
        for number in range(3):
            waiting = asyncio.create_task(session.wait("INBOX", 20))
            await asyncio.to_thread(world.deliver, user, mail(f"push {number}"))
            assert await waiting is True
            status = await session.status("INBOX")
            assert status.uidnext == before.uidnext + number + 1
            (message,) = await fetched(session, range(status.uidnext - 1, status.uidnext))
            assert f"push {number}".encode() in (message.raw or b"")


async def test_mail_between_the_look_and_the_wait_is_not_missed(
    world: World, access: ImapAccess, user: str
) -> None:
    async with access.open(world.imap_login(user)) as session:
        await session.status("INBOX")
        for number in range(20):
            world.deliver(user, mail())
            assert await session.wait("INBOX", 20) is True
            assert (await session.status("INBOX")).uidnext == number + 2


async def test_mail_that_came_while_another_mailbox_was_open_is_news(
    world: World, access: ImapAccess, user: str
) -> None:
    async with access.open(world.imap_login(user)) as session:
        await session.status("INBOX")
        assert await session.find("Sent", message_id="nothing@example.test") == ()
        world.deliver(user, mail())
        assert await session.wait("INBOX", 20) is True
        assert (await session.status("INBOX")).exists == 1


async def test_a_quiet_wait_ends_by_itself_and_an_interrupt_ends_it_at_once(
    world: World, access: ImapAccess, user: str
) -> None:
    async with access.open(world.imap_login(user)) as session:
        await session.status("INBOX")
        assert await session.wait("INBOX", 0.05) is False
        waiting = asyncio.create_task(session.wait("INBOX", 60))
        asyncio.get_running_loop().call_later(0.05, session.interrupt)
        async with asyncio.timeout(5):
            assert await waiting is True
        session.interrupt()
        async with asyncio.timeout(5):
            assert await session.wait("INBOX", 60) is True
        assert await session.wait("INBOX", 0.05) is False


async def test_a_flag_that_another_program_sets_wakes_nobody(
    world: World, access: ImapAccess, user: str
) -> None:
    world.deliver(user, mail())
    async with access.open(world.imap_login(user)) as session, access.open(world.imap_login(user)) as other:
        await session.status("INBOX")
        waiting = asyncio.create_task(session.wait("INBOX", 2))
        await other.flag("INBOX", [1], ["\\Seen"])
        assert await waiting is False


async def test_d1_flags_are_added_and_no_other_is_touched(
    world: World, access: ImapAccess, user: str
) -> None:
    for _ in range(3):
        world.deliver(user, mail())
    async with access.open(world.imap_login(user)) as session:
        await session.status("INBOX")
        await session.flag("INBOX", [3], ["\\Flagged"])
        await session.flag("INBOX", [1, 3, 99], ["\\Answered"])
        await session.flag("INBOX", [], ["\\Answered"])
        flags = {m.uid: m.flags - {"\\Recent"} for m in await fetched(session, range(1, 4))}
    assert flags == {1: {"\\Answered"}, 2: set(), 3: {"\\Flagged", "\\Answered"}}


async def test_a_copy_is_appended_and_found_by_its_message_id(
    world: World, access: ImapAccess, user: str
) -> None:
    raw = mail(message_id="a.b-c$d@example.test")
    async with access.open(world.imap_login(user)) as session:
        sent = (await session.roles())[Role.SENT]
        await session.append(sent, raw, ["\\Seen"])
        await session.append(sent, mail(message_id="other@example.test"), [])
        await session.append(sent, mail("big", "z\r\n" * 300_000), [])
        assert await session.find(sent, message_id="a.b-c$d@example.test") == (1,)
        assert await session.find(sent, message_id="b-c$d@example.test") == ()
        (copy,) = [m async for m in session.fetch(sent, [range(1, 2)], CAP)]
    assert copy.raw == raw
    assert "\\Seen" in copy.flags


async def test_search_by_seen_and_by_day(world: World, access: ImapAccess, user: str) -> None:
    for _ in range(4):
        world.deliver(user, mail())
    today = datetime.now(UTC).date()
    async with access.open(world.imap_login(user)) as session:
        await session.status("INBOX")
        await session.flag("INBOX", [2], ["\\Seen"])
        assert await session.find("INBOX", unseen=True) == (1, 3, 4)
        assert await session.find("INBOX", since=today - timedelta(days=1)) == (1, 2, 3, 4)
        assert await session.find("INBOX", since=today + timedelta(days=2)) == ()
        assert await session.find("INBOX", unseen=True, since=today - timedelta(days=1)) == (1, 3, 4)
        assert await session.find("INBOX") == (1, 2, 3, 4)


async def test_a_mailbox_that_is_not_there_is_named_as_the_fault(
    world: World, access: ImapAccess, user: str
) -> None:
    async with access.open(world.imap_login(user)) as session:
        with pytest.raises(MailServerError) as caught:
            await session.status("Nowhere")
        assert caught.value.server_code is ServerCode.MAILBOX_MISSING
        assert (await session.status("INBOX")).uidnext == 1
        with pytest.raises(MailServerError) as caught:
            await session.append("Nowhere", mail(), [])
        assert (caught.value.server_code, caught.value.temporary) == (ServerCode.MAILBOX_MISSING, False)
        assert (await session.status("INBOX")).uidnext == 1


async def test_a_thousand_messages_come_in_order(world: World, access: ImapAccess, user: str) -> None:
    world.deliver(user, mail())
    async with access.open(world.imap_login(user)) as session:
        await session.status("INBOX")
        world.fill(user, [mail(f"number {number}", "body " * 500) for number in range(1200)])
        status = await session.status("INBOX")
        assert status.uidnext == 1202
        messages = await fetched(session, range(2, 1202))
    assert [message.uid for message in messages] == list(range(2, 1202))
    assert all(message.raw and message.raw.endswith(b"body \r\n") for message in messages)


# --- sending --------------------------------------------------------------------------------------


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_a4_a_message_arrives_in_the_recipients_mailbox_byte_for_byte(
    world: World, submission: Client, user: str, security: str
) -> None:
    raw = mail("sent", ".\r\n..\r\n.x\r\n" + "ž ☃ \r\n" * 100 + "last line")
    login = world.smtp_login("agent@example.test", security="tls" if security == "tls" else "starttls")
    replies = await submission.submit(login, Envelope("agent@example.test", (user,)), raw)
    assert replies[user].code == 250
    (arrived,) = world.until_messages(user, 1)
    assert arrived.endswith(raw.replace(b"\r\n", b"\n"))


async def test_a4_each_recipient_has_an_answer_of_its_own(
    world: World, submission: Client, user: str
) -> None:
    recipients = ("nobody@example.test", user, "later@example.test")
    envelope = Envelope("agent@example.test", recipients)
    replies = await submission.submit(world.smtp_login("agent@example.test"), envelope, mail())
    assert [replies[address].code for address in recipients] == [550, 250, 450]
    assert "5.1.1" in replies["nobody@example.test"].text
    world.until_messages(user, 1)


async def test_kept_connections_carry_many_messages_at_once(
    world: World, submission: Client, user: str
) -> None:
    login = world.smtp_login("agent@example.test")
    envelope = Envelope("agent@example.test", (user,))
    replies = await asyncio.gather(*(submission.submit(login, envelope, mail(f"n{n}")) for n in range(40)))
    assert all(reply[user].accepted for reply in replies)
    world.until_messages(user, 40)


async def test_a3_the_submission_check_tells_right_from_wrong(world: World, submission: Client) -> None:
    good = await submission.submission.probe(world.smtp_login("agent@example.test"))
    assert any(capability.startswith("AUTH ") for capability in good.capabilities)
    with pytest.raises(MailServerError) as caught:
        await submission.submission.probe(world.smtp_login("agent@example.test", password="wrong"))
    assert caught.value.server_code is ServerCode.AUTH_FAILED
    with pytest.raises(MailServerError) as caught:
        await submission.submission.probe(world.imap_login("agent@example.test"))
    assert caught.value.server_code is ServerCode.PROTOCOL_ERROR


async def test_a_server_that_went_down_is_found_again(
    world: World, access: ImapAccess, submission: Client, user: str
) -> None:
    login, envelope = world.smtp_login("agent@example.test"), Envelope("agent@example.test", (user,))
    await submission.submit(login, envelope, mail())
    await asyncio.to_thread(world.until_messages, user, 1)
    async with access.open(world.imap_login(user)) as session:
        await session.status("INBOX")
        waiting = asyncio.create_task(session.wait("INBOX", 60))
        await asyncio.to_thread(world.stop_dovecot)
        with pytest.raises(MailServerError) as caught:
            await waiting
    assert caught.value.server_code is ServerCode.CONNECT_FAILED
    with pytest.raises(MailServerError) as caught:
        await access.probe(world.imap_login(user))
    assert caught.value.server_code is ServerCode.CONNECT_FAILED
    await asyncio.to_thread(world.start_dovecot)
    await access.probe(world.imap_login(user))
    await asyncio.to_thread(world.stop_postfix)
    with pytest.raises(MailServerError) as caught:
        await submission.submit(login, envelope, mail())
    assert caught.value.temporary
    await asyncio.to_thread(world.start_postfix)
    assert (await submission.submit(login, envelope, mail()))[user].accepted
