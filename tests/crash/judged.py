"""What must be true after a crash and a restart, given the steps that the killed process had reached."""

from collections.abc import Sequence
from enum import Enum

from tests.crash.journey import Journey, Mailboxes, Stored
from tests.support.mortal import Step


class Fate(Enum):
    """What may have become of a mail on its way out."""

    SENT = "sent"
    UNKNOWN = "unknown"
    EITHER = "either"


def fate_of(number: int, trace: Sequence[str]) -> Fate:
    """The fate of the `number`th submission (from 1): unknown if and only if the kill came after the commit
    of `transmitting` and before that of the reply. A commit that ran in another thread may have been made."""
    began, begun = (trace.count(f"{when}:transmitting") for when in ("before-commit", "commit"))
    ended, recorded = (trace.count(f"{when}:submission-record") for when in ("before-commit", "commit"))
    killed_before = trace[-1] if trace else ""
    if recorded >= number:
        return Fate.SENT
    if ended >= number and killed_before != "before-commit:submission-record":
        return Fate.EITHER
    if begun >= number:
        return Fate.UNKNOWN
    if began >= number and killed_before != "before-commit:transmitting":
        return Fate.EITHER
    return Fate.SENT


def faults(journey: Journey, trace: Sequence[str]) -> list[str]:
    """What is wrong with the end state; nothing if all is well."""
    stored, boxes = journey.stored(), journey.mailboxes()
    found = [*_of_the_answer(stored), *_of_the_files(journey)]
    order = {"answer": 1, "new": 2}
    for message_id, (status, _, _) in stored.submissions.items():
        kind = stored.kinds[message_id]
        found += _of_a_mail(kind, message_id, status, fate_of(order[kind], trace), boxes)
    answer = next((s[0] for m, s in stored.submissions.items() if stored.kinds[m] == "answer"), "")
    if boxes.flagged != (answer == "sent"):
        found.append(f"the answer is {answer} and {boxes.flagged} mails are flagged as answered")
    strays = set(boxes.delivered) - set(stored.submissions)
    return found + [f"{len(strays)} mails went out that nobody knows of"] * bool(strays)


def _of_the_answer(stored: Stored) -> list[str]:
    found = []
    if list(stored.received.values()) != ["answered"]:
        found.append(f"received mail ended as {list(stored.received.values())}")
    if len(stored.written) != 2:
        found.append(f"{len(stored.written)} mails of our own are known")
    if sorted(stored.kinds.values()) != ["answer", "new"]:
        found.append(f"submissions are {sorted(stored.kinds.values())}")
    if stored.answered != 1:
        found.append(f"{stored.answered} turns ended with an answer")
    return found


def _of_the_files(journey: Journey) -> list[str]:
    return [f"the blob {digest[:8]} is missing or damaged" for digest in journey.missing_blobs()]


def _of_a_mail(kind: str, message_id: str, status: str, fate: Fate, boxes: Mailboxes) -> list[str]:
    found = []
    allowed = {"sent", "unknown"} if fate is Fate.EITHER else {fate.value}
    if status not in allowed:
        found.append(f"the {kind} is {status}, not {fate.value}")
    delivered, copies = boxes.delivered.get(message_id, 0), boxes.copies.get(message_id, 0)
    if delivered > 1 or (status == "sent" and delivered != 1):
        found.append(f"the {kind} is {status} and was delivered {delivered} times")
    if copies != (status == "sent"):
        found.append(f"the {kind} is {status} and lies in Sent {copies} times")
    return found


def place(step: Step, steps: Sequence[Step]) -> str:
    """Where a step is on the way, for people."""
    return f"{steps.index(step) + 1:3}/{len(steps)} {step}"
