"""The mails that benches write: small, plain, each with a number of its own."""

from email.utils import formatdate, make_msgid

_QUESTION = """\
From: Correspondent {number} <{sender}>
To: <{recipient}>
Subject: bench {number}
Date: {date}
Message-ID: {message_id}
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8

Hello,

when do you open on Saturday, and is there parking nearby? This is question {number}.

Kind regards
Correspondent {number}
"""
_REPLY = """\
From: <{sender}>
To: <{recipient}>
Subject: Re: bench {number}
Date: {date}
Message-ID: {message_id}
In-Reply-To: {question}
References: {question}
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8

Thank you for your message.
"""


def correspondent(number: int) -> str:
    """The address of the correspondent with this number."""
    return f"person{number}@correspondents.test"


def question(number: int, recipient: str) -> bytes:
    """A question by a correspondent of its own."""
    return _filled(_QUESTION, number, correspondent(number), recipient)


def bare_reply(raw: bytes, sender: str) -> tuple[str, bytes]:
    """The least reply to a question: whom it goes to, and its bytes."""
    fields = dict(
        line.split(b": ", 1) for line in raw.split(b"\r\n\r\n", 1)[0].split(b"\r\n") if b": " in line
    )
    number = int(fields[b"Subject"].split()[-1])
    recipient = fields[b"From"].rpartition(b"<")[2].rstrip(b"> ").decode()
    reply = _filled(_REPLY, number, sender, recipient, question=fields[b"Message-ID"].decode())
    return recipient, reply


def number_of(raw: bytes) -> int:
    """The number in the subject of a question or of its reply."""
    subject = next(line for line in raw.split(b"\r\n") if line.lower().startswith(b"subject:"))
    return int(subject.split()[-1])


def _filled(text: str, number: int, sender: str, recipient: str, **more: str) -> bytes:
    filled = text.format(
        number=number,
        sender=sender,
        recipient=recipient,
        date=formatdate(),
        message_id=make_msgid(domain="bench.test"),
        **more,
    )
    return filled.replace("\n", "\r\n").encode()
