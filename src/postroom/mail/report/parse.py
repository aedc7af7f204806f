"""Reports about mail we sent: of delivery, complaints, and what became of it at the reader's.

RFC 3464 in the multipart of RFC 6522, RFC 5965 (ARF), RFC 8098 (MDN), read tolerantly; reports that
follow none of them are read by `report.plain`. Anyone can forge a report: match what it says with what was
sent before believing it.
"""

from collections.abc import Iterable
from dataclasses import replace

from postroom.mail import charset
from postroom.mail.automatic import classify
from postroom.mail.message import Mail
from postroom.mail.report import fields
from postroom.mail.report.model import Report, ReportedRecipient
from postroom.mail.report.plain import plain_recipients
from postroom.mail.report.returned import returned_message_id, returned_recipients
from postroom.mail.report.status import is_temporary, status_in

__all__ = ["Report", "ReportedRecipient", "parse_report"]

_DELIVERY_PARTS = ("message/delivery-status", "message/global-delivery-status")
_FEEDBACK_PARTS = ("message/feedback-report",)
_DISPOSITION_PARTS = (
    "message/disposition-notification",
    "message/global-disposition-notification",
)


def parse_report(mail: Mail, return_path: str | None = None) -> Report | None:
    """What `mail` reports, or None when it is no report.

    `return_path` as for `automatic.classify`, whose verdict decides what kind of report this is: a person
    who quotes or forwards a report has sent none.
    """
    verdict = classify(mail, return_path)
    if verdict is None:
        return None
    if verdict.kind == "report":
        return Report("report", _delivery(mail), _returned(mail, _DELIVERY_PARTS))
    if verdict.kind == "complaint":
        return Report("complaint", _complaint(mail), _returned(mail, _FEEDBACK_PARTS))
    if verdict.kind == "disposition":
        return Report("disposition", _disposition(mail), _returned(mail, _DISPOSITION_PARTS))
    return None


def _returned(mail: Mail, parts: tuple[str, ...]) -> str:
    named = fields.first_value(_part_groups(mail, parts), "original-message-id")
    return returned_message_id(mail, named)


def _part_groups(mail: Mail, content_types: tuple[str, ...]) -> list[fields.Group]:
    return [
        group
        for file in mail.attachments
        if file.content_type.lower() in content_types
        for group in fields.groups(charset.decode(file.content)[0])
    ]


def _delivery(mail: Mail) -> tuple[ReportedRecipient, ...]:
    """Recipients by the report's own fields, wherever they stand; else by its text."""
    groups = fields.recipient_groups(_part_groups(mail, _DELIVERY_PARTS))
    if not groups:
        groups = fields.recipient_groups(fields.groups_in_text(mail.text))
    if not groups:
        for file in mail.attachments:
            if file.content_type.startswith("message/"):
                text = charset.decode(file.content)[0]
                groups = groups or fields.recipient_groups(fields.groups_in_text(text))
    if not groups:
        return plain_recipients(mail)
    return _one_each(_addressed(mail, tuple(_recipient(group) for group in groups)))


def _addressed(mail: Mail, recipients: tuple[ReportedRecipient, ...]) -> tuple[ReportedRecipient, ...]:
    """Replaces what is no address (a pipe, a file, nothing) by what the report's text names."""
    if all(fields.is_address(recipient.address) for recipient in recipients):
        return recipients
    named = plain_recipients(mail)
    if len(named) != len(recipients):
        return recipients
    return tuple(
        known if fields.is_address(known.address) else replace(known, address=found.address)
        for known, found in zip(recipients, named, strict=True)
    )


def _one_each(recipients: Iterable[ReportedRecipient]) -> tuple[ReportedRecipient, ...]:
    """One for each address: the worst that is told where the sender's one recipient became several."""
    known: dict[str, ReportedRecipient] = {}
    for recipient in recipients:
        told = known.setdefault(recipient.address.lower(), recipient)
        if _gravity(recipient) > _gravity(told):
            known[recipient.address.lower()] = recipient
    return tuple(known.values())


def _gravity(recipient: ReportedRecipient) -> int:
    if recipient.action in ("delivered", "relayed", "expanded"):
        return 0
    return 1 if recipient.temporary else 2


def _recipient(group: fields.Group) -> ReportedRecipient:
    final = fields.address_of(fields.value_of(group, "final-recipient"))
    original = fields.address_of(fields.value_of(group, "original-recipient"))
    action = fields.action_of(fields.value_of(group, "action"))
    diagnostic = fields.diagnostic_of(fields.value_of(group, "diagnostic-code"))
    status = status_in(fields.value_of(group, "status"), diagnostic, action)
    return ReportedRecipient(
        address=original if fields.is_address(original) else final or original,
        action=action,
        status=status,
        temporary=is_temporary(status, action),
        diagnostic=diagnostic,
        final=final,
    )


def _complaint(mail: Mail) -> tuple[ReportedRecipient, ...]:
    groups = _part_groups(mail, _FEEDBACK_PARTS)
    feedback = fields.first_value(groups, "feedback-type").lower()
    values = [
        value
        for name in ("original-rcpt-to", "removal-recipient")
        for group in groups
        for key, value in group
        if key == name
    ]
    named = dict.fromkeys(filter(None, map(fields.address_of, values)))
    addresses = tuple(named) or returned_recipients(mail)
    return tuple(_noted(address, "", feedback) for address in addresses)


def _disposition(mail: Mail) -> tuple[ReportedRecipient, ...]:
    groups = _part_groups(mail, _DISPOSITION_PARTS)
    value = fields.first_value(groups, "disposition")
    kind = value.rpartition(";")[2].partition("/")[0].strip().lower()
    named = (fields.first_value(groups, n) for n in ("original-recipient", "final-recipient"))
    address = next(filter(None, map(fields.address_of, named)), "")
    return (_noted(address, kind, value),) if address else ()


def _noted(address: str, action: str, diagnostic: str) -> ReportedRecipient:
    return ReportedRecipient(address, action, "", False, diagnostic, address)
