"""Sites and whose address is whose."""

import asyncio

import pytest

from postroom.core.errors import Conflict, InvalidInput, NotFound
from postroom.core.model import ApiKey, SealedToken
from postroom.core.store import Store
from tests.support.stored import (
    ACCOUNT,
    ALIAS,
    NOW,
    answer_to,
    event,
    later,
    message,
    outgoing,
    site,
    submission,
    take_in,
    thread,
)


async def test_a2_a_site_comes_back_as_it_was_saved(store: Store) -> None:
    saved = site(signature="Grüße\nAnna", paused=True, answerWithinHours=None)
    await store.sites.save(saved)
    assert await store.sites.get("acme") == saved
    assert await store.sites.get("other") is None


async def test_a2_a_change_needs_the_version_before(acme: Store) -> None:
    await acme.sites.save(site(version=2, quote=True))
    with pytest.raises(Conflict) as late:
        await acme.sites.save(site(version=2, quote=False))
    assert late.value.code == "conflict"
    with pytest.raises(Conflict):
        await acme.sites.save(site(version=1))
    found = await acme.sites.get("acme")
    assert found is not None
    assert (found.version, found.settings.quote) == (2, True)


@pytest.mark.parametrize("taken", [ACCOUNT, ALIAS, "AGENT@Acme.Example"])
async def test_a2_an_address_belongs_to_one_site(acme: Store, taken: str) -> None:
    with pytest.raises(Conflict) as refused:
        await acme.sites.save(site("other", email="x@other.example", aliases=[taken]))
    assert refused.value.code == "address_taken"
    assert taken not in str(refused.value)
    assert await acme.sites.get("other") is None
    assert await acme.sites.owner_of("x@other.example") is None


async def test_a2_an_address_given_up_can_be_taken(acme: Store) -> None:
    await acme.sites.save(site(version=2, aliases=[]))
    await acme.sites.save(site("other", email=ALIAS, aliases=[]))
    owner = await acme.sites.owner_of(ALIAS)
    assert owner is not None
    assert owner.id == "other"


async def test_a2_of_many_who_claim_one_address_at_once_one_gets_it(store: Store) -> None:
    async def claim(number: int) -> str:
        try:
            await store.sites.save(site(f"site{number}", email="one@wanted.example", aliases=[]))
        except Conflict as exc:
            return exc.code
        return "won"

    won = await asyncio.gather(*(claim(number) for number in range(12)))
    assert sorted(won) == ["address_taken"] * 11 + ["won"]
    owner = await store.sites.owner_of("one@wanted.example")
    assert owner is not None
    assert owner.id == f"site{won.index('won')}"
    assert [s.id for s in (await store.sites.list(None, 50)).items] == [owner.id]


async def test_two_sites_that_swap_addresses_at_once_do_not_hang(store: Store) -> None:
    await store.sites.save(site("a", email="a@x.example", aliases=["b@x.example"]))
    swaps = [
        store.sites.save(site("a", email="a@x.example", aliases=["c@x.example", "d@x.example"], version=2)),
        store.sites.save(site("b", email="d@x.example", aliases=["b@x.example", "c@x.example"])),
    ]
    async with asyncio.timeout(20):
        results = await asyncio.gather(*swaps, return_exceptions=True)
    assert any(result is None for result in results)


async def test_b3_an_address_leads_to_its_site(acme: Store) -> None:
    for address in (ACCOUNT, ALIAS):
        owner = await acme.sites.owner_of(address)
        assert owner is not None
        assert owner.id == "acme"
    assert await acme.sites.owner_of("nobody@acme.example") is None


async def test_a2_sites_are_listed_in_the_order_of_their_ids(store: Store) -> None:
    names = ["B", "a", "C-1", "c_2", "b"]
    for name in names:
        await store.sites.save(site(name, email=None))
    listed: list[str] = []
    cursor = None
    while True:
        page = await store.sites.list(cursor, 2)
        listed += [s.id for s in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert listed == sorted(names)


@pytest.mark.parametrize("cursor", ["", "x", "WzFd", "bnVsbA", "W10", "é", "WyJhIl0=", "A" * 5000])
async def test_a_foreign_cursor_is_refused(acme: Store, cursor: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await acme.sites.list(cursor, 10)
    assert refused.value.problems[0].pointer == "/cursor"


async def test_a2_deleting_a_site_takes_everything_of_it(acme: Store) -> None:
    await acme.sites.save(site("other", email="o@other.example", aliases=[]))
    await _fill(acme, "acme", raw="shared")
    await take_in(acme, message(900, "thr_other", site_id="other", raw="shared"))
    gone = await acme.sites.delete("acme")
    assert set(gone) == {"raw-out1", "raw-out2"}
    assert await acme.sites.get("acme") is None
    assert await acme.sites.owner_of(ACCOUNT) is None
    assert (await acme.tokens.list(None, None, 10)).items == ()
    assert await acme.keys.list() == ()
    assert await acme.things.message("msg_1") is None
    assert await acme.things.thread("thr_1") is None
    assert await acme.lists.counts() == {"messages.due": 1}
    assert await acme.sites.delete("acme") == ()
    await acme.sites.save(site())


async def test_a2_a_large_site_is_deleted_whole(acme: Store) -> None:
    for start in range(0, 1200, 300):
        numbers = range(start, start + 300)
        await take_in(acme, *(message(n, f"thr_{n % 7}") for n in numbers))
    gone = await acme.sites.delete("acme")
    assert set(gone) == {f"raw-{n}" for n in range(1200)}
    assert await acme.lists.counts() == {}


async def test_nothing_can_be_written_for_a_site_that_is_gone(acme: Store) -> None:
    await acme.sites.delete("acme")
    with pytest.raises(NotFound):
        await take_in(acme, message())
    with pytest.raises(NotFound):
        await acme.tokens.put(SealedToken("tok_1", "acme", "email", "x", "sealed", NOW, NOW))
    with pytest.raises(NotFound):
        await acme.outbox.add(submission(), outgoing(), thread(), event())
    assert await acme.lists.counts() == {}


async def _fill(store: Store, site_id: str, raw: str) -> None:
    await store.tokens.put(SealedToken("tok_1", site_id, "email", "x", "sealed", NOW, NOW))
    await store.keys.add(ApiKey("key_1", "laptop", site_id, NOW), "hash")
    await take_in(store, message(1, raw=raw, cc=(outgoing().to[0],)))
    await store.outbox.add(submission(1), outgoing(1), None, event())
    answer = answer_to(message(1), 2)
    await store.outbox.add(answer, outgoing(2), None, event())
    counts = await store.answering.counts(site_id, "thr_1", "alice@home.example", later(minutes=1))
    assert counts.correspondent_day == 1
