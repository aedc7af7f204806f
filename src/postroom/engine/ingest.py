"""From arrivals to messages: once per message, with its conversation and its verdict.

A crash anywhere before the cursor moves repeats the work harmlessly: blobs are found by digest, and a
message that is known gets no second row.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from postroom.core.errors import LeaseLost
from postroom.core.model import (
    ASKED_FOR,
    Bell,
    BellKind,
    Cursor,
    Direction,
    Event,
    Message,
    MessageState,
    Place,
    Role,
    Site,
    Source,
    Thread,
    new_id,
)
from postroom.core.policy import Arrival, Verdict, choose_thread, judge, same_message
from postroom.core.ports import Bells, Blobs, Clock, Steps
from postroom.core.store import Cited, Intake, IntakeTransaction, ReportedStatus
from postroom.engine.read import Arrived, Reading, read, unreadable
from postroom.mail import thread
from postroom.mail.address import normalise
from postroom.mail.authresults import authserv_ids_for
from postroom.mail.report import Report

log = structlog.get_logger()

OFF_LOOP_BYTES = 65_536
PARSE_SECONDS = 10.0
LARGE_AT_ONCE = 2
"""Large messages parsed at the same time: each may hold several times its size in memory."""

TRIES = 3
REMEMBERED = 10_000
NOT_STORABLE = "not_storable"
ANSWERED_ELSEWHERE = Verdict(MessageState.NO_ANSWER, "answered_elsewhere")
DATABASE_UNAVAILABLE = "database_unavailable"


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one arrival: the message it is, and whether it was known before."""

    message: Message
    known: bool


class Ingest:
    """Takes arrivals in batches: one transaction each, the cursor last."""

    def __init__(
        self, intake: Intake, blobs: Blobs, bells: Bells, clock: Clock, steps: Steps, secret: bytes
    ) -> None:
        self.intake = intake
        self._blobs = blobs
        self._bells = bells
        self._clock = clock
        self._steps = steps
        self._secret = secret
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)
        self._strikes: OrderedDict[tuple[str, Place], int] = OrderedDict()

    def writing(self, intake: Intake) -> "Ingest":
        """The same for the watcher of one account, which writes there."""
        twin = copy(self)
        twin.intake = intake
        return twin

    async def take(
        self, site: Site, arrivals: Sequence[Arrived], cursor: Cursor | None = None
    ) -> tuple[Taken, ...]:
        """Store what is new, move the cursor, and ring for conversations that are due.

        A message that cannot be stored does not hold up those beside it, but for the cursor; at the third
        try it is quarantined. Raises what kept it from being stored until then, and `PostroomError`
        (`database_unavailable`) when nothing can be stored now.
        """
        readings = await self._readings(site, arrivals)
        self._steps.reached("ingest:read")
        try:
            taken = await self._store(site, readings, cursor)
        except Exception as exc:
            if _passing(exc) or not all(reading.arrived.place for reading in readings):
                raise
            return await self._one_by_one(site, readings, cursor)
        return taken

    async def _store(
        self, site: Site, readings: Sequence[Reading], cursor: Cursor | None
    ) -> tuple[Taken, ...]:
        async with self.intake.transaction(site.id) as tx:
            await _expect(tx, readings)
            batch = _Batch(tx, site, self._secret, self._clock.now(), await _replied(tx, readings))
            taken = [await batch.take(reading) for reading in readings]
            if cursor is not None:
                await tx.move_cursor(cursor)
        self._steps.reached("ingest:stored")
        await self._ring(taken)
        return tuple(taken)

    async def _one_by_one(
        self, site: Site, readings: Sequence[Reading], cursor: Cursor | None
    ) -> tuple[Taken, ...]:
        """One of them cannot be stored, and nobody knows which: each on its own, then the cursor."""
        taken: list[Taken] = []
        fault: Exception | None = None
        for reading in readings:
            try:
                taken += await self._store(site, [reading], None)
            except Exception as exc:
                if _passing(exc):
                    raise
                if self._struck(site, reading) < TRIES:
                    fault = exc
                    continue
                log.exception("ingest.quarantined", site=site.id)
                kept = unreadable(site.id, reading.arrived, NOT_STORABLE, self._clock.now())
                taken += await self._store(site, [_with_raw(kept, reading.message.raw)], None)
        if fault is not None:
            raise fault
        await self._store(site, (), cursor)
        return tuple(taken)

    def _struck(self, site: Site, reading: Reading) -> int:
        """Count a failure of the message; how many it is now."""
        assert reading.arrived.place is not None
        key = (site.id, reading.arrived.place)
        self._strikes[key] = self._strikes.pop(key, 0) + 1
        while len(self._strikes) > REMEMBERED:
            self._strikes.popitem(last=False)
        return self._strikes[key]

    async def _readings(self, site: Site, arrivals: Sequence[Arrived]) -> list[Reading]:
        """Parse the arrivals while their bytes are being stored."""
        now = self._clock.now()
        storing = [asyncio.ensure_future(self._blobs.put(arrived.raw)) for arrived in arrivals]
        try:
            readings = [await self._parsed(site, arrived, now) for arrived in arrivals]
        finally:
            await asyncio.gather(*storing, return_exceptions=True)
        return [_with_raw(reading, put.result()) for reading, put in zip(readings, storing, strict=True)]

    async def _parsed(self, site: Site, arrived: Arrived, now: datetime) -> Reading:
        ids = _authserv_ids(site)
        if len(arrived.raw) <= OFF_LOOP_BYTES:
            await asyncio.sleep(0)  # many in a row must not keep others waiting
            return read(site.id, arrived, ids, self._secret, now)
        async with self._large:
            parsing = asyncio.to_thread(read, site.id, arrived, ids, self._secret, now)
            try:
                return await asyncio.wait_for(parsing, PARSE_SECONDS)
            except TimeoutError:
                return unreadable(site.id, arrived, "over_caps_time", now)

    async def _ring(self, taken: Sequence[Taken]) -> None:
        new = [t.message for t in taken if not t.known and t.message.state is MessageState.DUE]
        for thread_id, site_id in sorted({(message.thread_id, message.site_id) for message in new}):
            await self._bells.ring(Bell(BellKind.THREAD, thread_id, site_id=site_id))
            self._steps.reached("ingest:rung")


def _passing(error: Exception) -> bool:
    """Whether nothing at all can be stored now, so that no message is to blame."""
    return isinstance(error, OSError | LeaseLost) or getattr(error, "code", "") == DATABASE_UNAVAILABLE


async def _expect(tx: IntakeTransaction, readings: Sequence[Reading]) -> None:
    """One look instead of one or two a message; for a single one it would be one more."""
    if len(readings) > 1:
        named = {id_ for reading in readings for id_ in (reading.message.message_id, *reading.cited) if id_}
        nameless = {r.message.content_key for r in readings if not r.message.message_id}
        await tx.expect(named, nameless)


async def _replied(tx: IntakeTransaction, readings: Sequence[Reading]) -> Collection[str]:
    """Message-IDs among these to which a reply lies in Sent already."""
    messages = (reading.message for reading in readings if reading.message.direction is Direction.IN)
    named = [message.message_id for message in messages if message.message_id]
    return await tx.replied(named) if named else ()


def _authserv_ids(site: Site) -> Collection[str]:
    channel = site.settings.channels.email
    if channel and channel.authserv_id:
        return (channel.authserv_id,)
    return authserv_ids_for(channel.incoming_server or "") if channel else ()


def _with_raw(reading: Reading, digest: str) -> Reading:
    return replace(reading, message=replace(reading.message, raw=digest))


class _Batch:
    """The decisions of one transaction."""

    def __init__(
        self,
        tx: IntakeTransaction,
        site: Site,
        secret: bytes,
        now: datetime,
        replied: Collection[str],
    ) -> None:
        self._tx = tx
        self._replied = replied
        self._site = site
        self._secret = secret
        self._now = now

    async def take(self, reading: Reading) -> Taken:
        message, place = reading.message, reading.arrived.place
        copies = await self._copies(message)
        known = next((c for c in copies if _is_copy(message, c)), None)
        if known is not None:
            if place is not None:
                await self._tx.add_place(known, place)
            await self._settle_by_sent_copy(known)
            return Taken(known, known=True)
        began, message = await self._placed(reading)
        ours = any(c.source is Source.OURS for c in copies)
        message = self._judged(reading, message, ours)
        await self._tx.add(message, place, began, self._event("message.received", message))
        await self._consequences(reading, message)
        return Taken(message, known=False)

    async def _copies(self, message: Message) -> Sequence[Message]:
        # A webhook post without an id has nothing that could make it the same as another (D2).
        if message.source is Source.WEBHOOK and not message.message_id:
            return ()
        return await self._tx.copies(message.message_id, message.content_key)

    async def _placed(self, reading: Reading) -> tuple[Thread | None, Message]:
        message = reading.message
        cited = await self._tx.cited(reading.cited) if reading.cited else ()
        if message.direction is Direction.OUT:
            joined = cited[-1].thread_id if cited else None
            cites = None
        else:
            sender = normalise(message.sender.address) if message.sender else ""
            joining = choose_thread(sender, message.trust, cited, self._signed)
            joined, cites = joining.thread_id, joining.cites
        if joined is not None:
            return None, replace(message, thread_id=joined)
        began = self._new_thread(message, cites)
        return began, replace(message, thread_id=began.id)

    def _signed(self, known: Cited) -> bool:
        return thread.signed_by_us(self._secret, known.message_id, known.thread_id)

    def _new_thread(self, message: Message, cites: str | None) -> Thread:
        key = thread.thread_key(
            message.message_id,
            message.references,
            message.in_reply_to,
            message.sender.address if message.sender else "",
        )
        at = message.received_at
        return Thread(new_id("thr", self._now), self._site.id, key, message.subject, at, at, cites=cites)

    def _judged(self, reading: Reading, message: Message, ours: bool) -> Message:
        if message.direction is Direction.OUT:
            return message
        verdict = self._verdict(reading, message, ours)
        if message.message_id in self._replied and verdict.state in (MessageState.DUE, MessageState.HELD):
            verdict = ANSWERED_ELSEWHERE
        judged = replace(message, state=verdict.state, reason=verdict.reason)
        if verdict.state is not MessageState.DUE:
            return judged
        notes = (*message.notes, ASKED_FOR) if reading.arrived.exempt else message.notes
        return replace(judged, due_at=self._now, notes=notes)

    def _verdict(self, reading: Reading, message: Message, ours: bool) -> Verdict:
        if reading.fault:
            return Verdict(MessageState.QUARANTINED, reading.fault)
        if reading.arrived.role is Role.JUNK:
            return Verdict(MessageState.NO_ANSWER, "junk")
        arrived = reading.arrived
        arrival = Arrival(
            message=message,
            own_hop=reading.own_hop,
            own_message_id=ours,
            flags=arrived.flags,
            history=arrived.history,
            oversize=arrived.oversize,
            exempt=arrived.exempt,
        )
        return judge(arrival, self._site.settings, self._now)

    async def _consequences(self, reading: Reading, message: Message) -> None:
        if message.direction is Direction.OUT:
            await self._consequences_of_sent(reading, message)
        elif reading.report is not None and reading.report.returned_message_id:
            await self._tx.report(
                reading.report.returned_message_id,
                statuses_of(reading.report),
                self._event("submission.reported", message),
            )
        else:
            ours = [cited for cited in reading.cited if thread.may_be_ours(cited)]
            if ours:  # whoever cites it has it
                await self._tx.settle_unknown(ours, self._event("submission.settled_by_reply", message))

    async def _consequences_of_sent(self, reading: Reading, message: Message) -> None:
        cited = tuple(dict.fromkeys((*message.in_reply_to, *message.references[-1:])))
        if cited:
            await self._tx.answered_elsewhere(cited, self._event("message.answered_elsewhere", message))
        twin = await self._tx.twin(message) if reading.own_hop else None
        if twin is not None:
            copy = [ReportedStatus("", "accepted", "", "found in Sent under another Message-ID")]
            await self._tx.report(twin, copy, self._event("submission.found_in_sent", message))

    async def _settle_by_sent_copy(self, known: Message) -> None:
        if known.source is Source.OURS:
            copy = [ReportedStatus("", "accepted", "", "found in Sent")]
            await self._tx.report(known.message_id, copy, self._event("submission.found_in_sent", known))

    def _event(self, kind: str, message: Message) -> Event:
        data = {"state": message.state.value, "reason": message.reason, "source": message.source.value}
        return Event(
            new_id("evt", self._now),
            self._site.id,
            kind,
            self._now,
            message.thread_id or None,
            message.id,
            data=data,
        )


def _is_copy(message: Message, known: Message) -> bool:
    if message.direction is Direction.OUT:
        return known.direction is Direction.OUT and bool(message.message_id)
    return same_message(message, known)


def statuses_of(report: Report) -> tuple[ReportedStatus, ...]:
    """What a delivery report says per recipient, in our words (RFC 3464 section 2.3.3)."""
    found = []
    for recipient in report.recipients:
        if recipient.action in ("delivered", "relayed", "expanded"):
            found.append(
                ReportedStatus(recipient.address, "delivered", recipient.status, recipient.diagnostic)
            )
        elif recipient.temporary:
            found.append(ReportedStatus(recipient.address, "delayed", recipient.status, recipient.diagnostic))
        else:
            found.append(ReportedStatus(recipient.address, "failed", recipient.status, recipient.diagnostic))
    return tuple(found)
