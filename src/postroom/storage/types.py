"""Column types: what our values look like in both databases."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import BigInteger, Dialect, Integer, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import TypeDecorator, TypeEngine

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EARLIEST = (datetime.min.replace(tzinfo=UTC) - EPOCH) // _MICROSECOND
_LATEST = (datetime.max.replace(tzinfo=UTC) - EPOCH) // _MICROSECOND
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_KEY_BYTES = 255
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def clean(text: str) -> str:
    """The text without NUL and with lone surrogates replaced: what both databases can hold."""
    if text.isascii() and "\x00" not in text:
        return text
    return _UNSTORABLE.sub(lambda found: "" if found[0] == "\x00" else "\N{REPLACEMENT CHARACTER}", text)


def index_key(text: str) -> str:
    """A text short enough for an index entry: itself, or a digest when it is over 255 bytes long.

    PostgreSQL refuses index entries above 2,704 bytes, and strangers choose their Message-IDs.
    """
    text = clean(text)
    data = text.encode()
    return text if len(data) <= _KEY_BYTES else f"sha256:{sha256(data).hexdigest()}"


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 in UTC. A moment without a zone counts as UTC; none overflows."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max((moment - EPOCH) // _MICROSECOND, _EARLIEST), _LATEST)


# Text of ours. Ordered by code point on both databases: PostgreSQL's default order depends on a locale.
Key = Text().with_variant(Text(collation="C"), "postgresql")


class Words(TypeDecorator[str]):
    """Text that somebody else wrote."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Ordered by code point on both databases."""
        return dialect.type_descriptor(Key)

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Leave out what no database takes."""
        del dialect
        return None if value is None else clean(value)


class Moment(TypeDecorator[datetime]):
    """A moment as microseconds since 1970 in UTC."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """To microseconds."""
        del dialect
        return None if value is None else microseconds(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """From microseconds, in UTC."""
        del dialect
        return None if value is None else EPOCH + timedelta(microseconds=value)


class Json(TypeDecorator[Any]):
    """A JSON document: JSONB on PostgreSQL, text elsewhere."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The native type where there is one."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(JSONB(none_as_null=True))
        return dialect.type_descriptor(Text())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """To JSON; JSONB's own type does the writing."""
        if value is None:
            return None
        if isinstance(value, list | tuple) and not value:  # most lists are
            return [] if dialect.name == "postgresql" else "[]"
        value = _clean_document(value)
        if dialect.name == "postgresql":
            return value
        return _encode(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """From JSON."""
        return json.loads(value) if isinstance(value, str) and dialect.name != "postgresql" else value


class TextList(TypeDecorator[Iterable[str]]):
    """Texts to look up: an array on PostgreSQL, JSON elsewhere. Goes in only."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The native type where there is one."""
        return dialect.type_descriptor(ARRAY(Key) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Iterable[str] | None, dialect: Dialect) -> Any:
        """To an array or to JSON."""
        texts = [clean(text) for text in value or ()]
        return texts if dialect.name == "postgresql" else json.dumps(texts)


def _clean_document(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(str(name)): _clean_document(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean_document(item) for item in value]
    return value


# SQLite numbers rows by itself only in a column that is called INTEGER.
Serial = BigInteger().with_variant(Integer(), "sqlite")
