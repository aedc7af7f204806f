"""D5–D8: which mail the agent is asked about, and the reason why not."""

from datetime import timedelta

import pytest

from postroom.core.model import MessageState
from tests.support.office import ALIAS, US, Office, mail

PASS = "mx.postroom.test; dmarc=pass header.from=example.test"
FAIL = "mx.postroom.test; dmarc=fail header.from=example.test"


async def test_a_persons_mail_is_due(office: Office) -> None:
    taken = await office.arrive(mail())
    assert taken.message.state is MessageState.DUE
    assert taken.message.trust == "claimed"


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"Auto_Submitted": "auto-replied"}, "vacation"),
        ({"Precedence": "bulk"}, "bulk"),
        ({"List_Id": "<list.example.test>"}, "list"),
        ({"Return_Path": "<>"}, None),
        ({"X_Auto_Response_Suppress": "All"}, None),
    ],
)
async def test_d7_automatic_mail_is_never_answered(
    office: Office, headers: dict[str, str], reason: str | None
) -> None:
    taken = await office.arrive(mail(**headers))
    assert taken.message.state is MessageState.NO_ANSWER
    assert taken.message.reason
    if reason:
        assert taken.message.reason == reason


@pytest.mark.parametrize("sender", [US, ALIAS, f"Me <{US.upper()}>"])
async def test_d7_our_own_addresses_are_never_answered(office: Office, sender: str) -> None:
    taken = await office.arrive(mail(sender))
    assert (taken.message.state, taken.message.reason) == (MessageState.NO_ANSWER, "own_address")


async def test_d7_our_own_mail_that_comes_back_is_a_loop(office: Office) -> None:
    await office.work(await office.arrive(mail()))
    answer = (await office.answers())[0]
    answer.replace_header("From", "ada@example.test")
    answer.replace_header("To", US)
    del answer["Auto-Submitted"], answer["X-Auto-Response-Suppress"]
    returned = await office.arrive(answer)
    assert (returned.message.state, returned.message.reason) == (MessageState.NO_ANSWER, "loop")


async def test_d7_mail_that_is_not_addressed_to_us_is_not_answered(office: Office) -> None:
    taken = await office.arrive(mail(to="somebody@else.test"))
    assert taken.message.reason == "not_addressed"
    delivered = await office.arrive(mail(to="somebody@else.test", Delivered_To=US))
    assert delivered.message.state is MessageState.DUE


@pytest.mark.parametrize(
    ("header", "state", "trust"),
    [
        (PASS, MessageState.DUE, "verified"),
        (FAIL, MessageState.QUARANTINED, "failed"),
        (FAIL.replace("mx.postroom.test", "mx.forger.test"), MessageState.DUE, "claimed"),
        (PASS.replace("example.test", "other.test"), MessageState.DUE, "claimed"),
    ],
)
async def test_d5_only_our_own_servers_verdict_counts(
    office: Office, header: str, state: MessageState, trust: str
) -> None:
    taken = await office.arrive(mail(Authentication_Results=header))
    assert (taken.message.state, taken.message.trust) == (state, trust)


async def test_d5_without_one_clear_author_nobody_is_answered(office: Office) -> None:
    raw = b"From: ceo@victim.test <evil@example.test>\r\nFrom: a@b.test\r\nTo: " + US.encode() + b"\r\n\r\nhi"
    taken = await office.arrive(raw)
    assert taken.message.trust == "unknown"
    assert taken.message.reason == "sender_unknown"


async def test_d5_a_site_may_ask_for_verified_senders(office: Office) -> None:
    await office.set(requireVerified=True)
    claimed = await office.arrive(mail())
    verified = await office.arrive(mail(Authentication_Results=PASS))
    assert (claimed.message.state, claimed.message.reason) == (MessageState.HELD, "not_verified")
    assert verified.message.state is MessageState.DUE


async def test_block_and_allow_lists(office: Office) -> None:
    await office.set(block=["@spam.test"], allow=["*.example.test", "@example.test"])
    assert (await office.arrive(mail("x@spam.test"))).message.reason == "blocked"
    assert (await office.arrive(mail("x@elsewhere.test"))).message.reason == "not_allowed"
    assert (await office.arrive(mail("x@example.test"))).message.state is MessageState.DUE
    assert (await office.arrive(mail("x@deep.example.test"))).message.state is MessageState.DUE


async def test_old_mail_is_held_as_stale(office: Office) -> None:
    old = office.clock.now() - timedelta(hours=73)
    taken = await office.arrive(mail(), received_at=old)
    assert (taken.message.state, taken.message.reason) == (MessageState.HELD, "stale")
    await office.set(answerWithinHours=None)
    lifted = await office.arrive(mail(), received_at=old)
    assert lifted.message.state is MessageState.DUE


@pytest.mark.parametrize("year", [1999, 2099])
async def test_the_date_field_is_never_believed(office: Office, year: int) -> None:
    taken = await office.arrive(mail(Date=f"Fri, 01 Jan {year} 10:00:00 +0000"))
    assert taken.message.state is MessageState.DUE


async def test_mail_that_a_person_answered_is_left_alone(office: Office) -> None:
    taken = await office.arrive(mail(), flags=frozenset({"\\answered"}))
    assert taken.message.reason == "answered_elsewhere"


async def test_d8_what_cannot_be_read_is_kept_with_its_bytes(office: Office) -> None:
    raw = b"From: a@example.test\r\nX-Big: " + b"x" * 1_100_000 + b"\r\n\r\nhi"
    taken = await office.arrive(raw)
    assert taken.message.state is MessageState.QUARANTINED
    assert taken.message.reason.startswith("over_caps")
    assert await office.service.blobs.get(taken.message.raw) == raw


async def test_what_was_too_large_to_fetch_is_held(office: Office) -> None:
    header = b"From: ada@example.test\r\nTo: " + US.encode() + b"\r\nSubject: Big\r\n\r\n"
    taken = await office.arrive(header, size=90_000_000, oversize=True)
    assert (taken.message.state, taken.message.reason) == (MessageState.HELD, "oversize")
    assert taken.message.size == 90_000_000
