"""Reads mail that was damaged at random: `python -m tests.fuzz_reading --count 100000 --seed 1`.

Each mail is one of the corpora (when the folder is there) or of our own corpus with one to four faults
put in. Reading it, and all that is made of it, must give a mail or `OverCaps`, in time, with text that a
database takes.
"""

import argparse
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from postroom.mail import automatic, quote, report, thread
from postroom.mail.authresults import reported, trust
from postroom.mail.message import Mail
from postroom.mail.parse import OverCaps, parse

HERE = Path(__file__).parent
OWN_MAILS = HERE / "corpus"
CORPORA = HERE.parent.parent / "shared" / "corpora"
_NO_MAIL = {".json", ".golden", ".md", ".gitattributes"}
_LONGEST_SECONDS = 5.0
_MOST_MEMORY = 512 * 1024  # KiB, as ru_maxrss counts on Linux
_LARGEST_SEED = 200_000
_SEEDLINGS = (
    b"(", b"<", b'"', b"\\", b"=?utf-8?q?", b"=?gb2312?B?", b"?=", b"=", b";", b",", b":", b"--", b"\0",
    b"\xff", b"\xe2\x80\xa8", b"\r", b"\n", b"\r\n\r\n", b" ", b"\t", b"begin 644 a\n", b"\nend\n", b"<!--",
    b"<div hidden>", b"boundary=", b"charset=utf-7", b"Content-Type: multipart/mixed; boundary=x\n",
    b"\n--x\n", b"filename*0*=''%", b"Content-Transfer-Encoding: base64\n", b"\x1b$B", b"\xed\xa0\x80",
    b"&#0;", b"&#xD800;", b"format=flowed",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run went: mails read, seconds of the slowest, mails over the caps, and what went wrong."""

    count: int
    worst: float
    over_caps: int
    faults: tuple[str, ...]


def seeds() -> list[bytes]:
    """Mails to damage: our own, and those of the corpora when the folder is there."""
    files = [*OWN_MAILS.rglob("*"), *CORPORA.rglob("*")]
    mails = [file for file in sorted(files) if file.is_file() and file.suffix not in _NO_MAIL]
    return [mail.read_bytes() for mail in mails if mail.stat().st_size <= _LARGEST_SEED]


def mutations(mails: Sequence[bytes], count: int, seed: int) -> Iterator[bytes]:
    """`count` damaged mails; the same seed gives the same ones."""
    dice = random.Random(seed)
    for _ in range(count):
        mail = bytearray(dice.choice(mails))
        for _ in range(dice.randint(1, 4)):
            dice.choice(_FAULTS)(mail, dice)
        yield bytes(mail[: 4 * _LARGEST_SEED])


def _flip(mail: bytearray, dice: random.Random) -> None:
    for _ in range(dice.randint(1, 12)):
        if mail:
            mail[dice.randrange(len(mail))] ^= 1 << dice.randrange(8)


def _cut(mail: bytearray, dice: random.Random) -> None:
    start = dice.randint(0, len(mail))
    del mail[start : start + dice.choice((1, 3, 40, 1_000, len(mail)))]


def _double_header(mail: bytearray, dice: random.Random) -> None:
    lines = bytes(mail).split(b"\n")
    place = dice.randrange(min(len(lines), 30))
    lines.insert(dice.randrange(min(len(lines), 30)), lines[place])
    mail[:] = b"\n".join(lines)


def _swap_line_ends(mail: bytearray, dice: random.Random) -> None:
    plain = bytes(mail).replace(b"\r\n", b"\n")
    mail[:] = plain.replace(b"\n", dice.choice((b"\n", b"\r\n", b"\r", b"\r\r\n", b"\n\r")))


def _insert(mail: bytearray, dice: random.Random) -> None:
    place = dice.randint(0, len(mail))
    mail[place:place] = dice.choice(_SEEDLINGS) * dice.choice((1, 1, 2, 60, 2_000))


def _repeat(mail: bytearray, dice: random.Random) -> None:
    start = dice.randint(0, len(mail))
    piece = mail[start : start + dice.choice((1, 10, 200))]
    mail[start:start] = piece * dice.choice((2, 50, 1_000))


_FAULTS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip, _flip, _cut, _double_header, _swap_line_ends, _insert, _repeat
)  # fmt: skip


def run(mails: Sequence[bytes], count: int, seed: int) -> Outcome:
    """Reads `count` damaged mails and tells what went wrong; nothing is raised."""
    worst, over_caps, faults = 0.0, 0, []
    for number, raw in enumerate(mutations(mails, count, seed)):
        start = time.perf_counter()
        try:
            fault = _fault_in(parse(raw))
        except OverCaps as exc:
            over_caps += 1
            fault = fault_of(exc.envelope)
        except Exception as exc:  # noqa: BLE001 - any exception is what this program looks for
            fault = f"{type(exc).__name__}: {exc}"
        seconds = time.perf_counter() - start
        worst = max(worst, seconds)
        if seconds > _LONGEST_SECONDS:
            fault = fault or f"took {seconds:.1f} s"
        if fault:
            faults.append(f"seed {seed}, mail {number}: {fault}")
    return Outcome(count, worst, over_caps, tuple(faults))


def _fault_in(mail: Mail) -> str:
    return fault_of(mail) or fault_of_the_rest(mail)


def fault_of(mail: Mail) -> str:
    """What of a mail a database or a mail program would not take; empty when all is well."""
    texts = [mail.subject, mail.text, mail.html or "", mail.message_id, *mail.references, *mail.in_reply_to]
    texts += [value for field in mail.headers.fields for value in field]
    texts += [part for box in (*mail.to, *mail.cc, *mail.reply_to) for part in (box.name, box.address)]
    texts += [part for file in mail.attachments for part in (file.filename, file.content_id)]
    if any("\0" in text or not _encodes(text) for text in texts):
        return "text that cannot be stored"
    lines = [mail.subject, mail.message_id, *mail.references, *mail.in_reply_to]
    lines += [value for field in mail.headers.fields for value in field]
    lines += [part for box in (*mail.to, *mail.cc, *mail.reply_to) for part in (box.name, box.address)]
    lines += [*(file.filename for file in mail.attachments)]
    if any(len(line.splitlines()) > 1 for line in lines):
        return "a line break in what is one line"
    if any(not file.filename or "/" in file.filename for file in mail.attachments):
        return "an attachment without a usable name"
    return ""


def fault_of_the_rest(mail: Mail) -> str:
    """The same for what is read out of a mail: its reply, its report, its place in a conversation."""
    reply = quote.of(mail)
    sign = automatic.classify(mail)
    found = report.parse_report(mail)
    trust(mail, ("mx.example.org",))
    reported(mail)
    thread.identity_key(mail)
    texts = [reply.new_text, reply.quoted, reply.signature, *thread.cited_ids(mail)]
    if found is not None:
        texts += [found.returned_message_id]
        texts += [text for one in found.recipients for text in (one.address, one.status, one.diagnostic)]
    if any("\0" in text or not _encodes(text) for text in texts):
        return "text that cannot be stored, read out of a mail"
    if mail.text.strip() and not reply.new_text.strip():
        return "text without new text"
    if (found is not None) != (sign is not None and sign.kind in ("report", "complaint", "disposition")):
        return "a report that is none, or none that is one"
    return ""


def _encodes(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def main() -> int:
    """The command: 0 when nothing went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    mails = seeds()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    outcome = run(mails, arguments.count, arguments.seed)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{outcome.count} damaged mails from {len(mails)}, {time.perf_counter() - start:.0f} s in all")
    print(f"slowest {outcome.worst:.2f} s, {outcome.over_caps} over the caps, memory grew by {grown} KiB")
    for fault in outcome.faults[:50]:
        print(fault)
    print(f"{len(outcome.faults)} faults")
    return 1 if outcome.faults or grown > _MOST_MEMORY else 0


if __name__ == "__main__":
    sys.exit(main())
