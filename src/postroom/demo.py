"""`postroom demo`: a whole conversation on this machine, with a line for each stage as it happens."""

import asyncio
import signal
import tempfile
import time
from contextlib import suppress
from email.message import EmailMessage
from pathlib import Path

from rich.console import Console
from rich.text import Text

from postroom.demo_service import DemoFailed, RunningService, running_service
from postroom.sandbox.correspondent import Correspondent, first_mail, second_mail, text_of
from postroom.sandbox.server import Sandbox, sandbox

AGENT = "agent@postroom.test"
PATIENCE = 12.0
"""Seconds that an answer may take."""
HEADERS = ("From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted")
RULE_WIDTH = 72
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

__all__ = ["DemoFailed", "run_demo"]


def run_demo(console: Console, *, keep: bool) -> None:
    """Start everything, hold the conversation, show it; with `keep` stay up until a signal comes.

    Whatever happens, no process and no file is left. Raises `DemoFailed`; `KeyboardInterrupt` when a signal
    ended it early.
    """
    try:
        asyncio.run(_demo(console, keep))
    except asyncio.CancelledError as exc:
        raise KeyboardInterrupt from exc


async def _demo(console: Console, keep: bool) -> None:
    task = asyncio.current_task()
    assert task is not None
    for number in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    stages = Stages(console)
    with tempfile.TemporaryDirectory(prefix="postroom-demo-") as name:
        folder = Path(name)
        async with sandbox(folder) as servers:
            stages.done(f"mail server: IMAP on port {servers.imap_port}, SMTP on port {servers.smtp_port}")
            async with running_service(folder, servers, AGENT) as service:
                stages.done(f"postroom serve: {service.url}, watching {AGENT}")
                await _converse(Correspondent(servers), servers, stages, console)
                if keep:
                    _invite(console, servers, service)
                    await _until_cancelled(task)


async def _until_cancelled(task: "asyncio.Task[None]") -> None:
    with suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    task.uncancel()


class Stages:
    """Prints a line for each stage with the time that it took."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._since = time.monotonic()

    def done(self, text: str, seconds: float | None = None) -> None:
        """The stage is through; it took `seconds`, or the time since the last one."""
        now = time.monotonic()
        taken = now - self._since if seconds is None else seconds
        line = Text.assemble((f"{taken * 1000:6.0f} ms", "cyan"), "  ", text)
        self._console.print(line, soft_wrap=True)
        self._since = now


async def _converse(ada: Correspondent, servers: Sandbox, stages: Stages, console: Console) -> None:
    first = first_mail(AGENT)
    await ada.send(first)
    stages.done("Ada sent a mail with prices.csv attached")
    push_1 = await _push(servers, ada, 1)
    stages.done("its answer was accepted for Ada, counted from its delivery", push_1)
    answer = await ada.answer_to(first)
    second = second_mail(AGENT, answer)
    await ada.send(second)
    stages.done("Ada read the answer and wrote again in the thread")
    push_2 = await _push(servers, ada, 2)
    stages.done("its answer was accepted for Ada, counted from its delivery", push_2)
    last = await ada.answer_to(second)
    console.print("\nThe conversation as it stands in Ada's own mailbox, inbox and Sent:")
    for mail in await ada.conversation():
        _print_mail(console, mail, ada)
    _check_thread(first, answer, second, last)
    console.print(
        f"\nOne thread, four mails. From delivery to accepted answer: {push_1 * 1000:.0f} ms "
        f"and {push_2 * 1000:.0f} ms.",
        soft_wrap=True,
    )


async def _push(servers: Sandbox, ada: Correspondent, number: int) -> float:
    """Seconds from the delivery of the `number`th mail to the agent until its answer was accepted."""
    try:
        async with asyncio.timeout(PATIENCE):
            delivered = await servers.world.delivered(AGENT, number)
            return await servers.world.delivered(ada.address, number) - delivered
    except TimeoutError as exc:
        raise DemoFailed(f"no answer came within {PATIENCE:.0f} s") from exc


def _print_mail(console: Console, mail: EmailMessage, ada: Correspondent) -> None:
    theirs = ada.address in str(mail["From"])
    colour = "blue" if theirs else "green"
    console.print()
    title = "── Ada " if theirs else "── the agent "
    console.print(Text(title.ljust(RULE_WIDTH, "─"), colour))
    for name in HEADERS:
        if mail[name]:
            console.print(Text.assemble((f"{name}: ", "dim"), str(mail[name]).strip()), soft_wrap=True)
    for part in mail.iter_attachments():
        size = len(part.get_payload(decode=True) or b"")
        console.print(Text(f"Attached: {part.get_filename()}, {size} bytes", "dim"), soft_wrap=True)
    console.print()
    console.print(Text(text_of(mail).strip()), soft_wrap=True)


def _check_thread(
    first: EmailMessage, answer: EmailMessage, second: EmailMessage, last: EmailMessage
) -> None:
    ids = [str(mail["Message-ID"]) for mail in (first, answer, second)]
    if str(last["References"]).split() != ids or answer["In-Reply-To"] != first["Message-ID"]:
        raise DemoFailed("the answers are not in the thread")


def _invite(console: Console, servers: Sandbox, service: RunningService) -> None:
    me = f"you@example.test:{servers.password}"
    smtp, imap = f"smtp://localhost:{servers.smtp_port}", f"imaps://localhost:{servers.imap_port}"
    mail = f"From: you@example.test\\nTo: {AGENT}\\nSubject: Hello\\n\\nA few words.\\n"
    trust = f"--ssl-reqd --cacert {servers.ca_file}"
    envelope = f"--mail-from you@example.test --mail-rcpt {AGENT}"
    lines = (
        "",
        f"Still running. Every address has a mailbox, with the password {servers.password}.",
        "",
        "Write to the agent:",
        f"  printf '{mail}' | curl {trust} {smtp} -u {me} {envelope} -T -",
        "Read its answer:",
        f"  curl {trust} -u {me} '{imap}/INBOX;UID=1'",
        "Ask the API:",
        f"  curl -H 'x-api-key: {service.key}' {service.url}/api/sites/default/threads",
        "Read the log:",
        f"  tail -f {service.log}",
        "",
        "Ctrl-C ends it and removes everything.",
    )
    console.print(Text("\n".join(lines)), soft_wrap=True)
