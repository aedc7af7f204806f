"""Commands about mail: send, threads, show."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from postroom.cli.output import console, line, print_json, shown, table
from postroom.cli.running import JsonOption, SiteOption, with_stored, with_visit
from postroom.core.errors import NotFound, invalid

if TYPE_CHECKING:
    from rich.console import Console

    from postroom.core.model import Message, Page, Thread
    from postroom.core.submission import Submission
    from postroom.engine.compose import NewMail
    from postroom.service import Service

GONE_WELL = ("sent", "partly_sent", "queued")


To = Annotated[list[str], typer.Option("--to", help="A recipient; may be given several times.")]
Subject = Annotated[str, typer.Option("--subject", help="The subject.")]
Content = Annotated[
    str | None, typer.Argument(help="The text in Markdown; - or nothing reads it from standard input.")
]
Cc = Annotated[list[str] | None, typer.Option("--cc", help="A further recipient.")]
Bcc = Annotated[list[str] | None, typer.Option("--bcc", help="A recipient that nobody sees.")]
From = Annotated[str | None, typer.Option("--from", help="The account's address or one of its aliases.")]
InThread = Annotated[str | None, typer.Option("--thread", help="Reply in this conversation (thr_…).")]
Attach = Annotated[
    list[Path] | None,
    typer.Option("--attach", help="A file to attach.", exists=True, dir_okay=False, readable=True),
]
Key = Annotated[
    str | None, typer.Option("--idempotency-key", help="One key sends once, however often it is used.")
]


def send(
    to: To,
    subject: Subject,
    text: Content = None,
    cc: Cc = None,
    bcc: Bcc = None,
    from_: From = None,
    thread: InThread = None,
    attach: Attach = None,
    key: Key = None,
    site: SiteOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Send a mail as the site.

    Exit code 1 when the server refused it, or nobody knows whether it took it.

    \b
    postroom send --to ada@example.com --subject Hello "How are *you*?"
    postroom send --to ada@example.com --subject Figures --attach figures.csv < letter.md
    """
    from postroom.core.agent import Attachment
    from postroom.engine.compose import NewMail

    mail = NewMail(
        to=tuple(to),
        subject=subject,
        content=_standard_input() if text in (None, "-") else str(text),
        cc=tuple(cc or ()),
        bcc=tuple(bcc or ()),
        from_=from_,
        thread_id=thread,
        attachments=tuple(Attachment(path.name, path.read_bytes()) for path in attach or ()),
    )
    submission = _send(mail, site, key)
    _print_submission(submission, as_json=as_json)
    raise typer.Exit(0 if submission.status.value in GONE_WELL else 1)


def _send(mail: "NewMail", site_id: str, key: str | None) -> "Submission":
    async def work(service: "Service") -> "Submission":
        site = await service.accounts.get(site_id)
        if key is None:
            return await service.mailer.send(site, mail)
        return await service.mailer.send_once(site, mail, key)

    return with_visit(work)


def _standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as exc:
        raise invalid("/content", "must be UTF-8") from exc


def _print_submission(submission: "Submission", *, as_json: bool) -> None:
    if as_json:
        from postroom.api import views

        print_json(views.submission(submission))
        return
    typer.echo(f"{submission.status.value}  {submission.id}  in {submission.thread_id}")
    typer.echo(f"  Message-ID <{line(submission.message_id)}>")
    for recipient in submission.recipients:
        answer = f"{recipient.code or ''} {line(recipient.text)}".strip()
        typer.echo(f"  {line(recipient.address)}: {recipient.status.value} {answer}".rstrip())


def threads(
    site: SiteOption = "default",
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List conversations, the last active first.

    \b
    postroom threads
    postroom threads --site acme --limit 100 --json
    """

    async def work(service: "Service") -> "Page[Thread]":
        await service.accounts.get(site)
        return await service.store.lists.threads(site, {}, None, limit)

    page = with_stored(work)
    if as_json:
        from postroom.api import views

        print_json({"items": [views.thread(item) for item in page.items], "next": page.next})
    elif page.items:
        _print_threads(page.items)
    else:
        typer.echo("No conversations yet.")


def _print_threads(items: "tuple[Thread, ...]") -> None:
    from rich.text import Text

    rows = table("thread", "last active", "mails", "subject")
    for item in items:
        subject = Text(line(item.subject))
        if item.paused:
            subject.append(f" (paused: {item.paused})", "yellow")
        rows.add_row(item.id, f"{item.last_at:%Y-%m-%d %H:%M}", str(item.messages), subject)
    console().print(rows)


def show(
    thing_id: Annotated[
        str, typer.Argument(metavar="ID", help="A thread (thr_…), a message (msg_…) or a submission (sub_…).")
    ],
    as_json: JsonOption = False,
) -> None:
    """Show a conversation, a message or a submission, and what became of it.

    \b
    postroom show thr_01m7y467e7fgwv70vr1rasy0gn
    """
    if thing_id.startswith("sub_"):
        _print_submission(_submission(thing_id), as_json=as_json)
        return
    messages = _messages(thing_id)
    if as_json:
        from postroom.api import views

        print_json({"items": [views.message(message) for message in messages], "next": None})
        return
    screen = console()
    for message in messages:
        _print_message(screen, message)


def _submission(submission_id: str) -> "Submission":
    async def work(service: "Service") -> "Submission | None":
        return await service.store.things.submission(submission_id)

    found = with_stored(work)
    if found is None:
        raise NotFound("there is no such submission")
    return found


def _messages(thing_id: str) -> "tuple[Message, ...]":
    async def work(service: "Service") -> "tuple[Message, ...]":
        if thing_id.startswith("msg_"):
            message = await service.store.things.message(thing_id)
            return (message,) if message else ()
        return await service.store.answering.conversation(thing_id)

    found = with_stored(work)
    if not found:
        raise NotFound("there is no such thread or message", hint="`postroom threads` lists what there is.")
    return found


_COLOURS = {"answered": "green", "sent": "blue", "due": "yellow"}


def _print_message(screen: "Console", message: "Message") -> None:
    from rich.text import Text

    sender = message.sender
    who = line(f"{sender.name} <{sender.address}>") if sender else "unknown sender"
    state = message.state.value + (f" ({message.reason})" if message.reason else "")
    screen.rule(Text(f"{message.received_at:%Y-%m-%d %H:%M}  {who}"), align="left")
    screen.print(
        Text.assemble(
            (line(message.subject), "bold"),
            "  ",
            (state, _COLOURS.get(message.state.value, "magenta")),
            "  ",
            (message.id, "dim"),
        )
    )
    for item in message.attachments:
        screen.print(Text(f"attached: {line(item.filename)}, {item.size} bytes", "dim"))
    screen.print(Text(shown(message.new_text or message.text).strip()))


COMMANDS = (send, threads, show)
