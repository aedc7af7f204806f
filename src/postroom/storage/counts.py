"""What the caps on answers are held against (D7). Answers that were cancelled or rejected do not count."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, exists, func, literal_column, select

from postroom.core.store import AnswerCounts
from postroom.storage.tables import answered, contacts, submissions

_SINCE = bindparam("since", type_=submissions.c.created_at.type)
_ANSWER = submissions.c.kind == "answer"
_COUNTS = submissions.c.status.not_in(["cancelled", "rejected"])

_IN_THREAD = select(submissions.c.created_at).where(
    submissions.c.thread_id == bindparam("thread"), submissions.c.created_at > _SINCE, _ANSWER, _COUNTS
)
_TO_CORRESPONDENT = (
    select(func.count())
    .select_from(answered)
    .join(submissions, submissions.c.id == answered.c.submission_id)
    .where(
        answered.c.site_id == bindparam("site"),
        answered.c.address == bindparam("address"),
        answered.c.created_at > _SINCE,
        _COUNTS,
    )
)
_TO_NEW_SENDERS = (
    select(func.count())
    .select_from(submissions)
    .where(
        literal_column("new_sender"),
        submissions.c.site_id == bindparam("site"),
        submissions.c.created_at > _SINCE,
        _COUNTS,
    )
)
_KNOWN = select(
    exists().where(contacts.c.site_id == bindparam("site"), contacts.c.address == bindparam("address"))
)


def answer_counts(
    connection: Connection, site_id: str, thread_id: str, correspondent: str, now: datetime
) -> AnswerCounts:
    """Count the answers of the last 10 minutes, 2 hours, day and hour, each by its index."""
    wanted = {"site": site_id, "thread": thread_id, "address": correspondent}
    in_thread = connection.execute(
        _IN_THREAD, {"thread": thread_id, "since": now - timedelta(hours=2)}
    ).scalars()
    recent = [at > now - timedelta(minutes=10) for at in in_thread]
    day = connection.execute(_TO_CORRESPONDENT, wanted | {"since": now - timedelta(days=1)}).scalar_one()
    hour = connection.execute(_TO_NEW_SENDERS, wanted | {"since": now - timedelta(hours=1)}).scalar_one()
    known = connection.execute(_KNOWN, wanted).scalar_one()
    return AnswerCounts(sum(recent), len(recent), day, hour, bool(known))
