"""docs/guide/agents.md: its programs run, its JSON is what is sent, its settings are taken."""

import asyncio
import json
import re
import socket
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from postroom.agents.connect import open_client
from postroom.agents.http import HttpAgent
from postroom.agents.http_turn import turn_body
from postroom.config import load
from postroom.core.clock import SystemClock
from postroom.core.errors import AgentFailed
from postroom.core.model import Message
from postroom.core.settings import parse_settings
from tests.support.office import SITE, AgentFunction, Office, mail, open_office
from tests.support.turns import attachment, message, turn

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/guide/agents.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECRET = "whsec_" + b64encode(b"k" * 32).decode()


def program(page: str, holding: str) -> str:
    """The Python block of a page with this in it."""
    (found,) = (block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if holding in block)
    return str(found)


def agent_of(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> AgentFunction:
    """The function that a page's program makes its agent, the program not run."""
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    exec(program(page, "@app.agent").replace("app.run()", ""), names)
    function: AgentFunction = names["answer"]
    return function


async def test_the_python_program_answers_as_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = agent_of(PAGE, tmp_path, monkeypatch)
    async with open_office(tmp_path, agent) as office:
        asked = await office.work(await office.arrive(mail(text="May I have the invoice?")))
        other = await office.work(await office.arrive(mail(text="Good morning")))
        (answer,) = await office.answers()
        assert asked.state.value == "answered"
        assert (other.state.value, await turns_reason(office, other)) == (
            "no_answer",
            "no invoice was asked for",
        )
        (file,) = answer.iter_attachments()
        assert (file.get_filename(), file.get_content()) == ("invoice.txt", "42.00")
        assert b"looking for the order" not in answer.as_bytes()


async def turns_reason(office: Office, asked: Message) -> str:
    """What the record of the run for a message says."""
    events = (await office.service.store.lists.events(SITE, {}, None, 200)).items
    (turn_id,) = {event.turn_id for event in events if event.turn_id and event.message_id == asked.id}
    record = await office.service.store.things.turn(turn_id)
    assert record is not None
    return record.reason


async def test_the_ten_lines_of_the_readme_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = agent_of(README, tmp_path, monkeypatch)
    async with open_office(tmp_path, agent) as office:
        await office.work(await office.arrive(mail(text="one two three")))
        (answer,) = await office.answers()
        assert "You wrote 3 words." in str(answer.get_body(("plain",)))


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """The URL at which an ASGI program listens."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = asyncio.create_task(server.serve([listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


async def test_the_http_program_answers_signed_calls_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_SECRET", SECRET)
    names: dict[str, Any] = {}
    exec(program(PAGE, "webhook.verify"), names)
    async with served(names["api"]) as url, open_client() as client:

        async def ask(secret: str | None) -> str:
            agent = HttpAgent(f"{url}/answer", client, SystemClock(), "http://postroom.test", secret=secret)
            return (await agent.answer(turn())).text

        assert await ask(SECRET) == "You wrote: And on Sunday?"
        for wrong in (None, "whsec_" + b64encode(b"x" * 32).decode()):
            with pytest.raises(AgentFailed):
                await ask(wrong)


def shape(value: Any) -> Any:
    """The names of a document; of a list the first item's."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value and isinstance(value[0], dict) else None


def test_the_turn_looks_as_it_is_sent() -> None:
    (told,) = re.findall(r"```json\n(\{\"turn\".*?)```", PAGE, re.DOTALL)
    asked = turn(message=message(to=(), attachments=(attachment(b"%PDF"),)))
    assert shape(json.loads(told)) == shape(json.loads(turn_body(asked, "http://postroom.test")))


@pytest.mark.parametrize("value", sorted(set(re.findall(r"POSTROOM_AGENT=([\w:.\-/]+)", PAGE + README))))
def test_every_value_of_the_variable_is_taken(value: str, tmp_path: Path) -> None:
    given = value + "agents.example.com/answer" if value.endswith("https://") else value
    load({"POSTROOM_AGENT": given, "POSTROOM_AGENT_API_KEY": "k" * 20}, tmp_path)


def test_the_settings_of_a_site_are_taken() -> None:
    found = re.findall(r"`(\{\"agent\": .*?\}\})`", PAGE)
    assert found
    for document in found:
        assert parse_settings(json.loads(document)).agent is not None
