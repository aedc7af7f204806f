"""A reading for a person, in colour: who wrote, what is new, what is quoted, and what would become of it."""

import re
from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from postroom.inspect.files import File
from postroom.inspect.reading import Reading
from postroom.inspect.verdict import Outcome
from postroom.mail.message import Address

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_MOST_LINES = 60

_TRUST = {
    "verified": ("green", "the account's own server saw DMARC pass for the sender's domain"),
    "claimed": ("yellow", "no server that is believed vouches for the sender"),
    "failed": ("red", "the account's own server saw DMARC fail: probably forged"),
    "unknown": ("red", "there is not exactly one sender that every program would read alike"),
}
_WHY = {
    "authentication_failed": "the sender is probably forged",
    "own_address": "it comes from the account's own address",
    "loop": "it is mail of this service that came back",
    "sender_unknown": "nobody can be told to have written it, so there is nobody to answer",
    "not_addressed": "none of the account's addresses is in To, Cc or Delivered-To",
    "report": "it is a delivery report",
    "complaint": "it is a complaint about mail (RFC 5965)",
    "disposition": "it is a receipt: what became of a mail at its reader's (RFC 8098)",
    "vacation": "it is an automatic reply, such as a vacation notice",
    "list": "it came through a mailing list",
    "bulk": "it was sent to many: a newsletter or the like",
    "no_reply": "its sender takes no replies",
    "automatic": "a program wrote it, not a person (RFC 3834)",
    "oversize": "it is too large to be read whole: a person decides",
    "unreadable": "it cannot be read",
    "over_caps_headers_too_large": "its header section is larger than is read",
    "over_caps_too_deep": "its parts are nested too deep",
    "over_caps_too_many_parts": "it has too many parts",
    "over_caps_too_many_recipients": "it has too many recipients",
}
_STATES = {
    "quarantined": "would be quarantined",
    "held": "would be held for a person",
    "no_answer": "would not be answered",
}


def show_failure(console: Console, file: File) -> None:
    """Say that a file could not be read."""
    console.rule(_text(file.name), align="left")
    console.print(_text(f"cannot be read: {file.error}", "red"))


def show(console: Console, file: File, reading: Reading, outcome: Outcome) -> None:
    """Print everything about one mail."""
    console.rule(_text(file.name), align="left")
    console.print(_verdict(reading, outcome))
    console.print(_envelope(reading))
    for piece in _contents(reading):
        console.print(piece)
    console.print()


def _verdict(reading: Reading, outcome: Outcome) -> Text:
    if outcome.answered:
        return Text("would be answered: a person seems to have written it", "bold green")
    why = _WHY.get(outcome.reason, outcome.reason)
    told = reading.automatic.reason if reading.automatic else ""
    signs = ", ".join(dict.fromkeys(filter(None, (outcome.reason, told))))
    state = _STATES.get(outcome.state, outcome.state)
    return Text.assemble((f"{state}: ", "bold magenta"), _text(why), _text(f"  ({signs})", "dim"))


def _envelope(reading: Reading) -> Table:
    mail = reading.mail
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("from", _sender(mail.from_, known=mail.author is not None))
    grid.add_row("trust", _trust(reading.trust))
    for name, boxes in (("to", mail.to), ("cc", mail.cc), ("reply-to", mail.reply_to)):
        if boxes:
            grid.add_row(name, _text(", ".join(map(_written, boxes))))
    grid.add_row("subject", _text(mail.subject, "bold"))
    if mail.date:
        grid.add_row("date", f"{mail.date:%Y-%m-%d %H:%M:%S %z}")
    grid.add_row("message id", _text(mail.message_id or "none", "" if mail.message_id else "dim"))
    grid.add_row("thread key", _text(reading.thread_key))
    return grid


def _sender(sender: Address | None, *, known: bool) -> Text:
    if sender is None:
        return Text("nobody", "red")
    if known:
        return _text(_written(sender), "cyan")
    return Text.assemble(_text(_written(sender), "red"), ("  (as far as it can be read)", "dim"))


def _written(box: Address) -> str:
    return f"{box.name} <{box.address}>" if box.name else box.address


def _trust(level: str) -> Text:
    style, meaning = _TRUST[level]
    return Text.assemble((level, style), (f"  {meaning}", "dim"))


def _contents(reading: Reading) -> Iterator[RenderableType]:
    reply, mail = reading.reply, reading.mail
    yield _block("new", reply.new_text or mail.text, "green")
    if reply.quoted:
        yield _block("quoted", reply.quoted, "dim")
    if reply.signature:
        yield _block("signature", reply.signature, "dim italic")
    for item in mail.attachments:
        yield _text(f"attachment: {item.filename}  {item.content_type}, {item.size} bytes", "blue")
    if mail.calendar:
        parts = (mail.calendar.method, mail.calendar.summary, mail.calendar.start, mail.calendar.end)
        yield _text("calendar: " + "  ".join(filter(None, parts)), "blue")
    if reading.report:
        yield _report(reading)
    if reading.notes:
        yield _text("notes: " + ", ".join(reading.notes), "yellow")


def _block(title: str, text: str, style: str) -> Group:
    lines = text.strip("\n").split("\n")
    shown = "\n".join(lines[:_MOST_LINES])
    more = len(lines) - _MOST_LINES
    pieces: list[RenderableType] = [Text(title, "bold"), Padding(_text(shown, style), (0, 0, 0, 2))]
    if more > 0:
        pieces.append(Text(f"  … {more} more lines", "dim"))
    return Group(*pieces)


def _report(reading: Reading) -> Group:
    report = reading.report
    assert report is not None
    returned = report.returned_message_id or "not told"
    grid = Table("recipient", "action", "status", "", box=None, header_style="dim")
    for one in report.recipients:
        lasts = "temporary" if one.temporary else "permanent" if one.status else ""
        grid.add_row(_text(one.address), _text(one.action), _text(one.status), lasts)
    return Group(_text(f"{report.kind} about message {returned}", "bold"), grid)


def _text(value: str, style: str = "") -> Text:
    """Text of a stranger, made harmless: no markup, no control characters that a terminal would obey."""
    printable = value.encode("utf-8", "replace").decode("utf-8")
    return Text(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", printable), style)
