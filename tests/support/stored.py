"""Values to store in tests, each with only the fields that matter to it spelt out."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from postroom.core.model import (
    Direction,
    Event,
    Message,
    MessageState,
    Place,
    Site,
    Source,
    Thread,
    TrustLevel,
    TurnRecord,
)
from postroom.core.settings import parse_settings
from postroom.core.store import AnswerWork, Due, Store
from postroom.core.submission import Recipient, RecipientStatus, Submission, SubmissionKind, SubmissionStatus
from postroom.mail.message import Address

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ACCOUNT = "agent@acme.example"
ALIAS = "sales@acme.example"
ALICE = Address("Alice", "alice@home.example")
_numbers = count(1)


class Recorder:
    """`core.ports.Steps` that remembers."""

    def __init__(self) -> None:
        self.reached_steps: list[str] = []

    def reached(self, step: str) -> None:
        """Remember it."""
        self.reached_steps.append(step)


def later(**span: float) -> datetime:
    """`NOW` and so much more."""
    return NOW + timedelta(**span)


def site(
    site_id: str = "acme",
    *,
    email: str | None = ACCOUNT,
    aliases: Sequence[str] = (ALIAS,),
    version: int = 1,
    **settings: Any,
) -> Site:
    """A site; without `email` it has no account yet."""
    document: dict[str, Any] = dict(settings)
    if email:
        document["channels"] = {"email": {"email": email, "aliases": list(aliases)}}
    return Site(site_id, document, parse_settings(document), False, version, NOW, NOW, NOW)


def event(kind: str = "test.happened", **fields: Any) -> Event:
    """Some fact."""
    values: dict[str, Any] = {"id": f"evt_{next(_numbers):06}", "site_id": "acme", "type": kind, "at": NOW}
    return Event(**values | fields)


def thread(thread_id: str = "thr_1", **fields: Any) -> Thread:
    """A conversation without messages."""
    values: dict[str, Any] = {
        "id": thread_id,
        "site_id": "acme",
        "thread_key": f"{thread_id}@key.example",
        "subject": "Hello",
        "created_at": NOW,
        "last_at": NOW,
    }
    return Thread(**values | fields)


def message(number: int = 1, thread_id: str = "thr_1", **fields: Any) -> Message:
    """A mail from Alice that is due; `number` is in its id and its Message-ID."""
    values: dict[str, Any] = {
        "id": f"msg_{number}",
        "site_id": "acme",
        "thread_id": thread_id,
        "direction": Direction.IN,
        "source": Source.MAILBOX,
        "message_id": f"m{number}@home.example",
        "in_reply_to": (),
        "references": (),
        "sender": ALICE,
        "reply_to": (),
        "to": (Address("", ACCOUNT),),
        "cc": (),
        "subject": "Hello",
        "date": NOW,
        "received_at": NOW,
        "text": "Hello there",
        "new_text": "Hello there",
        "html": None,
        "attachments": (),
        "trust": TrustLevel.CLAIMED,
        "content_key": f"content-{number}",
        "raw": f"raw-{number}",
        "size": 100,
        "state": MessageState.DUE,
        "due_at": NOW,
    }
    return Message(**values | fields)


def outgoing(number: int = 1, thread_id: str = "thr_1", **fields: Any) -> Message:
    """A mail of ours to Alice."""
    values: dict[str, Any] = {
        "id": f"msg_out{number}",
        "direction": Direction.OUT,
        "source": Source.OURS,
        "message_id": f"out{number}@acme.example",
        "sender": Address("", ACCOUNT),
        "to": (ALICE,),
        "trust": TrustLevel.VERIFIED,
        "raw": f"raw-out{number}",
        "state": MessageState.SENT,
        "due_at": None,
    }
    return message(number, thread_id, **values | fields)


def submission(number: int = 1, thread_id: str = "thr_1", **fields: Any) -> Submission:
    """The submission of `outgoing(number)`."""
    values: dict[str, Any] = {
        "id": f"sub_{number}",
        "site_id": "acme",
        "thread_id": thread_id,
        "kind": SubmissionKind.NEW,
        "message_id": f"out{number}@acme.example",
        "answers": None,
        "sender": ACCOUNT,
        "recipients": (Recipient(ALICE.address),),
        "subject": "Hello",
        "raw": f"raw-out{number}",
        "size": 100,
        "smtputf8": False,
        "status": SubmissionStatus.QUEUED,
        "created_at": NOW,
        "due_at": NOW,
    }
    return Submission(**values | fields)


def answer_to(answered: Message, number: int = 1, **fields: Any) -> Submission:
    """The submission that answers a message."""
    values = {"kind": SubmissionKind.ANSWER, "answers": answered.id, **fields}
    return submission(number, answered.thread_id, **values)


def accepted(known: Submission, **fields: Any) -> Submission:
    """The submission after the server took it for everybody."""
    taken = tuple(replace(r, status=RecipientStatus.ACCEPTED, code=250, text="ok") for r in known.recipients)
    values: dict[str, Any] = {
        "status": SubmissionStatus.SENT,
        "recipients": taken,
        "due_at": None,
        "finished_at": NOW,
        "aftercare": "due",
    }
    return replace(known, **values | fields)


def turn(number: int = 1, **fields: Any) -> TurnRecord:
    """A run of the agent on the first message."""
    values: dict[str, Any] = {
        "id": f"trn_{number}",
        "site_id": "acme",
        "thread_id": "thr_1",
        "message_id": "msg_1",
        "agent": "acknowledge",
        "attempt": 1,
        "started_at": NOW,
    }
    return TurnRecord(**values | fields)


async def take_in(store: Store, *arrived: Message, place: Place | None = None) -> None:
    """Store messages in one transaction; a conversation begins with the first of its messages."""
    known = {m.thread_id for m in arrived if await store.things.thread(m.thread_id)}
    async with store.intake.transaction(arrived[0].site_id) as tx:
        for one in arrived:
            conversation = thread(one.thread_id, site_id=one.site_id, last_at=one.received_at)
            began = None if one.thread_id in known else conversation
            await tx.add(one, place, began, event(site_id=one.site_id))
            known.add(one.thread_id)


async def due_ids(
    due: Callable[[datetime, int], Awaitable[Sequence[Due]]], now: datetime, limit: int
) -> tuple[str, ...]:
    """What `due` of the store gives, without the sites."""
    return tuple(one.id for one in await due(now, limit))


async def claimed(store: Store, thread_id: str = "thr_1", owner: str = "worker") -> AnswerWork:
    """Claim a thread that is due, for five minutes."""
    work = await store.answering.claim(thread_id, owner, NOW, later(minutes=5))
    assert work is not None
    return work
