"""Watches one account: look, wait for the server's push, look again; back off when it fails.

A watcher survives everything but being stopped. It owns the account's only reading connection, so what
remains to be done in the mailbox after an answer (aftercare) is done here too.
"""

import asyncio
import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from postroom.core.errors import LeaseLost, PostroomError
from postroom.core.model import AccountState, AccountStatus, Login, Site
from postroom.core.ports import Clock, MailAccess, MailSession
from postroom.core.registry import Accounts, Sites
from postroom.engine.accounts import Logins
from postroom.engine.mailcare import Mailcare
from postroom.engine.notify import Notifier
from postroom.engine.pacing import Starts
from postroom.engine.retry import LOGIN_REFUSALS, Trouble, reconnect_after
from postroom.engine.rounds import Rounds
from postroom.engine.standing import Standing
from postroom.engine.sync import RenumberedTooOften, Sync

log = structlog.get_logger()

HEALTHY_AFTER = timedelta(seconds=30)
CARE_EVERY = timedelta(minutes=10)
FOR_EVER = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class WatchParts:
    """What every watcher works with."""

    sites: Sites
    accounts: Accounts
    logins: Logins
    access: MailAccess
    sync: Sync
    care: Mailcare
    notifier: Notifier
    clock: Clock
    poll_seconds: float


class _Reconfigured(Exception):
    """The site changed: connect anew."""


class Watcher:
    """Watches one account until the site has no account to read, or is gone."""

    def __init__(self, site_id: str, parts: WatchParts, starts: Starts) -> None:
        self._site_id = site_id
        self._parts = parts
        self._starts = starts
        self._standing = Standing(site_id, parts.accounts, parts.clock)
        self._session: MailSession | None = None
        self._poked = asyncio.Event()
        self._refused: Login | None = None
        self._faults = 0
        self.settled = asyncio.Event()

    @property
    def status(self) -> AccountStatus:
        """How the account stands now."""
        return self._standing.status

    def poke(self) -> None:
        """Look now: something is due in the mailbox, or the site has changed."""
        self._poked.set()
        if self._session is not None:
            self._session.interrupt()

    async def run(self) -> None:
        """Watch until there is nothing to watch, or another process watches the account."""
        step = self._resume
        while True:
            try:
                going = await step()
                self._faults, step = 0, self._attempt
                if not going and await self._ended():
                    return
            except LeaseLost:
                log.info("watch.taken_over", site=self._site_id)
                return
            except Exception:  # one account's surprise, or the database's, must not end its watching
                log.exception("watch.unexpected", site=self._site_id)
                self._faults += 1
                wait = reconnect_after(Trouble.PASSING, self._faults, None, _chance())
                await self._parts.clock.sleep(wait.total_seconds())

    async def _ended(self) -> bool:
        """There is nothing to watch; unless the site was changed while that was noted."""
        await self._standing.stopped()
        self.settled.set()
        return not self._poked.is_set()

    # --- one try after the other ----------------------------------------------------------------------

    async def _resume(self) -> bool:
        """What an earlier process had to wait for is waited for to its end."""
        site = await self._parts.sites.get(self._site_id)
        if site is not None:
            wait = await self._standing.remember(site)
            login = await self._parts.logins.access(site)
            if login is not None and wait > timedelta():
                self._refused = login
                self.settled.set()
                await self._rest(site, min(wait, FOR_EVER))
        return True

    async def _attempt(self) -> bool:
        """One connection and its end; whether there is still something to watch."""
        self._poked.clear()
        site = await self._parts.sites.get(self._site_id)
        login = await self._parts.logins.access(site) if site else None
        if site is None or login is None:
            return False
        try:
            await self._connected(site, login)
        except _Reconfigured:
            self._standing.renewed()
        except LeaseLost:
            raise
        except RenumberedTooOften as exc:
            await self._pause(site, exc)
        except PostroomError as exc:
            await self._back_off(site, login, exc)
        except Exception as exc:  # what is not understood counts as passing
            log.exception("watch.failed_unexpectedly", site=self._site_id)
            error = PostroomError("an internal fault; its details are in the service's log")
            error.__cause__ = exc
            await self._back_off(site, login, error)
        return True

    async def _connected(self, site: Site, login: Login) -> None:
        await self._standing.connecting()
        opening = self._parts.access.open(login)
        async with self._starts.turn(login.server.host):
            session = await opening.__aenter__()
        try:
            self._session = session
            await self._watch(site, session)
        finally:
            self._session = None
            await opening.__aexit__(None, None, None)

    # --- one session ----------------------------------------------------------------------------------

    async def _watch(self, site: Site, session: MailSession) -> None:
        roles = await session.roles()
        rounds = Rounds(self._parts.sync, site, session, roles)
        times = _Times(self._parts.clock, self._parts.poll_seconds)
        await rounds.everything()
        self._refused = None
        await self._synced(session, rounds)
        self.settled.set()
        more = True
        while True:
            if more or times.care_is_due():
                more = await self._parts.care.attend(site, session, roles)
                times.cared()
            seconds = 0.0 if more else times.until_safety()
            announced = await session.wait(rounds.main, seconds)
            more = await self._still_current(site) or more
            if times.safety_is_due() or not (announced or more):
                await rounds.safety()
                times.looked()
                more = more or site.settings.mark == "seen"  # no bell rings for what is not answered
            else:
                await rounds.announced()
            if times.healthy():
                self._standing.healthy()
            await self._synced(session, rounds)

    async def _still_current(self, site: Site) -> bool:
        """Whether somebody asked to look; raises when it was because the site has changed."""
        if not self._poked.is_set():
            return False
        self._poked.clear()
        now = await self._parts.sites.get(self._site_id)
        if now is None or now.version != site.version:
            raise _Reconfigured
        return True

    async def _synced(self, session: MailSession, rounds: Rounds) -> None:
        await self._standing.synced(pushes=session.pushes, trouble=rounds.trouble)

    # --- when it fails --------------------------------------------------------------------------------

    async def _back_off(self, site: Site, login: Login, error: PostroomError) -> None:
        wait = await self._standing.failed(error)
        if self.status.state is AccountState.AUTH_FAILED:
            self._refused = login
        self.settled.set()
        if self.status.state is AccountState.AUTH_FAILED and self.status.refusals == LOGIN_REFUSALS:
            await self._parts.notifier.tell(site, "account.auth_failed")
        await self._rest(site, wait)

    async def _pause(self, site: Site, error: PostroomError) -> None:
        """Stop reading until the settings or the password are stored again."""
        await self._standing.paused(error)
        self.settled.set()
        await self._parts.notifier.tell(site, "mailbox.reset_loop")
        await self._rest(site, FOR_EVER)

    async def _rest(self, site: Site, wait: timedelta) -> None:
        """Sleep by the clock; a site changed so that another try may fare better ends it."""
        sleeping = asyncio.ensure_future(self._parts.clock.sleep(wait.total_seconds()))
        try:
            while not sleeping.done():
                await self._until_poked(sleeping)
                if self._poked.is_set():
                    site = await self._reconsidered(site)
        except _Reconfigured:
            self._standing.renewed()
        finally:
            sleeping.cancel()

    async def _until_poked(self, sleeping: "asyncio.Future[None]") -> None:
        poked = asyncio.ensure_future(self._poked.wait())
        waited_for: set[asyncio.Future[Any]] = {sleeping, poked}
        try:
            await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
        finally:
            poked.cancel()

    async def _reconsidered(self, site: Site) -> Site:
        """The site as it is now; raises when it is worth another try. What cannot be read is as before."""
        try:
            now = await self._parts.sites.get(self._site_id)
            if now is None or (now.version != site.version and await self._worth_trying(site, now)):
                raise _Reconfigured
        except PostroomError:
            await self._parts.clock.sleep(
                reconnect_after(Trouble.PASSING, 1, None, _chance()).total_seconds()
            )
            return site
        self._poked.clear()
        return now

    async def _worth_trying(self, before: Site, now: Site) -> bool:
        """A refused login is tried again when it is another one, or was deliberately stored again; not
        because a signature was changed: servers lock accounts."""
        if self.status.state is not AccountState.AUTH_FAILED or self._refused is None:
            return True
        stored_again = before.settings == now.settings
        return stored_again or await self._parts.logins.access(now) != self._refused


class _Times:
    """When what is due in a session."""

    def __init__(self, clock: Clock, poll_seconds: float) -> None:
        self._clock = clock
        self._poll = timedelta(seconds=poll_seconds)
        self._began = self._cared_at = clock.now()
        # Accounts that started together are not to poll together for ever.
        self._looked_at = self._began - self._poll * 0.5 * _chance()

    def until_safety(self) -> float:
        """Seconds to the next safety poll; never more than the interval, however the clock was set."""
        due = self._looked_at + self._poll - self._clock.now()
        return min(max(due, timedelta()), self._poll).total_seconds()

    def safety_is_due(self) -> bool:
        """Whether the interval has passed, announcements or not."""
        return self._clock.now() - self._looked_at >= self._poll

    def looked(self) -> None:
        """Everything was looked at."""
        self._looked_at = self._clock.now()

    def care_is_due(self) -> bool:
        """Whether aftercare should be looked for although no bell rang: bells may be lost."""
        return self._clock.now() - self._cared_at >= CARE_EVERY

    def cared(self) -> None:
        """Aftercare was done."""
        self._cared_at = self._clock.now()

    def healthy(self) -> bool:
        """Whether the session has lasted."""
        return self._clock.now() - self._began > HEALTHY_AFTER


def _chance() -> float:
    return random.random()  # noqa: S311 - jitter
