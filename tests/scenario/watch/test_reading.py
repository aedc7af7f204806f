"""Which mail is handled, whatever a server or another program does to it."""

from datetime import UTC, datetime, timedelta

import pytest

from postroom.imap.wire import ClientCommand
from postroom.sandbox.mailboxes import StoredMail
from tests.scenario.watch.postbox import Postbox, Session
from tests.scenario.watch.rig import Rig, letter, until


def asks_for_bodies(command: ClientCommand) -> bool:
    return b"BODY.PEEK[]" in command.line


async def test_d1_mail_that_others_read_first_is_handled_and_no_flag_of_theirs_is_touched(
    rig: Rig, box: Postbox
) -> None:
    site = await rig.watch(box.address[1])
    for _ in range(50):
        box.deliver(letter(site), "\\Seen", "\\Flagged", "$Label1")
    await until(lambda: all("\\Answered" in mail.flags for mail in box.inbox.mails))
    assert all(mail.flags == {"\\Seen", "\\Flagged", "$Label1", "\\Answered"} for mail in box.inbox.mails)
    assert len(rig.sink.messages) == 50
    assert box.counts.flags == {"\\Answered"}
    assert box.counts.most_open == 1
    assert set(box.counts.bodies.values()) == {1}


async def test_d1_new_numbers_for_old_mail_wake_nobody_and_lose_nothing(swift: Rig, box: Postbox) -> None:
    for _ in range(20):
        box.deliver(letter("site-1"), received_at=datetime.now(UTC) - timedelta(hours=30))
    site = await swift.watch(box.address[1])
    for _ in range(50):
        box.deliver(letter(site), received_at=swift.clock.now())
    await swift.sent(50)
    box.renumber()
    for _ in range(5):
        box.deliver(letter(site), received_at=swift.clock.now())
    await box.farewell()
    await until(lambda: sum("\\Answered" in mail.flags for mail in box.inbox.mails) == 55)
    await swift.looked(site, 3)
    assert len(swift.sink.messages) == 55
    assert (await swift.states(site))["answered"] == 55
    events = await swift.service.store.lists.events(site, {"type": "mailbox.reset"}, None, 10)
    assert len(events.items) == 1


async def test_the_last_old_message_shown_again_and_again_is_not_taken_again(rig: Rig, box: Postbox) -> None:
    """RFC 9051 section 6.4.9: `101:*` always names the last message."""
    site = await rig.watch(box.address[1])
    box.deliver(letter(site))
    await rig.arrived(site, 1, state="answered")

    async def chatty(session: Session, command: ClientCommand) -> bool:
        await session.say("* 1 EXISTS")
        return False

    box.on["NOOP"] = chatty
    before = box.counts.commands["NOOP"]
    while box.counts.commands["NOOP"] < before + 100:
        await rig.looked(site)
    assert box.counts.commands["UID FETCH"] >= 100
    assert set(box.counts.bodies.values()) == {1}
    assert await rig.states(site) == {"answered": 1, "sent": 1}


@pytest.mark.parametrize("announced", [True, False])
async def test_a_number_that_becomes_visible_late_is_handled(rig: Rig, box: Postbox, announced: bool) -> None:
    box.announces = announced
    site = await rig.watch(box.address[1])
    box.inbox.uidnext = 9
    box.deliver(letter(site))
    await rig.sent(1)
    late = StoredMail(7, letter(site), datetime.now(UTC).replace(microsecond=0))
    box.inbox.mails.insert(0, late)
    await rig.sent(2)


async def test_what_is_expunged_between_the_question_and_the_fetch_harms_nobody_else(
    rig: Rig, box: Postbox
) -> None:
    async def expunging(session: Session, command: ClientCommand) -> bool:
        if asks_for_bodies(command):
            gone = [mail for mail in box.inbox.mails if mail.uid % 3 == 0]
            box.inbox.mails = [mail for mail in box.inbox.mails if mail not in gone]
        return False

    site = await rig.watch(box.address[1])
    box.on["UID FETCH"] = expunging
    for number in range(1, 30):
        box.inbox.mails.append(
            StoredMail(
                number,
                letter(site, f"text {number}", Subject=f"mail {number}"),
                datetime.now(UTC).replace(microsecond=0),
            )
        )
    box.inbox.uidnext = 30
    box.deliver(letter(site, "text 30", Subject="mail 30"))
    messages = await rig.arrived(site, 20, direction="in", state="answered")
    await rig.looked(site, 2)
    assert len(messages) == 20
    assert all(m.subject.removeprefix("mail ") == m.text.strip().removeprefix("text ") for m in messages)
    assert not any(int(m.subject.split()[1]) % 3 == 0 for m in messages)
    assert (await rig.states(site))["answered"] == 20


async def test_mail_that_comes_in_the_gap_before_idle_is_found_by_the_next_poll(
    rig: Rig, box: Postbox
) -> None:
    """Some servers never announce it: Dovecot, just before it hibernates."""
    late: list[int] = []

    async def gap(session: Session, command: ClientCommand) -> bool:
        known = {uid for name, uid in box.counts.bodies if name == "INBOX"}
        late.extend(mail.uid for mail in box.inbox.mails if mail.uid not in known)
        if len(box.inbox.mails) < 100:
            box.deliver(letter(site))
        return False

    box.announces = False
    site = "site-1"
    box.on["IDLE"] = gap
    assert await rig.connect(box.address[1]) == site
    while len(await rig.messages(site, direction="in")) < 100:
        await rig.looked(site)
    assert late == []


async def test_an_answer_without_the_bytes_is_asked_for_again_and_is_no_empty_mail(
    swift: Rig, box: Postbox
) -> None:
    refusals = 2

    async def bodiless(session: Session, command: ClientCommand) -> bool:
        nonlocal refusals
        if not asks_for_bodies(command) or not refusals:
            return False
        refusals -= 1
        await session.end(command)
        return True

    site = await swift.watch(box.address[1])
    box.on["UID FETCH"] = bodiless
    box.deliver(letter(site, "the text"), received_at=swift.clock.now())
    await swift.sent(1)
    (message,) = await swift.arrived(site, 1, state="answered")
    assert message.text.strip() == "the text"


async def test_one_killer_in_a_hundred_is_quarantined_and_blocks_nobody(rig: Rig, box: Postbox) -> None:
    site = await rig.watch(box.address[1])
    killer = letter(site).replace(b"\r\n\r\n", b"\r\n" + b"X-A: b\r\n" * 200_000 + b"\r\n", 1)
    for number in range(100):
        box.deliver(killer if number == 40 else letter(site))
    await rig.sent(99)
    (kept,) = await rig.arrived(site, 1, state="quarantined")
    assert await rig.service.blobs.get(kept.raw) == killer


async def test_a_body_that_never_comes_holds_up_nobody_for_ever(swift: Rig, box: Postbox) -> None:
    async def stingy(session: Session, command: ClientCommand) -> bool:
        if not asks_for_bodies(command) or 3 not in {mail.uid for mail in session.chosen(command)}:
            return False
        await session.say("* 3 FETCH (UID 3 BODY[] NIL)")
        await session.end(command)
        return True

    site = await swift.watch(box.address[1])
    box.on["UID FETCH"] = stingy
    for _ in range(6):
        box.deliver(letter(site), received_at=swift.clock.now())
    await swift.arrived(site, 5, state="answered")
    (kept,) = await swift.arrived(site, 1, state="held")
    assert kept.reason == "oversize"
    assert kept.subject


async def test_the_date_field_decides_nothing(rig: Rig, box: Postbox) -> None:
    site = await rig.watch(box.address[1])
    box.deliver(letter(site, Date="Fri, 31 Dec 1999 23:59:59 +0000"))
    box.deliver(letter(site, Date="Thu, 31 Dec 2099 23:59:59 +0000"))
    await rig.sent(2)


async def test_a_server_that_stores_no_flags_is_let_have_its_way(rig: Rig, box: Postbox) -> None:
    async def refused(session: Session, command: ClientCommand) -> bool:
        await session.end(command, "NO [NOPERM] flags are not for you")
        return True

    site = await rig.watch(box.address[1])
    box.on["UID STORE"] = refused
    box.deliver(letter(site))
    await rig.arrived(site, 1, state="answered")
    await until(lambda: box.counts.commands["UID STORE"])
    await rig.looked(site, 5)
    assert box.counts.commands["UID STORE"] == 1
    await rig.sent(1)
    assert rig.status(site).state.value == "watching"
