"""D9: whatever a submission server does, no message reaches anybody twice, and none is lost in silence."""

import shutil
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from postroom.core.submission import RecipientStatus, Submission, SubmissionStatus
from tests.scenario.sending.outbound import THREE, Outbound, open_outbound, until
from tests.support.certificates import CertificateAuthority
from tests.support.jumping import run_jumping
from tests.support.scripted_smtp import CLOSE, HANG, Drip, Late, Raw, Reaction

S, R = SubmissionStatus, RecipientStatus
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)

SESSION_BROKEN: list[tuple[str, Reaction, str]] = [
    ("banner", CLOSE, "connect_failed"),
    ("ehlo", CLOSE, "connect_failed"),
    ("starttls", CLOSE, "connect_failed"),
    ("auth", CLOSE, "connect_failed"),
    ("mail", CLOSE, "connect_failed"),
    ("rcpt", CLOSE, "connect_failed"),
    ("data", CLOSE, "connect_failed"),
    ("mid-data", CLOSE, "connect_failed"),
    ("banner", "421 4.3.2 closing", "throttled"),
    ("ehlo", "421 4.3.2 closing", "throttled"),
    ("auth", "421 4.3.2 closing", "throttled"),
    ("auth", "454 4.7.0 temporary authentication failure", "throttled"),
    ("mail", "421 4.3.2 closing", "throttled"),
    ("rcpt", "421 4.3.2 closing", "throttled"),
    ("data", "421 4.3.2 closing", "throttled"),
    ("banner", "554 5.3.2 no mail here", "protocol_error"),
    ("banner", Raw(b"HTTP/1.1 200 OK\r\n"), "protocol_error"),
    ("ehlo", Raw(b"what?\r\n"), "protocol_error"),
    ("mail", Raw(b"99 bottles\r\n"), "protocol_error"),
    ("rcpt", Raw(b"2\r\n"), "protocol_error"),
    ("data", Raw(b"\x00\xff\r\n"), "protocol_error"),
    ("data", "250 2.0.0 already here", "protocol_error"),
]
"""Nobody got an answer and the server took nothing: the connection is tried again soon."""

DEFERRED: list[tuple[str, Reaction]] = [
    ("mail", "450 4.2.0 come back later"),
    ("mail", "452 4.3.1 insufficient storage"),
    ("rcpt", "450 4.7.1 greylisted"),
    ("rcpt", "451-4.7.1 greylisted\r\n451 4.7.1 for five minutes"),
    ("rcpt", "452 4.5.3 too many recipients"),
    ("data", "451 4.3.0 not now"),
    ("dot", "451 4.3.0 not now"),
    ("dot", "452 4.3.1 insufficient storage"),
    ("dot", "421 4.3.2 closing"),
]
"""The server said to everybody: later."""

REFUSED: list[tuple[str, Reaction, int]] = [
    ("mail", "550 5.7.1 not you", 550),
    ("mail", "552 5.3.4 too big", 552),
    ("rcpt", "550-5.1.1 no such user\r\n550 5.1.1 here", 550),
    ("rcpt", "553 5.1.3 no address", 553),
    ("data", "554 5.5.1 no valid recipients", 554),
    ("dot", "552 5.2.2 mailbox full", 552),
    ("dot", "554 5.7.1 spam", 554),
]
"""The server said to everybody: never."""

NOBODY_KNOWS: list[Reaction] = [CLOSE, Raw(b"hello\r\n"), Raw(b"99 what\r\n"), "354 go on"]
"""After the final dot: no reply that says anything."""


@pytest.fixture(autouse=True)
def tables(tmp_path: Path, sqlite_template: Path) -> None:
    """The service finds its tables made."""
    (tmp_path / "data").mkdir(mode=0o700)
    shutil.copyfile(sqlite_template, tmp_path / "data" / "postroom.db")


def statuses(submission: Submission) -> list[str]:
    return [recipient.status.value for recipient in submission.recipients]


@pytest.mark.parametrize(("phase", "reaction", "reason"), SESSION_BROKEN)
async def test_d9_a_connection_that_breaks_before_the_message_is_tried_again_soon(
    tmp_path: Path, authority: CertificateAuthority, phase: str, reaction: Reaction, reason: str
) -> None:
    on = {phase: [reaction]}
    async with open_outbound(tmp_path, authority, on, starttls=phase == "starttls") as site:
        first = await site.send(*THREE, large=phase == "mid-data")
        assert (first.status, first.reason, first.attempts) == (S.QUEUED, reason, 1)
        assert statuses(first) == ["queued"] * 3
        assert site.accepted == {}
        second = await site.again(first)
        assert (second.status, second.attempts, statuses(second)) == (S.SENT, 2, ["accepted"] * 3)
        assert sum(site.waits([first]), timedelta()) <= MINUTE
        assert list(site.accepted.values()) == [1, 1, 1]


@pytest.mark.parametrize(("phase", "reaction"), DEFERRED)
async def test_d9_who_is_deferred_gets_it_once_when_the_server_takes_it(
    tmp_path: Path, authority: CertificateAuthority, phase: str, reaction: Reaction
) -> None:
    async with open_outbound(tmp_path, authority, {phase: [reaction, reaction]}) as site:
        first = await site.send()
        assert (first.status, statuses(first)) == (S.QUEUED, ["deferred"])
        stages = await site.to_the_end(first)
        assert [stage.status for stage in stages] == [S.QUEUED, S.QUEUED, S.SENT]
        assert 5 * MINUTE <= site.waits(stages)[0] <= 15 * MINUTE
        assert site.waits(stages)[1] >= 15 * MINUTE
        await site.days_later(1)
        assert list(site.accepted.values()) == [1]


@pytest.mark.parametrize(("phase", "reaction", "code"), REFUSED)
async def test_d9_what_is_refused_for_good_is_not_tried_again_and_told(
    tmp_path: Path, authority: CertificateAuthority, phase: str, reaction: Reaction, code: int
) -> None:
    async with open_outbound(tmp_path, authority, {phase: reaction}) as site:
        first = await site.send()
        assert (first.status, statuses(first)) == (S.REJECTED, ["rejected"])
        assert first.recipients[0].code == code
        await site.days_later(1)
        assert len(site.sink.heard("MAIL")) == 1
        assert site.accepted == {}
        assert await site.notices() == ["submission.failed"]


@pytest.mark.parametrize("reaction", NOBODY_KNOWS)
async def test_d9_without_a_word_after_the_last_byte_nobody_knows_and_nothing_is_sent_again(
    tmp_path: Path, authority: CertificateAuthority, reaction: Reaction
) -> None:
    async with open_outbound(tmp_path, authority, {"dot": reaction}) as site:
        first = await site.send(*THREE)
        assert (first.status, statuses(first)) == (S.UNKNOWN, ["unknown"] * 3)
        await site.days_later()
        assert len(site.sink.heard("DATA")) == 1
        assert (await site.stored(first)).status is S.UNKNOWN
        assert await site.notices() == ["submission.unknown"]


@pytest.mark.parametrize("on", [{"quit": CLOSE}, {"quit": "500 no"}, {"rset": CLOSE}])
async def test_d9_after_250_it_is_sent_whatever_becomes_of_the_connection(
    tmp_path: Path, authority: CertificateAuthority, on: dict[str, Any]
) -> None:
    async with open_outbound(tmp_path, authority, on) as site:
        first = await site.send(*THREE)
        assert (first.status, statuses(first)) == (S.SENT, ["accepted"] * 3)
        await site.days_later(1)
    assert list(site.accepted.values()) == [1, 1, 1]


# --- some of the recipients ---------------------------------------------------------------------------


async def test_d9_one_refused_of_three_leaves_the_others_accepted_once(
    tmp_path: Path, authority: CertificateAuthority
) -> None:
    async with open_outbound(tmp_path, authority, {"rcpt": ["250 ok", "550 5.1.1 nobody", "250 ok"]}) as site:
        first = await site.send(*THREE)
        assert (first.status, statuses(first)) == (S.PARTLY_SENT, ["accepted", "rejected", "accepted"])
        await site.days_later(1)
        assert [m.recipients for m in site.sink.messages] == [(THREE[0], THREE[2])]


async def test_d9_who_was_accepted_is_not_served_again_with_who_was_deferred(
    tmp_path: Path, authority: CertificateAuthority
) -> None:
    replies = ["250 ok", "550 5.1.1 nobody", "450 4.2.0 later", "450 4.2.0 later", "250 ok"]
    async with open_outbound(tmp_path, authority, {"rcpt": replies}) as site:
        first = await site.send(*THREE)
        assert (first.status, statuses(first)) == (S.QUEUED, ["accepted", "rejected", "deferred"])
        last = (await site.to_the_end(first))[-1]
        assert (last.status, statuses(last)) == (S.PARTLY_SENT, ["accepted", "rejected", "accepted"])
        assert [m.recipients for m in site.sink.messages] == [(THREE[0],), (THREE[2],)]
        assert len({message_id for message_id, _ in site.accepted}) == 1
        assert set(site.accepted.values()) == {1}


async def test_d9_a_break_after_one_was_refused_keeps_him_refused_and_serves_the_others(
    tmp_path: Path, authority: CertificateAuthority
) -> None:
    on = {"rcpt": ["250 ok", "550 5.1.1 nobody", "250 ok"], "data": [CLOSE]}
    async with open_outbound(tmp_path, authority, on) as site:
        first = await site.send(*THREE)
        assert (first.status, statuses(first)) == (S.QUEUED, ["deferred", "rejected", "deferred"])
        last = await site.again(first)
        assert (last.status, statuses(last)) == (S.PARTLY_SENT, ["accepted", "rejected", "accepted"])
        assert [m.recipients for m in site.sink.messages] == [(THREE[0], THREE[2])]


async def test_d9_unknown_for_the_rest_leaves_known_what_was_known(
    tmp_path: Path, authority: CertificateAuthority
) -> None:
    replies = ["250 ok", "550 5.1.1 nobody", "450 4.2.0 later", "250 ok"]
    on = {"rcpt": replies, "dot": ["250 ok", CLOSE]}
    async with open_outbound(tmp_path, authority, on) as site:
        last = (await site.to_the_end(await site.send(*THREE)))[-1]
        assert (last.status, statuses(last)) == (S.UNKNOWN, ["accepted", "rejected", "unknown"])
        await site.days_later()
        assert len(site.sink.heard("DATA")) == 2
        assert list(site.accepted.values()) == [1]


# --- for how long -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phase", "reaction", "first_wait", "status", "recipient"),
    [
        ("rcpt", "450 4.7.1 greylisted", 15 * MINUTE, S.REJECTED, R.REJECTED),
        ("banner", "421 4.3.2 closing", MINUTE, S.FAILED, R.REJECTED),
    ],
)
async def test_d9_attempts_grow_rare_and_end_within_48_hours(
    tmp_path: Path,
    authority: CertificateAuthority,
    phase: str,
    reaction: Reaction,
    first_wait: timedelta,
    status: SubmissionStatus,
    recipient: RecipientStatus,
) -> None:
    async with open_outbound(tmp_path, authority, {phase: reaction}) as site:
        stages = await site.to_the_end(await site.send())
        waits = site.waits(stages)
        assert waits[0] <= first_wait
        assert all(later >= earlier / 2 for earlier, later in pairwise(waits[:-1]))
        assert max(waits) <= 4 * HOUR
        assert 24 * HOUR <= sum(waits, timedelta()) <= 48 * HOUR
        assert len(stages) < 40
        last = stages[-1]
        assert (last.status, last.recipients[0].status) == (status, recipient)
        await until(site.notices)
        assert await site.notices() == ["submission.failed"]
        assert site.accepted == {}


# --- logins -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phase", "reaction", "reason"),
    [
        ("auth", "535 5.7.8 bad credentials", "auth_failed"),
        ("auth", "535 5.7.139 Authentication unsuccessful, basic authentication is disabled", "needs_oauth"),
        ("auth", "550 5.7.30 Basic authentication is not supported for Client Submission", "needs_oauth"),
        ("mail", "550 5.7.30 Basic authentication is not supported for Client Submission", "needs_oauth"),
        ("auth", "534 5.7.9 Application-specific password required", "app_password_required"),
    ],
)
async def test_a_refused_login_says_what_the_owner_can_do(
    tmp_path: Path, authority: CertificateAuthority, phase: str, reaction: str, reason: str
) -> None:
    async with open_outbound(tmp_path, authority, {phase: [reaction]}) as site:
        first = await site.send()
        assert (first.status, first.reason) == (S.QUEUED, reason)
        assert (await site.again(first)).status is S.SENT
        assert list(site.accepted.values()) == [1]


async def test_a_refused_login_is_told_seldom_tried_and_mended_by_a_new_password(
    tmp_path: Path, authority: CertificateAuthority
) -> None:
    async with open_outbound(tmp_path, authority, {"auth": "535 5.7.8 bad credentials"}) as site:
        mails = [await site.send(f"{n}@example.test") for n in range(5)]
        await site.days_later(1)
        assert {(await site.stored(mail)).reason for mail in mails} == {"auth_failed"}
        assert 3 < len(site.sink.heard("AUTH")) <= 10
        assert await site.notices() == ["account.auth_failed"]
        site.sink.on("auth", [])
        await site.password("another password")
        await site.days_later(1)
        assert {(await site.stored(mail)).status for mail in mails} == {S.SENT}
        assert list(site.accepted.values()) == [1] * 5


async def test_a_login_that_is_accepted_between_refusals_is_not_held_back(
    tmp_path: Path, authority: CertificateAuthority
) -> None:
    no = "535 5.7.8 bad credentials"
    ok = "235 2.7.0 welcome"
    on = {"auth": [no, no, ok, no, no, ok], "mail": ["250 ok", CLOSE]}
    async with open_outbound(tmp_path, authority, on) as site:
        assert len(await site.to_the_end(await site.send())) == 3
        assert len(await site.to_the_end(await site.send("two@example.test"))) == 3
        assert await site.notices() == []


# --- slow servers: the loop's own clock jumps over the waits ------------------------------------------


@pytest.mark.parametrize(
    ("phase", "reaction"),
    [
        ("mail", Drip("250 ok", pace=1.0)),
        ("dot", Drip("250 ok", pace=1.0)),
        ("dot", Late("250 2.0.0 queued", 400.0)),
    ],
)
def test_d9_a_slow_server_is_waited_for(
    tmp_path: Path, authority: CertificateAuthority, phase: str, reaction: Reaction
) -> None:
    async def scenario() -> None:
        async with open_outbound(tmp_path, authority, {phase: [reaction]}) as site:
            sent = await site.send()
            assert (sent.status, sent.attempts) == (S.SENT, 1)
            await until(site.has_accepted)
            assert list(site.accepted.values()) == [1]

    run_jumping(scenario())


@pytest.mark.parametrize("phase", ["banner", "ehlo", "auth", "mail", "rcpt", "data"])
def test_d9_a_server_that_falls_silent_before_the_message_is_left_and_tried_again(
    tmp_path: Path, authority: CertificateAuthority, phase: str
) -> None:
    async def scenario() -> None:
        async with open_outbound(tmp_path, authority, {phase: [HANG]}) as site:
            first = await site.send()
            assert (first.status, first.reason) == (S.QUEUED, "timeout")
            assert (await site.again(first)).status is S.SENT
            assert list(site.accepted.values()) == [1]

    run_jumping(scenario())


def test_d9_a_server_that_falls_silent_after_the_last_byte_is_left_after_ten_minutes(
    tmp_path: Path, authority: CertificateAuthority
) -> None:
    async def scenario(site: Outbound) -> None:
        first = await site.send()
        assert first.status is S.UNKNOWN
        await site.days_later()
        assert len(site.sink.heard("DATA")) == 1

    async def on_its_own() -> None:
        async with open_outbound(tmp_path, authority, {"dot": HANG}) as site:
            await scenario(site)

    run_jumping(on_its_own())
