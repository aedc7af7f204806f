"""How a storm ended: what the database says of every mail, and what its correspondent got."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from tests.storm.ground import Ground
from tests.storm.letters import PEOPLE

_IN_REPLY_TO = re.compile(rb"^In-Reply-To:\s*<([^>]+)>", re.MULTILINE | re.IGNORECASE)
_UNFINISHED = """
    SELECT (SELECT count(*) FROM messages WHERE direction = 'in' AND state = 'due')
         + (SELECT count(*) FROM submissions WHERE status IN ('queued', 'transmitting'))
"""
_ENDS = """
    SELECT m.message_id, m.state, m.reason, coalesce(s.status, '')
    FROM messages m LEFT JOIN submissions s ON s.id = m.answered_by WHERE m.direction = 'in'
"""


@dataclass(frozen=True, slots=True)
class End:
    """What became of one mail. `answers`: how many its correspondent got."""

    message_id: str
    state: str
    reason: str
    submission: str
    answers: int

    @property
    def lost(self) -> bool:
        """No answer came, and nobody is told that it may not have."""
        return self.answers == 0 and self.submission != "unknown"


@dataclass(frozen=True, slots=True)
class Tally:
    """The ends of all mails."""

    ends: tuple[End, ...]

    @property
    def duplicates(self) -> list[End]:
        """Mails with more than one answer."""
        return [end for end in self.ends if end.answers > 1]

    @property
    def lost(self) -> list[End]:
        """Mails without an answer, and without an `unknown` that says so."""
        return [end for end in self.ends if end.lost]

    @property
    def good(self) -> bool:
        """Each mail has one answer; or at most one and a submission `unknown`."""
        return not self.duplicates and not self.lost

    def report(self) -> str:
        """The counts, a line each."""
        lines = [f"mails         {len(self.ends)}"]
        lines += _counted("message", Counter(f"{end.state} {end.reason}".strip() for end in self.ends))
        lines += _counted("submission", Counter(end.submission or "none" for end in self.ends))
        lines += _counted("answers", Counter(str(end.answers) for end in self.ends))
        lines += [f"duplicates    {len(self.duplicates)}", f"lost          {len(self.lost)}"]
        lines += [f"    {end}" for end in (*self.duplicates, *self.lost)[:20]]
        return "\n".join(lines)


def _counted(noun: str, counts: Counter[str]) -> list[str]:
    return [f"{noun:13} {name}: {count}" for name, count in sorted(counts.items())]


def unfinished(ground: Ground) -> int:
    """How many messages and submissions are still to be worked on. Raises `psycopg.OperationalError`."""
    with psycopg.connect(ground.database, autocommit=True) as connection:
        row = connection.execute(_UNFINISHED).fetchone()
    assert row is not None
    return int(row[0])


def known(ground: Ground) -> int:
    """How many mails were taken in. Raises `psycopg.OperationalError`."""
    with psycopg.connect(ground.database, autocommit=True) as connection:
        row = connection.execute(
            "SELECT count(*) FROM messages WHERE direction = 'in' AND message_id LIKE 'storm-%'"
        ).fetchone()
    assert row is not None
    return int(row[0])


def answers(ground: Ground) -> Counter[str]:
    """What lies in the correspondents' mailboxes: answers by the Message-ID that they answer."""
    found: Counter[str] = Counter()
    for number in range(PEOPLE):
        for raw in ground.world.messages(f"person{number}@people.test"):
            replied = _IN_REPLY_TO.search(raw.partition(b"\n\n")[0])
            if replied:
                found[replied[1].decode()] += 1
    return found


def tally(ground: Ground, ids: Sequence[str]) -> Tally:
    """Hold what was delivered against what the database and the correspondents have."""
    got = answers(ground)
    with psycopg.connect(ground.database, autocommit=True) as connection:
        rows = {row[0]: row for row in connection.execute(_ENDS).fetchall()}
    ends = []
    for message_id in ids:
        _, state, reason, submission = rows.get(message_id, ("", "never taken in", "", ""))
        ends.append(End(message_id, state, reason, submission, got[message_id]))
    return Tally(tuple(ends))
