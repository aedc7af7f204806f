"""The way of one mail and of one sendEmail call through the service, lived in as many lives as it takes.

`Journey.drive` goes on where the last life ended, as the outside world does: Ada's mail is in the mailbox
already, and who calls the API without getting an answer calls again with the same key.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import Engine, NullPool, create_engine, select

from postroom.sandbox.server import Sandbox
from postroom.storage.engines import parse_url
from postroom.storage.tables import events, messages, submissions, threads, turns
from tests.support.mortal import Life
from tests.support.sandboxed import ADA, letter, mailbox_environment, mails, post

SEND = "/api/agents/tools/sendEmail"
KEY = {"Idempotency-Key": "the-one-call"}
SUBJECT = "A word of our own"
MET_AGAIN = "submission.found_in_sent"
"""Told of each copy of ours in Sent when the mailbox is next read: whenever that is, it changes nothing."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database holds, but for times of day, cursors and leases."""

    received: Mapping[str, str]
    written: frozenset[str]
    submissions: Mapping[str, tuple[str, str, tuple[str, ...]]]
    kinds: Mapping[str, str]
    raws: frozenset[str]
    answered: int
    events: Mapping[str, int]
    claimed: int

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do for what is stored."""
        open_mails = [s for s in self.received.values() if s == "due"]
        open_sendings = [
            s for s, care, _ in self.submissions.values() if s not in ("sent", "unknown") or care == "due"
        ]
        return not (open_mails or open_sendings or self.claimed)


@dataclass(frozen=True, slots=True)
class Mailboxes:
    """What reached Ada and the copies in Sent, by Message-ID, and how many mails are flagged as answered."""

    delivered: Mapping[str, int]
    copies: Mapping[str, int]
    flagged: int


@dataclass
class Journey:
    """One service, its mailbox, and what the outside has done so far."""

    name: str
    folder: Path
    servers: Sandbox
    database: str
    mail: EmailMessage | None = None
    answer: httpx2.Response | None = None
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.variables = {
            **mailbox_environment(self.servers, self.address),
            # Whenever the service was first up: the mail is to be answered.
            "EMAIL_START": "2020-01-01",
            "POSTROOM_AGENT": "python:tests.support.bots:talkative",
            "POSTROOM_SECRET_KEY": "A" * 43 + "=",
            "POSTROOM_DATABASE_URL": self.database,
        }
        if self.database.startswith("sqlite"):
            del self.variables["POSTROOM_DATABASE_URL"]

    @cached_property
    def _engine(self) -> Engine:
        return create_engine(parse_url(self.database), poolclass=NullPool)

    @property
    def address(self) -> str:
        """The service's own."""
        return f"{self.name}@postroom.test"

    def drive(self, living: Life) -> None:
        """Go on to the end: mail, answer, copies and flags, then the call and the same for its mail."""
        living.until(living.ready)
        if self.mail is None:
            self.mail = post(self.servers, letter(self.address, "A question", "What is it?"))
        living.until(lambda: self._through(1))
        if self.answer is None:
            self.answer = living.until(lambda: self._called(living))
        living.until(lambda: self._through(2))
        # At rest: the watcher waits for news again, and nobody has begun anything.
        living.until(lambda: living.ready() and self.stored().finished)

    def _through(self, number: int) -> bool:
        stored = self.stored()
        return len(stored.submissions) >= number and stored.finished

    def _called(self, living: Life) -> httpx2.Response | None:
        body = {"site_id": "default", "to": ADA, "subject": SUBJECT, "content": "Good day"}
        response = living.request("POST", SEND, json=body, headers=KEY)
        again = response is None or response.status_code == 409
        return None if again else response

    # --- what is there -------------------------------------------------------------------------------

    def stored(self) -> Stored:
        """Read the database beside the service."""
        with self._engine.connect() as connection:

            def rows(query: Any) -> list[Any]:
                return list(connection.execute(query))

            letters = rows(select(messages))
            sendings = rows(select(submissions))
            return Stored(
                received={m.id: m.state for m in letters if m.direction == "in"},
                written=frozenset(m.id for m in letters if m.direction == "out"),
                submissions={
                    s.message_id: (s.status, s.aftercare, tuple(str(r) for r in s.recipients))
                    for s in sendings
                },
                kinds={s.message_id: s.kind for s in sendings},
                raws=frozenset(row.raw for row in (*letters, *sendings)),
                answered=sum(t.outcome == "answered" for t in rows(select(turns.c.outcome))),
                events=Counter(e.type for e in rows(select(events.c.type)) if e.type != MET_AGAIN),
                claimed=sum(s.lease_owner is not None for s in (*sendings, *rows(select(threads)))),
            )

    def mailboxes(self) -> Mailboxes:
        """Read the mailboxes past the service."""
        arrived = [m for m in mails(self.servers, ADA) if self.address in str(m["From"])]
        inbox = self.servers.world.account(self.address)["INBOX"].mails
        return Mailboxes(
            delivered=Counter(_id(mail) for mail in arrived),
            copies=Counter(_id(mail) for mail in mails(self.servers, self.address, "Sent")),
            flagged=sum("\\answered" in {flag.lower() for flag in mail.flags} for mail in inbox),
        )

    def missing_blobs(self) -> list[str]:
        """Digests that rows name and whose bytes are not there, whole."""
        blobs = self.folder / "data" / "blobs"
        return [digest for digest in self.stored().raws if not _is_whole(blobs / digest[:2] / digest)]


def _id(mail: EmailMessage) -> str:
    return str(mail["Message-ID"]).strip().strip("<>")


def _is_whole(blob: Path) -> bool:
    return blob.exists() and sha256(blob.read_bytes()).hexdigest() == blob.name
