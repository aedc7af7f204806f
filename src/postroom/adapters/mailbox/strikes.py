"""Which messages could not be fetched before, so that one of them does not hold up all that follow."""

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from typing import Final

_REMEMBERED: Final = 10_000


class Way(Enum):
    """How a message is fetched: among others, on its own, its header section only, not at all."""

    TOGETHER = "together"
    ALONE = "alone"
    HEADERS = "headers"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Shelf:
    """One mailbox of one account, as long as its UIDs mean the same."""

    host: str
    username: str
    mailbox: str
    uidvalidity: int


class Strikes:
    """Counts failures by message, for as long as the process lives. A lost connection is no failure of a
    message; an answer that cannot be read, or lacks the body, is."""

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[Shelf, int], int] = OrderedDict()

    def way(self, shelf: Shelf, uid: int) -> Way:
        """How to fetch the message next: the body is tried three times before it is given up."""
        count = self._counts.get((shelf, uid), 0)
        if count == 0:
            return Way.TOGETHER
        return Way.ALONE if count < 3 else Way.HEADERS if count < 5 else Way.NOTHING

    def strike(self, shelf: Shelf, uid: int, times: int = 1) -> None:
        """The message was in the way."""
        self._counts[shelf, uid] = self._counts.pop((shelf, uid), 0) + times
        while len(self._counts) > _REMEMBERED:
            self._counts.popitem(last=False)

    def forget(self, shelf: Shelf, uid: int) -> None:
        """The message was fetched."""
        if self._counts:
            self._counts.pop((shelf, uid), None)
