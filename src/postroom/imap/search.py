"""Search keys (RFC 9051 section 6.4.4) as arguments of a command, and the numbers that come back."""

import asyncio
from array import array
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import islice
from operator import le
from typing import Final, TypeAlias

from postroom.imap.command import Argument, Atom, search_day
from postroom.imap.errors import ImapProtocolError
from postroom.imap.exchange import Untagged
from postroom.imap.responses import Data, NumberList
from postroom.imap.uids import HIGHEST_UID, UidSet

SearchKey: TypeAlias = tuple[Argument, ...]

UNSEEN: Final[SearchKey] = (Atom("UNSEEN"),)
ALL: Final[SearchKey] = (Atom("ALL"),)

_CHUNK: Final = 8192
MAX_RESULTS: Final = 4_000_000
"""UIDs that one search may give; a mailbox has to be asked in ranges beyond it."""


def within(uids: UidSet) -> SearchKey:
    """Messages whose UIDs are in the set."""
    return (Atom("UID"), uids.atom())


def since(day: date) -> SearchKey:
    """Messages whose INTERNALDATE, disregarding time and zone, is this day or later."""
    return (Atom("SINCE"), search_day(day))


def header(name: str, text: str) -> SearchKey:
    """Messages with a header field `name` that contains `text` (no case)."""
    return (Atom("HEADER"), name, text)


class SearchClaim:
    """Takes SEARCH and ESEARCH responses (RFC 9051 section 7.3.4)."""

    def __init__(self) -> None:
        self._lists: list[NumberList] = []
        self._sets: list[str] = []

    def __call__(self, response: Untagged) -> bool:
        if isinstance(response, NumberList) and response.name == "SEARCH":
            self._lists.append(response)
            return True
        if isinstance(response, Data) and response.name == "ESEARCH":
            self._sets.extend(_all_sets(response))
            return True
        return False

    async def uids(self) -> Sequence[int]:
        """The UIDs, ascending; reading a long list lets others have their turn.

        Raises ImapProtocolError beyond MAX_RESULTS or the range of UIDs.
        """
        found = array("I")
        ascending = True
        try:
            for numbers in self._chunks():
                ascending = ascending and _continues(found, numbers)
                found.extend(numbers)
                if len(found) > MAX_RESULTS:
                    raise ImapProtocolError
                await asyncio.sleep(0)
        except (OverflowError, ValueError) as exc:
            raise ImapProtocolError from exc
        return found if ascending else array("I", sorted(found))

    def _chunks(self) -> Iterator[Sequence[int]]:
        for numbers in self._lists:
            yield from numbers.chunks()
        for text in self._sets:
            for run in text.split(","):
                first, _, last = run.partition(":")
                low, high = sorted((int(first), int(last or first)))
                if high > HIGHEST_UID or high - low > MAX_RESULTS:
                    raise ValueError
                for start in range(low, high + 1, _CHUNK):
                    yield range(start, min(start + _CHUNK, high + 1))


def _continues(found: Sequence[int], numbers: Sequence[int]) -> bool:
    if found and numbers and found[-1] > numbers[0]:
        return False
    return isinstance(numbers, range) or all(map(le, numbers, islice(numbers, 1, None)))


def _all_sets(response: Data) -> Iterator[str]:
    values = response.values
    for index, value in enumerate(values[:-1]):
        following = values[index + 1]
        if isinstance(value, str) and value.upper() == "ALL" and isinstance(following, str):
            yield following
