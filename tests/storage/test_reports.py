"""What reports and copies found in Sent say of a submission (RFC 3464, D9)."""

from dataclasses import replace
from typing import Any, Literal

import pytest

from postroom.core.store import ReportedStatus, Store
from postroom.core.submission import Recipient, RecipientStatus, Submission, SubmissionStatus
from tests.support.stored import accepted, event, outgoing, site, submission, thread

Word = Literal["accepted", "delivered", "failed", "delayed"]
TWO = (Recipient("a@x.example"), Recipient("Ünï@bücher.example"))
S = SubmissionStatus
R = RecipientStatus


def _said(word: Word, address: str = "") -> ReportedStatus:
    return ReportedStatus(address, word, "5.1.1", "no\r\nsuch user" if word == "failed" else "")


def _unknown(**fields: Any) -> Submission:
    lost = tuple(replace(r, status=R.UNKNOWN) for r in TWO)
    return submission(status=S.UNKNOWN, recipients=lost, due_at=None, reason="no_reply_after_data", **fields)


async def _after(store: Store, known: Submission, *said: ReportedStatus) -> Submission:
    assert await store.outbox.add(known, outgoing(), thread(), event())
    async with store.intake.transaction("acme") as tx:
        noted = event("submission.reported", message_id="msg_report")
        assert await tx.report("out1@acme.example", said, noted) == "sub_1"
    (kept,) = (await store.lists.events("acme", {"submission_id": "sub_1"}, None, 9)).items
    assert (kept.type, kept.message_id) == ("submission.reported", "msg_report")
    found = await store.things.submission("sub_1")
    assert found is not None
    return found


@pytest.mark.parametrize("word", ["delivered", "failed", "delayed"])
async def test_d7_a_report_changes_the_recipient_it_names(acme: Store, word: Word) -> None:
    known = accepted(submission(recipients=TWO))
    after = await _after(acme, known, _said(word, "ünï@xn--bcher-kva.example"))
    assert [r.status for r in after.recipients] == [R.ACCEPTED, R(word)]
    assert after.recipients[0] == known.recipients[0]
    assert "\n" not in after.recipients[1].text
    assert after.recipients[1].text.startswith("5.1.1")
    assert (after.status, after.aftercare) == (S.SENT, "due")


async def test_a_report_without_an_address_is_about_all(acme: Store) -> None:
    after = await _after(acme, accepted(submission(recipients=TWO)), _said("failed"))
    assert [r.status for r in after.recipients] == [R.FAILED, R.FAILED]


async def test_who_was_refused_stays_refused(acme: Store) -> None:
    refused = (replace(TWO[0], status=R.REJECTED, code=550, text="no"), replace(TWO[1], status=R.ACCEPTED))
    known = submission(status=S.PARTLY_SENT, recipients=refused, due_at=None)
    after = await _after(acme, known, _said("delivered"))
    assert [r.status for r in after.recipients] == [R.REJECTED, R.DELIVERED]
    assert after.status is S.PARTLY_SENT


async def test_a_late_word_of_delay_does_not_undo_delivery(acme: Store) -> None:
    after = await _after(acme, accepted(submission()), _said("delivered"), _said("delayed"))
    assert after.recipients[0].status is R.DELIVERED


@pytest.mark.parametrize(
    ("said", "recipients", "status"),
    [
        ([_said("delivered")], [R.DELIVERED, R.DELIVERED], S.SENT),
        ([_said("delayed", "a@x.example")], [R.DELAYED, R.ACCEPTED], S.SENT),
        ([_said("failed")], [R.FAILED, R.FAILED], S.FAILED),
        ([_said("failed", "a@x.example")], [R.FAILED, R.ACCEPTED], S.PARTLY_SENT),
    ],
)
async def test_d9_a_report_settles_an_unknown_submission(
    acme: Store, said: list[ReportedStatus], recipients: list[R], status: S
) -> None:
    after = await _after(acme, _unknown(), *said)
    assert [r.status for r in after.recipients] == recipients
    assert (after.status, after.aftercare) == (status, "due")


async def test_d9_a_copy_in_sent_settles_an_unknown_submission(acme: Store) -> None:
    after = await _after(acme, _unknown(aftercare="not_in_sent"), _said("accepted"))
    assert [r.status for r in after.recipients] == [R.ACCEPTED, R.ACCEPTED]
    assert (after.status, after.aftercare) == (S.SENT, "due")


@pytest.mark.parametrize("status", [S.QUEUED, S.SENT])
async def test_d9_a_copy_in_sent_changes_nothing_else(acme: Store, status: S) -> None:
    known = submission(status=status, recipients=TWO)
    assert await _after(acme, known, _said("accepted")) == known


async def test_d9_a_report_about_a_stranger_settles_nothing(acme: Store) -> None:
    known = _unknown()
    assert await _after(acme, known, _said("delivered", "somebody@else.example")) == known


async def test_a_report_on_mail_that_is_not_ours_finds_nothing(acme: Store) -> None:
    await acme.sites.save(site("other", email=None))
    assert await acme.outbox.add(submission(), outgoing(), thread(), event())
    async with acme.intake.transaction("other") as tx:
        assert await tx.report("out1@acme.example", [_said("failed")], event(site_id="other")) is None
    async with acme.intake.transaction("acme") as tx:
        assert await tx.report("unknown@x", [_said("failed")], event("lost")) is None
        assert await tx.report("", [_said("failed")], event("lost")) is None
    assert await acme.things.submission("sub_1") == submission()
    assert (await acme.lists.events("acme", {"type": "lost"}, None, 9)).items == ()
