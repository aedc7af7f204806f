"""Python functions as agents: what they may return, how they fail, how they are loaded."""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from postroom.agents.python import PythonAgent, load
from postroom.core.agent import Answer, Attachment, Turn
from postroom.core.errors import AgentFailed, InvalidInput
from tests.support.turns import turn


def _returning(value: Any) -> PythonAgent:
    async def answer(turn: Turn) -> Any:
        return value

    return PythonAgent(answer)


async def test_a_plain_str_is_the_answer() -> None:
    assert await _returning("Sunday: closed.").answer(turn()) == Answer("Sunday: closed.")


async def test_an_answer_comes_back_as_it_is() -> None:
    answer = Answer("See attached.", [Attachment("a.txt", b"a")])
    assert await _returning(answer).answer(turn()) == answer


async def test_nothing_stays_nothing_with_its_reason() -> None:
    answer = await _returning(Answer.nothing("not for me")).answer(turn())
    assert (answer.kind, answer.reason) == ("nothing", "not for me")


@pytest.mark.parametrize("empty", ["", "  \n", Answer(" ")])
async def test_b5_an_empty_answer_mails_nothing_and_says_why(empty: object) -> None:
    answer = await _returning(empty).answer(turn())
    assert (answer.kind, answer.reason) == ("nothing", "empty_answer")


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (None, "returned None"),
        (42, "returned int"),
        ({"text": "x"}, "returned dict"),
        (Answer(None), "text is NoneType"),  # type: ignore[arg-type]  # what a careless agent does
        (Answer("x", "a.txt"), "must be a list of Attachment"),  # type: ignore[arg-type]  # the same
        (Answer("x", ["a.txt"]), "must be an Attachment, not str"),  # type: ignore[list-item]  # the same
    ],
)
async def test_what_is_no_answer_fails_naming_what_to_return(value: object, named: str) -> None:
    with pytest.raises(AgentFailed) as failed:
        await _returning(value).answer(turn())
    assert named in failed.value.text
    assert not failed.value.temporary
    assert failed.value.code == "agent_returned_no_answer"


async def test_b8_attachments_of_the_decorator_go_with_every_answer() -> None:
    terms = Attachment("terms.pdf", b"%PDF")

    async def answer(turn: Turn) -> Answer:
        return Answer("Here.", [Attachment("own.txt", b"own")])

    agent = PythonAgent(answer, attachments=[terms])
    for _ in range(2):
        given = await agent.answer(turn())
        assert [a.filename for a in given.attachments] == ["own.txt", "terms.pdf"]


async def test_b5_attachments_of_the_decorator_do_not_turn_nothing_into_a_mail() -> None:
    for silent in (Answer.nothing("quiet"), Answer.later(), ""):

        async def answer(turn: Turn, value: Any = silent) -> Any:
            return value

        given = await PythonAgent(answer, attachments=[Attachment("a", b"a")]).answer(turn())
        assert given.kind != "text"
        assert given.attachments == ()


def test_attachments_of_the_decorator_must_be_attachments() -> None:
    async def answer(turn: Turn) -> str:
        return "x"

    with pytest.raises(InvalidInput, match="/agent/attachments/0: must be an Attachment, not bytes"):
        PythonAgent(answer, attachments=[b"pdf"])  # type: ignore[list-item]  # what a careless caller does


async def test_an_exception_is_tried_again_and_tells_neither_its_text_nor_the_mail() -> None:
    async def answer(turn: Turn) -> str:
        raise ValueError(f"cannot read: {turn.message.text}")

    agent = PythonAgent(answer)
    with capture_logs() as logs, pytest.raises(AgentFailed) as failed:
        await agent.answer(turn())
    assert agent.tries == 3
    assert not failed.value.temporary
    assert failed.value.code == "agent_raised"
    assert "ValueError" in failed.value.text
    assert "test_python_agent.py:" in failed.value.text
    told = failed.value.text + repr(logs)
    assert "Sunday" not in told
    assert "cannot read" not in told
    assert logs[0]["turn_id"] == "turn_1"
    assert logs[0]["error"] == "ValueError"


async def test_an_agent_that_exits_does_not_end_the_service() -> None:
    async def answer(turn: Turn) -> str:
        sys.exit("done")

    with pytest.raises(AgentFailed, match="SystemExit"):
        await PythonAgent(answer).answer(turn())


async def test_an_agent_may_say_itself_that_waiting_helps() -> None:
    async def answer(turn: Turn) -> str:
        raise AgentFailed("the shop system is down", temporary=True, after=60)

    with pytest.raises(AgentFailed) as failed:
        await PythonAgent(answer).answer(turn())
    assert (failed.value.temporary, failed.value.after) == (True, 60)


async def test_notes_reach_the_one_who_listens_and_no_answer() -> None:
    notes: list[str] = []

    async def answer(turn: Turn) -> str:
        turn.note("looked up the opening hours")
        return "Closed."

    given = await PythonAgent(answer).answer(turn(notes.append))
    assert notes == ["looked up the opening hours"]
    assert given.text == "Closed."


class _Desk:
    async def answer(self, turn: Turn) -> str:
        return "method"

    async def __call__(self, turn: Turn) -> str:
        return "object"


async def test_methods_partials_and_callable_objects_are_async_functions_too() -> None:
    async def answer(greeting: str, turn: Turn) -> str:
        return greeting

    desk = _Desk()
    for function, text in ((desk.answer, "method"), (desk, "object"), (partial(answer, "hello"), "hello")):
        assert (await PythonAgent(function).answer(turn())).text == text


def test_a_function_that_is_not_async_is_refused_with_what_to_write() -> None:
    def answer(turn: Turn) -> str:
        return "x"

    for wrong in (answer, partial(answer), lambda turn: "x"):
        with pytest.raises(InvalidInput, match="must be async: write `async def"):
            PythonAgent(wrong)
    with pytest.raises(InvalidInput, match="must be an async function"):
        PythonAgent("answer")  # type: ignore[arg-type]  # what a careless caller does


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory of modules that is the current one; what was imported from it is forgotten again."""
    known = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    yield tmp_path
    for name in set(sys.modules) - known:
        origin = getattr(sys.modules[name], "__file__", None) or ""
        if origin.startswith(str(tmp_path)) or name.startswith("pr_"):
            del sys.modules[name]


async def test_the_current_directory_is_importable(module: Path) -> None:
    (module / "pr_shop").mkdir()
    (module / "pr_shop" / "bot.py").write_text(
        "class Desk:\n    async def answer(self, turn): return 'from the desk'\ndesk = Desk()\n"
    )
    agent = load("pr_shop.bot:desk.answer")
    assert (await agent.answer(turn())).text == "from the desk"
    assert agent.name == "python:pr_shop.bot:desk.answer"


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("pr_nowhere:answer", "there is no module pr_nowhere"),
        ("pr_good.deeper:answer", "there is no module pr_good.deeper"),
        ("pr_good:missing", "has no missing"),
        ("pr_good:sync", "sync must be async"),
        ("pr_good:text", "must be an async function"),
        ("pr_needs:answer", "imports pr_not_installed, which is not installed"),
        ("pr_broken:answer", "importing pr_broken raised RuntimeError at pr_broken.py:1"),
        ("pr_typo:answer", "importing pr_typo raised SyntaxError at pr_typo.py:2"),
        ("pr_good", "python:pkg.module:function"),
        ("pr_good:", "python:pkg.module:function"),
        (":answer", "python:pkg.module:function"),
        ("../pr_good:answer", "python:pkg.module:function"),
    ],
)
def test_a_target_that_cannot_be_loaded_is_named_with_its_fault(module: Path, target: str, told: str) -> None:
    (module / "pr_good.py").write_text(
        "async def answer(turn): return 'x'\ndef sync(turn): return 'x'\ntext = 'x'\n"
    )
    (module / "pr_needs.py").write_text("import pr_not_installed\n")
    (module / "pr_broken.py").write_text("raise RuntimeError('secret')\n")
    (module / "pr_typo.py").write_text("\nasync deff answer(turn): pass\n")
    with pytest.raises(InvalidInput) as refused:
        load(target)
    assert told in refused.value.text
    assert "secret" not in refused.value.text
