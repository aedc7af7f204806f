"""The rules of section D as tables: who joins, who sees, who is answered, how often."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from postroom.core.model import Direction, Message, MessageState, Source, TrustLevel
from postroom.core.policy import (
    Arrival,
    Verdict,
    cap_reached,
    choose_thread,
    identity_for,
    judge,
    matches,
    next_hour,
    reply_address,
    same_message,
    stale,
    visible,
)
from postroom.core.settings import Caps, EmailChannel, SiteSettings, parse_settings
from postroom.core.store import AnswerCounts, Cited
from postroom.mail.address import normalise
from postroom.mail.message import Address
from tests.support.stored import ACCOUNT, NOW, message, outgoing

ALICE, BOB, EVE = "alice@home.example", "bob@work.example", "eve@evil.example"


def settings(**document: Any) -> SiteSettings:
    account = {"email": ACCOUNT, "aliases": ["sales@acme.example"], "incomingServer": "imap.acme.example"}
    return parse_settings({"channels": {"email": account}} | document)


def channel() -> EmailChannel:
    found = settings().channels.email
    assert found is not None
    return found


def mail_from(address: str, **fields: Any) -> Message:
    return message(sender=Address("", address), **fields)


# --- patterns -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "address", "fits"),
    [
        ("bob@work.example", BOB, True),
        ("Bob@Work.Example", "BOB@WORK.EXAMPLE", True),
        ("bob@work.example", "bob@sub.work.example", False),
        ("@work.example", BOB, True),
        ("@work.example", "bob@sub.work.example", False),
        ("@work.example", "bob@notwork.example", False),
        ("*.work.example", "bob@sub.work.example", True),
        ("*.work.example", "bob@a.b.work.example", True),
        ("*.work.example", BOB, False),
        ("*.work.example", "bob@evilwork.example", False),
    ],
)
def test_patterns_name_an_address_a_host_or_the_hosts_below(pattern: str, address: str, fits: bool) -> None:
    assert matches([pattern], address) is fits
    assert not matches([], address)


# --- D2: the same message -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"content_key": "another body"}, False),
        ({"sender": Address("", EVE)}, False),
        ({"sender": None}, False),
        ({"sender": Address("Other Name", "ALICE@home.example")}, True),
        ({"content_key": "another body", "source": Source.WEBHOOK}, True),
        ({"content_key": "another body", "source": Source.WEBHOOK, "message_id": ""}, False),
        ({"content_key": "another body", "source": Source.WEBHOOK, "sender": Address("", EVE)}, False),
    ],
)
def test_d2_equal_ids_alone_make_no_message_the_same(changes: dict[str, Any], same: bool) -> None:
    known = mail_from(ALICE)
    assert same_message(replace(known, **changes), known) is same


def test_d2_neither_our_own_mail_nor_a_quarantined_one_stands_in_for_an_honest_one() -> None:
    known = mail_from(ALICE)
    posted = replace(known, source=Source.WEBHOOK, content_key="json")
    assert not same_message(known, replace(known, direction=Direction.OUT))
    assert not same_message(posted, replace(known, state=MessageState.QUARANTINED))


# --- D3, D4: joining and seeing -------------------------------------------------------------------

OLD = Cited("m1@home.example", "thr_old", "m1@home.example", frozenset({ALICE}))
NEWER = Cited("m2@home.example", "thr_newer", "m2@home.example", frozenset({ALICE, BOB}))


@pytest.mark.parametrize(
    ("sender", "trust", "cited", "signed", "joins", "cites"),
    [
        (ALICE, TrustLevel.CLAIMED, (OLD,), False, "thr_old", None),
        (ALICE, TrustLevel.VERIFIED, (OLD, NEWER), False, "thr_newer", None),
        (EVE, TrustLevel.VERIFIED, (OLD, NEWER), False, None, "thr_newer"),
        (BOB, TrustLevel.CLAIMED, (NEWER, OLD), False, "thr_newer", None),
        (EVE, TrustLevel.CLAIMED, (OLD,), True, "thr_old", None),
        (ALICE, TrustLevel.FAILED, (OLD,), False, None, "thr_old"),
        (ALICE, TrustLevel.FAILED, (OLD,), True, None, "thr_old"),
        ("", TrustLevel.UNKNOWN, (OLD,), True, None, "thr_old"),
        (ALICE, TrustLevel.CLAIMED, (), False, None, None),
    ],
)
def test_d3_a_cited_id_only_proposes(
    sender: str, trust: TrustLevel, cited: tuple[Cited, ...], signed: bool, joins: str | None, cites: str
) -> None:
    joining = choose_thread(sender, trust, cited, lambda _: signed)
    assert (joining.thread_id, joining.cites) == (joins, cites)


def test_d4_a_sender_sees_what_he_sent_or_received() -> None:
    conversation = (
        mail_from(ALICE, id="from alice"),
        outgoing(id="to alice", to=(Address("", ALICE),)),
        mail_from(BOB, id="from bob"),
        mail_from(BOB, id="from bob, copy to alice", cc=(Address("", "Alice@Home.example"),)),
        mail_from(ALICE, id="forged", state=MessageState.QUARANTINED),
    )
    assert [m.id for m in visible(conversation, ALICE)] == [
        "from alice",
        "to alice",
        "from bob, copy to alice",
    ]
    assert visible(conversation, EVE) == ()


# --- D6, A5: to whom and from whom ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply_to", "allowed", "answered"),
    [
        ((), (), ALICE),
        (("office@home.example",), (), "office@home.example"),
        (("office@HOME.example",), (), "office@HOME.example"),
        ((EVE,), (), ALICE),
        ((EVE,), (EVE,), EVE),
        (("a@home.example", "b@home.example"), (), ALICE),
        (("x@sub.home.example",), (), ALICE),
        (("no address",), (), ALICE),
    ],
)
def test_d6_the_answer_goes_to_the_sender(
    reply_to: tuple[str, ...], allowed: tuple[str, ...], answered: str
) -> None:
    fields = [Address("", value) for value in reply_to]
    assert reply_address(Address("", ALICE), fields, allowed).address == answered


@pytest.mark.parametrize(
    ("fields", "identity"),
    [
        ({}, ACCOUNT),
        ({"to": (Address("", "Sales@acme.example"),)}, "sales@acme.example"),
        ({"to": (Address("", BOB),), "cc": (Address("", "sales@acme.example"),)}, "sales@acme.example"),
        ({"to": (Address("", BOB),), "delivered_to": "sales@acme.example"}, "sales@acme.example"),
        ({"to": (Address("", BOB),)}, ACCOUNT),
    ],
)
def test_a5_the_answer_comes_from_the_address_that_was_written_to(
    fields: dict[str, Any], identity: str
) -> None:
    assert normalise(identity_for(mail_from(ALICE, **fields), channel())) == identity


# --- D1, D5, D7, D8: the verdict ------------------------------------------------------------------


def arrival(mail: Message, **facts: Any) -> Arrival:
    usual: dict[str, Any] = {
        "own_hop": False,
        "own_message_id": False,
        "flags": frozenset(),
        "history": False,
        "oversize": False,
        "exempt": False,
    }
    return Arrival(mail, **usual | facts)


OLD_MAIL = NOW - timedelta(hours=73)


@pytest.mark.parametrize(
    ("fields", "facts", "document", "state", "reason"),
    [
        ({}, {}, {}, "due", ""),
        ({}, {"flags": frozenset({"\\seen", "\\flagged"})}, {}, "due", ""),
        ({"trust": TrustLevel.FAILED}, {}, {}, "quarantined", "authentication_failed"),
        ({"trust": TrustLevel.FAILED}, {"history": True}, {}, "quarantined", "authentication_failed"),
        ({}, {"history": True}, {}, "no_answer", "history"),
        ({}, {"flags": frozenset({"\\answered"})}, {}, "no_answer", "answered_elsewhere"),
        ({}, {"flags": frozenset({"\\draft"})}, {}, "no_answer", "draft"),
        ({"received_at": OLD_MAIL}, {}, {}, "held", "stale"),
        ({"received_at": OLD_MAIL}, {"exempt": True}, {}, "due", ""),
        ({"received_at": OLD_MAIL}, {}, {"answerWithinHours": None}, "due", ""),
        ({}, {"own_hop": True}, {}, "no_answer", "loop"),
        ({}, {"own_message_id": True}, {}, "no_answer", "loop"),
        ({"sender": Address("", ACCOUNT.upper())}, {}, {}, "no_answer", "own_address"),
        ({"sender": Address("", "sales@acme.example")}, {}, {}, "no_answer", "own_address"),
        ({"automatic": "list"}, {}, {}, "no_answer", "list"),
        ({"sender": None}, {}, {}, "no_answer", "sender_unknown"),
        ({"to": (Address("", BOB),)}, {}, {}, "no_answer", "not_addressed"),
        ({"to": (Address("", BOB),), "delivered_to": ACCOUNT}, {}, {}, "due", ""),
        ({"to": (Address("", BOB),), "cc": (Address("", ACCOUNT),)}, {}, {}, "due", ""),
        ({}, {}, {"block": ["@home.example"]}, "no_answer", "blocked"),
        ({}, {}, {"allow": ["@work.example"]}, "no_answer", "not_allowed"),
        ({}, {}, {"allow": ["@home.example"], "block": [ALICE]}, "no_answer", "blocked"),
        ({}, {}, {"requireVerified": True}, "held", "not_verified"),
        ({"trust": TrustLevel.VERIFIED}, {}, {"requireVerified": True}, "due", ""),
        ({}, {"oversize": True}, {}, "held", "oversize"),
        ({"automatic": "vacation"}, {"oversize": True}, {}, "no_answer", "vacation"),
    ],
)
def test_d5_d7_d8_every_arrival_has_its_verdict(
    fields: dict[str, Any], facts: dict[str, Any], document: dict[str, Any], state: str, reason: str
) -> None:
    mail = replace(mail_from(ALICE), **fields)
    assert judge(arrival(mail, **facts), settings(**document), NOW) == Verdict(MessageState(state), reason)


def test_mail_is_stale_after_the_hours_and_not_at_them() -> None:
    assert not stale(NOW - timedelta(hours=72), settings(), NOW)
    assert stale(NOW - timedelta(hours=72, seconds=1), settings(), NOW)


# --- D7: caps -------------------------------------------------------------------------------------

NONE = AnswerCounts(0, 0, 0, 0, sender_known=True)


@pytest.mark.parametrize(
    ("counts", "trust", "scope", "reason"),
    [
        (replace(NONE, thread_10_min=4), TrustLevel.CLAIMED, None, None),
        (replace(NONE, thread_10_min=5), TrustLevel.CLAIMED, "thread", "cap_thread_10_min"),
        (replace(NONE, thread_2_hours=20), TrustLevel.CLAIMED, "thread", "cap_thread_2_hours"),
        (replace(NONE, correspondent_day=30), TrustLevel.VERIFIED, "correspondent", "cap_correspondent_day"),
        (replace(NONE, new_senders_hour=200), TrustLevel.CLAIMED, None, None),
        (
            replace(NONE, new_senders_hour=200, sender_known=False),
            TrustLevel.CLAIMED,
            "site",
            "cap_new_senders_hour",
        ),
        (replace(NONE, new_senders_hour=200, sender_known=False), TrustLevel.VERIFIED, None, None),
        (replace(NONE, new_senders_hour=199, sender_known=False), TrustLevel.CLAIMED, None, None),
    ],
)
def test_d7_each_cap_holds_at_its_number(
    counts: AnswerCounts, trust: TrustLevel, scope: str | None, reason: str | None
) -> None:
    reached = cap_reached(counts, Caps(), trust)
    assert (reached and reached.scope, reached and reached.reason) == (scope, reason)


def test_d7_null_lifts_a_cap() -> None:
    lifted = settings(
        caps={
            "threadPer10Min": None,
            "threadPer2Hours": None,
            "correspondentPerDay": None,
            "newSendersPerHour": None,
        }
    ).caps
    assert cap_reached(AnswerCounts(999, 999, 999, 999, False), lifted, TrustLevel.CLAIMED) is None


def test_d7_beyond_the_sites_cap_mail_waits_for_the_next_hour() -> None:
    assert next_hour(datetime(2026, 3, 2, 23, 59, 59, 5, tzinfo=UTC)) == datetime(2026, 3, 3, tzinfo=UTC)
    assert next_hour(datetime(2026, 3, 2, 9, 0, tzinfo=UTC)) == datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
