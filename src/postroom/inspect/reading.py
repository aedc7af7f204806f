"""One file's bytes to everything that Postroom reads in them; the rules are those of `mail`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from postroom.inspect.files import File
from postroom.mail import automatic, parse, quote, thread
from postroom.mail.address import domain_of, normalise
from postroom.mail.authresults import authserv_ids_for, trust
from postroom.mail.automatic import Automatic
from postroom.mail.message import Mail
from postroom.mail.quote import Reply
from postroom.mail.report import Report, parse_report


@dataclass(frozen=True, slots=True)
class View:
    """Whose eyes to see with: the account's addresses, its own one first (none: nobody's in particular),
    and whose `Authentication-Results` to believe."""

    addresses: tuple[str, ...] = ()
    authserv_ids: tuple[str, ...] = ()

    def owns(self, address: str) -> bool:
        """Whether the address is one of the account's."""
        return normalise(address) in {normalise(own) for own in self.addresses}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a mail says. `trust`: verified, claimed, failed or unknown (D5). `quarantined`: why it would be
    kept apart as unsafe or unreadable, else empty. `notes`: facts, a short code each."""

    mail: Mail
    reply: Reply
    automatic: Automatic | None
    report: Report | None
    trust: str
    thread_key: str
    quarantined: str
    notes: tuple[str, ...]


def view_of(addresses: Sequence[str], authserv_ids: Sequence[str]) -> View:
    """The view of an account. Without `authserv_ids`, those are believed that are known for the provider of
    its first address; nobody is believed when there is none."""
    ids = tuple(authserv_ids)
    if not ids and addresses:
        ids = authserv_ids_for(domain_of(normalise(addresses[0])))
    return View(tuple(addresses), ids)


def read(file: File, view: View) -> Reading:
    """How Postroom reads the bytes of `file`. Never raises: what it cannot read it quarantines."""
    try:
        mail = parse.parse_headers(file.raw) if file.oversize else parse.parse(file.raw)
        reading = _reading(mail, view)
    except parse.OverCaps as exc:
        return _kept_apart(exc.envelope, f"over_caps_{exc.reason}")
    except Exception:  # noqa: BLE001 - as in a mailbox: one mail that we cannot read must not end the run
        return _kept_apart(parse.parse_headers(b"\r\n"), "unreadable")
    return replace(reading, notes=(*reading.notes, "oversize")) if file.oversize else reading


def _reading(mail: Mail, view: View) -> Reading:
    sign = automatic.classify(mail)
    level = _trust(mail, view)
    return Reading(
        mail=mail,
        reply=quote.of(mail),
        automatic=sign or _by_own_address(mail, view),
        report=parse_report(mail) if sign else None,
        trust=level,
        thread_key=_thread_key(mail),
        quarantined="authentication_failed" if level == "failed" else "",
        notes=mail.notes,
    )


def _trust(mail: Mail, view: View) -> str:
    """D5: nobody can be verified as the author when there is none; a failing verdict still counts."""
    level = trust(mail, view.authserv_ids).level
    return level if mail.author or level == "failed" else "unknown"


def _by_own_address(mail: Mail, view: View) -> Automatic | None:
    """D7: what the account's own address wrote is not answered either."""
    own = mail.author is not None and view.owns(mail.author.address)
    return Automatic("automatic", "own_address") if own else None


def _thread_key(mail: Mail) -> str:
    sender = mail.author.address if mail.author else ""
    return thread.thread_key(mail.message_id, mail.references, mail.in_reply_to, sender)


def _kept_apart(envelope: Mail, reason: str) -> Reading:
    return Reading(
        mail=envelope,
        reply=Reply("", "", ""),
        automatic=None,
        report=None,
        trust="unknown",
        thread_key=_thread_key(envelope),
        quarantined=reason,
        notes=envelope.notes,
    )
