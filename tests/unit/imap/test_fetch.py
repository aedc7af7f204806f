"""Messages out of FETCH responses."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from postroom.imap.errors import ImapNoBody
from postroom.imap.fetch import Fetched, FetchGathering, FetchItem, read_date_time
from postroom.imap.responses import Data
from postroom.imap.uids import UidSet
from postroom.imap.wire import ResponseReader


def fetch(text: bytes) -> Data:
    [response] = ResponseReader().feed(b"* 1 FETCH (" + text + b")\r\n")
    assert isinstance(response, Data)
    return response


def test_a_late_flag_change_of_a_message_already_given_is_somebody_elses() -> None:
    gathering = FetchGathering(UidSet.starting_at(1), [FetchItem.FLAGS])
    assert gathering.take(fetch(b"UID 7 FLAGS ()")) == Fetched(7, flags=frozenset())
    assert gathering.take(fetch(b"UID 7 FLAGS (\\Seen)")) is False
    assert gathering.take(fetch(b"FLAGS (\\Seen)")) is False


def test_small_things_left_out_do_not_lose_a_message() -> None:
    gathering = FetchGathering(UidSet.starting_at(1), [FetchItem.INTERNALDATE, FetchItem.BODY])
    assert gathering.take(fetch(b'UID 7 BODY[] "x"')) is True
    assert list(gathering.rest()) == [Fetched(7, body=b"x")]


def test_a_header_left_out_is_no_empty_header() -> None:
    gathering = FetchGathering(UidSet.starting_at(1), [FetchItem.HEADER])
    assert gathering.take(fetch(b"UID 7 BODY[HEADER] NIL")) is True
    with pytest.raises(ImapNoBody) as failure:
        list(gathering.rest())
    assert failure.value.uids == (7,)


def test_parentheses_too_many_do_not_lose_a_message() -> None:
    gathering = FetchGathering(UidSet.starting_at(1), [FetchItem.SIZE])
    assert gathering.take(fetch(b"UID 7 (ENVELOPE (NIL NIL)) RFC822.SIZE 5")) is True
    assert list(gathering.rest()) == [Fetched(7)]


def test_no_message_shows_its_contents() -> None:
    assert "secret" not in repr(Fetched(1, header=b"secret", body=b"secret", gmail_labels=("secret",)))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        (
            b"02-Oct-2016 17:28:25 -0400",
            datetime(2016, 10, 2, 17, 28, 25, tzinfo=timezone(timedelta(hours=-4))),
        ),
        (b" 2-oct-2016 07:28:25 +0530", datetime(2016, 10, 2, 1, 58, 25, tzinfo=UTC)),
        (b"1-Jan-1999 0:00:60 +0000", datetime(1999, 1, 1, 0, 0, 59, tzinfo=UTC)),
        (b"31-Dec-2099 23:59:59", datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (b"32-Oct-2016 17:28:25 -0400", None),
        (b"02-Foo-2016 17:28:25 -0400", None),
        (b"02-Oct-2016 17:28:25 +9999", None),
        (b"", None),
        (None, None),
        ("02-Oct-2016", None),
    ],
)
def test_the_servers_dates(text: bytes | str | None, moment: datetime | None) -> None:
    assert read_date_time(text) == moment
