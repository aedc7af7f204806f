"""Stores submissions: the row that is fixed before the first connection, and whom it goes to."""

from collections.abc import Sequence

from sqlalchemy import bindparam, insert, select

from postroom.core.model import Claim, TrustLevel
from postroom.core.submission import Submission, SubmissionKind
from postroom.storage.dialect import Dialect
from postroom.storage.filing import Filing, storable
from postroom.storage.rows import Values, submission_values
from postroom.storage.statements import Connection, Row, Statement, columns_of, given
from postroom.storage.tables import answered, messages, submissions

_ADD = Statement(insert(submissions).inline().values(given(*columns_of(submissions))))
_QUESTION = Statement(
    select(messages.c.trust, messages.c.sender).where(messages.c.id == bindparam("message"))
)


class Sending:
    """Writes submissions with what the caps need to know of them."""

    def __init__(self, dialect: Dialect) -> None:
        self._filing = Filing(dialect)
        adding = dialect.insert(answered).values(given(*columns_of(answered)))
        self._add_answered = Statement(adding.on_conflict_do_nothing())

    def add(
        self,
        connection: Connection,
        submission: Submission,
        claim: Claim | None,
        question: Row | None = None,
    ) -> None:
        """Store a submission, under a claim when there is one.

        `question`: `trust` and `sender` of the message that it answers, when they are at hand.
        """
        recipients = storable(recipient.address for recipient in submission.recipients)
        new_sender = False
        if submission.kind is SubmissionKind.ANSWER:
            question = question or connection.first(_QUESTION, {"message": submission.answers})
            recipients = _correspondents(recipients, question)
            self._note_answered(connection, submission, recipients)
        new = self._filing.add_contacts(connection, submission.site_id, recipients)
        if submission.kind is SubmissionKind.ANSWER:
            new_sender = new == len(recipients) and not _is_verified(question)
        values = submission_values(submission) | _lease_values(claim)
        connection.run(_ADD, values | {"new_sender": new_sender})

    def _note_answered(
        self, connection: Connection, submission: Submission, correspondents: Sequence[str]
    ) -> None:
        common = {
            "site_id": submission.site_id,
            "created_at": submission.created_at,
            "submission_id": submission.id,
        }
        connection.run_many(self._add_answered, [common | {"address": a} for a in correspondents])


def _lease_values(claim: Claim | None) -> Values:
    if claim is None:
        return {"lease_owner": None, "lease_until": None, "lease_token": 0}
    return {"lease_owner": claim.owner, "lease_until": claim.until, "lease_token": claim.token}


def _correspondents(recipients: Sequence[str], question: Row | None) -> list[str]:
    # Who asks for answers at ever new addresses (Reply-To) is still one correspondent.
    if question is None or not question.sender:
        return list(recipients)
    return storable((*recipients, question.sender[1]))


def _is_verified(question: Row | None) -> bool:
    return question is not None and question.trust == TrustLevel.VERIFIED.value
