"""Submissions and their claims."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import bindparam, func, literal_column, or_, select, union_all, update

from postroom.core.model import Claim, Event, Message, Thread
from postroom.core.store import Due, SubmissionWork
from postroom.core.submission import Submission, SubmissionStatus
from postroom.storage.database import Database
from postroom.storage.filing import Filing, add_events, light
from postroom.storage.leases import (
    Leases,
    by_turns,
    claim_values,
    free,
    given_back,
    looked,
    lost,
    ours,
    take,
    write,
)
from postroom.storage.reports import merged
from postroom.storage.rows import (
    SUBMISSION_COLUMNS,
    SUBMISSION_PROGRESS,
    claim_of,
    recipients_of,
    submission_of,
    submission_progress,
)
from postroom.storage.sending import Sending
from postroom.storage.statements import Connection, Statement, given
from postroom.storage.tables import submissions

_QUEUED = submissions.c.status == literal_column("'queued'")
_TRANSMITTING = submissions.c.status == literal_column("'transmitting'")
_NOW = bindparam("now", type_=submissions.c.due_at.type)

_EXISTS = Statement(select(submissions.c.id).where(submissions.c.id == bindparam("submission")))
_due = union_all(
    select(submissions.c.site_id, submissions.c.id, submissions.c.due_at.label("at")).where(
        _QUEUED, submissions.c.due_at <= _NOW, free(submissions)
    ),
    select(submissions.c.site_id, submissions.c.id, submissions.c.created_at.label("at")).where(
        _TRANSMITTING, free(submissions)
    ),
).subquery()
_DUE = Statement(by_turns(select(_due.c.site_id, _due.c.id, _due.c.at).order_by(_due.c.at)))
_TAKE = Statement(
    take(submissions)
    .where(
        submissions.c.id == bindparam("submission"),
        or_(_QUEUED & (submissions.c.due_at <= _NOW), _TRANSMITTING),
        free(submissions),
    )
    .returning(
        *SUBMISSION_COLUMNS,
        submissions.c.lease_owner,
        submissions.c.lease_token,
        submissions.c.lease_until,
    )
)
_TRANSMIT = Statement(
    update(submissions)
    .where(ours(submissions))
    .values(
        status=SubmissionStatus.TRANSMITTING.value,
        first_try_at=func.coalesce(
            submissions.c.first_try_at, bindparam("b_now", type_=submissions.c.due_at.type)
        ),
    )
)
_STORED = Statement(
    select(submissions.c.recipients, submissions.c.first_try_at).where(ours(submissions)).with_for_update()
)
_RECORD = Statement(
    update(submissions).where(ours(submissions)).values(given(*SUBMISSION_PROGRESS) | given_back())
)
_CANCEL = Statement(
    update(submissions)
    .where(submissions.c.id == bindparam("b_id"), _QUEUED, free(submissions))
    .values(
        # A sender whose lease ran out must not wake up to it and send after all.
        **given_back(),
        status=SubmissionStatus.CANCELLED.value,
        due_at=None,
        finished_at=bindparam("now", type_=submissions.c.due_at.type),
    )
)


class SqlOutbox:
    """`core.store.Outbox` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._filing = Filing(database.dialect)
        self._sending = Sending(database.dialect)
        self._leases = Leases(submissions)

    async def add(
        self,
        submission: Submission,
        sent: Message,
        thread: Thread | None,
        event: Event,
        sending: Claim | None = None,
    ) -> bool:
        """`Outbox.add`."""

        def work(connection: Connection) -> bool:
            self._database.dialect.serialise(connection, f"submission:{submission.id}")
            if connection.first(_EXISTS, {"submission": submission.id}) is not None:
                return False
            if thread is not None:
                self._filing.begin(connection, thread, sent)
                self._sending.add(connection, submission, sending)
            else:
                self._sending.add(connection, submission, sending)
                self._filing.add(connection, sent)
            add_events(connection, [event])
            return True

        storing = self._database.brief if light(sent) else self._database.write
        return await storing("submission-add", work)

    async def due(self, now: datetime, limit: int) -> tuple[Due, ...]:
        """`Outbox.due`."""
        rows = await self._database.read(lambda c: c.all(_DUE, looked(now, limit)))
        return tuple(Due(row.site_id, row.id) for row in rows)

    async def claim(
        self, submission_id: str, owner: str, now: datetime, until: datetime
    ) -> SubmissionWork | None:
        """`Outbox.claim`."""
        wanted = {"submission": submission_id, "owner": owner, "now": now, "until": until}

        def work(connection: Connection) -> SubmissionWork | None:
            row = connection.first(_TAKE, wanted)
            return None if row is None else SubmissionWork(claim_of(row), submission_of(row))

        return await self._database.brief("submission-claim", work)

    async def renew(self, claim: Claim, until: datetime) -> Claim:
        """`Outbox.renew`."""
        await self._database.brief("submission-renew", lambda c: self._leases.renew(c, claim, until))
        return replace(claim, until=until)

    async def transmitting(self, claim: Claim, now: datetime) -> None:
        """`Outbox.transmitting`."""
        values = claim_values(claim) | {"b_now": now}
        await self._database.brief("transmitting", lambda c: write(c, _TRANSMIT, values), urgent=True)

    async def record(self, claim: Claim, submission: Submission, events: Sequence[Event]) -> None:
        """`Outbox.record`: a report that overtook it keeps the last word on its recipients."""

        def work(connection: Connection) -> None:
            stored = connection.first(_STORED, claim_values(claim))
            if stored is None:
                raise lost()
            recipients = merged(recipients_of(stored.recipients), submission.recipients)
            after = replace(
                submission,
                recipients=recipients,
                first_try_at=submission.first_try_at or stored.first_try_at,
            )
            write(connection, _RECORD, submission_progress(after) | claim_values(claim))
            add_events(connection, events)

        await self._database.brief("submission-record", work)

    async def cancel(self, submission_id: str, now: datetime) -> bool:
        """`Outbox.cancel`."""
        values = {"b_id": submission_id, "now": now}
        return await self._database.brief("cancel", lambda c: c.count(_CANCEL, values) > 0)
