"""`postroom demo`: a whole conversation on this machine, with a line for each stage as it happens."""

import asyncio
import imaplib
import json
import os
import smtplib
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import make_msgid
from pathlib import Path

import httpx2
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from postroom.sandbox.server import Sandbox, sandbox

AGENT = "agent@postroom.test"
CORRESPONDENT = "ada@example.test"
NAME = "Ada Example"
PATIENCE = 15.0
HEADERS = (
    "From",
    "To",
    "Subject",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Auto-Submitted",
)
PRICES = "item,price\npaper,4.20\nink,17.00\n"


class DemoFailed(Exception):
    """A stage did not come about; the text says where to look."""


@dataclass(frozen=True, slots=True)
class Running:
    """The service as it was started."""

    url: str
    key: str
    log: Path


class Stages:
    """Prints a line for each stage with the time since the last one."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._since = time.monotonic()

    def done(self, text: str) -> None:
        """The stage is through."""
        now = time.monotonic()
        self._console.print(
            f"[green]✓[/green] {text} [dim]{(now - self._since) * 1000:.0f} ms[/dim]", highlight=False
        )
        self._since = now


async def run_demo(*, keep: bool, console: Console) -> None:
    """Start everything, hold the conversation, show it; with `keep` stay up until cancelled.

    Raises `DemoFailed`.
    """
    stages = Stages(console)
    with tempfile.TemporaryDirectory(prefix="postroom-demo-") as name:
        folder = Path(name)
        async with sandbox(folder) as servers:
            stages.done(f"sandbox mail server: IMAP on {servers.imap_port}, SMTP on {servers.smtp_port}")
            async with service(folder, servers) as running:
                stages.done(f"postroom serve: {running.url}, watching {AGENT}")
                await _converse(Correspondent(servers), stages, console)
                if keep:
                    _invite(console, servers, running)
                    await asyncio.Event().wait()


async def _converse(ada: "Correspondent", stages: Stages, console: Console) -> None:
    first = first_mail()
    await ada.send(first)
    stages.done("Ada sent a mail with an attachment")
    answer = await ada.reply_to(first, 1)
    stages.done("the agent's answer is in Ada's mailbox, with a file of its own")
    second = second_mail(answer)
    await ada.send(second)
    stages.done("Ada wrote again in the same thread")
    last = await ada.reply_to(second, 2)
    stages.done("the second answer is there too, and remembers the first")
    console.print("\nThe conversation, as it stands in Ada's own mailbox and Sent folder:\n")
    for mail in (first, answer, second, last):
        console.print(_panel(mail))
    _check_thread(answer, first, second, last)


def first_mail() -> EmailMessage:
    """What Ada writes first."""
    mail = _from_ada("Prices for the office", "Hello,\n\ncould you look at the list of prices?\n\nAda\n")
    mail.add_attachment(PRICES.encode(), maintype="text", subtype="csv", filename="prices.csv")
    return mail


def second_mail(answer: EmailMessage) -> EmailMessage:
    """What Ada writes below the answer, as mail programs do."""
    quoted = "\n".join(f"> {line}" for line in text_of(answer).splitlines())
    mail = _from_ada(
        str(answer["Subject"]),
        f"Thank you! And what did I ask before?\n\nOn Monday, the agent wrote:\n{quoted}\n",
    )
    mail["In-Reply-To"] = answer["Message-ID"]
    mail["References"] = f"{answer['References']} {answer['Message-ID']}"
    return mail


def _from_ada(subject: str, text: str) -> EmailMessage:
    mail = EmailMessage(policy=policy.SMTP)
    mail["From"] = f"{NAME} <{CORRESPONDENT}>"
    mail["To"] = AGENT
    mail["Subject"] = subject
    mail["Message-ID"] = make_msgid(domain="example.test")
    mail.set_content(text)
    return mail


def text_of(mail: EmailMessage) -> str:
    """The plain text of a mail."""
    part = mail.get_body(("plain",))
    return str(part.get_content()) if part is not None else ""


class Correspondent:
    """Ada, with a mail program of her own: plain SMTP and IMAP from the standard library."""

    def __init__(self, servers: Sandbox) -> None:
        self._servers = servers
        self._context = ssl.create_default_context(cafile=str(servers.ca_file))

    async def send(self, mail: EmailMessage) -> None:
        """Hand the mail to the submission server."""
        await asyncio.to_thread(self._send, mail)

    async def reply_to(self, mail: EmailMessage, count: int) -> EmailMessage:
        """Wait until there are `count` mails in the inbox; gives the one that answers `mail`."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            inbox = await asyncio.to_thread(self._inbox)
            found = [m for m in inbox if m["In-Reply-To"] == mail["Message-ID"]]
            if found and len(inbox) >= count:
                return found[0]
            await asyncio.sleep(0.02)
        raise DemoFailed(f"no answer came within {PATIENCE:.0f} s")

    def _send(self, mail: EmailMessage) -> None:
        with smtplib.SMTP(self._servers.host, self._servers.smtp_port, timeout=10) as smtp:
            smtp.starttls(context=self._context)
            smtp.login(CORRESPONDENT, self._servers.password)
            smtp.send_message(mail)

    def _inbox(self) -> list[EmailMessage]:
        servers = self._servers
        with imaplib.IMAP4_SSL(
            servers.host, servers.imap_port, ssl_context=self._context, timeout=10
        ) as imap:
            imap.login(CORRESPONDENT, servers.password)
            imap.select("INBOX")
            _, found = imap.uid("FETCH", "1:*", "(BODY.PEEK[])")
            raws = [part[1] for part in found if isinstance(part, tuple)]
            return [_parsed(raw) for raw in raws]


def _parsed(raw: bytes) -> EmailMessage:
    mail = message_from_bytes(raw, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


def _panel(mail: EmailMessage) -> Panel:
    text = Text()
    for name in HEADERS:
        if mail[name]:
            text.append(f"{name}: ", "cyan")
            text.append(f"{mail[name]}\n")
    for part in mail.iter_attachments():
        text.append(f"attached: {part.get_filename()}\n", "dim")
    text.append("\n" + text_of(mail).strip())
    theirs = CORRESPONDENT in str(mail["From"])
    return Panel(text, border_style="blue" if theirs else "green", title="Ada" if theirs else "the agent")


def _check_thread(
    answer: EmailMessage, first: EmailMessage, second: EmailMessage, last: EmailMessage
) -> None:
    ids = [str(mail["Message-ID"]) for mail in (first, answer, second)]
    if str(last["References"]).split() != ids or answer["In-Reply-To"] != first["Message-ID"]:
        raise DemoFailed("the answers are not in the thread")


def _invite(console: Console, servers: Sandbox, running: Running) -> None:
    console.print(f"\nStill running. Write to {AGENT} from any address (password: {servers.password}):")
    console.print(
        f"  IMAP  localhost:{servers.imap_port} (TLS)   SMTP  localhost:{servers.smtp_port} (STARTTLS)"
    )
    console.print(f"  CA    {servers.ca_file}")
    console.print(
        f"  curl -H 'x-api-key: {running.key}' {running.url}/api/sites/default/threads", soft_wrap=True
    )
    console.print(f"  log   {running.log}\nCtrl-C ends it.")


@asynccontextmanager
async def service(folder: Path, servers: Sandbox) -> AsyncIterator[Running]:
    """`postroom serve` as a process of its own, configured by environment only, ready when it is given."""
    log = folder / "serve.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "postroom",
            "serve",
            env=environment(folder, servers),
            stderr=output,
            stdout=output,
            cwd=folder,
        )
    try:
        url = await _listening(process, log)
        key = (folder / "data" / "admin-key").read_text().strip()
        yield Running(url, key, log)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


def environment(folder: Path, servers: Sandbox) -> dict[str, str]:
    """The six variables of a mailbox, and what the sandbox needs beside them."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("EMAIL_", "POSTROOM_", "ENABLED_"))}
    return {
        **inherited,
        "ENABLED_CLIENTS": "email",
        "EMAIL_USER": AGENT,
        "EMAIL_PASSWORD": servers.password,
        "EMAIL_IMAP_HOST": servers.host,
        "EMAIL_IMAP_PORT": str(servers.imap_port),
        "EMAIL_SMTP_HOST": servers.host,
        "EMAIL_SMTP_PORT": str(servers.smtp_port),
        "POSTROOM_TLS_CA_FILE": str(servers.ca_file),
        "POSTROOM_DATA_DIR": str(folder / "data"),
        "POSTROOM_PORT": "0",
        "POSTROOM_AGENT": "python:postroom.sandbox.demo_agent:answer",
        "POSTROOM_LOG_FORMAT": "json",
    }


async def _listening(process: asyncio.subprocess.Process, log: Path) -> str:
    """The URL of the API once the mailbox is watched."""
    url = ""

    def ready() -> bool:
        nonlocal url
        url = url or _url_in(log)
        if not url:
            return False
        with suppress(httpx2.HTTPError):
            return bool(httpx2.get(f"{url}/readyz", timeout=2).status_code == 200)
        return False

    await _until(ready, process, log)
    return url


def _url_in(log: Path) -> str:
    for line in log.read_text(errors="replace").splitlines():
        with suppress(ValueError):
            entry = json.loads(line)
            if entry.get("event") == "api.listening":
                return f"http://{entry['host']}:{entry['port']}"
    return ""


async def _until(ready: Callable[[], bool], process: asyncio.subprocess.Process, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if process.returncode is not None:
            raise DemoFailed(
                f"postroom serve ended at once; it said:\n{log.read_text(errors='replace')[-2000:]}"
            )
        if await asyncio.to_thread(ready):
            return
        await asyncio.sleep(0.05)
    raise DemoFailed(
        f"postroom serve was not ready in time; it said:\n{log.read_text(errors='replace')[-2000:]}"
    )
