"""Idempotency keys: one call runs, the others learn what became of it."""

import asyncio
from datetime import datetime

from postroom.core.registry import Reservation
from postroom.core.store import Store
from tests.support.stored import NOW, later


async def _begin(
    store: Store, key: str = "k", body: str = "body", resource: str = "sub_1", now: datetime = NOW
) -> Reservation:
    until = now + (later(minutes=1) - NOW)
    return await store.idempotency.begin("site:acme", key, body, resource, now, until)


async def test_a4_a_key_replays_its_answer(store: Store) -> None:
    assert await _begin(store) == Reservation("fresh", "sub_1")
    assert await _begin(store, resource="sub_2") == Reservation("running", "sub_1")
    await store.idempotency.finish("site:acme", "k", 201, '{"success": true}')
    assert await _begin(store, resource="sub_3") == Reservation("done", "sub_1", 201, '{"success": true}')


async def test_a4_a_key_belongs_to_one_body(store: Store) -> None:
    await _begin(store)
    assert (await _begin(store, body="other")).state == "other_body"
    await store.idempotency.finish("site:acme", "k", 201, "{}")
    assert (await _begin(store, body="other")).state == "other_body"


async def test_a4_a_key_belongs_to_one_scope(store: Store) -> None:
    await _begin(store)
    elsewhere = await store.idempotency.begin("site:other", "k", "x", "sub_9", NOW, later(minutes=1))
    assert elsewhere == Reservation("fresh", "sub_9")


async def test_a4_of_a_hundred_calls_at_once_one_runs(store: Store) -> None:
    results = await asyncio.gather(*(_begin(store, resource=f"sub_{n}") for n in range(100)))
    fresh = [r for r in results if r.state == "fresh"]
    assert len(fresh) == 1
    assert {r.state for r in results if r is not fresh[0]} == {"running"}
    assert {r.resource_id for r in results} == {fresh[0].resource_id}


async def test_a4_a_call_that_died_is_taken_over_by_one_with_its_resource(store: Store) -> None:
    await _begin(store)
    assert (await _begin(store, resource="sub_2", now=later(seconds=59))).state == "running"
    again = [_begin(store, resource=f"sub_{n}", now=later(seconds=60)) for n in range(2, 12)]
    results = await asyncio.gather(*again)
    assert sorted(r.state for r in results) == ["fresh"] + ["running"] * 9
    assert {r.resource_id for r in results} == {"sub_1"}


async def test_an_abandoned_key_is_free_but_an_answer_stays(store: Store) -> None:
    await _begin(store)
    await store.idempotency.abandon("site:acme", "k")
    assert await _begin(store, resource="sub_2") == Reservation("fresh", "sub_2")
    await store.idempotency.finish("site:acme", "k", 201, "{}")
    await store.idempotency.abandon("site:acme", "k")
    assert (await _begin(store)).state == "done"


async def test_a4_keys_are_kept_for_more_than_a_day_and_then_forgotten(store: Store) -> None:
    await _begin(store)
    await store.idempotency.finish("site:acme", "k", 201, "{}")
    assert (await _begin(store, now=later(hours=47))).state == "done"
    assert (await _begin(store, resource="sub_2", now=later(hours=49))) == Reservation("fresh", "sub_2")


async def test_keys_of_any_length_and_kind_are_told_apart(store: Store) -> None:
    keys = ["x" * 9000 + "1", "x" * 9000 + "2", "ключ\U0001f511", "a\x00b\ud800"]
    states = [(await _begin(store, key)).state for key in keys]
    assert states == ["fresh"] * 4
    assert [(await _begin(store, key)).state for key in keys] == ["running"] * 4


async def test_a4_calls_of_a_process_that_died_can_be_taken_over_at_once(store: Store) -> None:
    await _begin(store)
    await _begin(store, key="answered", resource="sub_2")
    await store.idempotency.finish("site:acme", "answered", 201, "{}")
    await store.idempotency.release(later(seconds=5))
    answered = await _begin(store, key="answered", resource="sub_3", now=later(seconds=5))
    assert answered == Reservation("done", "sub_2", 201, "{}")
    again = await _begin(store, resource="sub_4", now=later(seconds=5))
    assert again == Reservation("fresh", "sub_1")
