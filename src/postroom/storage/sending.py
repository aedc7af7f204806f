"""Stores submissions: the row that is fixed before the first connection, and whom it goes to."""

from sqlalchemy import Connection, bindparam, exists, insert, select

from postroom.core.model import TrustLevel
from postroom.core.submission import Submission, SubmissionKind
from postroom.storage.dialect import Dialect
from postroom.storage.filing import Filing, storable
from postroom.storage.rows import submission_values
from postroom.storage.tables import answered, contacts, messages, submissions

_ADD = insert(submissions).inline()
_QUESTION = select(messages.c.trust, messages.c.sender).where(messages.c.id == bindparam("message"))
_ANY_CONTACT = select(
    exists().where(
        contacts.c.site_id == bindparam("site"),
        contacts.c.address.in_(bindparam("addresses", expanding=True)),
    )
)


class Sending:
    """Writes submissions with what the caps need to know of them."""

    def __init__(self, dialect: Dialect) -> None:
        self._filing = Filing(dialect)
        self._add_answered = dialect.insert(answered).on_conflict_do_nothing()

    def add(self, connection: Connection, submission: Submission) -> None:
        """Store a submission. Comes before its outgoing message, which makes its recipients known."""
        recipients = [recipient.address for recipient in submission.recipients]
        new_sender = False
        if submission.kind is SubmissionKind.ANSWER:
            correspondents, verified = _correspondents(connection, submission, recipients)
            new_sender = not verified and not _known(connection, submission.site_id, correspondents)
        connection.execute(_ADD, submission_values(submission) | {"new_sender": new_sender})
        if submission.kind is SubmissionKind.ANSWER:
            self._note_answered(connection, submission, correspondents)
        self._filing.add_contacts(connection, submission.site_id, recipients)

    def _note_answered(
        self, connection: Connection, submission: Submission, correspondents: list[str]
    ) -> None:
        common = {
            "site_id": submission.site_id,
            "created_at": submission.created_at,
            "submission_id": submission.id,
        }
        rows = [common | {"address": address} for address in correspondents]
        if rows:
            connection.execute(self._add_answered, rows)
            self._filing.add_contacts(connection, submission.site_id, correspondents)


def _correspondents(
    connection: Connection, submission: Submission, recipients: list[str]
) -> tuple[list[str], bool]:
    # Who asks for answers at ever new addresses (Reply-To) is still one correspondent.
    question = connection.execute(_QUESTION, {"message": submission.answers}).first()
    if question is None:
        return storable(recipients), False
    senders = [question.sender[1]] if question.sender else []
    return storable((*recipients, *senders)), question.trust == TrustLevel.VERIFIED.value


def _known(connection: Connection, site_id: str, correspondents: list[str]) -> bool:
    return bool(connection.execute(_ANY_CONTACT, {"site": site_id, "addresses": correspondents}).scalar())
