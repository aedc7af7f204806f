"""How an account stands: told to whoever asks, stored for other processes and the next start."""

import random
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from postroom.core.errors import LeaseLost, MailServerError, PostroomError
from postroom.core.model import AccountState, AccountStatus, Site
from postroom.core.ports import Clock
from postroom.core.registry import Accounts
from postroom.engine.retry import Trouble, reconnect_after, trouble_of

log = structlog.get_logger()

STORE_EVERY = timedelta(minutes=15)
LASTING = (AccountState.AUTH_FAILED, AccountState.PAUSED)
"""What the end of the process does not end: a password stays refused."""


class Standing:
    """The status of one account, and the waits that follow from it."""

    def __init__(self, site_id: str, accounts: Accounts, clock: Clock) -> None:
        self._accounts = accounts
        self._clock = clock
        self._stored_at: datetime | None = None
        self._throttles = 0
        self.status = AccountStatus(site_id, AccountState.CONNECTING, clock.now())

    async def remember(self, site: Site) -> timedelta:
        """Go on where an earlier process left off; how long it had still meant to wait.

        The environment's own site and one that was saved since are tried at once.
        """
        known = await self._accounts.status(site.id)
        if known is None or known.state not in LASTING:
            return timedelta()
        self.status = known
        if site.environment or site.updated_at > known.since:
            return timedelta()
        return (known.next_try_at or datetime.max.replace(tzinfo=known.since.tzinfo)) - self._clock.now()

    async def connecting(self) -> None:
        """A first try, or one after the account was changed."""
        if self.status.state not in (AccountState.BACKING_OFF, *LASTING):
            await self._enter(AccountState.CONNECTING)

    async def synced(self, *, pushes: bool, trouble: PostroomError | None = None) -> None:
        """Everything was looked at; `trouble`: what could not be, though the rest could."""
        state = AccountState.WATCHING if pushes else AccountState.POLLING
        now = self._clock.now()
        before = self.status
        self.status = AccountStatus(
            before.site_id,
            state,
            before.since if before.state is state else now,
            last_sync_at=now,
            error_code=trouble.code if trouble else "",
            error_text=words_of(trouble) if trouble else "",
            failures=before.failures,
        )
        due = self._stored_at is None or now - self._stored_at > STORE_EVERY
        if due or before.state is not state or before.error_code != self.status.error_code:
            await self._store()

    def healthy(self) -> None:
        """A session has lasted: what failed before it is over."""
        self._throttles = 0
        if self.status.failures:
            self.status = replace(self.status, failures=0)

    def renewed(self) -> None:
        """The account was changed: nothing that failed before counts."""
        self._throttles = 0
        last_sync_at = self.status.last_sync_at
        self.status = AccountStatus(
            self.status.site_id, AccountState.CONNECTING, self._clock.now(), last_sync_at=last_sync_at
        )

    async def failed(self, error: PostroomError) -> timedelta:
        """Note a failure; how long to wait before the next try."""
        trouble = trouble_of(error)
        refused = trouble is Trouble.LOGIN
        failures, refusals = self.status.failures + 1, self.status.refusals + refused
        self._throttles += trouble is Trouble.THROTTLE
        # A minute doubles with each request to wait, not with each lost connection before the first.
        counted = {Trouble.LOGIN: refusals, Trouble.THROTTLE: self._throttles}.get(trouble, failures)
        asked = error.after if isinstance(error, MailServerError) else None
        chance = random.random()  # noqa: S311 - jitter
        wait = reconnect_after(trouble, counted, asked, chance)
        state, now = AccountState.AUTH_FAILED if refused else AccountState.BACKING_OFF, self._clock.now()
        self.status = replace(
            self.status,
            state=state,
            since=self.status.since if self.status.state is state else now,
            next_try_at=now + wait,
            error_code=error.code,
            error_text=words_of(error),
            failures=failures,
            refusals=refusals,
        )
        seconds = round(wait.total_seconds())
        log.warning("watch.failed", site=self.status.site_id, code=error.code, wait_seconds=seconds)
        await self._store()
        return wait

    async def paused(self, error: PostroomError) -> None:
        """Nothing is read until the owner acts."""
        self.status = replace(self.status, error_code=error.code, error_text=words_of(error))
        await self._enter(AccountState.PAUSED)

    async def stopped(self) -> None:
        """There is nothing to watch."""
        await self._enter(AccountState.STOPPED)

    async def _enter(self, state: AccountState) -> None:
        self.status = replace(self.status, state=state, since=self._clock.now(), next_try_at=None)
        await self._store()

    async def _store(self) -> None:
        self._stored_at = self._clock.now()
        try:
            await self._accounts.report(self.status)
        except LeaseLost:
            raise
        except PostroomError as exc:  # whoever asks this process is told all the same
            log.warning("watch.not_reported", code=exc.code)


def words_of(error: PostroomError) -> str:
    """What happened and what to do about it, for the owner."""
    text = error.text if error.text.endswith(".") else f"{error.text}."
    return f"{text} {error.hint}".strip()
