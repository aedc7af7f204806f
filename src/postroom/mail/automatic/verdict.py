"""Whether a message was written by a person now (RFC 3834, D7): a verdict with the sign that gave it.

Header signs decide alone; words of subject and text only count together with another sign, so that a
person who writes about holidays or forwards a bounce is still a person.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from postroom.mail.automatic import fields, people, senders, words
from postroom.mail.message import Mail

Kind = Literal["report", "complaint", "disposition", "vacation", "list", "bulk", "no_reply", "automatic"]


@dataclass(frozen=True, slots=True)
class Automatic:
    """Why a message gets no answer.

    `kind`: "report" (of delivery), "complaint" (RFC 5965), "disposition" (read or deleted, RFC 8098),
    "vacation" (an automatic reply), "list", "bulk", "no_reply", or "automatic" for anything else.
    `reason`: the short stable code of the sign that decided.
    """

    kind: Kind
    reason: str


@dataclass(frozen=True, slots=True)
class _Signs:
    """What the rules look at, taken out of the mail once."""

    mail: Mail
    fields: fields.Fields
    return_path: str | None

    def sender(self) -> str:
        return _sender(self.mail)


def _sender(mail: Mail) -> str:
    return mail.from_.address.lower() if mail.from_ else ""


def classify(mail: Mail, return_path: str | None = None) -> Automatic | None:
    """The verdict on `mail`, or None for mail that a person wrote.

    `return_path` is the envelope's sender where the caller knows it ("" or "<>": none); without it the
    topmost Return-Path field is read, which tells nothing when it is blank.
    """
    signs = _signs(mail, return_path)
    return next((verdict for rule in _RULES if (verdict := rule(signs)) is not None), None)


def _signs(mail: Mail, return_path: str | None) -> _Signs:
    by_name: dict[str, list[str]] = {}
    for name, value in mail.headers.fields:
        by_name.setdefault(name.lower(), []).append(value)
    told = return_path if return_path is not None else (fields.first(by_name, "return-path") or None)
    path = None if told is None else told.strip().strip("<>").strip().lower()
    return _Signs(mail, fields.as_written(by_name, _sender(mail)), path)


def _structured_report(signs: _Signs) -> Automatic | None:
    """Reports made for programs: RFC 6522 and the types within it."""
    content_type = fields.first(signs.fields, "content-type").lower()
    parts = {file.content_type.lower() for file in signs.mail.attachments}
    if content_type.startswith("multipart/report"):
        return _report_of_type(content_type, parts)
    if content_type.startswith(tuple(_REPORT_PARTS)):
        return Automatic(_REPORT_PARTS[content_type.split(";")[0].strip()], "report_part")
    for part, kind in _REPORT_PARTS.items():
        if part in parts and (_is_machine(signs) or words.names_report(signs.mail.subject)):
            return Automatic(kind, "report_part")
    return None


_REPORT_PARTS: Mapping[str, Kind] = {
    "message/feedback-report": "complaint",
    "message/disposition-notification": "disposition",
    "message/global-disposition-notification": "disposition",
    "message/delivery-status": "report",
    "message/global-delivery-status": "report",
}
_REPORT_TYPE = re.compile(r"report-type\s*=\s*\"?([\w-]+)")
_REPORT_TYPES: Mapping[str, Kind] = {
    "feedback-report": "complaint",
    "disposition-notification": "disposition",
    "delivery-status": "report",
    "tlsrpt": "automatic",
}


def _report_of_type(content_type: str, parts: set[str]) -> Automatic:
    for part, kind in _REPORT_PARTS.items():
        if part in parts:
            return Automatic(kind, "multipart_report")
    named = _REPORT_TYPE.search(content_type)
    return Automatic(_REPORT_TYPES.get(named[1] if named else "", "report"), "multipart_report")


def _is_machine(signs: _Signs) -> bool:
    told = (_daemon(signs), fields.submitted(signs.fields), fields.report(signs.fields))
    return signs.return_path == "" or any(told)


def _report_field(signs: _Signs) -> Automatic | None:
    return _verdict("report", fields.report(signs.fields))


def _verdict(kind: Kind, reason: str) -> Automatic | None:
    return Automatic(kind, reason) if reason else None


def _daemon(signs: _Signs) -> str | None:
    raw_from = fields.first(signs.fields, "from")
    return senders.mail_system_code(signs.sender(), signs.return_path or "", raw_from)


def _from_daemon(signs: _Signs) -> Automatic | None:
    reason = _daemon(signs)
    if reason is None:
        return None
    likely: Kind = "automatic" if reason == "postmaster" else "report"
    return Automatic(_kind_by_words(signs, likely), reason)


def _auto_submitted(signs: _Signs) -> Automatic | None:
    keyword = fields.submitted(signs.fields)
    if not keyword:
        return None
    kind: Kind = "vacation" if keyword == "auto-replied" else "automatic"
    if kind == "automatic" and fields.mailing_list(signs.fields):
        kind = "list"
    return Automatic(_kind_by_words(signs, kind), "auto_submitted")


def _null_return_path(signs: _Signs) -> Automatic | None:
    if signs.return_path not in ("", "null"):
        return None
    return Automatic(_kind_by_words(signs, "automatic"), "null_return_path")


def _kind_by_words(signs: _Signs, default: Kind) -> Kind:
    """Tells what a message is that is known to be automatic."""
    mail = signs.mail
    from_machine = default in ("report", "automatic", "no_reply")
    if words.names_report(mail.subject) or (from_machine and words.tells_failure(mail.text)):
        return "report"
    if words.names_receipt(mail.subject, mail.text):
        return "disposition"
    if words.names_absence(mail.subject):
        return "vacation"
    if default == "automatic" and _cites(mail) and words.tells_absence(mail.text):
        return "vacation"
    return default


def _cites(mail: Mail) -> bool:
    return bool(mail.in_reply_to or mail.references)


def _reply_field(signs: _Signs) -> Automatic | None:
    return _verdict("vacation", fields.automatic_reply(signs.fields))


def _response_suppressed(signs: _Signs) -> Automatic | None:
    reason = fields.response_suppressed(signs.fields)
    return _verdict(_kind_by_words(signs, "automatic"), reason) if reason else None


def _list_field(signs: _Signs) -> Automatic | None:
    return _verdict("list", fields.mailing_list(signs.fields))


def _bulk_field(signs: _Signs) -> Automatic | None:
    return _verdict("bulk", fields.bulk(signs.fields))


_PRECEDENCES: Mapping[str, Kind] = {
    "bulk": "bulk",
    "junk": "bulk",
    "list": "list",
    "auto_reply": "vacation",
}


def _precedence(signs: _Signs) -> Automatic | None:
    word = fields.precedence(signs.fields)
    if not word:
        return None
    return Automatic(_kind_by_words(signs, _PRECEDENCES[word]), f"precedence_{word}")


def _machine_field(signs: _Signs) -> Automatic | None:
    return _verdict("automatic", fields.machine(signs.fields))


def _no_reply(signs: _Signs) -> Automatic | None:
    mail = signs.mail
    names = [] if mail.from_ is None else [mail.from_.address, mail.from_.name]
    if len(mail.reply_to) == 1:
        names.append(mail.reply_to[0].address)
    if senders.refuses_replies(names):
        return Automatic(_kind_by_words(signs, "no_reply"), "no_reply_address")
    return None


def _robot_address(signs: _Signs) -> Automatic | None:
    """A system user as the envelope's sender is no sign: web forms send so what a person wrote."""
    if senders.is_list_address(signs.sender(), signs.return_path or ""):
        return Automatic("list", "list_address")
    if senders.is_system_user(signs.sender()):
        return Automatic("automatic", "system_address")
    return None


def _reply_words(signs: _Signs) -> Automatic | None:
    mail = signs.mail
    if not words.names_automatic_reply(mail.subject):
        return None
    if _cites(mail) or (_answers_another(mail) and words.tells_absence(mail.text)):
        return Automatic("vacation", "reply_words")
    return None


def _answers_another(mail: Mail) -> bool:
    """Whether a mail that cites none still seems to answer one, and not to speak of automatic replies."""
    if not words.carries_subject(mail.subject):
        return False
    return not (people.greets(mail.text) or people.asks(mail.text))


def _absence_words(signs: _Signs) -> Automatic | None:
    mail = signs.mail
    if words.names_absence_of(mail.subject) and _cites(mail) and words.tells_absence(mail.text):
        return Automatic("vacation", "absence_words")
    return None


def _receipt_words(signs: _Signs) -> Automatic | None:
    named = words.names_receipt(signs.mail.subject, signs.mail.text)
    return Automatic("disposition", "receipt_words") if named else None


def _aggregate_report(signs: _Signs) -> Automatic | None:
    named = words.names_aggregate_report(signs.mail.subject) and signs.mail.attachments
    return Automatic("automatic", "aggregate_report") if named else None


def _complaint_words(signs: _Signs) -> Automatic | None:
    """Who complains in person says so in words; a provider's program only returns the mail."""
    mail = signs.mail
    if not (words.names_complaint(mail.subject) and words.says_nothing_of_its_own(mail.text)):
        return None
    return Automatic("complaint", "complaint_words") if _returns_mail(mail) else None


def _returns_mail(mail: Mail) -> bool:
    return any(file.content_type.startswith("message/") for file in mail.attachments)


def _report_words(signs: _Signs) -> Automatic | None:
    mail = signs.mail
    if not (words.names_report(mail.subject) and words.tells_failure(mail.text)):
        return None
    if people.greets(mail.text) or people.asks(mail.text) or people.tell_of_their_mail(mail.text):
        return None
    shown = _returns_mail(mail) or words.quotes_smtp(mail.text)
    if shown or words.lists_failed_address(mail.text, signs.sender()):
        return Automatic("report", "report_words")
    return None


_RULES = (
    _structured_report,
    _report_field,
    _from_daemon,
    _auto_submitted,
    _null_return_path,
    _reply_field,
    _response_suppressed,
    _list_field,
    _bulk_field,
    _precedence,
    _machine_field,
    _no_reply,
    _robot_address,
    # Subject and text, which only count together; the last resort for mail without header signs.
    _reply_words,
    _absence_words,
    _receipt_words,
    _aggregate_report,
    _complaint_words,
    _report_words,
)
