"""When to try again: pure functions of how often it failed. `chance` in [0, 1) is handed in."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from postroom.core.errors import OWNERS_MOVE, REFUSED_LOGIN, MailServerError, PostroomError, ServerCode
from postroom.core.submission import (
    Recipient,
    RecipientStatus,
    SmtpReply,
    Submission,
    SubmissionStatus,
)

CONNECT_CEILING = timedelta(minutes=10)
LONGEST_ASKED = 86_400.0
AGENT_CEILING = timedelta(hours=1)
AGENT_PATIENCE = timedelta(hours=24)
SUBMISSION_CEILING = timedelta(hours=4)
SUBMISSION_PATIENCE = timedelta(hours=48)
LOGIN_PROBE = timedelta(hours=6)
LOGIN_REFUSALS = 3


def backoff(failures: int, first: timedelta, ceiling: timedelta, chance: float) -> timedelta:
    """The wait after the n-th failure in a row (1 = the first): doubling, with jitter of half its length."""
    doublings = min(max(failures, 1) - 1, 20)
    full = min(first * float(1 << doublings), ceiling)
    return full * (0.5 + 0.5 * chance)


class Trouble(StrEnum):
    """What kind of fault keeps an account from being read.

    `login`: the credential was refused. `throttle`: the server asks to wait. `settings`: only the owner can
    put it right. `passing`: everything else, ours and the network's.
    """

    LOGIN = "login"
    THROTTLE = "throttle"
    SETTINGS = "settings"
    PASSING = "passing"


def trouble_of(error: PostroomError) -> Trouble:
    """The kind of an error that ended a session, or kept it from beginning."""
    code = error.server_code if isinstance(error, MailServerError) else None
    if code in REFUSED_LOGIN:
        return Trouble.LOGIN
    if code is ServerCode.THROTTLED:
        return Trouble.THROTTLE
    return Trouble.SETTINGS if code in OWNERS_MOVE else Trouble.PASSING


_FIRST_RECONNECT = {
    Trouble.PASSING: timedelta(seconds=2),
    Trouble.THROTTLE: timedelta(minutes=1),
    Trouble.SETTINGS: timedelta(minutes=1),
    Trouble.LOGIN: timedelta(minutes=1),
}


def reconnect_after(trouble: Trouble, failures: int, asked: float | None, chance: float) -> timedelta:
    """The wait before connecting again after the n-th failure in a row.

    From a second (a minute where the server or the settings are the cause) up to ten minutes, and never
    less than the seconds the server asked for: who names a time knows better than a minute. Three refused
    logins, then only a rare probe: servers lock accounts.
    """
    if trouble is Trouble.LOGIN and failures >= LOGIN_REFUSALS:
        wait = LOGIN_PROBE * (1 + 0.5 * chance)
    else:
        named = trouble is Trouble.THROTTLE and asked
        first = _FIRST_RECONNECT[Trouble.PASSING if named else trouble]
        wait = backoff(failures, first, CONNECT_CEILING, chance)
    return max(wait, timedelta(seconds=min(asked or 0.0, LONGEST_ASKED)))


def ask_agent_after(attempts: int, asked: float | None, chance: float) -> timedelta:
    """The wait before a failed agent is asked again."""
    wait = backoff(attempts, timedelta(seconds=10), AGENT_CEILING, chance)
    return max(wait, timedelta(seconds=min(asked or 0.0, 86_400.0)))


def submit_after(attempts: int, chance: float) -> timedelta:
    """The wait before the next attempt: first 5 to 15 minutes (greylisting), then longer."""
    if attempts <= 1:
        return timedelta(minutes=5) + timedelta(minutes=10) * chance
    return backoff(attempts, timedelta(minutes=15), SUBMISSION_CEILING, chance)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A submission after an attempt, and whether it waits for another."""

    submission: Submission
    again: bool


def conclude(
    submission: Submission, replies: Mapping[str, SmtpReply], now: datetime, chance: float
) -> Outcome:
    """What an attempt came to, per recipient and as a whole.

    Who was accepted or rejected stays so; who was deferred is tried again until patience ends.
    """
    recipients = tuple(_after_reply(r, replies.get(r.address)) for r in submission.recipients)
    waiting = any(r.status in (RecipientStatus.QUEUED, RecipientStatus.DEFERRED) for r in recipients)
    started = submission.first_try_at or now
    if waiting and now - started < SUBMISSION_PATIENCE:
        due = min(now + submit_after(submission.attempts, chance), started + SUBMISSION_PATIENCE)
        queued = replace(submission, status=SubmissionStatus.QUEUED, recipients=recipients, due_at=due)
        return Outcome(queued, again=True)
    closed = tuple(_given_up(r) for r in recipients)
    return Outcome(_finished(submission, closed, now), again=False)


def _after_reply(recipient: Recipient, reply: SmtpReply | None) -> Recipient:
    if reply is None or recipient.status not in (RecipientStatus.QUEUED, RecipientStatus.DEFERRED):
        return recipient
    if reply.accepted:
        status = RecipientStatus.ACCEPTED
    else:
        status = RecipientStatus.REJECTED if reply.permanent else RecipientStatus.DEFERRED
    return Recipient(recipient.address, status, reply.code, reply.text)


def _given_up(recipient: Recipient) -> Recipient:
    if recipient.status not in (RecipientStatus.QUEUED, RecipientStatus.DEFERRED):
        return recipient
    return replace(recipient, status=RecipientStatus.REJECTED)


def _finished(submission: Submission, recipients: tuple[Recipient, ...], now: datetime) -> Submission:
    accepted = sum(r.status is RecipientStatus.ACCEPTED for r in recipients)
    if accepted == len(recipients):
        status = SubmissionStatus.SENT
    else:
        status = SubmissionStatus.PARTLY_SENT if accepted else SubmissionStatus.REJECTED
    return replace(
        submission,
        status=status,
        recipients=recipients,
        due_at=None,
        finished_at=now,
        aftercare="due" if accepted else submission.aftercare,
    )


def failed_attempt(submission: Submission, code: str, now: datetime, chance: float) -> Outcome:
    """After an attempt in which the server took nothing: again later, or given up after two days."""
    started = submission.first_try_at or now
    if now - started < SUBMISSION_PATIENCE:
        wait = backoff(submission.attempts, timedelta(seconds=20), SUBMISSION_CEILING, chance)
        due = min(now + wait, started + SUBMISSION_PATIENCE)
        return Outcome(
            replace(submission, status=SubmissionStatus.QUEUED, due_at=due, reason=code), again=True
        )
    given_up = tuple(_given_up(r) for r in submission.recipients)
    finished = _finished(submission, given_up, now)
    status = SubmissionStatus.FAILED if finished.status is SubmissionStatus.REJECTED else finished.status
    return Outcome(replace(finished, status=status, reason=code), again=False)


def unknown(submission: Submission, now: datetime) -> Submission:
    """The bytes went out and no reply came back: never sent again by itself (D9), but looked for in Sent."""
    open_states = (RecipientStatus.QUEUED, RecipientStatus.DEFERRED)
    recipients = tuple(
        replace(r, status=RecipientStatus.UNKNOWN) if r.status in open_states else r
        for r in submission.recipients
    )
    return replace(
        submission,
        status=SubmissionStatus.UNKNOWN,
        recipients=recipients,
        due_at=None,
        finished_at=now,
        reason="no_reply_after_data",
        aftercare="due",
    )
