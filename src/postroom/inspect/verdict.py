"""Whether a mail would be answered: the service's own rules, for an account that has just received it."""

from dataclasses import dataclass
from datetime import datetime

from postroom.core.model import MessageState, Source
from postroom.core.policy import Arrival, judge
from postroom.core.settings import Document, parse_settings
from postroom.engine.read import Arrived, read
from postroom.inspect.files import File
from postroom.inspect.reading import View

_NOBODYS_SECRET = b"inspect"  # so that no mail carries a mark of this account's own


@dataclass(frozen=True, slots=True)
class Outcome:
    """What would become of a mail: answered or not, the state it would be in, and why (a code of `judge`)."""

    answered: bool
    state: str
    reason: str


def outcome_of(file: File, view: View, now: datetime) -> Outcome:
    """What the service would do with `file` if it arrived at `now` for the account of `view`.

    Without an account nobody's address is the own one, and mail to anyone counts as addressed to it.
    """
    arrived = Arrived(Source.MAILBOX, file.raw, now, len(file.raw), oversize=file.oversize)
    reading = read("inspect", arrived, view.authserv_ids, _NOBODYS_SECRET, now)
    if reading.fault:
        return Outcome(answered=False, state=MessageState.QUARANTINED.value, reason=reading.fault)
    arrival = Arrival(
        message=reading.message,
        own_hop=reading.own_hop,
        own_message_id=False,
        flags=frozenset(),
        history=False,
        oversize=file.oversize,
        exempt=False,
    )
    verdict = judge(arrival, parse_settings(_settings(view)), now)
    answered = verdict.state is MessageState.DUE
    return Outcome(answered=answered, state=verdict.state.value, reason=verdict.reason)


def _settings(view: View) -> Document:
    if not view.addresses:
        return {}
    own, *aliases = dict.fromkeys(view.addresses)
    return {"channels": {"email": {"email": own, "aliases": aliases}}}
