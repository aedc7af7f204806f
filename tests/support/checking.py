"""What the tests of the connection check say, and the servers they say it of."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx2

from tests.support.certificates import CertificateAuthority
from tests.support.in_thread import running
from tests.support.scripted_imap import Peer, Script, ScriptedImap
from tests.support.scripted_smtp import ScriptedSmtp

CHECK = "/api/agents/email/check"
SECRET = "canary-password-of-the-check"


async def welcoming(peer: Peer) -> None:
    """An IMAP server at which everything is fine."""
    await peer.log_in()
    await peer.answer("STATUS", "* STATUS INBOX (MESSAGES 12 UNSEEN 3 UIDNEXT 99 UIDVALIDITY 1)")
    await peer.answer("LOGOUT", "* BYE see you")


def refusing(text: str) -> Script:
    """One that refuses the login with this text, however it is made."""

    async def script(peer: Peer) -> None:
        await peer.send("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR LITERAL+] ready")
        while True:
            command = await peer.receive()
            if command.name == "LOGOUT":
                await peer.send("* BYE", f"{command.tag} OK")
                return
            await peer.send(f"{command.tag} NO {text}")

    return script


async def silent(peer: Peer) -> None:
    """One that says nothing."""
    await peer.hang()


async def babbling(peer: Peer) -> None:
    """What is no mail server at all."""
    await peer.send("HTTP/1.1 400 Bad Request", "", "")


def request(imap_port: int, smtp_port: int, **changes: Any) -> dict[str, Any]:
    return {
        "use_saved_credentials": False,
        "email": "ann@example.com",
        "password": SECRET,
        "incoming_server": "localhost",
        "incoming_port": imap_port,
        "outgoing_server": "localhost",
        "outgoing_port": smtp_port,
        "outgoing_security": "tls",
        **changes,
    }


@contextmanager
def servers(
    authority: CertificateAuthority, script: Script = welcoming, **smtp: Any
) -> Iterator[tuple[ScriptedImap, ScriptedSmtp]]:
    with ExitStack() as stack:
        context = authority.localhost().context()
        yield (
            stack.enter_context(running(ScriptedImap(script, tls=context))),
            stack.enter_context(running(ScriptedSmtp(**{"tls": context, **smtp}))),
        )


def checked(admin: httpx2.Client, imap: ScriptedImap, smtp: ScriptedSmtp, **changes: Any) -> dict[str, Any]:
    answer = admin.post(CHECK, json=request(imap.address[1], smtp.port, **changes))
    assert answer.status_code == 200, answer.text
    assert SECRET not in answer.text
    body: dict[str, Any] = answer.json()
    return body
