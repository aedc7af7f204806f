"""One supervised task an account: look, wait for the server's push, look again; back off when it fails.

A watcher survives everything but being stopped. It owns the account's only reading connection, so what
remains to be done in the mailbox after an answer (aftercare) is done here too.
"""

import asyncio
import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from postroom.core.errors import REFUSED_LOGIN, MailServerError, PostroomError
from postroom.core.model import AccountState, AccountStatus, Login, Role, Site
from postroom.core.ports import Clock, MailAccess, MailSession
from postroom.core.registry import Accounts, Sites
from postroom.engine import retry
from postroom.engine.accounts import Logins
from postroom.engine.mailcare import Mailcare
from postroom.engine.notify import Notifier
from postroom.engine.sync import Sync

log = structlog.get_logger()

RESET_LIMIT = 6
HEALTHY_AFTER = timedelta(minutes=1)
REPORT_EVERY = timedelta(minutes=5)
STARTS_AT_ONCE = 50


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


class _TooManyResets(Exception):
    """The server renumbers the mailbox again and again."""


class Watcher:
    """Watches one account until the site has no account to read, or is gone."""

    def __init__(self, site_id: str, parts: WatchParts, starts: asyncio.Semaphore) -> None:
        self._site_id = site_id
        self._parts = parts
        self._starts = starts
        self._session: MailSession | None = None
        self._poked = asyncio.Event()
        self._reported_at: datetime | None = None
        self._failures = 0
        self._refusals = 0
        self.settled = asyncio.Event()
        self.status = AccountStatus(site_id, AccountState.CONNECTING, parts.clock.now())

    def poke(self) -> None:
        """Look now: something is due in the mailbox, or the site has changed."""
        self._poked.set()
        if self._session is not None:
            self._session.interrupt()

    async def run(self) -> None:
        """Watch until there is nothing to watch."""
        while await self._attempt():
            pass
        await self._report(AccountState.STOPPED)
        self.settled.set()

    async def _attempt(self) -> bool:
        """One connection and its end; whether there is still something to watch."""
        self._poked.clear()
        site = await self._load()
        login = await self._parts.logins.access(site) if site else None
        if site is None or login is None:
            return False
        try:
            await self._connected(site, login)
        except _Reconfigured:
            self._failures = self._refusals = 0
        except _TooManyResets:
            await self._pause(site)
        except PostroomError as exc:
            await self._back_off(site, exc)
        except Exception as exc:  # one account's surprise must not end its watching
            log.exception("watch.unexpected", site=self._site_id)
            await self._back_off(site, PostroomError("an internal fault", code=type(exc).__name__))
        return True

    async def _load(self) -> Site | None:
        while True:
            try:
                return await self._parts.sites.get(self._site_id)
            except Exception:
                log.exception("watch.storage", site=self._site_id)
                await self._parts.clock.sleep(retry.reconnect_after(1, None, _chance()).total_seconds())

    async def _connected(self, site: Site, login: Login) -> None:
        if self.status.state not in (AccountState.BACKING_OFF, AccountState.AUTH_FAILED):
            await self._report(AccountState.CONNECTING)
        async with self._starts:
            opening = self._parts.access.open(login)
            session = await opening.__aenter__()
        try:
            self._session = session
            await self._watch(site, session)
        finally:
            self._session = None
            await opening.__aexit__(None, None, None)

    async def _watch(self, site: Site, session: MailSession) -> None:
        roles = await session.roles()
        rounds = _Round(self._parts, site, session, roles)
        state = AccountState.WATCHING if session.pushes else AccountState.POLLING
        began = self._parts.clock.now()
        await rounds.everything()
        await self._synced(state)
        self._refusals = 0
        self.settled.set()
        main = site.settings.watch[0] if site.settings.watch else "INBOX"
        while True:
            await self._parts.care.attend(site, session, roles)
            pushed = await session.wait(main, self._parts.poll_seconds)
            await self._still_current(site)
            await (rounds.one(main) if pushed else rounds.safety(main))
            if self._parts.clock.now() - began > HEALTHY_AFTER:
                self._failures = 0
            await self._synced(state)

    async def _still_current(self, site: Site) -> None:
        if not self._poked.is_set():
            return
        self._poked.clear()
        now = await self._parts.sites.get(self._site_id)
        if now is None or now.version != site.version:
            raise _Reconfigured

    async def _synced(self, state: AccountState) -> None:
        now = self._parts.clock.now()
        unchanged = self.status.state is state
        since = self.status.since if unchanged else now
        self.status = AccountStatus(self._site_id, state, since, last_sync_at=now)
        due = self._reported_at is None or now - self._reported_at > REPORT_EVERY
        if not unchanged or due:
            await self._store_status()

    async def _report(self, state: AccountState) -> None:
        self.status = replace(self.status, state=state, since=self._parts.clock.now(), next_try_at=None)
        await self._store_status()

    async def _store_status(self) -> None:
        self._reported_at = self._parts.clock.now()
        with suppress(PostroomError):
            await self._parts.accounts.report(self.status)

    async def _back_off(self, site: Site, error: PostroomError) -> None:
        self._failures += 1
        if isinstance(error, MailServerError) and error.server_code in REFUSED_LOGIN:
            self._refusals += 1
            state, wait = AccountState.AUTH_FAILED, retry.login_after(self._refusals, _chance())
        else:
            asked = error.after if isinstance(error, MailServerError) else None
            state, wait = AccountState.BACKING_OFF, retry.reconnect_after(self._failures, asked, _chance())
        await self._report_failure(state, error, wait)
        if self._refusals == retry.LOGIN_REFUSALS and state is AccountState.AUTH_FAILED:
            await self._parts.notifier.tell(site, "account.auth_failed")
        self.settled.set()
        await self._rest(site, wait.total_seconds())

    async def _report_failure(self, state: AccountState, error: PostroomError, wait: timedelta) -> None:
        now = self._parts.clock.now()
        self.status = replace(
            self.status,
            state=state,
            since=self.status.since if self.status.state is state else now,
            next_try_at=now + wait,
            error_code=error.code,
            error_text=error.text,
            failures=self._failures,
            refusals=self._refusals,
        )
        seconds = int(wait.total_seconds())
        log.warning("watch.failed", site=self._site_id, code=error.code, wait_seconds=seconds)
        await self._store_status()

    async def _pause(self, site: Site) -> None:
        """Stop reading until the settings or the password are stored again."""
        await self._report(AccountState.PAUSED)
        await self._parts.notifier.tell(site, "mailbox.reset_loop")
        self.settled.set()
        await self._rest(site, float("inf"))

    async def _rest(self, site: Site, seconds: float) -> None:
        """Sleep by the clock; a changed site ends it, other pokes do not."""
        sleeping = asyncio.ensure_future(self._parts.clock.sleep(min(seconds, 10.0**8)))
        try:
            while not sleeping.done():
                poked = asyncio.ensure_future(self._poked.wait())
                await asyncio.wait({sleeping, poked}, return_when=asyncio.FIRST_COMPLETED)
                poked.cancel()
                await self._still_current(site)
        except _Reconfigured:
            self._failures = self._refusals = 0
        finally:
            sleeping.cancel()


def _chance() -> float:
    return random.random()  # noqa: S311 - jitter


class _Round:
    """The looks of one session."""

    def __init__(
        self, parts: WatchParts, site: Site, session: MailSession, roles: Mapping[Role, str]
    ) -> None:
        self._parts = parts
        self._site = site
        self._session = session
        self._roles = roles

    async def everything(self) -> None:
        """Every watched mailbox, then Sent; the first watched one last, so that it stays selected."""
        sent = self._roles.get(Role.SENT)
        if sent and sent not in self._site.settings.watch:
            await self._parts.sync.look(self._site, self._session, sent, Role.SENT)
        for mailbox in reversed(self._site.settings.watch):
            await self.one(mailbox)

    async def one(self, mailbox: str) -> None:
        """One watched mailbox."""
        cursor = await self._parts.sync.look(self._site, self._session, mailbox, self._role_of(mailbox))
        recent = cursor.reset_at and self._parts.clock.now() - cursor.reset_at < timedelta(hours=1)
        if cursor.resets >= RESET_LIMIT and recent:
            raise _TooManyResets

    async def safety(self, mailbox: str) -> None:
        """Everything, whatever was announced, and what a watched mailbox may have shown late."""
        await self.everything()
        await self._parts.sync.look_again(self._site, self._session, mailbox, self._role_of(mailbox))

    def _role_of(self, mailbox: str) -> Role:
        junk = self._roles.get(Role.JUNK)
        return Role.JUNK if mailbox == junk else Role.INBOX


class Watchers:
    """All watchers of this process: one task a site."""

    def __init__(self, parts: WatchParts) -> None:
        self._parts = parts
        self._starts = asyncio.Semaphore(STARTS_AT_ONCE)
        self._running: dict[str, tuple[Watcher, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Start a watcher for every site, then keep them until cancelled."""
        cursor: str | None = None
        while True:
            page = await self._parts.sites.list(cursor, 200)
            for site in page.items:
                self.refresh(site.id)
            cursor = page.next
            if cursor is None:
                break
        try:
            await asyncio.Event().wait()
        finally:
            await self._stop_all()

    def refresh(self, site_id: str) -> None:
        """Make the site's watcher look now, starting it when there is none."""
        running = self._running.get(site_id)
        if running is not None and not running[1].done():
            running[0].poke()
            return
        watcher = Watcher(site_id, self._parts, self._starts)
        self._running[site_id] = (watcher, asyncio.create_task(watcher.run(), name=f"watch:{site_id}"))

    def status(self, site_id: str) -> AccountStatus | None:
        """What the site's watcher is doing, when it is one of ours."""
        running = self._running.get(site_id)
        return running[0].status if running else None

    def settled(self, site_id: str) -> bool:
        """Whether the account has its cursor, or has failed once, or has nothing to watch."""
        running = self._running.get(site_id)
        return running is not None and (running[0].settled.is_set() or running[1].done())

    async def _stop_all(self) -> None:
        tasks = [task for _, task in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
