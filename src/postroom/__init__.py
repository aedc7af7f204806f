"""Postroom gives an AI agent a mailbox: any existing one, over IMAP and SMTP.

from postroom import Postroom, Turn, Answer

app = Postroom.from_environment()

@app.agent
async def answer(turn: Turn) -> Answer:
    return Answer(f"You wrote {len(turn.message.text.split())} words.")

app.run()
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from postroom.app import Postroom
    from postroom.core.agent import Answer, Attachment, Turn
    from postroom.core.errors import AgentFailed

__all__ = ["AgentFailed", "Answer", "Attachment", "Postroom", "Turn"]
__version__ = "0.1.0"

_HOMES = {
    "Postroom": "postroom.app",
    "Answer": "postroom.core.agent",
    "Attachment": "postroom.core.agent",
    "Turn": "postroom.core.agent",
    "AgentFailed": "postroom.core.errors",
}


def __getattr__(name: str) -> object:
    # Loaded on first use: the parts of the package import each other, not its face.
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'postroom' has no attribute {name!r}")
