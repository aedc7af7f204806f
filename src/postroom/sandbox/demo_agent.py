"""The agent of the demo: counts words, reads attachments, remembers the conversation, sends a file back."""

from postroom.core.agent import Answer, Attachment, Turn


async def answer(turn: Turn) -> Answer:
    """Say what was written, what was attached, and what came before."""
    message = turn.message
    turn.note("counting words")
    lines = [
        f"Hello {message.sender.name or 'there'},",
        "",
        f"you wrote **{len(message.new_text.split())} words**.",
    ]
    for item in message.attachments:
        content = await item.read()
        rows = content.decode("utf-8", "replace").splitlines()
        lines.append(f"`{item.filename}` has {len(rows)} lines and {len(content)} bytes.")
    if turn.history:
        earlier = [entry for entry in turn.history if entry.role == "correspondent"]
        lines.append(
            f"I remember {len(earlier)} earlier message of yours, about “{turn.history[0].subject}”."
        )
    summary = "\n".join(lines).encode()
    return Answer("\n".join(lines), attachments=[Attachment("summary.txt", summary, "text/plain")])
