"""What a backfill reads: only what is history, in the order of its coming, within what is allowed a day."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.core.backfills import BackfillRecord
from postroom.core.errors import Conflict
from postroom.core.model import Cursor, MailboxStatus, Site
from postroom.core.ports import MessageFacts
from postroom.core.settings import SiteSettings
from postroom.engine.backfillplan import (
    MESSAGES,
    OCTETS,
    Wanted,
    allowed_from,
    below,
    in_batches,
    octets_of,
    spent,
    untaken,
    wanted,
)

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SITE = Site("acme", {}, SiteSettings(), False, 1, NOW, NOW, NOW)
CURSOR = Cursor("acme", "INBOX", 7, next_uid=120, silent_below=100, silent_before=NOW, updated_at=NOW)
STATUS = MailboxStatus(7, 130, 50)


def test_what_the_watcher_reads_is_left_to_it() -> None:
    assert below(CURSOR, STATUS, SITE) == 100
    assert below(replace(CURSOR, next_uid=40), STATUS, SITE) == 40  # renumbered, and being read again
    assert untaken([5, 50, 99, 100, 101], 100, {50}) == (5, 99)


@pytest.mark.parametrize(
    ("cursor", "code"),
    [
        (None, "not_watched_yet"),
        (replace(CURSOR, updated_at=None, silent_before=NOW), "not_watched_yet"),
        (replace(CURSOR, updated_at=NOW - timedelta(days=1)), "not_watched_yet"),  # of an account before
        (replace(CURSOR, uidvalidity=6), "mailbox_renumbered"),
    ],
)
def test_nothing_is_read_before_the_watcher_has_come_so_far(cursor: Cursor | None, code: str) -> None:
    with pytest.raises(Conflict) as raised:
        below(cursor, STATUS, SITE)
    assert raised.value.code == code
    assert raised.value.hint


def test_what_is_too_old_is_left() -> None:
    facts = [MessageFacts(uid, NOW - timedelta(days=days), 10**9) for uid, days in ((1, 91), (2, 89), (3, 1))]
    since = NOW - timedelta(days=90)
    assert [w.uid for w in wanted("INBOX", facts, 1000, since, SITE, NOW)] == [2, 3]
    keeps = SiteSettings.model_validate({"retention": {"days": 30}})
    found = wanted("INBOX", facts, 1000, since, replace(SITE, settings=keeps), NOW)
    assert found == [Wanted(NOW - timedelta(days=1), "INBOX", 3, 1000)]


MANY = st.lists(
    st.builds(
        Wanted,
        st.integers(0, 10_000).map(lambda n: NOW + timedelta(seconds=n)),
        st.sampled_from(["INBOX", "Sent"]),
        st.integers(1, 2**32 - 1),
        st.integers(0, 3 * OCTETS),
    ),
    max_size=200,
    unique=True,
)


@given(MANY)
def test_batches_hold_everything_once_oldest_first_and_no_more_than_is_good(found: list[Wanted]) -> None:
    batches = list(in_batches(found))
    flat = [one for batch in batches for one in batch]
    assert sorted(flat, key=repr) == sorted(found, key=repr)
    assert [one.received_at for one in flat] == sorted(one.received_at for one in found)
    for batch in batches:
        assert 1 <= len(batch) <= MESSAGES
        assert len(batch) == 1 or octets_of(batch) <= OCTETS


def test_a_day_has_its_share_and_the_next_day_another() -> None:
    record = BackfillRecord("acme", NOW, NOW, NOW)
    assert allowed_from(record, 10**12, None, NOW) is None
    assert allowed_from(record, 600, 1000, NOW) is None  # or nothing would ever be read
    record = spent(record, 300, NOW)
    assert allowed_from(record, 200, 1000, NOW) is None
    assert allowed_from(record, 201, 1000, NOW + timedelta(hours=23)) == NOW + timedelta(days=1)
    tomorrow = NOW + timedelta(days=1)
    assert allowed_from(record, 500, 1000, tomorrow) is None
    record = spent(record, 500, tomorrow)
    assert (record.octets, record.window_octets, record.window_at) == (800, 500, tomorrow)
    assert allowed_from(record, 1, 1000, tomorrow) == tomorrow + timedelta(days=1)


def test_a_clock_that_was_set_back_does_not_stop_it_for_long() -> None:
    record = spent(BackfillRecord("acme", NOW, NOW, NOW), 600, NOW)
    assert allowed_from(record, 1, 1000, NOW - timedelta(days=300)) is None
