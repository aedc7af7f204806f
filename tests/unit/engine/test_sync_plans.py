"""What a look at a mailbox has to do: pure, from our place and the server's word."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from postroom.core.model import Cursor, MailboxStatus, Role, Site
from postroom.core.settings import parse_settings
from postroom.engine.syncplan import (
    RANGE,
    RESET_LIMIT,
    SENT_AT_FIRST,
    SPARSE,
    WINDOW,
    SyncPlan,
    first_search,
    first_wanted,
    missed,
    of_this_account,
    plan_sync,
    reset_cursor,
    role_of,
    runs,
    slices,
    starts_at,
)

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def cursor(next_uid: int = 101, **changes: object) -> Cursor:
    known = Cursor("acme", "INBOX", uidvalidity=7, next_uid=next_uid, updated_at=NOW)
    return replace(known, **changes)  # type: ignore[arg-type]  # fields by their names


def status(uidnext: int, uidvalidity: int = 7) -> MailboxStatus:
    return MailboxStatus(uidvalidity, uidnext, exists=uidnext - 1)


def site(start: str = "now", **changes: object) -> Site:
    document = {"start": start}
    known = Site("acme", document, parse_settings(document), False, 1, NOW, NOW, NOW)
    return replace(known, **changes)  # type: ignore[arg-type]  # fields by their names


@pytest.mark.parametrize(
    ("known", "found", "plan"),
    [
        (None, status(50), SyncPlan("first", 1, 50)),
        (cursor(20, updated_at=None), status(50), SyncPlan("first", 20, 50)),
        (cursor(20, updated_at=None), status(50, uidvalidity=8), SyncPlan("first", 1, 50)),
        (cursor(), status(101), SyncPlan("nothing", 101, 101)),
        (cursor(), status(90), SyncPlan("nothing", 101, 101)),
        (cursor(), status(102), SyncPlan("new", 101, 102)),
        (cursor(), status(101 + SPARSE), SyncPlan("new", 101, 101 + SPARSE)),
        (cursor(), status(102 + SPARSE), SyncPlan("sparse", 101, 102 + SPARSE)),
        (cursor(), status(10**9 + 1), SyncPlan("sparse", 101, 10**9 + 1)),
        (cursor(), status(101, uidvalidity=8), SyncPlan("reset", 1, 101)),
        (cursor(), status(5, uidvalidity=6), SyncPlan("reset", 1, 5)),
    ],
)
def test_the_plan_follows_from_place_and_status(
    known: Cursor | None, found: MailboxStatus, plan: SyncPlan
) -> None:
    assert plan_sync(known, found) == plan


def test_ranges_are_short_and_cover_everything_once() -> None:
    ranges = slices(3, 2_003)
    assert [uid for span in ranges for uid in span] == list(range(3, 2_003))
    assert max(map(len, ranges)) <= RANGE
    uids = [1, 2, 3, 7, *range(10, 1_600)]
    assert [uid for span in runs(uids) for uid in span] == uids
    assert max(map(len, runs(uids))) <= RANGE
    assert runs([]) == slices(5, 5) == ()


def test_only_the_window_below_our_place_is_looked_at_again() -> None:
    taken = frozenset(range(1, 1000)) - {950, 3}
    assert missed(cursor(1000), taken) == (range(950, 951),)
    assert missed(cursor(1000, silent_below=960), taken) == ()
    assert missed(cursor(1), frozenset()) == ()
    assert sum(map(len, missed(cursor(5000), frozenset()))) == WINDOW


def test_a_place_in_the_mailbox_of_an_earlier_account_counts_for_nothing() -> None:
    later = site(account_since=NOW + HOUR)
    assert of_this_account(cursor(), later) is None
    assert of_this_account(cursor(updated_at=NOW + 2 * HOUR), later) is not None
    assert of_this_account(None, later) is None


def test_resets_count_in_a_row_until_hours_pass_or_the_owner_saves() -> None:
    known, moment = cursor(), NOW
    owner = site()
    for number in range(1, RESET_LIMIT + 1):
        moment += timedelta(minutes=5)
        known = reset_cursor(owner, known, status(10, 7 + number), (), moment)
        assert known.resets == number
    assert reset_cursor(owner, known, status(10, 99), (), moment + 7 * HOUR).resets == 1
    saved = site(updated_at=moment + timedelta(minutes=1))
    assert reset_cursor(saved, known, status(10, 99), (), moment + timedelta(minutes=2)).resets == 1


def test_after_a_reset_nothing_that_may_be_new_lies_below_our_place() -> None:
    renewed = reset_cursor(site(), cursor(), status(50, 8), (12, 30, 70), NOW)
    assert (renewed.next_uid, renewed.silent_below, renewed.uidvalidity) == (12, 50, 8)
    assert renewed.silent_before == NOW
    assert reset_cursor(site(), cursor(), status(50, 8), (), NOW).next_uid == 50


@pytest.mark.parametrize(
    ("start", "begins"),
    [
        ("now", NOW),
        ("unseen", NOW),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:00:00+02:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
    ],
)
def test_d1_start_says_from_when_mail_wakes_the_agent(start: str, begins: datetime) -> None:
    assert starts_at(site(start)) == begins


def test_the_first_look_asks_by_day_with_a_day_to_spare_and_sent_for_a_month() -> None:
    assert first_search(site(), Role.INBOX, NOW).since == (NOW - timedelta(days=1)).date()
    assert first_search(site("unseen"), Role.INBOX, NOW).unseen
    assert first_search(site("unseen"), Role.SENT, NOW).since == (NOW - timedelta(days=30)).date()


def test_the_first_look_goes_on_where_it_was_and_takes_the_newest_of_sent() -> None:
    plan = SyncPlan("first", 100, 2_000)
    assert first_wanted([99, 100, 1_999, 2_000], Role.INBOX, plan) == (100, 1_999)
    assert len(first_wanted(range(1, 2_000), Role.SENT, SyncPlan("first", 1, 2_000))) == SENT_AT_FIRST


@pytest.mark.parametrize(
    ("labels", "role"),
    [
        ((), Role.INBOX),
        (("\\Important", "Work"), Role.INBOX),
        (("\\Sent", "\\Important"), Role.SENT),
        (("\\Inbox", "\\Sent"), Role.INBOX),
        (("Sent",), Role.INBOX),
    ],
)
def test_labels_tell_what_the_owner_sent(labels: tuple[str, ...], role: Role) -> None:
    assert role_of(Role.INBOX, labels) is role
