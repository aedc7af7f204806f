"""Secure tokens, facts, API keys, the reports of watchers, and the desk."""

import asyncio
from dataclasses import replace

import pytest

from postroom.core.errors import NotFound
from postroom.core.model import ASKED_FOR, AccountState, AccountStatus, ApiKey, MessageState, SealedToken
from postroom.core.store import Store
from tests.support.stored import NOW, Recorder, event, later, message, outgoing, site, take_in

TOKEN = SealedToken("tok_1", "acme", "email", "channels.email.email", "sealed-1", NOW, NOW)


async def test_a1_a_token_is_replaced_and_keeps_its_id(acme: Store) -> None:
    assert await acme.tokens.put(TOKEN) == TOKEN
    newer = replace(TOKEN, id="tok_2", sealed="sealed-2", created_at=later(days=1), updated_at=later(days=1))
    kept = await acme.tokens.put(newer)
    assert kept == replace(TOKEN, sealed="sealed-2", updated_at=later(days=1))
    assert await acme.tokens.get("acme", "email", "channels.email.email") == kept
    assert await acme.tokens.get("acme", "email", "other") is None
    assert await acme.tokens.get("other", "email", "channels.email.email") is None


async def test_a1_of_many_who_put_one_token_at_once_one_row_is_left(acme: Store) -> None:
    tokens = [replace(TOKEN, id=f"tok_{n}", sealed=f"sealed-{n}") for n in range(10)]
    ids = {token.id for token in await asyncio.gather(*(acme.tokens.put(token) for token in tokens))}
    assert len(ids) == 1
    assert len((await acme.tokens.list("acme", None, 50)).items) == 1


async def test_a1_tokens_are_listed_by_id_and_by_site(acme: Store) -> None:
    await acme.sites.save(site("other", email=None))
    for number in (3, 1, 2):
        owner = "other" if number == 2 else "acme"
        await acme.tokens.put(replace(TOKEN, id=f"tok_{number}", site_id=owner, identifier=f"i{number}"))
    first = await acme.tokens.list(None, None, 2)
    rest = await acme.tokens.list(None, first.next, 2)
    assert [t.id for t in (*first.items, *rest.items)] == ["tok_1", "tok_2", "tok_3"]
    assert [t.id for t in (await acme.tokens.list("acme", None, 9)).items] == ["tok_1", "tok_3"]
    assert not await acme.tokens.delete("tok_1", "other")
    assert await acme.tokens.delete("tok_1", "acme") == "acme"
    assert not await acme.tokens.delete("tok_1", None)
    assert await acme.tokens.delete("tok_2", None) == "other"


async def test_an_envelope_is_only_replaced_while_it_is_the_old_one(acme: Store) -> None:
    await acme.tokens.put(TOKEN)
    assert not await acme.tokens.rewrap("tok_1", "stale", "x")
    assert await acme.tokens.rewrap("tok_1", "sealed-1", "rewrapped")
    found = await acme.tokens.get("acme", "email", "channels.email.email")
    assert found is not None
    assert found.sealed == "rewrapped"


async def test_a_sealed_value_does_not_show(acme: Store) -> None:
    assert "sealed-1" not in repr(await acme.tokens.put(TOKEN))


async def test_a_fact_is_remembered_as_it_was_first_said(store: Store) -> None:
    said = await asyncio.gather(*(store.tokens.remember("canary", f"v{n}") for n in range(8)))
    assert len(set(said)) == 1
    assert await store.tokens.remember("canary", "other") == said[0]
    await store.tokens.replace("canary", "new")
    await store.tokens.replace("fresh", "f")
    assert await store.tokens.remember("canary", "x") == "new"
    assert await store.tokens.remember("fresh", "x") == "f"


async def test_d11_a_key_is_found_by_its_hash_until_it_is_revoked(acme: Store, steps: Recorder) -> None:
    admin, own = ApiKey("key_1", "ops", None, NOW), ApiKey("key_2", "acme's", "acme", later(minutes=1))
    await acme.keys.add(own, "hash-2")
    await acme.keys.add(admin, "hash-1")
    assert await acme.keys.find("hash-1", later(seconds=90)) == admin
    assert await acme.keys.find("nope", NOW) is None
    steps.reached_steps.clear()
    noted = await acme.keys.find("hash-1", later(seconds=119))
    assert noted == replace(admin, last_used_at=later(minutes=1))
    assert steps.reached_steps == []
    assert await acme.keys.list() == (noted, own)
    assert await acme.keys.revoke("key_1", later(hours=1))
    assert not await acme.keys.revoke("key_1", later(hours=2))
    assert not await acme.keys.revoke("key_9", NOW)
    assert await acme.keys.find("hash-1", NOW) is None
    assert (await acme.keys.list())[0].revoked_at == later(hours=1)


async def test_d11_a_secret_that_is_stored_again_takes_the_place_of_the_old_one(acme: Store) -> None:
    await acme.keys.add(ApiKey("key_1", "environment", None, NOW), "hash")
    await acme.keys.revoke("key_1", later(minutes=1))
    again = ApiKey("key_2", "environment", None, later(minutes=2))
    await acme.keys.add(again, "hash")
    assert await acme.keys.find("hash", later(minutes=2)) == again
    assert [key.id for key in await acme.keys.list()] == ["key_2"]


async def test_a_key_needs_its_site(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.keys.add(ApiKey("key_1", "x", "nobody", NOW), "hash")


async def test_the_last_report_of_an_account_is_kept(acme: Store) -> None:
    assert await acme.accounts.status("acme") is None
    first = AccountStatus("acme", AccountState.CONNECTING, NOW)
    await acme.accounts.report(first)
    assert await acme.accounts.status("acme") == first
    second = AccountStatus(
        "acme", AccountState.AUTH_FAILED, later(minutes=1), NOW, later(hours=6), "auth_failed", "No.", 3, 2
    )
    await acme.accounts.report(second)
    assert await acme.accounts.status("acme") == second


async def test_a_watcher_that_outlives_its_site_is_no_error(acme: Store) -> None:
    await acme.sites.delete("acme")
    await acme.accounts.report(AccountStatus("acme", AccountState.STOPPED, NOW))
    await acme.desk.note([event()])
    assert await acme.accounts.status("acme") is None
    assert (await acme.lists.events("acme", {}, None, 9)).items == ()


async def test_notes_of_several_sites_are_kept(acme: Store) -> None:
    await acme.sites.save(site("other", email=None))
    await acme.desk.note(
        [event(), event(site_id="gone"), event(site_id="other", data={"a": [1, {"b": None}]})]
    )
    assert len((await acme.lists.events("acme", {}, None, 9)).items) == 1
    (kept,) = (await acme.lists.events("other", {}, None, 9)).items
    assert kept.data == {"a": [1, {"b": None}]}
    await acme.desk.note([])


@pytest.mark.parametrize("state", [MessageState.HELD, MessageState.FAILED])
async def test_d8_a_person_can_have_a_message_tried_again(acme: Store, state: MessageState) -> None:
    await take_in(acme, message(state=state, reason="stale", due_at=None, attempts=3))
    assert await acme.desk.retry("msg_1", later(minutes=1), event("message.retried"))
    found = await acme.things.message("msg_1")
    assert found is not None
    assert replace(found, notes=()) == message(due_at=later(minutes=1))
    assert found.notes[-1] == ASKED_FOR
    assert not await acme.desk.retry("msg_1", later(minutes=2), event("message.retried"))
    assert len((await acme.lists.events("acme", {"type": "message.retried"}, None, 9)).items) == 1


async def test_only_held_or_failed_mail_that_came_in_is_tried_again(acme: Store) -> None:
    quarantined = message(1, state=MessageState.QUARANTINED, due_at=None)
    await take_in(acme, quarantined, outgoing(2, state=MessageState.FAILED))
    assert not await acme.desk.retry("msg_1", NOW, event())
    assert not await acme.desk.retry("msg_out2", NOW, event())
    assert not await acme.desk.retry("msg_none", NOW, event())
    assert await acme.things.message("msg_1") == quarantined
