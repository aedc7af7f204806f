"""Submissions of which nobody knows whether the server took them: found, settled, or shown to the owner."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from postroom.core.errors import Conflict
from postroom.core.submission import RecipientStatus, Submission, SubmissionStatus
from postroom.engine import retry
from postroom.engine.compose import NewMail
from postroom.engine.desk import Hand
from postroom.sandbox.server import Sandbox, sandbox
from tests.support.housed import US, House, open_house, until
from tests.support.office import Office, mail, open_office, parsed
from tests.support.sandboxed import ADA, letter
from tests.support.stored import due_ids

S = SubmissionStatus


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Sandbox]:
    (tmp_path / "servers").mkdir()
    async with sandbox(tmp_path / "servers") as running:
        yield running


@pytest.fixture
async def house(tmp_path: Path, servers: Sandbox) -> AsyncIterator[House]:
    async with open_house(tmp_path, servers) as opened:
        await opened.looked()
        yield opened


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as opened:
        yield opened


async def queue(place: House | Office, site_id: str, *to: str) -> Submission:
    """A mail that is stored and not tried yet."""
    site = await place.service.accounts.get(site_id)
    return (await place.service.composer.queue(site, NewMail(to, "Offer", "Ours for *ten*"))).submission


async def gone_unknown(place: House | Office, site_id: str, *, stored_in_sent: bool = False) -> Submission:
    """A submission whose sender died after the bytes and before the reply; it tells so as the submitter
    does. With `stored_in_sent` the provider has filed it meanwhile, and that was seen."""
    service = place.service
    queued = await queue(place, site_id, ADA)
    now = service.clock.now()
    work = await service.store.outbox.claim(queued.id, "test", now, now + retry.SUBMISSION_CEILING)
    assert work is not None
    await service.store.outbox.transmitting(work.claim, now)
    if stored_in_sent:
        assert isinstance(place, House)
        place.folder("Sent").add(await service.blobs.get(queued.raw))
        await place.looked()
    unknown = retry.unknown(work.submission, now)
    await service.store.outbox.record(work.claim, unknown, [])
    service.watchers.refresh(site_id)
    return unknown


async def stored(place: House | Office, submission: Submission) -> Submission:
    found = await place.service.store.things.submission(submission.id)
    assert found is not None
    return found


async def settled(house: House, submission: Submission) -> Submission:
    """The submission once it is not unknown any more."""

    async def known() -> Submission | None:
        found = await stored(house, submission)
        return found if found.status is not S.UNKNOWN else None

    found = await until(known)
    assert isinstance(found, Submission)
    return found


async def attended(house: House, submission: Submission) -> Submission:
    """The submission once the mailbox was attended to."""

    async def done() -> Submission | None:
        house.service.watchers.refresh("house")
        found = await stored(house, submission)
        return found if found.aftercare != "due" else None

    found = await until(done)
    assert isinstance(found, Submission)
    return found


# --- looked for in Sent


async def test_d9_what_lay_in_sent_before_its_outcome_was_known_is_found_there(house: House) -> None:
    unknown = await gone_unknown(house, "house", stored_in_sent=True)
    found = await settled(house, unknown)
    assert found.status is S.SENT
    assert [r.status for r in found.recipients] == [RecipientStatus.ACCEPTED]
    await attended(house, unknown)
    assert len(house.folder("Sent").mails) == 1


async def test_d9_a_copy_that_appears_in_sent_later_settles_it(house: House) -> None:
    unknown = await gone_unknown(house, "house")
    assert (await attended(house, unknown)).status is S.UNKNOWN
    house.folder("Sent").add(await house.service.blobs.get(unknown.raw))
    assert (await settled(house, unknown)).status is S.SENT
    await attended(house, unknown)
    assert len(house.folder("Sent").mails) == 1


async def test_d9_a_copy_under_the_providers_own_message_id_settles_it(house: House) -> None:
    unknown = await gone_unknown(house, "house")
    raw = await house.service.blobs.get(unknown.raw)
    renamed = raw.replace(unknown.message_id.encode(), b"0100018f-provider@mail.example")
    assert renamed != raw
    house.folder("Sent").add(renamed)
    assert (await settled(house, unknown)).status is S.SENT


async def test_d9_another_mail_of_ours_in_sent_settles_nothing(house: House) -> None:
    unknown = await gone_unknown(house, "house")
    raw = await house.service.blobs.get(unknown.raw)
    other = raw.replace(unknown.message_id.encode(), b"other@mail.example").replace(b"ten", b"two")
    house.folder("Sent").add(other)
    await house.looked()
    assert (await stored(house, unknown)).status is S.UNKNOWN


async def test_d9_what_is_not_in_sent_stays_unknown_and_is_not_copied_there(house: House) -> None:
    unknown = await gone_unknown(house, "house")
    found = await attended(house, unknown)
    assert (found.status, found.aftercare) == (S.UNKNOWN, "not_in_sent")
    assert house.folder("Sent").mails == []
    assert house.answers_at(ADA) == 0


# --- settled by those who have it


async def test_d9_a_reply_that_cites_it_settles_it(house: House) -> None:
    unknown = await gone_unknown(house, "house")
    reply = letter(US, "Re: Offer", "I take two")
    reply["In-Reply-To"] = f"<{unknown.message_id}>"
    house.deliver(reply)
    assert (await settled(house, unknown)).status is S.SENT
    events = await house.service.store.lists.events("house", {"submission_id": unknown.id}, None, 9)
    assert "submission.settled_by_reply" in [event.type for event in events.items]
    await attended(house, unknown)
    assert any(unknown.message_id.encode() in stored.raw for stored in house.folder("Sent").mails)


async def test_d9_a_reply_to_something_else_settles_nothing(office: Office) -> None:
    unknown = await gone_unknown(office, "office")
    for cited in ("<p.x.y@z>", f"<x{unknown.message_id}>", "<other@example.test>"):
        await office.arrive(mail(ADA, References=cited))
    assert (await stored(office, unknown)).status is S.UNKNOWN


async def test_d9_a_reply_changes_nothing_that_is_known(office: Office) -> None:
    queued = await queue(office, "office", ADA)
    await office.arrive(mail(ADA, References=f"<{queued.message_id}>"))
    assert (await stored(office, queued)).status is S.QUEUED


# --- the owner decides


def hand(place: House | Office) -> Hand:
    return Hand(place.service.store.desk, place.service.clock, place.service.bells.ring)


async def test_d9_the_owner_resends_the_same_bytes_under_the_same_message_id(house: House) -> None:
    unknown = await gone_unknown(house, "house")
    frozen = await house.service.blobs.get(unknown.raw)
    await attended(house, unknown)
    await hand(house).resend(await stored(house, unknown))
    assert (await settled(house, unknown)).status in (S.QUEUED, S.TRANSMITTING, S.SENT)
    await until(lambda: house.answers_at(ADA) == 1)
    (received,) = house.folder("INBOX", ADA).mails
    assert received.raw.endswith(frozen)
    with pytest.raises(Conflict) as late:
        await hand(house).resend(unknown)
    assert late.value.code == "not_resendable"
    assert parsed(received.raw)["Message-ID"] == f"<{unknown.message_id}>"


async def test_d9_a_closed_one_rests_and_is_told_from_those_that_are_open(office: Office) -> None:
    unknown = await gone_unknown(office, "office")
    await hand(office).close(unknown)
    found = await stored(office, unknown)
    assert found.status is S.CLOSED
    assert [r.status for r in found.recipients] == [RecipientStatus.UNKNOWN]
    assert (
        await due_ids(office.service.store.outbox.due, office.clock.now() + retry.SUBMISSION_PATIENCE, 9)
        == ()
    )
    for decide in (hand(office).close, hand(office).resend):
        with pytest.raises(Conflict):
            await decide(found)


async def test_only_those_who_may_lack_it_get_it_again(office: Office) -> None:
    queued = await queue(office, "office", ADA, "bob@example.test", "eve@example.test")
    now = office.clock.now()
    work = await office.service.store.outbox.claim(queued.id, "test", now, now + retry.SUBMISSION_CEILING)
    assert work is not None
    ada, bob, eve = queued.recipients
    known = (
        replace(ada, status=RecipientStatus.ACCEPTED, code=250),
        replace(bob, status=RecipientStatus.REJECTED, code=550),
        replace(eve, status=RecipientStatus.UNKNOWN),
    )
    unknown = replace(retry.unknown(work.submission, now), recipients=known)
    await office.service.store.outbox.record(work.claim, unknown, [])
    await hand(office).resend(unknown)
    again = await stored(office, unknown)
    assert [r.status.value for r in again.recipients] == ["accepted", "rejected", "queued"]


async def test_what_failed_for_want_of_a_server_can_be_sent_again(office: Office) -> None:
    queued = await queue(office, "office", ADA)
    now = office.clock.now()
    work = await office.service.store.outbox.claim(queued.id, "test", now, now + retry.SUBMISSION_CEILING)
    assert work is not None
    tried = replace(work.submission, attempts=9, first_try_at=now - retry.SUBMISSION_PATIENCE)
    failed = retry.failed_attempt(tried, "connect_failed", now, 0.5).submission
    await office.service.store.outbox.record(work.claim, failed, [])
    assert (await stored(office, failed)).status is S.FAILED
    await hand(office).resend(failed)
    again = await stored(office, failed)
    assert (again.status, again.attempts, again.first_try_at) == (S.QUEUED, 0, None)
    assert await due_ids(office.service.store.outbox.due, office.clock.now(), 9) == (failed.id,)
