"""More mailboxes than the inbox: watched ones, Sent, Junk, and Gmail's All Mail."""

from pathlib import Path

from postroom.core.agent import Answer, Turn
from postroom.imap.wire import ClientCommand
from postroom.sandbox.mailboxes import MailFolder
from tests.scenario.watch.postbox import Postbox, Session
from tests.scenario.watch.rig import Rig, address_of, letter, open_rig, until
from tests.support.certificates import CertificateAuthority


async def test_every_watched_mailbox_is_read_whatever_its_name(rig: Rig, box: Postbox) -> None:
    box.folders |= {"Leads": MailFolder(), "B&APw-ro": MailFolder(), "Other": MailFolder()}
    site = await rig.watch(box.address[1], watch=["INBOX", "Leads", "Büro"])
    for name in ("INBOX", "Leads", "B&APw-ro", "Other"):
        box.folders[name].add(letter(site, name, Subject=name))
    await rig.sent(3)
    answered = {m.subject for m in await rig.messages(site, state="answered")}
    assert answered == {"INBOX", "Leads", "B&APw-ro"}
    await until(
        lambda: all("\\Answered" in box.folders[n].mails[0].flags for n in ("INBOX", "Leads", "B&APw-ro"))
    )
    assert box.counts.most_open == 1


async def test_a_watched_mailbox_that_is_missing_is_told_and_keeps_nobody_from_being_read(
    rig: Rig, box: Postbox
) -> None:
    site = await rig.watch(box.address[1], watch=["INBOX", "Leeds"])
    assert rig.status(site).error_code == "mailbox_missing"
    assert rig.status(site).state.value == "watching"
    box.deliver(letter(site))
    await rig.sent(1)
    box.folders["Leeds"] = MailFolder()
    await until(lambda: not rig.status(site).error_code)
    box.folders["Leeds"].add(letter(site))
    await rig.sent(2)


async def test_a_mail_that_lies_in_two_watched_mailboxes_is_answered_once(rig: Rig, box: Postbox) -> None:
    everything = box.folders["[Gmail]/All Mail"] = MailFolder("\\All")
    site = await rig.watch(box.address[1], watch=["INBOX", "[Gmail]/All Mail"])
    for number in range(10):
        raw = letter(
            site,
            Message_ID="" if number % 2 else f"<all-{number}@example.org>",
            Date="Mon, 2 Mar 2026 09:00:00 +0000",
        )
        first, second = (everything, box.inbox) if number % 3 else (box.inbox, everything)
        first.add(raw)
        await rig.looked(site)
        second.add(raw)
    await rig.sent(10)
    await rig.arrived(site, 10, state="answered")
    assert await rig.states(site) == {"answered": 10, "sent": 10}
    assert len(rig.sink.messages) == 10


async def test_what_gmail_labels_as_sent_is_the_owners_word(rig: Rig, box: Postbox) -> None:
    """A person's own mail in All Mail is no mail to the site, and what it answers is answered."""
    box.capabilities += " X-GM-EXT-1"
    everything = box.folders["[Gmail]/All Mail"] = MailFolder("\\All")
    labels = {1: '("\\\\Inbox")', 2: '("\\\\Sent" Important)'}

    async def labelled(session: Session, command: ClientCommand) -> bool:
        if b"X-GM-LABELS" not in command.line:
            return False
        for mail in session.chosen(command):
            when = mail.received_at.strftime("%d-%b-%Y %H:%M:%S +0000")
            facts = f'UID {mail.uid} FLAGS () INTERNALDATE "{when}" RFC822.SIZE {len(mail.raw)}'
            shown = labels[mail.uid] if session.name != "INBOX" else "()"
            await session.say(f"* {mail.uid} FETCH ({facts} X-GM-LABELS {shown})")
        await session.end(command)
        return True

    box.on["UID FETCH"] = labelled
    site = await rig.connect(box.address[1], watch=["[Gmail]/All Mail"], paused=True)
    await rig.in_state(site, "watching")
    everything.add(letter(site, Message_ID="<question@example.org>"))
    await rig.arrived(site, 1, state="due")
    reply = letter("somebody", sender=address_of(site), In_Reply_To="<question@example.org>")
    everything.add(reply)
    await rig.arrived(site, 1, state="no_answer")
    assert await rig.states(site) == {"no_answer:answered_elsewhere": 1, "sent": 1}


async def test_junk_is_counted_and_never_answered(rig: Rig, box: Postbox) -> None:
    junk = box.folders["Junk"] = MailFolder("\\Junk")
    site = await rig.watch(box.address[1], watch=["INBOX", "Junk"])
    for _ in range(3):
        junk.add(letter(site))
    box.deliver(letter(site))
    await rig.arrived(site, 4, direction="in")
    await rig.sent(1)
    assert await rig.states(site) == {"answered": 1, "sent": 1, "no_answer:junk": 3}


async def test_sent_is_found_by_its_attribute_and_gives_conversations_what_the_owner_wrote(
    rig: Rig, box: Postbox
) -> None:
    sent = box.folders["Gesendete Objekte"] = box.folders.pop("Sent")
    site = await rig.watch(box.address[1])
    box.deliver(letter(site, Message_ID="<first@example.org>", sender="ada@example.org"))
    await rig.sent(1)
    await until(lambda: len(sent.mails) == 1)
    own = letter(
        "x", "By hand.", sender=address_of(site), Message_ID="<by-hand@postroom.test>", To="ada@example.org"
    )
    sent.add(own.replace(b"x@postroom.test", b"ada@example.org"))
    await until(lambda: _texts(rig, site, "By hand."))
    box.deliver(letter(site, sender="ada@example.org", In_Reply_To="<by-hand@postroom.test>"))
    await rig.sent(2)
    assert await rig.states(site) == {"answered": 2, "sent": 3}


async def _texts(rig: Rig, site: str, text: str) -> bool:
    return any(m.text.strip() == text for m in await rig.messages(site))


async def test_mark_seen_marks_what_was_answered_and_what_the_agent_left_unanswered(
    tmp_path: Path, authority: CertificateAuthority, box: Postbox
) -> None:
    async def agent(turn: Turn) -> Answer:
        return Answer.nothing("no need") if "thanks" in turn.message.text else Answer("ok")

    async with open_rig(tmp_path, authority, agent=agent) as rig:
        site = await rig.watch(box.address[1], mark="seen")
        question, thanks = box.deliver(letter(site, "how?")), box.deliver(letter(site, "thanks"))
        robot = box.deliver(letter(site, Auto_Submitted="auto-replied"))
        await until(lambda: "\\Seen" in thanks.flags and "\\Seen" in question.flags)
        assert question.flags == {"\\Seen", "\\Answered"}
        assert thanks.flags == {"\\Seen"}
        await rig.looked(site, 3)
        assert robot.flags == frozenset()
        stores = box.counts.commands["UID STORE"]
        await rig.looked(site, 5)
        assert box.counts.commands["UID STORE"] == stores


async def test_a_quiet_look_costs_two_commands(rig: Rig, box: Postbox) -> None:
    site = await rig.watch(box.address[1])
    box.deliver(letter(site))
    await rig.sent(1)
    await until(lambda: len(box.folders["Sent"].mails) == 1)
    rounds = 20
    start = box.counts.commands["IDLE"]
    await until(lambda: box.counts.commands["IDLE"] >= start + 5)  # our own copy in Sent is looked at, too
    before = box.counts.commands.copy()
    await until(lambda: box.counts.commands["IDLE"] >= before["IDLE"] + rounds)
    spent = box.counts.commands - before
    assert set(spent) <= {"IDLE", "", "NOOP", "STATUS"}
    assert spent["NOOP"] <= rounds + 1
    assert spent["STATUS"] <= rounds + 1
