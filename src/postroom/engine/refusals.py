"""Logins that submission servers refused: servers lock accounts whose wrong password is tried for ever."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from postroom.core.errors import REFUSED_LOGIN, MailServerError, ServerCode
from postroom.core.model import Login
from postroom.engine.retry import LOGIN_PROBE, LOGIN_REFUSALS

REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class _Refused:
    """How often in a row, how at last, and when it may be tried again."""

    times: int
    code: ServerCode
    next_try_at: datetime


class RefusedLogins:
    """Remembers them for as long as the process lives. A changed password is another login."""

    def __init__(self) -> None:
        self._refused: OrderedDict[Login, _Refused] = OrderedDict()

    def check(self, login: Login, now: datetime) -> None:
        """Raise `MailServerError` as the server did, when it refused the login three times in a row and the
        time for another try has not come. Who comes when it has, is the one who tries."""
        known = self._refused.get(login)
        if known is None or known.times < LOGIN_REFUSALS:
            return
        if now < known.next_try_at:
            raise MailServerError(known.code, "the server refused this login; it is seldom tried again")
        self._refused[login] = replace(known, next_try_at=now + LOGIN_PROBE)

    def refused(self, login: Login, error: MailServerError, now: datetime, chance: float) -> bool:
        """Note an attempt that came to nothing; whether the owner has to be told now that it is the login."""
        if error.server_code not in REFUSED_LOGIN:
            return False
        before = self._refused.pop(login, None)
        times = before.times + 1 if before else 1
        wait = LOGIN_PROBE * (1 + 0.5 * chance) if times >= LOGIN_REFUSALS else timedelta()
        self._refused[login] = _Refused(times, error.server_code, now + wait)
        while len(self._refused) > REMEMBERED:
            self._refused.popitem(last=False)
        return times == LOGIN_REFUSALS

    def accepted(self, login: Login) -> None:
        """The server takes it: what was before does not count."""
        self._refused.pop(login, None)
