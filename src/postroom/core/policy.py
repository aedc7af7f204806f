"""Who may join, see, be answered, and how often: the rules of product.md section D as pure functions."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from postroom.core.model import Direction, Message, MessageState, Site, Source, TrustLevel
from postroom.core.settings import Caps, EmailChannel, SiteSettings
from postroom.core.store import AnswerCounts, Cited
from postroom.mail.address import domain_of, normalise
from postroom.mail.message import Address


def matches(patterns: Collection[str], address: str) -> bool:
    """Whether the address fits one of `user@host`, `@host`, `*.host` (any host below it)."""
    wanted = normalise(address)
    domain = domain_of(wanted)
    return any(_fits(pattern, wanted, domain) for pattern in patterns)


def _fits(pattern: str, address: str, domain: str) -> bool:
    if pattern.startswith("@"):
        return domain == pattern[1:]
    if pattern.startswith("*."):
        return domain.endswith(pattern[1:])
    return address == normalise(pattern)


# --- the same message (D2) ----------------------------------------------------------------------


def same_message(new: Message, known: Message) -> bool:
    """Whether two messages of one account with one Message-ID (or both without) are one (D2).

    From must be equal, and the body too, unless exactly one of them came by webhook: a provider's JSON
    never has the very text of the mail. What was quarantined never stands in for an honest mail.
    """
    if _author(new) != _author(known) or known.direction is not Direction.IN:
        return False
    if new.content_key == known.content_key:
        return True
    one_by_webhook = (new.source is Source.WEBHOOK) != (known.source is Source.WEBHOOK)
    return one_by_webhook and bool(new.message_id) and known.state is not MessageState.QUARANTINED


def _author(message: Message) -> str:
    return normalise(message.sender.address) if message.sender else ""


# --- joining a conversation (D3) ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Joining:
    """Where a message goes: into `thread_id`, or into a new conversation that `cites` another."""

    thread_id: str | None
    cites: str | None = None


def choose_thread(
    sender: str, trust: TrustLevel, cited: Sequence[Cited], signed: Callable[[Cited], bool]
) -> Joining:
    """Which conversation a message joins. `cited` in the order of its ids, oldest first.

    The last cited conversation that the sender takes part in wins, or of which it carries an id that we
    signed. A sender known to be forged joins nothing, and neither does one that is unknown.
    """
    proposed = cited[-1].thread_id if cited else None
    if trust in (TrustLevel.FAILED, TrustLevel.UNKNOWN):
        return Joining(None, proposed)
    for known in reversed(cited):
        if sender in known.participants or signed(known):
            return Joining(known.thread_id)
    return Joining(None, proposed)


def visible(messages: Iterable[Message], sender: str) -> tuple[Message, ...]:
    """The messages which that sender (normalised) sent or received, no others (D4)."""
    return tuple(m for m in messages if _concerns(m, sender))


def _concerns(message: Message, sender: str) -> bool:
    if message.state is MessageState.QUARANTINED:
        return False
    parties = (*((message.sender,) if message.sender else ()), *message.to, *message.cc)
    return any(normalise(party.address) == sender for party in parties)


# --- to whom and from whom (D6, A5) -------------------------------------------------------------


def reply_address(sender: Address, reply_to: Sequence[Address], allowed: Collection[str]) -> Address:
    """Who gets the answer: the sender; a single Reply-To only in the same domain or on the allow list."""
    if len(reply_to) != 1:
        return sender
    wanted = normalise(reply_to[0].address)
    same_domain = bool(domain_of(wanted)) and domain_of(wanted) == domain_of(normalise(sender.address))
    if same_domain or any(normalise(address) == wanted for address in allowed):
        return reply_to[0]
    return sender


def identity_for(message: Message, channel: EmailChannel) -> str:
    """The address to answer from: the account's own one that the mail was sent to (A5)."""
    own = {normalise(address): address for address in channel.addresses}
    named = [a.address for a in (*message.to, *message.cc)]
    if message.delivered_to:
        named.append(message.delivered_to)
    return next((own[normalise(a)] for a in named if normalise(a) in own), channel.email)


# --- the verdict (D5, D7, D8) -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verdict:
    """Answer or not: `state` DUE means answer. `reason` is a stable code."""

    state: MessageState
    reason: str = ""


DUE = Verdict(MessageState.DUE)


@dataclass(frozen=True, slots=True)
class Arrival:
    """What is known of an incoming message when it is judged. `exempt` lifts the age limit (the site's
    `start` asked for this mail)."""

    message: Message
    own_hop: bool
    own_message_id: bool
    flags: frozenset[str]
    history: bool
    oversize: bool
    exempt: bool


def judge(arrival: Arrival, settings: SiteSettings, now: datetime) -> Verdict:
    """Whether the agent is asked, in the order in which a person would rule it out."""
    for rule in (_unsafe, _past, _robot, _stranger):
        verdict = rule(arrival, settings, now)
        if verdict is not None:
            return verdict
    return DUE


def _unsafe(arrival: Arrival, settings: SiteSettings, now: datetime) -> Verdict | None:
    del settings, now
    if arrival.message.trust is TrustLevel.FAILED:
        return Verdict(MessageState.QUARANTINED, "authentication_failed")
    return None


def _past(arrival: Arrival, settings: SiteSettings, now: datetime) -> Verdict | None:
    if arrival.history:
        return Verdict(MessageState.NO_ANSWER, "history")
    if "\\answered" in arrival.flags:
        return Verdict(MessageState.NO_ANSWER, "answered_elsewhere")
    if "\\draft" in arrival.flags:
        return Verdict(MessageState.NO_ANSWER, "draft")
    if not arrival.exempt and stale(arrival.message.received_at, settings, now):
        return Verdict(MessageState.HELD, "stale")
    return None


def _robot(arrival: Arrival, settings: SiteSettings, now: datetime) -> Verdict | None:
    del now
    message, channel = arrival.message, settings.channels.email
    own = {normalise(a) for a in channel.addresses} if channel else set()
    if arrival.own_hop or arrival.own_message_id:
        return Verdict(MessageState.NO_ANSWER, "loop")
    if message.sender and normalise(message.sender.address) in own:
        return Verdict(MessageState.NO_ANSWER, "own_address")
    if message.automatic:
        return Verdict(MessageState.NO_ANSWER, message.automatic)
    if message.sender is None:
        return Verdict(MessageState.NO_ANSWER, "sender_unknown")
    named = {normalise(a.address) for a in (*message.to, *message.cc)}
    if message.delivered_to:
        named.add(normalise(message.delivered_to))
    if own and not named & own:
        return Verdict(MessageState.NO_ANSWER, "not_addressed")
    return None


def _stranger(arrival: Arrival, settings: SiteSettings, now: datetime) -> Verdict | None:
    del now
    sender = arrival.message.sender
    if sender is None or matches(settings.block, sender.address):
        return Verdict(MessageState.NO_ANSWER, "blocked")
    if settings.allow and not matches(settings.allow, sender.address):
        return Verdict(MessageState.NO_ANSWER, "not_allowed")
    if settings.require_verified and arrival.message.trust is not TrustLevel.VERIFIED:
        return Verdict(MessageState.HELD, "not_verified")
    if arrival.oversize:
        return Verdict(MessageState.HELD, "oversize")
    return None


def past_retention(received_at: datetime, site: Site, now: datetime) -> bool:
    """Whether the site would have forgotten a mail of that age: it may have been handled, and nothing would
    be left to tell."""
    days = site.settings.retention.days
    if days is not None and received_at < now - timedelta(days=days):
        return True
    return site.forgotten_before is not None and received_at < site.forgotten_before


def stale(received_at: datetime, settings: SiteSettings, now: datetime) -> bool:
    """Whether the mail is older than the site still answers by itself."""
    hours = settings.answer_within_hours
    return hours is not None and now - received_at > timedelta(hours=hours)


# --- caps (D7) ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CapReached:
    """Which cap stands in the way. "thread" and "correspondent" pause the conversation, "site" waits."""

    scope: Literal["thread", "correspondent", "site"]
    reason: str


def cap_reached(counts: AnswerCounts, caps: Caps, trust: TrustLevel) -> CapReached | None:
    """The cap that one more answer would break, or None."""
    if _full(counts.thread_10_min, caps.thread_per10_min):
        return CapReached("thread", "cap_thread_10_min")
    if _full(counts.thread_2_hours, caps.thread_per2_hours):
        return CapReached("thread", "cap_thread_2_hours")
    if _full(counts.correspondent_day, caps.correspondent_per_day):
        return CapReached("correspondent", "cap_correspondent_day")
    stranger = not counts.sender_known and trust is not TrustLevel.VERIFIED
    if stranger and _full(counts.new_senders_hour, caps.new_senders_per_hour):
        return CapReached("site", "cap_new_senders_hour")
    return None


def _full(count: int, cap: int | None) -> bool:
    return cap is not None and count >= cap


def next_hour(now: datetime) -> datetime:
    """When the next hour begins."""
    return now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
