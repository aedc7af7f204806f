"""Waiting for mail: by IDLE or without, through silence, refusals and farewells."""

import asyncio

import pytest

from postroom.core.errors import MailServerError, ServerCode
from tests.support.reading import Reader, farewell, select
from tests.support.scripted_imap import Peer


async def idle(peer: Peer, *announced: str) -> None:
    """Answer an IDLE to its end; what is announced comes at once."""
    command = await peer.expect("IDLE")
    await peer.send("+ idling", *announced)
    assert (await peer.receive()).line == b"DONE"
    await peer.send(f"{command.tag} OK done")


async def test_b2_idle_goes_on_through_what_is_not_news(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await select(peer, exists=2, uidnext=3)
        await idle(
            peer,
            "* OK still here",
            "* 1 FETCH (FLAGS (\\Seen))",
            "* 1 EXPUNGE",
            "* OK [ALERT] hm",
            "* 2 EXISTS",
        )
        await farewell(peer)

    async with reader.session(script) as session:
        await session.status("INBOX")
        assert await session.wait("INBOX", 10) is True


async def test_an_announcement_during_another_command_is_not_forgotten(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await select(peer, exists=1, uidnext=2)
        await peer.answer("UID STORE", "* 2 EXISTS")
        await farewell(peer)

    async with reader.session(script) as session:
        await session.status("INBOX")
        await session.flag("INBOX", [1], ["\\Answered"])
        assert await session.wait("INBOX", 10) is True


async def test_a_connection_that_died_silently_is_found_when_idle_ends(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await select(peer, exists=0, uidnext=1)
        await peer.expect("IDLE")
        await peer.send("+ idling")
        await peer.hang()

    async with reader.session(script) as session:
        await session.status("INBOX")
        async with asyncio.timeout(5):
            with pytest.raises(MailServerError) as caught:
                await session.wait("INBOX", 0.1)
    assert caught.value.server_code is ServerCode.TIMEOUT


async def test_a_server_without_idle_is_polled_and_can_be_interrupted(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in("IMAP4rev1")
        await select(peer, exists=0, uidnext=1)
        await farewell(peer)

    async with reader.session(script) as session:
        await session.status("INBOX")
        assert session.pushes is False
        assert await session.wait("INBOX", 0.01) is False
        asyncio.get_running_loop().call_later(0.01, session.interrupt)
        async with asyncio.timeout(5):
            assert await session.wait("INBOX", 60) is True


async def test_a_server_that_refuses_idle_after_all_is_polled(reader: Reader) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await select(peer, exists=0, uidnext=1)
        await peer.answer("IDLE", status="BAD what?")
        await farewell(peer)

    async with reader.session(script) as session:
        await session.status("INBOX")
        assert await session.wait("INBOX", 0.05) is False
        assert session.pushes is False
        assert await session.wait("INBOX", 0.01) is False


async def test_a_server_that_ends_every_idle_at_once_is_not_asked_for_ever(reader: Reader) -> None:
    idles = 0

    async def script(peer: Peer) -> None:
        nonlocal idles
        await peer.log_in()
        await select(peer, exists=0, uidnext=1)
        while (request := await peer.receive()).name == "IDLE":
            idles += 1
            await peer.send("+ idling", f"{request.tag} OK enough")
        await peer.send("* BYE", f"{request.tag} OK")

    async with reader.session(script) as session:
        await session.status("INBOX")
        assert await session.wait("INBOX", 0.3) is False
    assert 1 <= idles <= 3


@pytest.mark.parametrize(
    ("bye", "code", "after"),
    [
        ("* BYE shutting down", ServerCode.CONNECT_FAILED, None),
        (
            "* BYE Request is throttled. Suggested Backoff Time: 299961 milliseconds",
            ServerCode.THROTTLED,
            299.961,
        ),
    ],
)
async def test_a_bye_while_waiting_says_what_it_means(
    reader: Reader, bye: str, code: ServerCode, after: float | None
) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await select(peer, exists=0, uidnext=1)
        await peer.expect("IDLE")
        await peer.send("+ idling", bye)
        peer.writer.close()
        await peer.hang()

    async with reader.session(script) as session:
        await session.status("INBOX")
        with pytest.raises(MailServerError) as caught:
            await session.wait("INBOX", 10)
    assert (caught.value.server_code, caught.value.after) == (code, after)
