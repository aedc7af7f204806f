"""The agent of a mailbox that has none: honest, and quotes nothing."""

from postroom.agents.acknowledge import AcknowledgeAgent
from tests.support.turns import message, turn


async def test_it_says_that_no_agent_is_set_up_and_quotes_nothing() -> None:
    asked = turn(message=message(subject="Zebra crossing", text="Zebra? " * 50, new_text="Zebra?"))
    answer = await AcknowledgeAgent().answer(asked)
    assert answer.kind == "text"
    assert "has arrived" in answer.text
    assert "No agent" in answer.text or "no agent" in answer.text
    assert "automatic" in answer.text
    for private in ("zebra", "anna", "help@example.com"):
        assert private not in answer.text.lower()
    assert answer.attachments == ()
