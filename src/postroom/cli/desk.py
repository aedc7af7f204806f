"""Commands about what went wrong: messages and submissions that wait for a decision."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.cli.output import console, line, print_json, table
from postroom.cli.running import JsonOption, with_stored
from postroom.core.errors import NotFound

if TYPE_CHECKING:
    from postroom.core.model import Message, Page
    from postroom.core.submission import Submission
    from postroom.engine.desk import Hand
    from postroom.service import Service

SiteArgument = Annotated[
    str, typer.Argument(metavar="SITE", help="The site; the environment's own is [b]default[/b].")
]
MessageId = Annotated[str, typer.Argument(metavar="ID", help="The message's id (msg_…).")]
SubmissionId = Annotated[str, typer.Argument(metavar="ID", help="The submission's id (sub_…).")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=200, help="How many.")]


def messages(
    site: SiteArgument = "default",
    state: Annotated[
        str | None, typer.Option("--state", help="Only those: failed, held, due, answered, …")
    ] = None,
    limit: Limit = 50,
    as_json: JsonOption = False,
) -> None:
    """List messages and what became of them, the latest first.

    \b
    postroom messages default --state failed
    postroom messages acme --state held --json
    """

    async def work(service: "Service") -> "Page[Message]":
        await service.accounts.get(site)
        return await service.store.lists.messages(site, {"state": state} if state else {}, None, limit)

    page = with_stored(work)
    if as_json:
        from postroom.api import views

        print_json({"items": [views.message(item) for item in page.items], "next": page.next})
        return
    rows = table("message", "received", "state", "reason", "subject")
    for item in page.items:
        received = f"{item.received_at:%Y-%m-%d %H:%M}"
        rows.add_row(item.id, received, item.state.value, item.reason, _text(item.subject))
    _print(rows if page.items else "No such messages.")


def submissions(
    site: SiteArgument = "default",
    status: Annotated[
        str | None, typer.Option("--status", help="Only those: unknown, failed, queued, sent, …")
    ] = None,
    limit: Limit = 50,
    as_json: JsonOption = False,
) -> None:
    """List what was asked to be sent and what is known of it, the latest first.

    \b
    postroom submissions default --status unknown
    postroom submissions acme --json
    """

    async def work(service: "Service") -> "Page[Submission]":
        await service.accounts.get(site)
        return await service.store.lists.submissions(site, {"status": status} if status else {}, None, limit)

    page = with_stored(work)
    if as_json:
        from postroom.api import views

        print_json({"items": [views.submission(item) for item in page.items], "next": page.next})
        return
    rows = table("submission", "created", "status", "reason", "subject")
    for item in page.items:
        created = f"{item.created_at:%Y-%m-%d %H:%M}"
        rows.add_row(item.id, created, item.status.value, item.reason, _text(item.subject))
    _print(rows if page.items else "No such submissions.")


def retry(message_id: MessageId, as_json: JsonOption = False) -> None:
    """Ask the agent (again) about a message that is held or has failed.

    The running service does it within half a minute.

    \b
    postroom retry msg_01m7y467e7fgwv70vr1rasy0gn
    """
    _decide_message(message_id, "retry", as_json=as_json)


def drop(message_id: MessageId, as_json: JsonOption = False) -> None:
    """End a message that is held or has failed: it is not answered.

    \b
    postroom drop msg_01m7y467e7fgwv70vr1rasy0gn
    """
    _decide_message(message_id, "drop", as_json=as_json)


def resend(submission_id: SubmissionId, as_json: JsonOption = False) -> None:
    """Send a mail again of which nobody knows whether the server took it.

    The same bytes go out under the same Message-ID; a recipient may then have it twice.
    The running service does it within half a minute.

    \b
    postroom resend sub_01m7y467e7fgwv70vr1rasy0gn
    """
    _decide_submission(submission_id, "resend", as_json=as_json)


def close(submission_id: SubmissionId, as_json: JsonOption = False) -> None:
    """Let a mail rest of which nobody knows whether the server took it.

    \b
    postroom close sub_01m7y467e7fgwv70vr1rasy0gn
    """
    _decide_submission(submission_id, "close", as_json=as_json)


def _decide_message(message_id: str, decision: str, *, as_json: bool) -> None:
    async def work(service: "Service") -> "Message":
        found = await service.store.things.message(message_id)
        if found is None:
            raise NotFound("there is no such message")
        await getattr(_hand(service), decision)(found)
        return await service.store.things.message(message_id) or found

    after = with_stored(work)
    if as_json:
        from postroom.api import views

        print_json(views.message(after))
    else:
        _print_outcome(after.id, after.state.value, after.reason)


def _decide_submission(submission_id: str, decision: str, *, as_json: bool) -> None:
    async def work(service: "Service") -> "Submission":
        found = await service.store.things.submission(submission_id)
        if found is None:
            raise NotFound("there is no such submission")
        await getattr(_hand(service), decision)(found)
        return await service.store.things.submission(submission_id) or found

    after = with_stored(work)
    if as_json:
        from postroom.api import views

        print_json(views.submission(after))
    else:
        _print_outcome(after.id, after.status.value, after.reason)


def _hand(service: "Service") -> "Hand":
    from postroom.engine.desk import Hand

    return Hand(service.store.desk, service.clock, service.bells.ring)


def _print_outcome(thing_id: str, state: str, reason: str) -> None:
    typer.echo(f"{thing_id} is {state} now" + (f" ({reason})." if reason else "."))


def _print(shown: Any) -> None:
    console().print(shown)


def _text(value: str) -> Any:
    from rich.text import Text

    return Text(line(value))


COMMANDS = (messages, submissions, retry, drop, resend, close)
