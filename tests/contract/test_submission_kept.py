"""Kept connections: reused while they live, replaced unnoticed when they do not."""

import asyncio

import pytest

from postroom.adapters.smtp_kept import Keeping
from postroom.core.errors import MailServerError, ServerCode
from tests.support.certificates import CertificateAuthority
from tests.support.scripted_smtp import CLOSE, HANG, Raw, Reaction
from tests.support.submitting import SHORT, THREE, Client, MakeServer, login_for


@pytest.mark.parametrize("starttls", [False, True], ids=["tls", "starttls"])
async def test_one_connection_and_one_login_serve_many_messages(
    client: Client, server: MakeServer, *, starttls: bool
) -> None:
    async with server(starttls=starttls) as peer:
        for _ in range(5):
            await client.submit(login_for(peer.port, starttls=starttls))
    assert (peer.connections, len(peer.heard("AUTH")), len(peer.messages)) == (1, 1, 5)


@pytest.mark.parametrize(
    "reaction",
    [CLOSE, HANG, "421 4.4.2 idle for too long", Raw(b"nonsense\r\n")],
    ids=["close", "hang", "421", "raw"],
)
async def test_a_kept_connection_that_turns_out_dead_is_replaced_unnoticed(
    authority: CertificateAuthority, server: MakeServer, reaction: Reaction
) -> None:
    client = Client(authority.client_context(), SHORT)
    async with server(on={"mail": ["250 ok", reaction]}) as peer:
        for _ in range(2):
            assert (await client.submit(login_for(peer.port)))["one@example.test"].accepted
        await client.submission.close()
    assert (peer.connections, len(peer.messages), client.transmitting) == (2, 2, 2)


async def test_a_connection_that_the_server_closed_meanwhile_is_not_used(
    client: Client, server: MakeServer
) -> None:
    async with server() as peer:
        await client.submit(login_for(peer.port))
        first_port = peer.port
    async with server() as peer:
        assert (await client.submit(login_for(peer.port)))["one@example.test"].accepted
        with pytest.raises(MailServerError) as caught:
            await client.submit(login_for(first_port))
    assert caught.value.server_code is ServerCode.CONNECT_FAILED


async def test_a_connection_on_which_the_server_spoke_unasked_is_not_used(
    client: Client, server: MakeServer
) -> None:
    async with server() as peer:
        login = login_for(peer.port)
        await client.submit(login)
        await peer.push(b"421 4.4.2 idle for too long\r\n")
        await client.submission.probe(login)  # round trips enough for the words to arrive
        assert (await client.submit(login))["one@example.test"].accepted
    assert peer.connections == 3


async def test_only_one_fresh_connection_is_tried(client: Client, server: MakeServer) -> None:
    async with server(on={"mail": ["250 ok", "421 no", "421 no", "421 no"]}) as peer:
        await client.submit(login_for(peer.port))
        with pytest.raises(MailServerError):
            await client.submit(login_for(peer.port))
    assert peer.connections == 2


@pytest.mark.parametrize("reply", ["550 5.7.1 spam", "451 4.3.0 later"])
async def test_after_a_refusal_the_connection_is_reset_and_used_again(
    client: Client, server: MakeServer, reply: str
) -> None:
    async with server(on={"dot": [reply]}) as peer:
        await client.submit(login_for(peer.port))
        assert (await client.submit(login_for(peer.port)))["one@example.test"].accepted
    assert (peer.connections, len(peer.heard("RSET"))) == (1, 1)


async def test_after_421_the_connection_is_given_up(client: Client, server: MakeServer) -> None:
    async with server(on={"dot": ["421 4.3.2 bye"]}) as peer:
        await client.submit(login_for(peer.port))
        await peer.until_open(0)
        assert (await client.submit(login_for(peer.port)))["one@example.test"].accepted
    assert peer.connections == 2


async def test_an_idle_connection_is_hung_up_politely(
    authority: CertificateAuthority, server: MakeServer
) -> None:
    client = Client(authority.client_context(), keeping=Keeping(idle=0.05))
    async with server() as peer:
        await client.submit(login_for(peer.port))
        await peer.until_open(0)
    assert peer.heard("QUIT") == ["QUIT"]


async def test_an_account_has_at_most_four_connections_at_once(client: Client, server: MakeServer) -> None:
    async with server() as peer:
        login = login_for(peer.port)
        replies = await asyncio.gather(*(client.submit(login) for _ in range(40)))
    assert all(reply["one@example.test"].accepted for reply in replies)
    assert peer.most_open <= 4
    assert peer.connections <= 4


async def test_a_changed_password_never_meets_the_old_session(client: Client, server: MakeServer) -> None:
    async with server() as peer:
        await client.submit(login_for(peer.port, secret="old"))
        await client.submit(login_for(peer.port, secret="new"))
    assert [credential.split("\0")[-1] for credential in peer.credentials] == ["old", "new"]


async def test_close_leaves_no_connection_and_keeps_none_afterwards(
    client: Client, server: MakeServer
) -> None:
    async with server() as peer:
        login = login_for(peer.port)
        await asyncio.gather(*(client.submit(login) for _ in range(3)))
        await client.submission.close()
        await peer.until_open(0)
        await client.submit(login)
        await peer.until_open(0)


async def test_a_cancelled_submission_leaves_no_connection(client: Client, server: MakeServer) -> None:
    async with server(on={"dot": HANG}) as peer:
        task = asyncio.create_task(client.submit(login_for(peer.port)))
        async with asyncio.timeout(10):
            await client.begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await peer.until_open(0)


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()], ids=["said at once", "one by one"])
async def test_after_a_refused_sender_the_replies_still_belong_to_their_commands(
    client: Client, server: MakeServer, extensions: tuple[str, ...]
) -> None:
    async with server(on={"mail": ["550 5.7.1 not you"]}, extensions=extensions) as peer:
        refused = await client.submit(login_for(peer.port))
        taken = await client.submit(login_for(peer.port))
    assert refused["one@example.test"].code == 550
    assert taken["one@example.test"].accepted
    assert (peer.connections, len(peer.heard("RSET")), len(peer.messages)) == (1, 1, 1)


async def test_what_is_said_at_once_is_answered_per_recipient(client: Client, server: MakeServer) -> None:
    async with server(on={"rcpt": ["250 a", "550 5.1.1 nobody", "250 c"]}) as peer:
        replies = await client.submit(login_for(peer.port), THREE)
        again = await client.submit(login_for(peer.port), THREE)
    assert [replies[address].code for address in THREE.recipients] == [250, 550, 250]
    assert all(reply.accepted for reply in again.values())
    assert [len(message.recipients) for message in peer.messages] == [2, 3]
