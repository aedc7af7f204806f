"""Lists in pages: their order, their filters, and the opaque cursors that open the next page."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy import BigInteger, Column, ColumnElement, Select, bindparam, tuple_, type_coerce
from sqlalchemy.types import TypeEngine

from postroom.core.errors import InvalidInput, invalid
from postroom.core.model import Page
from postroom.storage.statements import Connection, Row, Statement
from postroom.storage.types import Key, clean

T = TypeVar("T")
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
class Condition:
    """What a filter asks for. `shape` is equal for equal SQL; `values` are the parameters in it."""

    shape: str
    sql: ColumnElement[bool]
    values: Mapping[str, Any]


Filter = Callable[[Any], Condition]


def text_value(value: Any, name: str) -> str:
    """The text of a filter. Raises `InvalidInput` for anything else."""
    if not isinstance(value, str):
        raise invalid(f"/{name}", "must be a text")
    return clean(value)


def equals(column: Column[Any]) -> Filter:
    """Rows that hold this text."""
    name = f"f_{column.name}"

    def condition(value: Any) -> Condition:
        return Condition(name, column == bindparam(name), {name: text_value(value, column.name)})

    return condition


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """One kind of list. `sort`: the columns that together name a row; `shape`: their types as JSON."""

    select: Select[Any]
    sort: tuple[Column[Any], ...]
    shape: tuple[type, ...]
    item: Callable[[Row], T]
    filters: Mapping[str, Filter] = field(default_factory=dict)
    descending: bool = True
    _statements: dict[tuple[str, ...], Statement] = field(default_factory=dict)

    def page(
        self, connection: Connection, filters: Mapping[str, Any], cursor: str | None, limit: int
    ) -> Page[T]:
        """Up to `limit` rows after the cursor. Raises `InvalidInput` for what is not known here."""
        conditions = self._conditions(filters)
        if cursor is not None:
            conditions.append(self._after(read_cursor(cursor, self.shape)))
        values: dict[str, Any] = {"limit": limit + 1}
        for condition in conditions:
            values |= condition.values
        rows = connection.all(self._statement(conditions), values)
        shown = rows[:limit]
        more = len(rows) > limit and bool(shown)
        following = write_cursor(shown[-1][-len(self.sort) :]) if more else None
        return Page(tuple(self.item(row) for row in shown), following)

    def _conditions(self, filters: Mapping[str, Any]) -> list[Condition]:
        unknown = [name for name in filters if name not in self.filters]
        if unknown:
            raise invalid(f"/{unknown[0]}", "is not a filter of this list")
        return [self.filters[name](value) for name, value in filters.items()]

    def _after(self, position: Sequence[Any]) -> Condition:
        names = [f"after_{column.name}" for column in self.sort]
        here, there = (
            tuple_(*self._order()),
            tuple_(*(bindparam(n, type_=t) for n, t in zip(names, self._types(), strict=True))),
        )
        sql: ColumnElement[bool] = here < there if self.descending else here > there
        return Condition("after", sql, dict(zip(names, position, strict=True)))

    def _statement(self, conditions: Sequence[Condition]) -> Statement:
        shape = tuple(condition.shape for condition in conditions)
        found = self._statements.get(shape)
        if found is None:
            found = self._statements[shape] = Statement(self._core(conditions))
        return found

    def _core(self, conditions: Sequence[Condition]) -> Select[Any]:
        order = self._order()
        directed = (column.desc() if self.descending else column.asc() for column in order)
        core = self.select.add_columns(*order).where(*(condition.sql for condition in conditions))
        return core.order_by(*directed).limit(bindparam("limit"))

    def _types(self) -> list[TypeEngine[Any]]:
        # A moment is compared and written as the number that it is stored as.
        return [BigInteger() if kind is int else Key for kind in self.shape]

    def _order(self) -> list[ColumnElement[Any]]:
        return [type_coerce(column, kind) for column, kind in zip(self.sort, self._types(), strict=True)]
