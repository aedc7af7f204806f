"""Handing over a message: what each failure means, phase by phase (D9), against a scripted server."""

import pytest

from postroom.core.errors import InvalidInput, LeaseLost, MailServerError, OutcomeUnknown, ServerCode
from postroom.core.submission import Envelope, SmtpReply
from tests.support.scripted_smtp import CLOSE, HANG, STALL, Drip, Raw, Reaction, ScriptedSmtp
from tests.support.submitting import MAIL, ONE, THREE, Client, MakeServer, login_for

BEFORE_354 = ["banner", "ehlo", "auth", "mail", "rcpt", "data"]
BIG = MAIL + b"x" * 70 + b"\r\n" + (b"0123456789" * 7 + b"\r\n") * 200_000

# --- what goes well -----------------------------------------------------------------------------


@pytest.mark.parametrize("starttls", [False, True], ids=["tls", "starttls"])
async def test_a4_a_message_arrives_byte_for_byte(
    client: Client, server: MakeServer, *, starttls: bool
) -> None:
    sender = client
    async with server(starttls=starttls) as peer:
        replies = await sender.submit(login_for(peer.port, starttls=starttls), THREE)
    assert replies == dict.fromkeys(THREE.recipients, SmtpReply(250, "2.0.0 queued"))
    (message,) = peer.messages
    assert (message.sender, message.recipients, message.data) == (THREE.sender, THREE.recipients, MAIL)
    assert sender.transmitting == 1


async def test_d10_nothing_but_ehlo_and_starttls_goes_before_tls(client: Client, server: MakeServer) -> None:
    async with server(starttls=True) as peer:
        await client.submit(login_for(peer.port, starttls=True))
    assert peer.plain_text == b"EHLO [127.0.0.1]\r\nSTARTTLS\r\n"


@pytest.mark.parametrize(
    ("raw", "arrives"),
    [
        (b"A: b\r\n\r\n.\r\n..\r\n.x\r\nend\r\n", None),
        (b"A: b\r\n\r\n.", b"A: b\r\n\r\n.\r\n"),
        (b".A: b\r\n\r\nx\r\n", None),
        (b"A: b\n\nlone\rcr\n.\r.\r\n", b"A: b\r\n\r\nlone\r\ncr\r\n.\r\n.\r\n"),
        (b"A: b\r\n\r\n\r.\r\nMAIL FROM:<x>\r\n", b"A: b\r\n\r\n\r\n.\r\nMAIL FROM:<x>\r\n"),
        (b"A: b\r\n\r\n\n.\n", b"A: b\r\n\r\n\r\n.\r\n"),
        ("A: b\r\n\r\nž\u2028\x85\r\n".encode(), None),
        (MAIL + b".23456789\r\n" * 200_000, None),
    ],
    ids=["dots", "dot at the end", "dot first", "bare", "smuggled", "smuggled too", "bytes", "2 MB of dots"],
)
async def test_dots_and_line_ends_cannot_end_a_message_early(
    client: Client, server: MakeServer, raw: bytes, arrives: bytes | None
) -> None:
    async with server() as peer:
        await client.submit(login_for(peer.port), raw=raw)
    assert [message.data for message in peer.messages] == [arrives or raw]


async def test_nul_is_refused_before_anything_is_sent(client: Client, server: MakeServer) -> None:
    async with server() as peer:
        with pytest.raises(InvalidInput):
            await client.submit(login_for(peer.port), raw=MAIL + b"\x00\r\n")
    assert peer.connections == 0


async def test_slow_and_many_lined_replies_are_read(client: Client, server: MakeServer) -> None:
    on: dict[str, Reaction] = {
        "banner": Drip("220-first\r\n220-second\r\n220 third"),
        "mail": "250-2.1.0 a\r\n250 2.1.0 b",
        "rcpt": Drip("250 2.1.5 ok"),
        "data": "354-well\r\n354 go on",
        "dot": Drip("250-2.0.0 queued\r\n250 as 4711"),
    }
    async with server(on=on) as peer:
        replies = await client.submit(login_for(peer.port))
    assert replies["one@example.test"] == SmtpReply(250, "2.0.0 queued as 4711")


async def test_a_servers_words_become_one_printable_line(client: Client, server: MakeServer) -> None:
    words = "550-5.1.1 a\x1b[31m\r\n550 " + "long " * 300
    async with server(on={"rcpt": words}) as peer:
        replies = await client.submit(login_for(peer.port))
    text = replies["one@example.test"].text
    assert text.isprintable()
    assert len(text) <= 500


async def test_extensions_are_used_when_offered_and_only_then(client: Client, server: MakeServer) -> None:
    raw = MAIL + "grüße\r\n".encode()
    for extensions, expected in (
        (("SIZE 1000000", "8BITMIME"), f"MAIL FROM:<agent@example.test> SIZE={len(raw)} BODY=8BITMIME"),
        ((), "MAIL FROM:<agent@example.test>"),
    ):
        async with server(extensions=extensions) as peer:
            await client.submit(login_for(peer.port), raw=raw)
        assert peer.heard("MAIL") == [expected]


async def test_an_international_address_needs_smtputf8(client: Client, server: MakeServer) -> None:
    envelope = Envelope("žluť@example.test", ("почта@example.test",), smtputf8=True)
    async with server() as peer:
        replies = await client.submit(login_for(peer.port), envelope)
    assert replies["почта@example.test"].accepted
    assert peer.heard("MAIL")[0].endswith(" SMTPUTF8")
    async with server(extensions=()) as peer:
        replies = await client.submit(login_for(peer.port), envelope)
    assert replies["почта@example.test"].code == 553
    assert "SMTPUTF8" in replies["почта@example.test"].text
    assert peer.heard("MAIL") == []


async def test_a_message_beyond_the_announced_size_is_not_begun(client: Client, server: MakeServer) -> None:
    sender = client
    async with server(extensions=(f"SIZE {len(MAIL) - 1}",)) as peer:
        replies = await sender.submit(login_for(peer.port))
    assert (replies["one@example.test"].code, peer.heard("MAIL"), sender.transmitting) == (552, [], 0)


async def test_the_steps_are_passed_in_their_order(client: Client, server: MakeServer) -> None:
    sender = client
    async with server() as peer:
        await sender.submit(login_for(peer.port))
    names = ("connected", "mail", "rcpt", "354", "data-half", "data-sent", "reply")
    assert [s for s in sender.trail.steps if s.count(":") == 1] == [f"smtp:{name}" for name in names]


async def test_every_write_and_read_is_a_step_and_names_no_secret(client: Client, server: MakeServer) -> None:
    async with server(starttls=True, extensions=(), mechanisms="AUTH LOGIN") as peer:
        await client.submit(login_for(peer.port, starttls=True))
    wire = [s.removeprefix("smtp:") for s in client.trail.steps if s.count(":") == 2]
    exchanges = ("EHLO", "STARTTLS", "EHLO", "AUTH", "challenge", "challenge", "MAIL", "RCPT", "DATA")
    spoken = [f"{way}:{name}" for name in exchanges for way in ("write", "read")]
    message = ["write:message", "write:message", "read:message"]
    assert wire == ["read:greeting", *spoken, *message]


# --- what fails before the message is on its way ----------------------------------------------


async def _fails(sender: Client, peer: ScriptedSmtp, starttls: bool = False) -> MailServerError:
    with pytest.raises(MailServerError) as caught:
        await sender.submit(login_for(peer.port, starttls=starttls))
    assert sender.transmitting == 0
    assert peer.messages == []
    assert caught.value.temporary
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("phase", BEFORE_354)
@pytest.mark.parametrize(
    ("reaction", "code"),
    [
        (CLOSE, ServerCode.CONNECT_FAILED),
        (HANG, ServerCode.TIMEOUT),
        (Raw(b"what is this\r\n"), ServerCode.PROTOCOL_ERROR),
    ],
    ids=["close", "hang", "malformed"],
)
async def test_d9_a_fault_before_the_message_may_be_tried_again(
    hasty: Client, server: MakeServer, phase: str, reaction: Reaction, code: ServerCode
) -> None:
    async with server(on={phase: reaction}) as peer:
        error = await _fails(hasty, peer)
    assert error.server_code is code


@pytest.mark.parametrize(
    ("reaction", "codes"),
    [
        (CLOSE, {ServerCode.CONNECT_FAILED}),
        (HANG, {ServerCode.TIMEOUT}),
        (Raw(b"what is this\r\n"), {ServerCode.PROTOCOL_ERROR}),
        (Raw(b"220 go\r\nplain text\r\n"), {ServerCode.TLS_FAILED}),
        ("454 4.7.0 not now", {ServerCode.TLS_FAILED}),
        ("502 5.5.1 never", {ServerCode.TLS_FAILED}),
    ],
)
async def test_a_fault_at_starttls_sends_nothing_more(
    hasty: Client, server: MakeServer, reaction: Reaction, codes: set[ServerCode]
) -> None:
    async with server(starttls=True, on={"starttls": reaction}) as peer:
        error = await _fails(hasty, peer, starttls=True)
    assert error.server_code in codes
    assert b"AUTH" not in peer.plain_text


@pytest.mark.parametrize(
    ("reaction", "code"),
    [
        (Raw(b"x" * 40_000), ServerCode.PROTOCOL_ERROR),
        (Raw(b"250-never\r\n250-ending\r\n"), ServerCode.TIMEOUT),
        (Raw(b"99 too small\r\n"), ServerCode.PROTOCOL_ERROR),
        (Raw(b"999 too large\r\n"), ServerCode.PROTOCOL_ERROR),
        (Drip("250 much too slow for anyone to wait for it", pace=0.05), ServerCode.TIMEOUT),
    ],
    ids=["endless", "cut", "99", "999", "slow"],
)
async def test_a_reply_that_never_ends_does(
    hasty: Client, server: MakeServer, reaction: Reaction, code: ServerCode
) -> None:
    async with server(on={"rcpt": reaction}) as peer:
        error = await _fails(hasty, peer)
    assert error.server_code is code


@pytest.mark.parametrize("phase", BEFORE_354)
async def test_421_anywhere_asks_to_wait(client: Client, server: MakeServer, phase: str) -> None:
    async with server(on={phase: "421 4.3.2 shutting down"}) as peer:
        error = await _fails(client, peer)
    assert error.server_code is ServerCode.THROTTLED


async def test_a_closed_port_is_a_failed_connection(client: Client, server: MakeServer) -> None:
    async with server() as peer:
        port = peer.port
    with pytest.raises(MailServerError) as caught:
        await client.submit(login_for(port))
    assert caught.value.server_code is ServerCode.CONNECT_FAILED


async def test_data_answered_by_250_is_no_leave_to_send(client: Client, server: MakeServer) -> None:
    async with server(on={"data": "250 ok"}) as peer:
        error = await _fails(client, peer)
    assert error.server_code is ServerCode.PROTOCOL_ERROR


async def test_what_the_commit_raises_comes_out_and_nothing_is_sent(
    client: Client, server: MakeServer
) -> None:
    async def lost() -> None:
        raise LeaseLost("another has it")

    sender = client
    async with server() as peer:
        with pytest.raises(LeaseLost):
            await sender.submission.submit(login_for(peer.port), ONE, MAIL, lost)
        await peer.until_open(0)
    assert peer.messages == []


# --- after 354 ----------------------------------------------------------------------------------


async def test_d9_a_connection_lost_in_the_middle_of_the_bytes_may_be_tried_again(
    client: Client, server: MakeServer
) -> None:
    """The final dot was never written, so the server cannot have taken it."""
    sender = client
    async with server(on={"mid-data": CLOSE}) as peer:
        with pytest.raises(MailServerError) as caught:
            await sender.submit(login_for(peer.port), raw=BIG)
    assert (caught.value.server_code, caught.value.temporary) == (ServerCode.CONNECT_FAILED, True)
    assert "smtp:data-sent" not in sender.trail.steps


async def test_d9_a_server_that_stops_reading_ends_at_the_deadline(hasty: Client, server: MakeServer) -> None:
    async with server(on={"mid-data": STALL}) as peer:
        with pytest.raises(MailServerError) as caught:
            await hasty.submit(login_for(peer.port), raw=BIG)
    assert caught.value.server_code is ServerCode.TIMEOUT


@pytest.mark.parametrize("reply", ["552 5.3.4 too big", "451 4.3.0 disk full", "421 4.3.2 going down"])
async def test_a_refusal_in_the_middle_of_the_bytes_is_the_verdict(
    client: Client, server: MakeServer, reply: str
) -> None:
    async with server(on={"mid-data": reply}) as peer:
        replies = await client.submit(login_for(peer.port), THREE, BIG)
    assert {answer.code for answer in replies.values()} == {int(reply[:3])}
    assert peer.messages == []


@pytest.mark.parametrize(
    "reaction",
    [CLOSE, HANG, Raw(b"what is this\r\n"), Raw(b"25"), Raw(b"250-never\r\n"), "354 go on", "150 hm"],
    ids=["close", "hang", "malformed", "half", "cut", "354", "150"],
)
async def test_d9_after_the_dot_without_a_reply_nobody_knows(
    hasty: Client, server: MakeServer, reaction: Reaction
) -> None:
    sender = hasty
    async with server(on={"dot": reaction}) as peer:
        with pytest.raises(OutcomeUnknown) as caught:
            await sender.submit(login_for(peer.port))
        await peer.until_open(0)
    assert (caught.value.temporary, sender.transmitting) == (False, 1)


@pytest.mark.parametrize(
    "reply", ["450 4.2.0 later", "452 4.2.2 full", "552 5.2.2 quota", "554 5.7.1 spam", "421 4.0.0 bye"]
)
async def test_a_refusal_after_the_dot_goes_to_every_accepted_recipient(
    client: Client, server: MakeServer, reply: str
) -> None:
    on = {"rcpt": ["250 ok", "550 5.1.1 nobody"], "dot": reply}
    async with server(on=on) as peer:
        replies = await client.submit(login_for(peer.port), THREE)
    assert [replies[address].code for address in THREE.recipients] == [int(reply[:3]), 550, int(reply[:3])]


@pytest.mark.parametrize("on", [{"quit": CLOSE}, {"quit": "500 no"}, {"rset": CLOSE}])
async def test_after_250_it_is_accepted_whatever_comes(
    client: Client, server: MakeServer, on: dict[str, Reaction]
) -> None:
    sender = client
    async with server(on=on) as peer:
        replies = await sender.submit(login_for(peer.port))
        await sender.submission.close()
        await peer.until_open(0)
    assert replies["one@example.test"].accepted
