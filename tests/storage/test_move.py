"""Moving rows from SQLite to PostgreSQL: all of them, once, wherever it is interrupted; and told when not."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from postroom.core.errors import Conflict, PostroomError
from postroom.core.model import MessageState
from postroom.core.store import Settlement, Store
from postroom.core.submission import SubmissionStatus
from postroom.storage import open_store
from postroom.storage.engines import parse_url, single_engine
from postroom.storage.move import LIVE, MOVED, Moved, MoveProgress, move_rows
from postroom.storage.tables import metadata
from tests.support.databases import Cluster
from tests.support.stored import (
    NOW,
    Recorder,
    answer_to,
    claimed,
    due_ids,
    event,
    later,
    message,
    outgoing,
    site,
    submission,
    take_in,
    turn,
)

MANY = 230


class Interrupted(BaseException):
    """What Ctrl-C comes to."""


def interrupted_after(times: int, phase: str = "copying") -> Callable[[MoveProgress], None]:
    left = times

    def tell(progress: MoveProgress) -> None:
        nonlocal left
        left -= progress.phase == phase
        if left == 0:
            raise Interrupted

    return tell


def silent(progress: MoveProgress) -> None:
    """Nobody wants to know."""


@pytest.fixture
async def source(tmp_path: Path, sqlite_template: Path) -> str:
    """A database with a bit of everything: due, answered, on its way, and many messages."""
    path = tmp_path / "postroom.db"
    shutil.copyfile(sqlite_template, path)
    url = f"sqlite:///{path}"
    async with open_store(url, Recorder()) as store:
        await store.sites.save(site())
        await store.tokens.remember("canary", "sealed")
        await take_in(store, message(subject="Größe 大 \x00\ud800", html="<p>…</p>", notes=("a", "b")))
        work = await claimed(store)
        await store.answering.begin(work.claim, turn())
        ended = Settlement(MessageState.ANSWERED, "", submission=answer_to(message()), sent=outgoing())
        await store.answering.settle(work.claim, ended)
        await take_in(store, *(message(n, f"thr_{n}") for n in range(2, MANY)))
        queued = submission(2, "thr_2", due_at=later(hours=1))
        await store.outbox.add(queued, outgoing(2, "thr_2"), None, event())
        await store.sites.save(site("other", email=None))
    _execute(url, "DELETE FROM messages WHERE id = 'msg_out2'")
    return url


@pytest.fixture
def target(postgresql: Cluster) -> str:
    return postgresql.migrated()


def _execute(url: str, statement: str) -> None:
    with single_engine(parse_url(url)).begin() as connection:
        connection.execute(text(statement))


def rows(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table that is moved, by key."""
    with single_engine(parse_url(url)).begin() as connection:
        return {
            table.name: [
                tuple(row)
                for row in connection.execute(select(table).order_by(*table.primary_key.columns))
                if row[0] not in ("move", "restored")
            ]
            for table in MOVED
        }


def test_every_table_is_moved_but_those_of_running_processes() -> None:
    assert {table.name for table in LIVE} == {"workers", "holdings"}
    assert {table.name for table in (*MOVED, *LIVE)} == set(metadata.tables)
    for table in MOVED:
        assert list(table.primary_key.columns), table.name
        for key in table.foreign_keys:
            assert MOVED.index(key.column.table) <= MOVED.index(table)


def test_every_row_arrives_as_it_is(source: str, target: str) -> None:
    told: list[MoveProgress] = []
    moved = move_rows(source, target, told.append)
    assert rows(source) == rows(target)
    assert moved.rows["messages"] == MANY
    assert not moved.before
    for phase in ("copying", "comparing"):
        steps = [(one.done, one.total) for one in told if one.phase == phase]
        assert steps == sorted(steps)
        assert steps[-1] == (sum(moved.rows.values()), sum(moved.rows.values()))


@pytest.mark.parametrize("after", [1, 4, 5, 6, 8])
def test_an_end_in_the_middle_is_gone_on_with(source: str, target: str, after: int) -> None:
    with pytest.raises(Interrupted):
        move_rows(source, target, interrupted_after(after))
    there = sum(map(len, rows(target).values()))
    told: list[MoveProgress] = []
    move_rows(source, target, told.append)
    assert rows(source) == rows(target)
    copied = [one.done for one in told if one.phase == "copying"]
    assert there > 0
    assert not copied or copied[0] > there


def test_an_end_while_comparing_is_gone_on_with(source: str, target: str) -> None:
    with pytest.raises(Interrupted):
        move_rows(source, target, interrupted_after(2, "comparing"))
    assert not move_rows(source, target, silent).before


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("UPDATE messages SET subject = 'other' WHERE id = 'msg_7'", "messages"),
        ("UPDATE messages SET sender = jsonb_set(sender, '{0}', '\"x\"') WHERE id = 'msg_7'", "messages"),
        ("UPDATE submissions SET status = 'sent' WHERE id = 'sub_2'", "submissions"),
        ("DELETE FROM events WHERE id = (SELECT min(id) FROM events)", "events"),
        ("UPDATE threads SET last_at = last_at + 1 WHERE id = 'thr_3'", "threads"),
    ],
)
def test_a_row_that_is_not_the_same_is_found(source: str, target: str, statement: str, table: str) -> None:
    damaged = False

    def tell(progress: MoveProgress) -> None:
        nonlocal damaged
        if progress.phase == "comparing" and not damaged:
            damaged = True
            _execute(target, statement)

    with pytest.raises(Conflict) as raised:
        move_rows(source, target, tell)
    assert raised.value.code == "differs"
    assert f"{table} (" in raised.value.text
    with pytest.raises(Conflict):  # nor is it taken for whole the next time
        move_rows(source, target, silent)


async def test_what_is_due_stays_due_and_what_is_answered_stays_answered(source: str, target: str) -> None:
    move_rows(source, target, silent)
    async with open_store(target, Recorder()) as store:
        assert len(await due_ids(store.answering.due, NOW, 1000)) == MANY - 2
        assert "thr_1" not in await due_ids(store.answering.due, NOW, 1000)
        assert await due_ids(store.outbox.due, NOW, 10) == ("sub_1",)
        assert await due_ids(store.outbox.due, later(hours=1), 10) == ("sub_1", "sub_2")
        work = await store.outbox.claim("sub_1", "worker", NOW, later(minutes=5))
        assert work is not None
        assert work.submission == answer_to(message())
        assert await store.answering.claim("thr_1", "worker", NOW, later(minutes=5)) is None
        again = submission(1, status=SubmissionStatus.QUEUED)
        assert not await store.outbox.add(again, outgoing(), None, event())


async def test_numbers_go_on_after_the_last_that_was_given(source: str, target: str) -> None:
    """Also after that of a message which was deleted before."""
    with single_engine(parse_url(source)).connect() as connection:
        last = connection.scalar(text("SELECT seq FROM sqlite_sequence WHERE name = 'messages'"))
    move_rows(source, target, silent)
    async with open_store(target, Recorder()) as store:
        await take_in(store, message(1000, "thr_new"))
    with single_engine(parse_url(target)).connect() as connection:
        assert connection.scalar(text("SELECT seq FROM messages WHERE id = 'msg_1000'")) == last + 1


async def test_a_database_with_anything_in_it_is_refused(source: str, target: str) -> None:
    async with open_store(target, Recorder()) as store:
        await store.tokens.remember("canary", "of another")
    before = rows(target)
    with pytest.raises(Conflict) as raised:
        move_rows(source, target, silent)
    assert raised.value.code == "foreign_data"
    assert rows(target) == before


def test_where_another_was_moved_to_is_refused(source: str, target: str, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        move_rows(source, target, interrupted_after(3))
    _execute(source, "DELETE FROM facts WHERE name = 'move'")
    with pytest.raises(Conflict) as raised:
        move_rows(source, target, silent)
    assert raised.value.code == "foreign_data"


async def test_moved_once_it_is_not_moved_again(source: str, target: str) -> None:
    first = move_rows(source, target, silent)
    async with open_store(target, Recorder()) as store:
        await _answer(store)
    assert move_rows(source, target, silent) == Moved(
        dict(first.rows) | {"facts": first.rows["facts"] + 1}, before=True
    )
    async with open_store(target, Recorder()) as store:
        assert "thr_2" not in await due_ids(store.answering.due, NOW, 1000)


async def _answer(store: Store) -> None:
    work = await claimed(store, "thr_2")
    await store.answering.settle(work.claim, Settlement(MessageState.NO_ANSWER, "dropped"))


async def test_who_goes_back_finds_a_database_that_has_to_be_settled(source: str, target: str) -> None:
    async with open_store(source, Recorder()) as store:
        assert not await store.restoring.marked()
    move_rows(source, target, silent)
    async with open_store(source, Recorder()) as store:
        assert await store.restoring.marked()
    async with open_store(target, Recorder()) as store:
        assert not await store.restoring.marked()


def test_a_database_that_is_not_there_is_a_clear_error(source: str) -> None:
    with pytest.raises(PostroomError) as raised:
        move_rows(source, "postgresql://nobody:secret@/none?host=/nonexistent", silent)
    assert raised.value.code == "database_unavailable"
    assert "secret" not in raised.value.text
