"""The agent of a mailbox that has none yet: it says so, honestly, and quotes nothing."""

from postroom.core.agent import Answer, Turn

_TEXT = """\
Thank you for your message. It has arrived in this mailbox.

This is an automatic confirmation, written without anyone having read your message: \
no agent has been set up to answer here yet.
"""


class AcknowledgeAgent:
    """Answers every turn with the same text, which says only what is true of every such mailbox."""

    name = "acknowledge"
    tries = 3

    async def answer(self, turn: Turn) -> Answer:
        """The confirmation; nothing of the turn is used."""
        del turn
        return Answer(_TEXT)
