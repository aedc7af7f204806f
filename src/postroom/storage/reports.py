"""What reports and copies found later say of a submission (RFC 3464, D9)."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import bindparam, literal_column, select, update

from postroom.core.model import Direction, Event, Message, new_id
from postroom.core.store import ReportedStatus
from postroom.core.submission import Recipient, RecipientStatus, Submission, SubmissionStatus
from postroom.mail.address import normalise
from postroom.storage.dialect import among
from postroom.storage.filing import add_events
from postroom.storage.rows import SUBMISSION_COLUMNS, SUBMISSION_PROGRESS, submission_of, submission_progress
from postroom.storage.statements import Connection, Statement, given
from postroom.storage.tables import messages, submissions
from postroom.storage.types import clean, index_key

_BY_MESSAGE_ID = Statement(
    select(*SUBMISSION_COLUMNS)
    .where(
        submissions.c.site_id == bindparam("site"),
        submissions.c.message_key == bindparam("key"),
        submissions.c.message_id == bindparam("message_id"),
    )
    .with_for_update()
)
_UNKNOWN = submissions.c.status == literal_column("'unknown'")
_UNKNOWN_BY_IDS = Statement(
    select(submissions.c.message_id)
    .where(submissions.c.site_id == bindparam("site"), among(submissions.c.message_key, "keys"), _UNKNOWN)
    .order_by(submissions.c.id)
)
_ALL_UNKNOWN = Statement(
    select(submissions.c.message_key).where(submissions.c.site_id == bindparam("site"), _UNKNOWN)
)
_OUTGOING = Statement(
    select(messages.c.message_id, messages.c.content_key, messages.c.subject, messages.c.date).where(
        messages.c.site_id == bindparam("site"),
        among(messages.c.message_key, "keys"),
        messages.c.direction == Direction.OUT.value,
    )
)
_WRITE = Statement(
    update(submissions).where(submissions.c.id == bindparam("b_id")).values(given(*SUBMISSION_PROGRESS))
)

_REPORTED = frozenset({RecipientStatus.DELIVERED, RecipientStatus.FAILED, RecipientStatus.DELAYED})
_TAKEN = frozenset({RecipientStatus.ACCEPTED, RecipientStatus.DELIVERED, RecipientStatus.DELAYED})
_FINAL = frozenset({RecipientStatus.DELIVERED, RecipientStatus.FAILED})


def note_report(
    connection: Connection, site_id: str, message_id: str, statuses: Sequence[ReportedStatus], event: Event
) -> str | None:
    """Write a report into the submission with this Message-ID; its id, or None when there is none."""
    if not message_id:
        return None
    wanted = {"site": site_id, "key": index_key(message_id), "message_id": message_id}
    found = [submission_of(row) for row in connection.all(_BY_MESSAGE_ID, wanted)]
    if not found:
        return None
    known = max(found, key=lambda submission: submission.created_at)
    after = reported(known, statuses)
    if after != known:
        connection.run(_WRITE, submission_progress(after) | {"b_id": known.id})
    add_events(connection, [replace(event, submission_id=known.id)])
    return known.id


def settle_unknown(
    connection: Connection, site_id: str, message_ids: Sequence[str], event: Event
) -> list[str]:
    """Settle the submissions of `unknown` outcome among these: somebody has the mail."""
    keys = [index_key(message_id) for message_id in message_ids if message_id]
    found = connection.scalars(_UNKNOWN_BY_IDS, {"site": site_id, "keys": keys}) if keys else []
    had = [ReportedStatus("", "accepted", "", "a reply came")]
    settled = [
        note_report(connection, site_id, message_id, had, replace(event, id=new_id("evt", event.at)))
        for message_id in dict.fromkeys(found)
    ]
    return [submission_id for submission_id in settled if submission_id]


def twin_of(connection: Connection, sent: Message) -> str | None:
    """The Message-ID of the submission of `unknown` outcome that was written at the same moment with the
    same words; None when there is none, or more than one."""
    keys = connection.scalars(_ALL_UNKNOWN, {"site": sent.site_id})
    if not keys or sent.date is None:
        return None
    ours = connection.all(_OUTGOING, {"site": sent.site_id, "keys": keys})
    said = (sent.content_key, clean(sent.subject), sent.date)
    found = {row.message_id for row in ours if (row.content_key, row.subject, row.date) == said}
    return found.pop() if len(found) == 1 else None


def reported(known: Submission, statuses: Sequence[ReportedStatus]) -> Submission:
    """The submission after a report.

    An `unknown` one is settled: whoever can report on a recipient had the message from our server, so the
    server took it for all whose outcome nobody knew.
    """
    recipients = tuple(_with_report(recipient, statuses) for recipient in known.recipients)
    if known.status is not SubmissionStatus.UNKNOWN or recipients == known.recipients:
        return replace(known, recipients=recipients)
    settled = tuple(_accepted(recipient) for recipient in recipients)
    # The copy in Sent may be there or not: whoever attends to it looks first.
    return replace(known, recipients=settled, status=_overall(settled), aftercare="due")


def merged(stored: Sequence[Recipient], written: Sequence[Recipient]) -> tuple[Recipient, ...]:
    """What an attempt came to, where a report that overtook it has the last word per recipient."""
    reports = {r.address: r for r in stored if r.status in _REPORTED}
    return tuple(
        reports.get(r.address, r) if r.status is not RecipientStatus.REJECTED else r for r in written
    )


def _with_report(recipient: Recipient, statuses: Sequence[ReportedStatus]) -> Recipient:
    address = normalise(recipient.address)
    for said in statuses:
        if not said.address or normalise(said.address) == address:
            recipient = _after(recipient, said)
    return recipient


def _after(recipient: Recipient, said: ReportedStatus) -> Recipient:
    if recipient.status is RecipientStatus.REJECTED:
        return recipient
    if said.status == "accepted":
        return _accepted(recipient)
    status = RecipientStatus(said.status)
    if status is RecipientStatus.DELAYED and recipient.status in _FINAL:
        return recipient
    # The code of a report is an enhanced one (RFC 3463); the number stays the server's reply.
    text = f"{said.code} {said.text}".strip()
    return replace(recipient, status=status, text=" ".join(text.split())[:500])


def _accepted(recipient: Recipient) -> Recipient:
    if recipient.status is not RecipientStatus.UNKNOWN:
        return recipient
    return replace(recipient, status=RecipientStatus.ACCEPTED)


def _overall(recipients: Sequence[Recipient]) -> SubmissionStatus:
    taken = sum(recipient.status in _TAKEN for recipient in recipients)
    if taken == len(recipients):
        return SubmissionStatus.SENT
    return SubmissionStatus.PARTLY_SENT if taken else SubmissionStatus.FAILED
