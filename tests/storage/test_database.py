"""Lost connections, crowds, cancelled callers, crashes: what the database itself may do to us."""

import asyncio
import os
import signal
import sqlite3
import sys
from pathlib import Path

import pytest

from postroom.core.errors import Conflict, PostroomError
from postroom.core.model import MessageState
from postroom.core.store import Settlement, Store
from postroom.storage import open_store
from postroom.storage.engines import parse_url
from tests.support.databases import Cluster
from tests.support.stored import (
    ALICE,
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
    thread,
)

ROOT = Path(__file__).parents[2]


def _drop_connections(postgresql: Cluster, url: str) -> None:
    name = parse_url(url).database
    postgresql.run(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_connections_that_were_lost_are_replaced(
    acme: Store, postgresql: Cluster, database_url: str
) -> None:
    await take_in(acme, message())
    for _ in range(2):
        await asyncio.gather(*(acme.desk.note([event()]) for _ in range(20)))
        _drop_connections(postgresql, database_url)
        assert await due_ids(acme.answering.due, NOW, 10) == ("thr_1",)
        await asyncio.gather(*(acme.desk.note([event()]) for _ in range(20)))
    assert len((await acme.lists.events("acme", {}, None, 200)).items) == 81


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_transaction_whose_connection_is_lost_keeps_nothing(
    acme: Store, postgresql: Cluster, database_url: str
) -> None:
    async def interrupted() -> None:
        async with acme.intake.transaction("acme") as tx:
            await tx.add(message(), None, thread(), event())
            await tx.copies("m1@home.example", "")
            _drop_connections(postgresql, database_url)

    with pytest.raises(PostroomError) as lost:
        await interrupted()
    assert (lost.value.temporary, lost.value.code) == (True, "database_unavailable")
    assert await acme.things.message("msg_1") is None
    await take_in(acme, message())


async def test_a_database_that_is_gone_is_a_temporary_fault(tmp_path: Path, steps: Recorder) -> None:
    with pytest.raises(PostroomError) as refused:
        async with open_store(f"postgresql://postgres@/x?host={tmp_path}", steps):
            pass
    assert (refused.value.temporary, refused.value.code) == (True, "database_unavailable")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_another_process_that_writes_is_waited_for(acme: Store, database_url: str) -> None:
    other = sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    noting = asyncio.create_task(acme.desk.note([event()]))
    _, waiting = await asyncio.wait([noting], timeout=0.2)
    assert waiting == {noting}
    assert (await acme.lists.events("acme", {}, None, 9)).items == ()
    other.execute("COMMIT")
    other.close()
    async with asyncio.timeout(20):
        await noting
    assert len((await acme.lists.events("acme", {}, None, 9)).items) == 1


async def test_in_a_crowd_each_has_its_own_outcome(acme: Store, steps: Recorder) -> None:
    await acme.outbox.add(submission(0, "thr_0"), outgoing(0, "thr_0"), thread("thr_0"), event())
    steps.reached_steps.clear()

    async def add(number: int) -> bool | str:
        stored = submission(number, f"thr_{number}")
        # Every third begins a conversation that there is already.
        began = thread("thr_0" if number % 3 == 0 else f"thr_{number}")
        try:
            return await acme.outbox.add(stored, outgoing(number, f"thr_{number}"), began, event())
        except Conflict as exc:
            return exc.code

    outcomes = await asyncio.gather(*(add(number) for number in range(1, 61)))
    assert outcomes == ["conflict" if number % 3 == 0 else True for number in range(1, 61)]
    assert len((await acme.lists.threads("acme", {}, None, 100)).items) == 41
    assert steps.reached_steps.count("commit:submission-add") == 40
    assert steps.reached_steps.count("before-commit:submission-add") == 40


async def test_a_driver_that_quotes_rows_is_not_quoted(acme: Store) -> None:
    await take_in(acme, message())
    work = await claimed(acme)
    await acme.outbox.add(submission(1), outgoing(1), None, event())
    answer = answer_to(message(), 1)
    with pytest.raises(Conflict) as refused:
        await acme.answering.settle(
            work.claim, Settlement(MessageState.ANSWERED, "", submission=answer, sent=outgoing(2))
        )
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__
    assert ALICE.address not in str(refused.value)
    assert "sub_1" not in str(refused.value)


async def test_cancelled_callers_leave_a_working_store(acme: Store) -> None:
    async def arrive(number: int) -> None:
        async with acme.intake.transaction("acme") as tx:
            await tx.copies("x@y", "")
            await tx.add(message(number, f"thr_{number}"), None, thread(f"thr_{number}"), event())

    for number in range(40):
        tasks = [
            asyncio.create_task(work)
            for work in (arrive(number), acme.desk.note([event()]), acme.lists.counts(), arrive(number + 100))
        ]
        for _ in range(number % 12):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=20)
        assert all(task.done() for task in tasks)
    async with asyncio.timeout(20):
        await take_in(acme, message(999, "thr_999"))
        await acme.desk.note([event()])
    page = await acme.lists.messages("acme", {}, None, 200)
    threads = await acme.lists.threads("acme", {}, None, 200)
    assert len(page.items) == len(threads.items)


async def test_readers_see_what_is_committed_while_a_transaction_is_open(acme: Store) -> None:
    async with acme.intake.transaction("acme") as tx:
        await tx.add(message(), None, thread(), event())
        await tx.copies("x@y", "")
        assert await acme.things.message("msg_1") is None
    assert await acme.things.message("msg_1") is not None


async def test_transactions_of_two_sites_do_not_share_their_fate(acme: Store) -> None:
    await acme.sites.save(site("other", email=None))

    async def fail() -> None:
        async with acme.intake.transaction("acme") as tx:
            await tx.add(message(), None, thread(), event())
            await tx.copies("x@y", "")
            raise RuntimeError("stop")

    others = take_in(acme, message(2, "thr_2", site_id="other"))
    failed, _ = await asyncio.gather(fail(), others, return_exceptions=True)
    assert isinstance(failed, RuntimeError)
    assert await acme.things.message("msg_1") is None
    assert (await acme.lists.messages("other", {}, None, 9)).items != ()


@pytest.mark.parametrize("when", ["before-commit", "commit"])
@pytest.mark.parametrize("name", ["intake", "answer-claim", "settle", "submission-claim", "transmitting"])
async def test_b7_a_killed_process_leaves_a_step_undone_or_done(
    database_url: str, steps: Recorder, name: str, when: str
) -> None:
    async with open_store(database_url, steps) as store:
        await store.sites.save(site())
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.dying",
        database_url,
        f"{when}:{name}",
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
    )
    assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL
    done = ["intake", "answer-claim", "settle", "submission-claim", "transmitting"]
    reached = done[: done.index(name) + (when == "commit")]
    async with open_store(database_url, steps) as store:
        found = await store.things.message("msg_1")
        assert (found is not None) == ("intake" in reached)
        if found is not None:
            state = MessageState.ANSWERED if "settle" in reached else MessageState.DUE
            assert found.state is state
        due_now = await due_ids(store.answering.due, NOW, 9)
        assert due_now == (("thr_1",) if reached == ["intake"] else ())
        sent = await store.things.submission("sub_1")
        assert (sent is not None) == ("settle" in reached)
        assert (await store.things.message("msg_out1") is not None) == ("settle" in reached)
        if sent is not None:
            assert sent.status.value == ("transmitting" if "transmitting" in reached else "queued")
        assert await due_ids(store.outbox.due, NOW, 9) == (("sub_1",) if reached[-1:] == ["settle"] else ())
        assert await due_ids(store.outbox.due, later(hours=1), 9) == (
            ("sub_1",) if "settle" in reached else ()
        )
