"""What the caps on answers are held against (D7). Answers that were cancelled or rejected do not count."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, bindparam, exists, func, literal_column, select

from postroom.core.store import AnswerCounts
from postroom.core.submission import SubmissionKind
from postroom.storage.statements import Connection, Statement
from postroom.storage.tables import answered, contacts, submissions

_TEN_MINUTES, _TWO_HOURS, _DAY, _HOUR = (
    bindparam(name, type_=submissions.c.created_at.type)
    for name in ("ten_minutes", "two_hours", "day", "hour")
)
_went_out = (submissions.c.status != "cancelled") & (submissions.c.status != "rejected")


def _in_thread(since: ColumnElement[Any]) -> ColumnElement[int]:
    return (
        select(func.count())
        .select_from(submissions)
        .where(
            submissions.c.thread_id == bindparam("thread"),
            submissions.c.created_at > since,
            submissions.c.kind == SubmissionKind.ANSWER.value,
            _went_out,
        )
        .scalar_subquery()
    )


_to_correspondent = (
    select(func.count())
    .select_from(answered)
    .join(submissions, submissions.c.id == answered.c.submission_id)
    .where(
        answered.c.site_id == bindparam("site"),
        answered.c.address == bindparam("address"),
        answered.c.created_at > _DAY,
        _went_out,
    )
)
_to_new_senders = (
    select(func.count())
    .select_from(submissions)
    .where(
        literal_column("new_sender"),
        submissions.c.site_id == bindparam("site"),
        submissions.c.created_at > _HOUR,
        _went_out,
    )
)
_known = exists().where(contacts.c.site_id == bindparam("site"), contacts.c.address == bindparam("address"))
_COUNTS = Statement(
    select(
        _in_thread(_TEN_MINUTES).label("thread_10_min"),
        _in_thread(_TWO_HOURS).label("thread_2_hours"),
        _to_correspondent.scalar_subquery().label("correspondent_day"),
        _to_new_senders.scalar_subquery().label("new_senders_hour"),
        _known.label("sender_known"),
    )
)


def answer_counts(
    connection: Connection, site_id: str, thread_id: str, correspondent: str, now: datetime
) -> AnswerCounts:
    """Count the answers of the last 10 minutes, 2 hours, day and hour, each by its index."""
    wanted = {
        "site": site_id,
        "thread": thread_id,
        "address": correspondent,
        "ten_minutes": now - timedelta(minutes=10),
        "two_hours": now - timedelta(hours=2),
        "day": now - timedelta(days=1),
        "hour": now - timedelta(hours=1),
    }
    (row,) = connection.all(_COUNTS, wanted)
    return AnswerCounts(*row)
