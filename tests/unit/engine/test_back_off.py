"""When to connect again: pure, for every kind of trouble."""

from datetime import timedelta

import pytest

from postroom.core.errors import MailServerError, PostroomError, ServerCode
from postroom.engine.retry import Trouble, backoff, reconnect_after, trouble_of

CHANCES = (0.0, 0.25, 0.5, 0.999)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@pytest.mark.parametrize("chance", CHANCES)
@pytest.mark.parametrize("trouble", [Trouble.PASSING, Trouble.THROTTLE, Trouble.SETTINGS])
def test_waits_grow_to_ten_minutes_and_no_further(trouble: Trouble, chance: float) -> None:
    waits = [reconnect_after(trouble, failures, None, chance) for failures in range(1, 40)]
    assert waits == sorted(waits)
    assert waits[0] >= SECOND
    assert 5 * MINUTE <= waits[-1] <= 10 * MINUTE


def test_a_first_fault_of_the_network_is_tried_again_within_two_seconds() -> None:
    assert reconnect_after(Trouble.PASSING, 1, None, 0.0) >= SECOND
    assert reconnect_after(Trouble.PASSING, 1, None, 0.999) <= 2 * SECOND


def test_what_only_the_owner_or_the_server_can_mend_waits_longer_at_once() -> None:
    for trouble in (Trouble.THROTTLE, Trouble.SETTINGS, Trouble.LOGIN):
        assert reconnect_after(trouble, 1, None, 0.0) >= MINUTE / 2


@pytest.mark.parametrize("chance", CHANCES)
def test_a_day_of_refused_logins_is_at_most_ten(chance: float) -> None:
    passed, logins = timedelta(), 1
    while passed < 24 * HOUR:
        passed += reconnect_after(Trouble.LOGIN, logins, None, chance)
        logins += 1
    assert 3 < logins <= 10


@pytest.mark.parametrize("chance", CHANCES)
def test_ten_minutes_of_byes_are_at_most_15_connections(chance: float) -> None:
    passed, connects = timedelta(), 1
    while passed < 10 * MINUTE:
        passed += reconnect_after(Trouble.PASSING, connects, None, chance)
        connects += 1
    assert connects <= 15


@pytest.mark.parametrize("trouble", list(Trouble))
@pytest.mark.parametrize("asked", [0.0, 299.961, 3_000.0])
def test_the_time_that_was_asked_for_is_kept(trouble: Trouble, asked: float) -> None:
    assert reconnect_after(trouble, 1, asked, 0.0) >= timedelta(seconds=asked)


def test_a_server_that_names_a_short_time_is_believed_but_not_for_ever() -> None:
    waits = [reconnect_after(Trouble.THROTTLE, failures, 3.0, 0.5) for failures in range(1, 20)]
    assert waits[0] == timedelta(seconds=3)
    assert waits[-1] >= 5 * MINUTE


def test_nobody_can_ask_for_more_than_a_day() -> None:
    assert reconnect_after(Trouble.THROTTLE, 1, 1e9, 0.0) == 24 * HOUR


def test_equal_failures_do_not_come_back_at_the_same_moment() -> None:
    assert len({reconnect_after(Trouble.PASSING, 5, None, chance) for chance in CHANCES}) == len(CHANCES)


@pytest.mark.parametrize("failures", [0, 1, 21, 10_000])
def test_any_number_of_failures_can_be_waited_for(failures: int) -> None:
    wait = backoff(failures, SECOND, HOUR, 0.5)
    assert timedelta() < wait <= HOUR


@pytest.mark.parametrize(
    ("code", "trouble"),
    [
        (ServerCode.AUTH_FAILED, Trouble.LOGIN),
        (ServerCode.NEEDS_OAUTH, Trouble.LOGIN),
        (ServerCode.APP_PASSWORD_REQUIRED, Trouble.LOGIN),
        (ServerCode.THROTTLED, Trouble.THROTTLE),
        (ServerCode.HOST_NOT_ALLOWED, Trouble.SETTINGS),
        (ServerCode.MAILBOX_MISSING, Trouble.SETTINGS),
        (ServerCode.CONNECT_FAILED, Trouble.PASSING),
        (ServerCode.TIMEOUT, Trouble.PASSING),
        (ServerCode.TLS_FAILED, Trouble.PASSING),
        (ServerCode.DNS_FAILED, Trouble.PASSING),
        (ServerCode.PROTOCOL_ERROR, Trouble.PASSING),
    ],
)
def test_each_fault_has_its_kind(code: ServerCode, trouble: Trouble) -> None:
    assert trouble_of(MailServerError(code, "text")) is trouble


def test_what_is_not_understood_counts_as_passing() -> None:
    assert trouble_of(PostroomError("?")) is Trouble.PASSING
