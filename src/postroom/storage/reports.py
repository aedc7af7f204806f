"""What reports and copies found later say of a submission (RFC 3464, D9)."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import bindparam, select, update

from postroom.core.model import Event
from postroom.core.store import ReportedStatus
from postroom.core.submission import Recipient, RecipientStatus, Submission, SubmissionStatus
from postroom.mail.address import normalise
from postroom.storage.filing import add_events
from postroom.storage.rows import SUBMISSION_COLUMNS, SUBMISSION_PROGRESS, submission_of, submission_progress
from postroom.storage.statements import Connection, Statement, given
from postroom.storage.tables import submissions
from postroom.storage.types import index_key

_BY_MESSAGE_ID = Statement(
    select(*SUBMISSION_COLUMNS)
    .where(
        submissions.c.site_id == bindparam("site"),
        submissions.c.message_key == bindparam("key"),
        submissions.c.message_id == bindparam("message_id"),
    )
    .with_for_update()
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


def reported(known: Submission, statuses: Sequence[ReportedStatus]) -> Submission:
    """The submission after a report.

    An `unknown` one is settled: whoever can report on a recipient had the message from our server, so the
    server took it for all whose outcome nobody knew.
    """
    recipients = tuple(_with_report(recipient, statuses) for recipient in known.recipients)
    if known.status is not SubmissionStatus.UNKNOWN or recipients == known.recipients:
        return replace(known, recipients=recipients)
    settled = tuple(_accepted(recipient) for recipient in recipients)
    found_in_sent = all(said.status == "accepted" for said in statuses)
    return replace(
        known,
        recipients=settled,
        status=_overall(settled),
        aftercare=known.aftercare if found_in_sent else known.aftercare or "due",
    )


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
