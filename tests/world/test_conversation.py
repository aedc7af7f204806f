"""A6, B2–B7: mail comes in, the agent answers, one thread, nothing twice."""

import imaplib
import signal
import time
from typing import Any

from tests.support.served import Served, eventually
from tests.support.world import World
from tests.world.conftest import Serve
from tests.world.mailbox import Mailbox, text_of

WORDS = "python:tests.world.bot:words"


def messages(service: Served, **filters: str) -> list[dict[str, Any]]:
    with service.client() as client:
        items: list[dict[str, Any]] = client.get("/api/sites/default/messages", params=filters).json()[
            "items"
        ]
        return items


def test_a6_b2_new_mail_is_answered_without_anyone_asking(serve: Serve, ada: Mailbox, address: str) -> None:
    serve(POSTROOM_AGENT=WORDS)
    mail = ada.send(ada.write(address, "Question", "one two three"))
    answer = ada.reply_to(mail)
    assert text_of(answer).strip() == "3 words; history 0"
    assert answer["Subject"] == "Re: Question"
    assert answer["Auto-Submitted"] == "auto-replied"
    assert address in str(answer["From"])


def test_b4_b6_five_turns_are_one_thread_to_the_byte(
    serve: Serve, ada: Mailbox, address: str, world: World
) -> None:
    service = serve(POSTROOM_AGENT=WORDS, POSTROOM_LOG_LEVEL="info")
    mail = ada.send(ada.write(address, "Long talk", "turn one"))
    ids = [str(mail["Message-ID"])]
    for number in range(2, 6):
        answer = ada.reply_to(mail)
        assert answer["In-Reply-To"] == ids[-1]
        assert str(answer["References"]).split() == ids
        assert answer["Subject"] == "Re: Long talk"
        ids.append(str(answer["Message-ID"]))
        mail = ada.send(ada.reply(answer, f"turn {number}", address))
        ids.append(str(mail["Message-ID"]))
    last = ada.reply_to(mail)
    assert str(last["References"]).split() == ids
    assert text_of(last).strip() == "2 words; history 8"
    with ada.imap() as imap:
        # What Ada wrote is not in her inbox, so the server's own threading joins the answers by References.
        _, found = imap.uid("THREAD", "REFERENCES", "UTF-8", "ALL")
        assert found[0].count(b"(") - found[0].count(b"((") >= 1
        assert _top_level(found[0]) == 1
    with service.client() as client:
        threads = client.get("/api/sites/default/threads").json()["items"]
    assert len(threads) == 1
    assert threads[0]["thread_key"] == ids[0].strip("<>")
    assert threads[0]["messages"] == 10


def _top_level(threads: bytes) -> int:
    depth = count = 0
    for char in threads.decode():
        depth += (char == "(") - (char == ")")
        count += char == "(" and depth == 1
    return count


def test_b5_notes_are_recorded_and_never_mailed(serve: Serve, ada: Mailbox, address: str) -> None:
    service = serve(POSTROOM_AGENT=WORDS)
    mail = ada.send(ada.write(address, "Note", "x"))
    answer = ada.reply_to(mail)
    assert "must never be mailed" not in answer.as_string()
    with service.client() as client:
        notes = client.get("/api/sites/default/events", params={"type": "agent.note"}).json()["items"]
    assert [note["data"]["text"] for note in notes] == ["this step must never be mailed"]


def test_b5_a_failing_agent_mails_nothing_and_the_owner_can_see_why(
    serve: Serve, ada: Mailbox, address: str
) -> None:
    service = serve(POSTROOM_AGENT="python:tests.world.bot:broken")
    ada.send(ada.write(address, "A secret subject", "x"))
    eventually(lambda: messages(service) and messages(service)[0]["attempts"] >= 1)
    with service.client() as client:
        failed = eventually(
            lambda: client.get("/api/sites/default/events", params={"type": "agent.failed"}).json()["items"]
        )
    assert "RuntimeError" in failed[0]["data"]["text"]
    assert "A secret subject" not in service.log_text()
    assert ada.mails() == []


def test_b5_an_agent_that_says_nothing_mails_nothing(serve: Serve, ada: Mailbox, address: str) -> None:
    service = serve(POSTROOM_AGENT="python:tests.world.bot:silent")
    ada.send(ada.write(address, "FYI", "x"))
    done = eventually(lambda: messages(service, state="no_answer"))
    assert done[0]["reason"] == "agent_said_nothing"
    assert ada.mails() == []


def test_b7_mail_that_was_read_already_is_answered_and_no_flag_but_answered_is_set(
    serve: Serve, ada: Mailbox, inbox: Mailbox, address: str, world: World
) -> None:
    service = serve(POSTROOM_AGENT=WORDS)
    service.process.send_signal(signal.SIGSTOP)  # a person reads first
    mails = [ada.send(ada.write(address, f"Read {n}", "x")) for n in range(3)]
    inbox.world.until_messages(address, 3)
    with inbox.imap() as imap:
        imap.uid("STORE", "1:*", "+FLAGS", "(\\Seen \\Flagged)")
    service.process.send_signal(signal.SIGCONT)
    for mail in mails:
        ada.reply_to(mail)
    eventually(lambda: all("\\Answered" in flags for flags in inbox.flags()))
    assert inbox.flags() == [{"\\Seen", "\\Flagged", "\\Answered"}] * 3


def test_b7_nothing_is_answered_twice_over_restarts(serve: Serve, ada: Mailbox, address: str) -> None:
    first = serve(POSTROOM_AGENT=WORDS)
    mail = ada.send(ada.write(address, "Once", "x"))
    ada.reply_to(mail)
    assert first.stop() == 0
    second = serve(POSTROOM_AGENT=WORDS)
    other = ada.send(ada.write(address, "Second", "y"))
    ada.reply_to(other)
    second.kill()
    third = serve(POSTROOM_AGENT=WORDS)
    last = ada.send(ada.write(address, "Third", "z"))
    ada.reply_to(last)
    assert len(ada.mails()) == 3
    assert len(messages(third, direction="in")) == 3


def test_b7_killed_in_the_middle_of_a_turn_the_mail_is_answered_once(
    serve: Serve, ada: Mailbox, address: str
) -> None:
    first = serve(POSTROOM_AGENT="python:tests.world.bot:slow")
    mail = ada.send(ada.write(address, "Middle", "x"))
    eventually(lambda: any(m["attempts"] == 1 for m in messages(first)))
    first.kill()
    second = serve(POSTROOM_AGENT="python:tests.world.bot:slow")
    assert text_of(ada.reply_to(mail)).strip() == "at last"
    eventually(lambda: messages(second, state="answered"))
    assert len(ada.mails()) == 1


def test_d1_what_was_there_before_wakes_nobody(
    serve: Serve, ada: Mailbox, address: str, world: World
) -> None:
    ada.send(ada.write(address, "Old", "x"))
    world.until_messages(address, 1)
    service = serve(POSTROOM_AGENT=WORDS)
    mail = ada.send(ada.write(address, "New", "y"))
    ada.reply_to(mail)
    assert len(ada.mails()) == 1
    old = [m for m in messages(service, direction="in") if m["subject"] == "Old"]
    assert [(m["state"], m["reason"]) for m in old] == [("no_answer", "history")]


def test_d1_start_unseen_answers_what_waits_unread(
    serve: Serve, ada: Mailbox, inbox: Mailbox, address: str, world: World
) -> None:
    read = ada.send(ada.write(address, "Read", "x"))
    world.until_messages(address, 1)
    with inbox.imap() as imap:
        imap.uid("STORE", "1:*", "+FLAGS", "(\\Seen)")
    unread = ada.send(ada.write(address, "Unread", "y"))
    world.until_messages(address, 2)
    serve(POSTROOM_AGENT=WORDS, EMAIL_START="unseen")
    ada.reply_to(unread)
    assert [m["In-Reply-To"] for m in ada.mails()] == [unread["Message-ID"]]
    assert read["Message-ID"] != unread["Message-ID"]


def test_the_answer_is_copied_to_sent(serve: Serve, ada: Mailbox, inbox: Mailbox, address: str) -> None:
    with inbox.imap() as imap:
        imap.create("Sent")
    serve(POSTROOM_AGENT=WORDS)
    mail = ada.send(ada.write(address, "Copy", "x"))
    answer = ada.reply_to(mail)
    copies = eventually(lambda: inbox.mails("Sent"))
    assert [copy["Message-ID"] for copy in copies] == [answer["Message-ID"]]
    assert inbox.flags("Sent") == [{"\\Seen"}]


def test_what_a_person_answered_from_another_program_is_known(
    serve: Serve, ada: Mailbox, inbox: Mailbox, address: str
) -> None:
    with inbox.imap() as imap:
        imap.create("Sent")
    written = inbox.send(inbox.write(ada.address, "From the owner", "an offer"))
    with inbox.imap() as imap:
        imap.append("Sent", "", imaplib.Time2Internaldate(time.time()), written.as_bytes())
    service = serve(POSTROOM_AGENT=WORDS)
    received = eventually(ada.mails)[0]
    mail = ada.send(ada.reply(received, "yes please", address))
    assert text_of(ada.reply_to(mail)).strip() == "2 words; history 1"
    with service.client() as client:
        assert len(client.get("/api/sites/default/threads").json()["items"]) == 1
