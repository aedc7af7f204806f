"""D3, D4: who joins a conversation, and what of it the agent is shown. The cases of one table."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from postroom.core.agent import Answer, Turn
from tests.support.office import SITE, US, Office, mail, open_office

CANARY = "the canary of the first conversation"
PASS = "mx.postroom.test; dmarc=pass header.from={0}"
FAIL = "mx.postroom.test; dmarc=fail header.from={0}"

seen: list[Turn] = []


async def remember(turn: Turn) -> Answer:
    """Answers, and keeps what it was shown."""
    seen.append(turn)
    return Answer("noted")


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    seen.clear()
    async with open_office(tmp_path, remember) as opened:
        yield opened


@dataclass(frozen=True)
class Talk:
    """A conversation of Ada with Carol in copy: its thread, and the ids in it."""

    thread_id: str
    root: str
    middle: str
    ours: str


async def talk(office: Office) -> Talk:
    root = await office.arrive(mail("ada@example.test", CANARY, message_id="<root@example.test>"))
    await office.work(root)
    ours = str((await office.answers())[0]["Message-ID"])
    cited = f"<root@example.test> {ours}"
    middle = mail(
        "ada@example.test",
        "and more",
        message_id="<middle@example.test>",
        References=cited,
        Cc="carol@friend.test",
    )
    await office.work(await office.arrive(middle))
    last = str((await office.answers())[-1]["Message-ID"])
    return Talk(root.message.thread_id, "<root@example.test>", "<middle@example.test>", last)


SENDERS = {
    "participant": ("ada@example.test", {}, True),
    "participant in other letters": ("ADA@Example.TEST", {}, True),
    "participant verified": (
        "ada@example.test",
        {"Authentication_Results": PASS.format("example.test")},
        True,
    ),
    "copied later": ("carol@friend.test", {}, True),
    "same domain": ("bob@example.test", {}, False),
    "other domain": ("mallory@evil.test", {}, False),
    "other domain verified": (
        "mallory@evil.test",
        {"Authentication_Results": PASS.format("evil.test")},
        False,
    ),
    "participant forged": (
        "ada@example.test",
        {"Authentication_Results": FAIL.format("example.test")},
        False,
    ),
    "look-alike": ("ada@example.test.evil.test", {}, False),
    "name of a participant": ("ada <mallory@evil.test>", {}, False),
}
CITES = {
    "root": "{root}",
    "middle": "{middle}",
    "unknown beside root": "<unknown@x.test> {root}",
    "all theirs": "{root} {middle}",
}


@pytest.mark.parametrize("cites", CITES)
@pytest.mark.parametrize("sender", SENDERS)
async def test_d3_who_cites_a_known_id_joins_only_as_a_participant(
    office: Office, sender: str, cites: str
) -> None:
    known = await talk(office)
    address, headers, joins = SENDERS[sender]
    taken = await office.arrive(
        mail(
            address,
            "it is me",
            References=CITES[cites].format(root=known.root, middle=known.middle),
            **headers,
        )
    )
    assert (taken.message.thread_id == known.thread_id) is joins
    if not joins:
        thread = await office.service.store.things.thread(taken.message.thread_id)
        assert thread is not None
        assert thread.cites == known.thread_id
        seen.clear()
        await office.work(taken)
        assert CANARY not in repr(seen)
        assert all(CANARY not in m.as_string() for m in (await office.answers())[2:])


async def test_d3_who_carries_an_id_that_we_signed_joins_and_sees_only_its_own(office: Office) -> None:
    known = await talk(office)
    taken = await office.arrive(mail("ada@new-provider.test", "my new address", In_Reply_To=known.ours))
    assert taken.message.thread_id == known.thread_id
    await office.work(taken)
    assert seen[-1].history == ()
    assert CANARY not in repr(seen[-1])


async def test_d3_a_made_up_id_of_ours_opens_nothing(office: Office) -> None:
    known = await talk(office)
    local, _, domain = known.ours.strip("<>").partition("@")
    forged = f"<{local[:-3]}abc@{domain}>"
    taken = await office.arrive(mail("mallory@evil.test", "x", In_Reply_To=forged, References=known.root))
    assert taken.message.thread_id != known.thread_id


async def test_d3_equal_subjects_never_join(office: Office) -> None:
    known = await talk(office)
    taken = await office.arrive(mail("ada@example.test", "again", subject="Re: Question"))
    assert taken.message.thread_id != known.thread_id


async def test_d3_another_sites_conversation_cannot_be_joined(office: Office) -> None:
    known = await talk(office)
    channel = {"email": "second@postroom.test", "outgoingServer": "smtp.invalid"}
    other = await office.service.accounts.patch("second", {"channels": {"email": channel}}, may_create=True)
    from postroom.core.model import Source
    from postroom.engine.read import Arrived

    raw = mail("ada@example.test", "x", to="second@postroom.test", References=known.root).as_bytes()
    arrived = Arrived(Source.MAILBOX, raw, office.clock.now(), len(raw))
    taken = (await office.service.ingest.take(other, [arrived]))[0]
    thread = await office.service.store.things.thread(taken.message.thread_id)
    assert thread is not None
    assert (thread.id == known.thread_id, thread.cites, thread.site_id) == (False, None, "second")
    assert thread.site_id != SITE


async def test_d3_a_phone_without_references_joins_by_in_reply_to(office: Office) -> None:
    known = await talk(office)
    taken = await office.arrive(mail("ada@example.test", "from my phone", In_Reply_To=known.ours))
    assert taken.message.thread_id == known.thread_id


async def test_d4_the_agent_sees_what_this_sender_sent_or_received(office: Office) -> None:
    known = await talk(office)
    taken = await office.arrive(
        mail("carol@friend.test", "may I ask", References=f"{known.root} {known.middle}")
    )
    await office.work(taken)
    assert [entry.text.strip() for entry in seen[-1].history] == ["and more"]
    assert CANARY not in repr(seen[-1])


async def test_b6_keys_follow_the_source_rule(office: Office) -> None:
    async def key(**headers: str | None) -> str:
        taken = await office.arrive(mail(**headers))  # type: ignore[arg-type]  # - of one table with other cases
        thread = await office.service.store.things.thread(taken.message.thread_id)
        assert thread is not None
        return thread.thread_key

    assert await key(message_id="<a@x.test>", References="<first@x.test> <second@x.test>") == "first@x.test"
    assert await key(message_id="<b@x.test>", In_Reply_To="<cited@x.test>") == "cited@x.test"
    assert await key(message_id="<c@x.test>") == "c@x.test"
    assert await key(message_id=None, text="no id") == "email:ada@example.test"


async def test_d6_the_answer_goes_to_the_sender_and_nobody_is_added(office: Office) -> None:
    await office.set(replyTo={"allow": ["desk@partner.test"]})
    cases = {
        "other domain": ("x@elsewhere.test", "ada@example.test"),
        "same domain": ("team@example.test", "team@example.test"),
        "allowed": ("desk@partner.test", "desk@partner.test"),
        "several": ("a@example.test, b@example.test", "ada@example.test"),
    }
    for reply_to, expected in cases.values():
        made = mail(Reply_To=reply_to, Cc="carol@friend.test", to=f"{US}, dave@friend.test")
        await office.work(await office.arrive(made))
        answer = (await office.answers())[-1]
        assert answer["To"] == expected
        assert answer["Cc"] is None
