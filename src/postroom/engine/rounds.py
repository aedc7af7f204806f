"""The looks of one session at the mailboxes of an account."""

from collections.abc import Mapping

from postroom.core.errors import MailServerError, ServerCode
from postroom.core.model import Role, Site
from postroom.core.ports import MailSession
from postroom.engine.sync import Following, Sync

INBOX = "INBOX"


class Rounds:
    """Follows the watched mailboxes, and Sent. `main` is the one whose changes the server announces; it is
    looked at last, so that it stays open."""

    def __init__(self, sync: Sync, site: Site, session: MailSession, roles: Mapping[Role, str]) -> None:
        followed = followed_mailboxes(site, roles)
        self.main = _watched(site)[0]
        self.trouble: MailServerError | None = None
        self._main = sync.follow(site, session, self.main, followed.pop(self.main))
        self._others = [sync.follow(site, session, name, role) for name, role in followed.items()]

    async def everything(self) -> None:
        """Look at all of them: what the owner sent first, so that what is answered is known as such."""
        self.trouble = None
        for other in self._others:
            await self._look_aside(other)
        await self._main.look()

    async def announced(self) -> None:
        """Look at the main one."""
        await self._main.look()

    async def safety(self) -> None:
        """Look at everything, whatever was announced, and at what the main one may have shown late."""
        await self.everything()
        await self._main.look_again()

    async def _look_aside(self, other: Following) -> None:
        """A misspelt name among the watched ones must not keep the main one from being read."""
        try:
            await other.look()
        except MailServerError as exc:
            if exc.server_code is not ServerCode.MAILBOX_MISSING:
                raise
            self.trouble = exc


def followed_mailboxes(site: Site, roles: Mapping[Role, str]) -> dict[str, Role]:
    """The mailboxes that are read for a site, and as what: Sent, so that what the owner wrote is known, and
    the watched ones in their order."""
    special = {name: role for role, name in roles.items() if role in (Role.SENT, Role.JUNK)}
    watched = _watched(site)
    sent = [name for name, role in special.items() if role is Role.SENT and name not in watched]
    return {name: special.get(name, Role.INBOX) for name in (*sent, *watched)}


def _watched(site: Site) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_spelt(name) for name in site.settings.watch)) or (INBOX,)


def _spelt(name: str) -> str:
    """INBOX is the one name without case (RFC 9051 section 5.1)."""
    return INBOX if name.upper() == INBOX else name
