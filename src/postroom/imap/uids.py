"""Sets of UIDs (RFC 9051 section 9, sequence-set): written compactly, and asked whether they hold a UID."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from postroom.imap.command import Atom
from postroom.imap.errors import ImapInvalidArgument

HIGHEST_UID: Final = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class UidSet:
    """Ranges of UIDs, ascending, first and last included; a last of HIGHEST_UID is written `*`."""

    runs: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, uids: Iterable[int]) -> "UidSet":
        """Exactly these. Raises ImapInvalidArgument when there are none, or one that is no UID."""
        return cls.spanning((uid, uid) for uid in uids)

    @classmethod
    def starting_at(cls, uid: int) -> "UidSet":
        """`uid` and all above it."""
        return cls.spanning([(uid, HIGHEST_UID)])

    @classmethod
    def spanning(cls, runs: Iterable[tuple[int, int]]) -> "UidSet":
        """All from first to last of each run. Raises ImapInvalidArgument as `of`."""
        merged: list[tuple[int, int]] = []
        for first, last in sorted(runs):
            if not 1 <= first <= last <= HIGHEST_UID:
                raise ImapInvalidArgument("not a range of UIDs")
            if merged and first <= merged[-1][1] + 1:
                first, last = merged[-1][0], max(last, merged[-1][1])
                merged.pop()
            merged.append((first, last))
        if not merged:
            raise ImapInvalidArgument("an empty set of UIDs")
        return cls(tuple(merged))

    def __contains__(self, uid: int) -> bool:
        place = bisect_right(self.runs, (uid, HIGHEST_UID)) - 1
        return place >= 0 and self.runs[place][0] <= uid <= self.runs[place][1]

    def atom(self) -> Atom:
        """As a command writes it: 1:3,7,9:*."""
        return Atom(",".join(_written(first, last) for first, last in self.runs))


def _written(first: int, last: int) -> str:
    if first == last:
        return str(first)
    return f"{first}:{'*' if last == HIGHEST_UID else last}"
