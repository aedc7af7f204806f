"""What a person decides by hand: ask again or drop a message; resend a submission, or let it rest."""

from collections.abc import Awaitable, Callable

from postroom.core.errors import Conflict
from postroom.core.model import Bell, BellKind, Event, Message, new_id
from postroom.core.ports import Clock
from postroom.core.registry import Desk
from postroom.core.submission import Submission

Ring = Callable[[Bell], Awaitable[None]]


class Hand:
    """The owner's hand. Each decision is one event; a decision that comes too late is a `Conflict`."""

    def __init__(self, desk: Desk, clock: Clock, ring: Ring) -> None:
        self._desk = desk
        self._clock = clock
        self._ring = ring

    async def retry(self, message: Message) -> None:
        """Ask the agent (again) about a held or failed message. Raises `Conflict` (`not_retryable`)."""
        event = self._about_message(message, "message.retried")
        if not await self._desk.retry(message.id, event.at, event):
            raise Conflict("the message is neither held nor failed", code="not_retryable")
        await self._ring(Bell(BellKind.THREAD, message.thread_id))

    async def drop(self, message: Message) -> None:
        """End a held or failed message without an answer. Raises `Conflict` (`not_droppable`)."""
        if not await self._desk.drop(message.id, self._about_message(message, "message.dropped")):
            raise Conflict("the message is neither held nor failed", code="not_droppable")
        await self._ring(Bell(BellKind.THREAD, message.thread_id))

    async def resend(self, submission: Submission) -> None:
        """Send the same bytes under the same Message-ID again, knowing that they may come twice. Raises
        `Conflict` (`not_resendable`)."""
        event = self._about_submission(submission, "submission.resent")
        if not await self._desk.resend(submission.id, event.at, event):
            raise Conflict(
                f"it is neither unknown nor failed for want of a server: {submission.status.value}",
                code="not_resendable",
            )
        await self._ring(Bell(BellKind.SUBMISSION, submission.id))

    async def close(self, submission: Submission) -> None:
        """Let a submission rest as it is. Raises `Conflict` (`not_open`)."""
        event = self._about_submission(submission, "submission.closed")
        if not await self._desk.close(submission.id, event.at, event):
            raise Conflict(f"it is neither unknown nor failed: {submission.status.value}", code="not_open")

    def _about_message(self, message: Message, kind: str) -> Event:
        now = self._clock.now()
        return Event(new_id("evt", now), message.site_id, kind, now, message.thread_id, message.id)

    def _about_submission(self, submission: Submission, kind: str) -> Event:
        now = self._clock.now()
        return Event(
            new_id("evt", now),
            submission.site_id,
            kind,
            now,
            submission.thread_id,
            submission_id=submission.id,
            data={"before": submission.status.value},
        )
