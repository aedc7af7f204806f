"""Lists in pages: their order, their filters, and the opaque cursors that open the next page."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy import BigInteger, Column, ColumnElement, Connection, Row, Select, tuple_, type_coerce

from postroom.core.errors import InvalidInput, invalid
from postroom.core.model import Page

T = TypeVar("T")
Filter = Callable[[Any], ColumnElement[bool]]
_LARGEST = 2**63
_LONGEST = 1000


def write_cursor(position: Sequence[int | str]) -> str:
    """The text for a place in a list."""
    data = json.dumps(list(position), separators=(",", ":")).encode()
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def read_cursor(text: str, shape: Sequence[type]) -> list[Any]:
    """The place that `write_cursor` wrote. Raises `InvalidInput` at /cursor for anything else."""
    try:
        position = json.loads(urlsafe_b64decode(_padded(text)))
    except (ValueError, RecursionError) as exc:
        raise _not_ours() from exc
    if not isinstance(position, list) or [type(item) for item in position] != list(shape):
        raise _not_ours()
    if any(isinstance(item, int) and abs(item) >= _LARGEST for item in position):
        raise _not_ours()
    if write_cursor(position) != text:
        raise _not_ours()
    return position


def _padded(text: str) -> bytes:
    if len(text) > _LONGEST or not text.isascii():
        raise ValueError("not a cursor")
    return text.encode() + b"=" * (-len(text) % 4)


def _not_ours() -> InvalidInput:
    return invalid("/cursor", "is not a cursor of this list")


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """One kind of list. `sort`: the columns that together name a row; `shape`: their types as JSON."""

    select: Select[Any]
    sort: tuple[Column[Any], ...]
    shape: tuple[type, ...]
    item: Callable[[Row[Any]], T]
    filters: Mapping[str, Filter] = field(default_factory=dict)
    descending: bool = True

    def page(
        self,
        connection: Connection,
        scope: Sequence[ColumnElement[bool]],
        filters: Mapping[str, Any],
        cursor: str | None,
        limit: int,
    ) -> Page[T]:
        """Up to `limit` rows after the cursor. Raises `InvalidInput` for a cursor or filter not known here."""
        order = tuple(_plain(column, kind) for column, kind in zip(self.sort, self.shape, strict=True))
        statement = self.select.add_columns(*order).where(*scope, *self._chosen(filters))
        if cursor is not None:
            statement = statement.where(self._after(order, read_cursor(cursor, self.shape)))
        direction = (column.desc() if self.descending else column.asc() for column in order)
        rows = connection.execute(statement.order_by(*direction).limit(limit + 1)).all()
        shown = rows[:limit]
        more = len(rows) > limit and bool(shown)
        following = write_cursor(shown[-1][-len(order) :]) if more else None
        return Page(tuple(self.item(row) for row in shown), following)

    def _after(self, order: Sequence[ColumnElement[Any]], position: Sequence[Any]) -> ColumnElement[bool]:
        if len(order) == 1:
            here, there = order[0], position[0]
        else:
            here, there = tuple_(*order), tuple(position)
        after: ColumnElement[bool] = here < there if self.descending else here > there
        return after

    def _chosen(self, filters: Mapping[str, Any]) -> list[ColumnElement[bool]]:
        unknown = [name for name in filters if name not in self.filters]
        if unknown:
            raise invalid(f"/{unknown[0]}", "is not a filter of this list")
        return [self.filters[name](value) for name, value in filters.items()]


def _plain(column: Column[Any], kind: type) -> ColumnElement[Any]:
    # A moment is compared and written as the number that it is stored as.
    return type_coerce(column, BigInteger) if kind is int else column
