"""Subjects by which automatic replies are known, in many languages, and people who only name them."""

import pytest

from postroom.mail.automatic import Automatic, classify
from postroom.mail.message import Mail
from tests.unit.mail_robots.mails import mail


def answer(subject: str, text: str = "…") -> Mail:
    return mail(subject=subject, text=text, in_reply_to=("ours@example.net",))


@pytest.mark.parametrize(
    "words",
    [
        "Automaattinen vastaus",
        "Samodejni odgovor",
        "Automatski odgovor",
        "Automatická odpoveď",
        "Автоматичен отговор",
        "Automatinis atsakymas",
        "Automātiska atbilde",
        "Automaatvastus",
        "Trả lời tự động",
        "ตอบกลับอัตโนมัติ",
        "Balasan otomatis",
        "Resposta automàtica",
        "Automatisk svar",
        "Automatiskt svar",
        "Automatikus válasz",
    ],
)
def test_an_automatic_reply_in_every_language(words: str) -> None:
    assert classify(answer(f"{words}: Opening hours")) == Automatic("vacation", "reply_words")
    assert classify(answer(f"Re: {words}: Opening hours")) is None


def test_an_absence_in_french_stands_before_the_subject() -> None:
    away = "Je suis absent jusqu'au 12 octobre."
    assert classify(answer("Absence : Horaires", away)) == Automatic("vacation", "absence_words")
    assert classify(answer("Absences et horaires", away)) is None


@pytest.mark.parametrize(
    "marks", ["[EXTERNAL] ", "[EXT][#123] ", "EXTERN: ", "External: ", "EXT: [Desk] ", "[Extern:] "]
)
def test_marks_that_a_server_put_before_the_subject_are_looked_past(marks: str) -> None:
    away = "I am out of the office."
    assert classify(answer(f"{marks}Automatic reply: Hours")) == Automatic("vacation", "reply_words")
    assert classify(answer(f"{marks}Out of Office: Hours", away)) == Automatic("vacation", "absence_words")
    assert classify(answer(f"{marks}Re: Automatic reply: Hours")) is None
    assert classify(answer("[Automatic reply] Hours")) == Automatic("vacation", "reply_words")


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("Risposta automatica", "Vorrei attivare la risposta automatica."),
        ("Automatische Antwort", "Bin ab Montag im Urlaub, die automatische Antwort fehlt."),
        ("[Desk: 3] Automatic reply", "The automatic reply comes twice."),
        ("Auto-reply: how do I turn it off", "Hi, we are out of the office and want no automatic reply."),
        ("Risposta automatica: orari", "Come posso attivare la risposta automatica?"),
        ("自動返信: 設定", "自動返信の設定方法を教えてください。"),
    ],
)
def test_a_person_who_speaks_of_automatic_replies_is_answered(subject: str, text: str) -> None:
    assert classify(mail(subject=subject, text=text)) is None


def test_a_report_in_japanese_is_known_by_its_subject() -> None:
    bounced = mail(
        sender="postmaster@example.jp",
        subject="メッセージを配信できません。",
        text="Sent <<< RCPT TO:<ken@example.jp>\nReceived >>> 550 5.1.1 user unknown",
    )
    assert classify(bounced) == Automatic("report", "postmaster")
