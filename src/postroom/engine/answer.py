"""From a conversation that is due to a settled message: claim, ask the agent, store answer and reply."""

import random
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from secrets import compare_digest, token_urlsafe

import structlog

from postroom.core.agent import Agent, Answer
from postroom.core.errors import AgentFailed, Conflict, LeaseLost, NotFound, PostroomError
from postroom.core.model import (
    ASKED_FOR,
    Bell,
    BellKind,
    Event,
    Message,
    MessageState,
    TurnRecord,
    new_id,
)
from postroom.core.policy import cap_reached, next_hour, stale
from postroom.core.ports import Agents, Bells, Blobs, Clock, Steps
from postroom.core.registry import Things
from postroom.core.store import Answering, AnswerWork, Settled, Settlement, SubmissionWork
from postroom.engine import retry
from postroom.engine.asking import in_time
from postroom.engine.compose import Composer, Frozen
from postroom.engine.lease import LEASE, kept
from postroom.engine.notify import Notifier
from postroom.engine.submit import Submitter
from postroom.engine.turn import build_turn
from postroom.mail.address import normalise

log = structlog.get_logger()

AGENT_TRIES = 30
CALLBACK_TIME = timedelta(hours=24)
EARLY_LOOKS = 50
EARLY_LOOK_SECONDS = 0.1
WAITING = "waiting_for_callback"
TOKEN_PREFIX = "prt_"  # noqa: S105 - what a turn's token begins with


@dataclass(frozen=True, slots=True)
class Busy:
    """Whom the running agent is answering, so that it does not also write to that person."""

    site_id: str
    correspondent: str


answering_now: ContextVar[Busy | None] = ContextVar("answering_now", default=None)


@dataclass(frozen=True, slots=True)
class AnswerParts:
    """What answering works with."""

    answering: Answering
    things: Things
    agents: Agents
    composer: Composer
    submitter: Submitter
    blobs: Blobs
    bells: Bells
    notifier: Notifier
    clock: Clock
    steps: Steps
    owner: str


class Answerer:
    """Answers conversations, one claim each."""

    def __init__(self, parts: AnswerParts) -> None:
        self._parts = parts

    async def look(self, thread_id: str) -> None:
        """Answer what is due in the thread, in order of arrival, as long as nobody else does."""
        while await self._next(thread_id):
            self._parts.steps.reached("answer:next")

    async def check_token(self, turn_id: str, token: str) -> TurnRecord:
        """The turn that the token opens. Raises `NotFound` for a turn or token that is not known."""
        turn = await self._parts.things.turn(turn_id)
        hashed = sha256(token.encode()).hexdigest()
        if turn is None or not token or not compare_digest(turn.token_hash, hashed):
            raise NotFound("there is no such turn", code="turn_not_found")
        return turn

    async def opens(self, token: str, message_id: str) -> bool:
        """Whether the token is that of an unfinished turn on this message."""
        if not token.startswith(TOKEN_PREFIX):
            return False
        turn_id = token.removeprefix(TOKEN_PREFIX).partition(".")[0]
        try:
            turn = await self.check_token(turn_id, token)
        except NotFound:
            return False
        return turn.message_id == message_id and turn.outcome in ("running", "waiting")

    async def deliver(self, turn_id: str, token: str, answer: Answer) -> None:
        """Take an answer that comes by callback (C); its reply is sent by whoever hears the bell.

        Raises `NotFound` for a turn or token that is not known, `Conflict` when the turn does not wait: it
        is over, or its agent has not said yet that the answer comes later.
        """
        turn = await self._waiting(turn_id, token)
        now = self._parts.clock.now()
        work = await self._parts.answering.claim(
            turn.thread_id, self._parts.owner, now, now + LEASE, message_id=turn.message_id
        )
        if work is None:
            raise Conflict("the message is not waiting for an answer", code="turn_is_over")
        end = await _Run(self._parts, work).conclude(answer, turn)
        if end.frozen is not None:
            await self._parts.bells.ring(Bell(BellKind.SUBMISSION, end.frozen.submission.id))
        await self._parts.bells.ring(Bell(BellKind.THREAD, turn.thread_id))

    async def _waiting(self, turn_id: str, token: str) -> TurnRecord:
        """The turn once it waits: a quick agent calls back before its own 202 was read and noted."""
        turn = await self.check_token(turn_id, token)
        for _ in range(EARLY_LOOKS):
            if turn.outcome != "running":
                break
            await self._parts.clock.sleep(EARLY_LOOK_SECONDS)
            turn = await self.check_token(turn_id, token)
        if turn.outcome == "running":
            raise Conflict("the agent's own response has not come yet: try again", code="turn_is_running")
        now = self._parts.clock.now()
        if turn.outcome != "waiting" or (turn.waits_until and turn.waits_until < now):
            raise Conflict("the turn does not wait for an answer", code="turn_is_over")
        return turn

    async def _next(self, thread_id: str) -> bool:
        now = self._parts.clock.now()
        work = await self._parts.answering.claim(thread_id, self._parts.owner, now, now + LEASE)
        if work is None:
            return False
        self._parts.steps.reached("answer:claimed")
        try:
            async with kept(work.claim, self._parts.answering.renew, self._parts.clock):
                end = await _Run(self._parts, work).work()
        except LeaseLost:
            log.warning("answer.lease_lost", thread=thread_id)
            return False
        if end.frozen is not None and end.sending is not None:
            # The thread was given back when the answer was settled: its lease must not end the sending.
            site = work.site if end.site_version == work.site.version else None
            await self._parts.submitter.send(end.sending, end.frozen.raw, site)
        return end.more


@dataclass(frozen=True, slots=True)
class _End:
    """How a run ended: whether the thread may hold `more` to do now, and the reply that is to be sent, under
    the claim `sending` if it was stored with one."""

    more: bool
    frozen: Frozen | None = None
    sending: SubmissionWork | None = None
    site_version: int = 0


class _Run:
    """One claimed message on its way to a settlement."""

    def __init__(self, parts: AnswerParts, work: AnswerWork) -> None:
        self._parts = parts
        self._work = work
        self._site = work.site

    async def work(self) -> _End:
        """Settle the message."""
        gate = self._gate()
        if gate is None:
            return await self._ask()
        settled = await self._settle(gate)
        await self._tell_of(gate)
        ended = not gate.pause and gate.state is not MessageState.DUE
        return _End(more=ended and settled.another_due)

    def _gate(self) -> Settlement | None:
        """Why the agent is not asked now, if so."""
        message, settings, now = self._work.message, self._site.settings, self._parts.clock.now()
        if message.sender is None:
            return Settlement(MessageState.NO_ANSWER, "sender_unknown")
        if message.reason == WAITING:
            return Settlement(MessageState.FAILED, "callback_timeout", attempts=message.attempts)
        if ASKED_FOR not in message.notes and stale(message.received_at, settings, now):
            return Settlement(MessageState.HELD, "stale", attempts=message.attempts)
        channel = settings.channels.email
        if channel is None or channel.outgoing_server is None:
            return Settlement(MessageState.HELD, "no_outgoing_server", attempts=message.attempts)
        return self._cap(message, now)

    def _cap(self, message: Message, now: datetime) -> Settlement | None:
        counts, caps = self._work.counts, self._site.settings.caps
        reached = cap_reached(counts, caps, message.trust) if counts else None
        if reached is None:
            return None
        if reached.scope == "site":
            return Settlement(
                MessageState.DUE, reached.reason, due_at=next_hour(now), attempts=message.attempts
            )
        return Settlement(
            MessageState.DUE, reached.reason, due_at=now, attempts=message.attempts, pause=reached.reason
        )

    async def _ask(self) -> _End:
        turn, token = self._record()
        notes: list[str] = []
        try:
            agent = await self._parts.agents.for_site(self._site)
        except AgentFailed as exc:
            return await self._failed(exc, turn, 1, notes)
        turn = replace(turn, agent=agent.name)
        await self._parts.answering.begin(self._work.claim, turn)
        self._parts.steps.reached("answer:begun")
        try:
            answer = await self._answer(agent, turn, token, notes)
        except AgentFailed as exc:
            return await self._failed(exc, turn, agent.tries, notes)
        self._parts.steps.reached("answer:answered")
        return await self.conclude(answer, turn, notes, sends=True)

    async def _answer(self, agent: Agent, turn: TurnRecord, token: str, notes: list[str]) -> Answer:
        message = self._work.message
        assert message.sender is not None
        messages, blobs = self._work.conversation, self._parts.blobs
        if messages is None:
            messages = await self._parts.answering.conversation(message.thread_id)
        asked = build_turn(self._site, message, messages, turn, token, blobs, notes.append)
        busy = answering_now.set(Busy(self._site.id, normalise(message.sender.address)))
        try:
            return await in_time(agent.answer(asked), self._parts.clock)
        finally:
            answering_now.reset(busy)

    async def conclude(
        self, answer: Answer, turn: TurnRecord, notes: list[str] | None = None, *, sends: bool = False
    ) -> _End:
        """Settle with the agent's final word. Who `sends` the reply holds it from the moment it is stored."""
        events = self._notes(turn, notes or [])
        if answer.kind == "later":
            return await self._wait(turn, events)
        if answer.kind == "nothing" or not (answer.text.strip() or answer.attachments):
            reason = answer.reason or "empty_answer"
            return await self._nothing(turn, reason, events)
        try:
            frozen = await self._parts.composer.answer(self._site, self._work.message, answer)
        except PostroomError as exc:
            return await self._failed(AgentFailed(exc.text, code=exc.code), turn, 1, notes or [])
        await self._parts.blobs.put(frozen.raw)
        self._parts.steps.reached("answer:frozen")
        until = self._parts.clock.now() + LEASE
        sending = SubmissionWork.at_birth(frozen.submission, self._parts.owner, until) if sends else None
        settled = await self._settle(
            Settlement(
                MessageState.ANSWERED,
                "",
                attempts=turn.attempt,
                submission=frozen.submission,
                sending=sending.claim if sending else None,
                sent=frozen.sent,
                turn=self._finished(turn, "answered"),
                events=(*events, self._event("message.answered", turn, submission_id=frozen.submission.id)),
            )
        )
        self._parts.steps.reached("answer:settled")
        return _End(settled.another_due, frozen, sending, settled.site_version)

    async def _nothing(self, turn: TurnRecord, reason: str, events: tuple[Event, ...]) -> _End:
        settled = await self._settle(
            Settlement(
                MessageState.NO_ANSWER,
                "agent_said_nothing",
                attempts=turn.attempt,
                turn=self._finished(turn, "nothing", reason),
                events=(*events, self._event("message.no_answer", turn, text=reason)),
            )
        )
        return _End(more=settled.another_due)

    async def _wait(self, turn: TurnRecord, events: tuple[Event, ...]) -> _End:
        until = self._parts.clock.now() + CALLBACK_TIME
        waiting = replace(turn, outcome="waiting", waits_until=until)
        await self._settle(
            Settlement(
                MessageState.DUE, WAITING, due_at=until, attempts=turn.attempt, turn=waiting, events=events
            )
        )
        return _End(more=False)

    async def _failed(self, error: AgentFailed, turn: TurnRecord, tries: int, notes: list[str]) -> _End:
        limit = AGENT_TRIES if error.temporary else tries
        again = turn.attempt < limit
        log.warning("agent.failed", turn=turn.id, code=error.code, attempt=turn.attempt, again=again)
        events = (
            *self._notes(turn, notes),
            self._event("agent.failed", turn, code=error.code, text=error.text),
        )
        finished = self._finished(turn, "retry" if again else "failed", error.code)
        if again:
            chance = random.random()  # noqa: S311 - jitter
            due = self._parts.clock.now() + retry.ask_agent_after(turn.attempt, error.after, chance)
            state = MessageState.DUE
        else:
            due, state = None, MessageState.FAILED
        settled = await self._settle(
            Settlement(state, error.code, due_at=due, attempts=turn.attempt, turn=finished, events=events)
        )
        if due is not None:
            await self._parts.bells.ring(Bell(BellKind.THREAD, turn.thread_id, due))
        else:
            await self._parts.notifier.tell(
                self._site, "message.failed", thread_id=turn.thread_id, subject_id=turn.message_id
            )
        return _End(more=not again and settled.another_due)

    async def _settle(self, settlement: Settlement) -> Settled:
        return await self._parts.answering.settle(self._work.claim, settlement)

    async def _tell_of(self, gate: Settlement) -> None:
        thread_id = self._work.thread.id
        if gate.pause:
            await self._parts.notifier.tell(self._site, "thread.paused", thread_id=thread_id)
        elif gate.due_at is not None:
            await self._parts.bells.ring(Bell(BellKind.THREAD, thread_id, gate.due_at))

    def _record(self) -> tuple[TurnRecord, str]:
        """A new turn, and the token that opens its own URLs (it names the turn, so that it can be found)."""
        message, now = self._work.message, self._parts.clock.now()
        turn_id = new_id("trn", now)
        token = f"{TOKEN_PREFIX}{turn_id}.{token_urlsafe(24)}"
        record = TurnRecord(
            id=turn_id,
            site_id=self._site.id,
            thread_id=message.thread_id,
            message_id=message.id,
            agent="",
            attempt=message.attempts + 1,
            started_at=now,
            token_hash=sha256(token.encode()).hexdigest(),
        )
        return record, token

    def _finished(self, turn: TurnRecord, outcome: str, reason: str = "") -> TurnRecord:
        return replace(turn, outcome=outcome, reason=reason, finished_at=self._parts.clock.now())

    def _notes(self, turn: TurnRecord, notes: list[str]) -> tuple[Event, ...]:
        return tuple(self._event("agent.note", turn, text=text) for text in notes)

    def _event(self, kind: str, turn: TurnRecord, *, submission_id: str | None = None, **data: str) -> Event:
        now = self._parts.clock.now()
        return Event(
            new_id("evt", now),
            turn.site_id,
            kind,
            now,
            turn.thread_id,
            turn.message_id,
            submission_id,
            turn.id,
            data,
        )
