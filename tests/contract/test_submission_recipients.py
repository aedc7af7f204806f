"""Recipients: an answer for each, refusals that are not forgotten, and addresses that smuggle nothing."""

import pytest

from postroom.core.submission import Envelope
from tests.support.scripted_smtp import CLOSE, Reaction
from tests.support.submitting import THREE, Client, MakeServer, login_for


async def test_a4_one_refused_recipient_does_not_keep_the_others(client: Client, server: MakeServer) -> None:
    async with server(on={"rcpt": ["250 ok", "550 5.1.1 nobody"]}) as peer:
        replies = await client.submit(login_for(peer.port), THREE)
    assert [replies[address].code for address in THREE.recipients] == [250, 550, 250]
    assert replies["two@example.test"].text == "5.1.1 nobody"
    assert peer.messages[0].recipients == ("one@example.test", "three@example.test")


async def test_a4_with_all_recipients_refused_no_byte_is_sent(client: Client, server: MakeServer) -> None:
    sender = client
    async with server(on={"rcpt": ["550 a", "450 b", "553 c"]}) as peer:
        replies = await sender.submit(login_for(peer.port), THREE)
        assert [replies[address].code for address in THREE.recipients] == [550, 450, 553]
        assert (peer.heard("DATA"), len(peer.heard("RSET")), sender.transmitting) == ([], 1, 0)
        assert (await sender.submit(login_for(peer.port)))["one@example.test"].accepted
    assert peer.connections == 1


@pytest.mark.parametrize("reply", ["553 5.7.1 not your address", "451 4.7.1 later", "552 5.3.4 too big"])
async def test_a_refused_sender_is_the_answer_for_everyone(
    client: Client, server: MakeServer, reply: str
) -> None:
    async with server(on={"mail": reply}) as peer:
        replies = await client.submit(login_for(peer.port), THREE)
    assert {answer.code for answer in replies.values()} == {int(reply[:3])}
    assert set(replies) == set(THREE.recipients)


@pytest.mark.parametrize("reply", ["554 5.5.1 no valid recipients", "451 4.3.0 later"])
async def test_data_refused_is_the_answer_for_those_accepted(
    client: Client, server: MakeServer, reply: str
) -> None:
    async with server(on={"rcpt": ["550 no"], "data": reply}) as peer:
        replies = await client.submit(login_for(peer.port), THREE)
    assert [replies[address].code for address in THREE.recipients] == [550, int(reply[:3]), int(reply[:3])]


@pytest.mark.parametrize(
    "on",
    [
        {"rcpt": ["550 5.1.1 nobody", CLOSE]},
        {"rcpt": ["550 5.1.1 nobody", "421 4.7.0 enough"]},
        {"rcpt": ["550 5.1.1 nobody"], "data": CLOSE},
        {"rcpt": ["550 5.1.1 nobody"], "data": "421 4.7.0 enough"},
    ],
)
async def test_a_refusal_already_heard_is_not_forgotten_when_the_connection_fails(
    client: Client, server: MakeServer, on: dict[str, Reaction | list[Reaction]]
) -> None:
    async with server(on=on) as peer:
        replies = await client.submit(login_for(peer.port), THREE)
    assert [replies[address].code for address in THREE.recipients] == [550, 451, 451]
    assert peer.messages == []


@pytest.mark.parametrize(
    "address",
    [
        "a@b.test> SIZE=1",
        "a@b.test\r\nRCPT TO:<c@d.test",
        "a b@c.test",
        "a@b.test\x00",
        "ü@b.test",
        "",
        "a<b@c.test",
    ],
)
async def test_an_address_cannot_smuggle_a_command(client: Client, server: MakeServer, address: str) -> None:
    envelope = Envelope("agent@example.test", (address, "one@example.test"))
    async with server() as peer:
        replies = await client.submit(login_for(peer.port), envelope)
    assert replies[address].code == 501
    assert replies["one@example.test"].accepted
    assert peer.heard("RCPT") == ["RCPT TO:<one@example.test>"]


async def test_a_quoted_local_part_and_the_empty_sender_are_addresses(
    client: Client, server: MakeServer
) -> None:
    envelope = Envelope("", ('"a b>"@example.test',))
    async with server() as peer:
        replies = await client.submit(login_for(peer.port), envelope)
    assert replies['"a b>"@example.test'].accepted
    assert peer.heard("MAIL")[0].startswith("MAIL FROM:<>")


async def test_a_recipient_named_twice_is_given_once(client: Client, server: MakeServer) -> None:
    envelope = Envelope("agent@example.test", ("one@example.test", "one@example.test"))
    async with server() as peer:
        await client.submit(login_for(peer.port), envelope)
    assert len(peer.heard("RCPT")) == 1
