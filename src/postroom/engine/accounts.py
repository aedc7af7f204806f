"""Sites and their accounts: settings, secrets, logins, and the connection check."""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from postroom.core.errors import (
    Conflict,
    Forbidden,
    MailServerError,
    NotFound,
    PostroomError,
    ServerCode,
    invalid,
)
from postroom.core.model import Bell, BellKind, Login, SealedToken, Server, Site, new_id
from postroom.core.ports import Bells, Clock, Credentials, MailAccess, MailSubmission, Probe, Vault
from postroom.core.providers import Protocol, hint, provider_for
from postroom.core.registry import Sites, Tokens
from postroom.core.settings import EmailChannel, SiteSettings, apply_patch, parse_settings

SITE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
TOKEN_TYPE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
GOOGLE_APP_PASSWORD = re.compile(r"[a-z]{4}(\s[a-z]{4}){3}")
VALUE_LIMIT = 65_536
CHECK_SECONDS = 14.0
REMEMBERED_SECRETS = 1_000
EMAIL_TOKEN = "email"  # noqa: S105 - a token's type
CHANGED_MEANWHILE = "conflict"
WRITE_TRIES = 5


class Logins:
    """What it takes to log in for a site; None when something is missing.

    A secret is remembered for the version of the site that it was found under: storing or deleting one makes
    a new version.
    """

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._found: OrderedDict[tuple[str, datetime, int], str] = OrderedDict()

    async def access(self, site: Site) -> Login | None:
        """For reading, over IMAP."""
        channel = site.settings.channels.email
        secret = await self._secret(site, channel)
        return access_login(channel, secret, trusted=site.environment) if channel and secret else None

    async def submission(self, site: Site) -> Login | None:
        """For sending."""
        channel = site.settings.channels.email
        secret = await self._secret(site, channel)
        return submission_login(channel, secret, trusted=site.environment) if channel and secret else None

    async def _secret(self, site: Site, channel: EmailChannel | None) -> str | None:
        if channel is None:
            return None
        version = (site.id, site.created_at, site.version)
        secret = self._found.get(version)
        if secret is None:
            secret = await self._credentials.find(site.id, EMAIL_TOKEN, channel.email)
            if secret is not None:
                self._found[version] = secret
        while len(self._found) > REMEMBERED_SECRETS:
            self._found.popitem(last=False)
        return secret


def access_login(channel: EmailChannel, secret: str, *, trusted: bool) -> Login | None:
    """The IMAP login of an account, or None without an incoming server."""
    if channel.incoming_server is None:
        return None
    server = Server(channel.incoming_server, channel.incoming_port, channel.imap_security, trusted)
    return Login(server, channel.login, clean_password(secret))


def submission_login(channel: EmailChannel, secret: str, *, trusted: bool) -> Login | None:
    """The SMTP login of an account, or None without an outgoing server."""
    if channel.outgoing_server is None:
        return None
    server = Server(channel.outgoing_server, channel.outgoing_port, channel.smtp_security, trusted)
    return Login(server, channel.login, clean_password(secret))


def clean_password(secret: str) -> str:
    """A Google app password is shown in groups of four; the spaces (no-break ones too) are no part of it."""
    return "".join(secret.split()) if GOOGLE_APP_PASSWORD.fullmatch(secret.strip()) else secret


@dataclass(frozen=True, slots=True)
class SideCheck:
    """What the check found on one side. `latency_ms` and the counts are None when it did not get there."""

    code: ServerCode
    detail: str = ""
    hint: str = ""
    latency_ms: int | None = None
    capabilities: tuple[str, ...] = ()
    total: int | None = None
    unseen: int | None = None
    skipped: bool = False

    @property
    def success(self) -> bool:
        """Connected and logged in, or not asked for."""
        return self.skipped or self.code is ServerCode.OK


@dataclass(frozen=True, slots=True)
class Check:
    """A connection check: both sides, and the configuration that was tried."""

    imap: SideCheck
    smtp: SideCheck
    channel: EmailChannel

    @property
    def success(self) -> bool:
        """Both sides are usable."""
        return self.imap.success and self.smtp.success


SKIPPED = SideCheck(ServerCode.OK, skipped=True)


class Accounts:
    """Changes sites and their secrets, and checks connections."""

    def __init__(
        self,
        sites: Sites,
        tokens: Tokens,
        vault: Vault,
        credentials: Credentials,
        access: MailAccess,
        submission: MailSubmission,
        bells: Bells,
        clock: Clock,
    ) -> None:
        self._sites = sites
        self._tokens = tokens
        self._vault = vault
        self._credentials = credentials
        self._access = access
        self._submission = submission
        self._bells = bells
        self._clock = clock

    async def get(self, site_id: str) -> Site:
        """The site. Raises `NotFound`."""
        site = await self._sites.get(site_id)
        if site is None:
            raise NotFound("there is no such site", code="site_not_found")
        return site

    async def patch(self, site_id: str, patch: object, *, may_create: bool) -> Site:
        """Apply a JSON merge patch to a site's settings; the result is validated as a whole (A2).

        Creates the site when it is new and `may_create`. The watcher takes the change up at once. Patches
        that come at the same time are applied one after the other.
        """
        if not isinstance(patch, Mapping):
            raise invalid("", "must be a JSON object")

        async def change() -> Site:
            site = await self._sites.get(site_id) or self._new(site_id, may_create=may_create)
            if site.environment:
                raise Conflict(
                    "this site is configured by the environment of the service; change it there",
                    code="read_only",
                )
            document = apply_patch(site.document, patch)
            return await self._save(site, document, parse_settings(document))

        return await _until_alone(change)

    async def set_environment(self, site_id: str, document: Mapping[str, Any] | None) -> Site | None:
        """Bring the environment's own site in step with what is set now (B1); None takes the account out."""
        site = await self._sites.get(site_id)
        if document is None:
            if site is not None and site.environment:
                await self._save(replace(site, environment=False), {}, SiteSettings())
            return None
        settings = parse_settings(document)
        site = site or self._new(site_id, may_create=True)
        if site.environment and site.version and site.settings == settings:
            return site
        return await self._save(replace(site, environment=True), document, settings)

    async def delete(self, site_id: str) -> tuple[str, ...]:
        """Delete a site with everything of it; gives the blobs that nobody needs any more."""
        site = await self.get(site_id)
        if site.environment:
            raise Conflict(
                "this site is configured by the environment of the service; unset it there", code="read_only"
            )
        digests = await self._sites.delete(site_id)
        await self._bells.ring(Bell(BellKind.SITE, site_id))
        return digests

    async def seal(
        self, site_id: str, token_type: str, identifier: str, value: str, *, store: bool, may_create: bool
    ) -> tuple[str | None, str]:
        """Encrypt a secret, and store it when asked (A1); gives (id or None, envelope)."""
        _check_token(site_id, token_type, identifier, value)
        sealed = self._vault.seal(value, (site_id, token_type, identifier))
        if not store:
            return None, sealed
        await _until_alone(lambda: self._there(site_id, may_create=may_create))
        now = self._clock.now()
        token = SealedToken(new_id("tok", now), site_id, token_type, identifier, sealed, now, now)
        stored = await self._tokens.put(token)
        await self._touch(site_id)
        return stored.id, sealed

    async def forget(self, token_id: str, site_id: str | None) -> None:
        """Delete a stored secret (of that site, when given). Raises `NotFound`."""
        owner = await self._tokens.delete(token_id, site_id)
        if owner is None:
            raise NotFound("there is no such token", code="token_not_found")
        await self._touch(owner)

    async def check_saved(self, site_id: str, *, skip_smtp: bool = False) -> Check:
        """Check a site's saved account (A3). Raises `NotFound`, or `Conflict` when nothing is saved."""
        site = await self.get(site_id)
        channel = site.settings.channels.email
        if channel is None:
            raise Conflict("no e-mail account is configured for this site", code="nothing_saved")
        if channel.incoming_server is None and (skip_smtp or channel.outgoing_server is None):
            raise Conflict("no mail server is configured for this site's account", code="nothing_saved")
        secret = await self._credentials.find(site_id, EMAIL_TOKEN, channel.email)
        if secret is None:
            raise Conflict("no password is stored for this site's account", code="nothing_saved")
        return await self.check(channel, secret, trusted=site.environment, skip_smtp=skip_smtp)

    async def check(
        self, channel: EmailChannel, secret: str, *, trusted: bool = False, skip_smtp: bool = False
    ) -> Check:
        """Connect and log in on both sides, send nothing; answers within 15 s."""
        access = access_login(channel, secret, trusted=trusted)
        submission = None if skip_smtp else submission_login(channel, secret, trusted=trusted)
        imap, smtp = await asyncio.gather(
            _side(self._access.probe(access), access, "imap") if access else _skipped(),
            _side(self._submission.probe(submission), submission, "smtp") if submission else _skipped(),
        )
        return Check(imap, smtp, channel)

    def _new(self, site_id: str, *, may_create: bool) -> Site:
        if not SITE_ID.fullmatch(site_id):
            raise invalid("/site_id", "must be 1 to 64 letters, digits, - or _")
        if not may_create:
            raise Forbidden("a new site is created with an admin key", code="admin_key_required")
        now = self._clock.now()
        return Site(site_id, {}, SiteSettings(), False, 0, None, now, now)

    async def _save(self, site: Site, document: Mapping[str, Any], settings: SiteSettings) -> Site:
        now = self._clock.now()
        changed = replace(
            site,
            document=dict(document),
            settings=settings,
            version=site.version + 1,
            account_since=_account_since(site, settings, now),
            updated_at=now,
        )
        await self._sites.save(changed)
        await self._bells.ring(Bell(BellKind.SITE, site.id))
        return changed

    async def _there(self, site_id: str, *, may_create: bool) -> Site:
        site = await self._sites.get(site_id)
        return site or await self._save(self._new(site_id, may_create=may_create), {}, SiteSettings())

    async def _touch(self, site_id: str) -> None:
        """A new version without new settings, so that watchers connect anew with the new secret."""

        async def change() -> Site:
            site = await self.get(site_id)
            return await self._save(site, site.document, site.settings)

        with suppress(NotFound):  # deleted meanwhile: nobody is left to connect
            await _until_alone(change)


async def _until_alone(change: Callable[[], Awaitable[Site]]) -> Site:
    """Read, change and write again while others write in between. Raises `Conflict` when it never ends."""
    for _ in range(WRITE_TRIES - 1):
        try:
            return await change()
        except Conflict as exc:
            if exc.code != CHANGED_MEANWHILE:
                raise
    return await change()


def _account_since(site: Site, settings: SiteSettings, now: datetime) -> datetime | None:
    if settings.channels.email is None:
        return None
    same = _mailbox_of(site.settings) == _mailbox_of(settings)
    return site.account_since if same and site.account_since else now


def _mailbox_of(settings: SiteSettings) -> tuple[str | None, ...] | None:
    channel = settings.channels.email
    return (channel.email, channel.login, channel.incoming_server) if channel else None


def _check_token(site_id: str, token_type: str, identifier: str, value: str) -> None:
    if not SITE_ID.fullmatch(site_id):
        raise invalid("/site_id", "must be 1 to 64 letters, digits, - or _")
    if not TOKEN_TYPE.fullmatch(token_type):
        raise invalid("/token_type", "must be 1 to 64 letters, digits, '.', - or _")
    if not 1 <= len(identifier) <= 320 or any(ch < " " or ch in "\x7f\x85\u2028\u2029" for ch in identifier):
        raise invalid("/identifier", "must be one line of 1 to 320 characters")
    if not 1 <= len(value) <= VALUE_LIMIT or "\x00" in value:
        raise invalid("/value", f"must have 1 to {VALUE_LIMIT} characters and no NUL")


async def _skipped() -> SideCheck:
    return SKIPPED


async def _side(probing: Awaitable[Probe], login: Login, protocol: Protocol) -> SideCheck:
    provider = provider_for(login.server.host)
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            probe = await probing
    except TimeoutError:
        return SideCheck(
            ServerCode.TIMEOUT,
            "the server did not answer in time",
            hint(ServerCode.TIMEOUT, provider, protocol),
        )
    except MailServerError as exc:
        return SideCheck(exc.server_code, exc.text, exc.hint or hint(exc.server_code, provider, protocol))
    except PostroomError as exc:
        return SideCheck(ServerCode.PROTOCOL_ERROR, exc.text, exc.hint)
    return SideCheck(
        ServerCode.OK,
        "connected and logged in",
        latency_ms=round(probe.latency * 1000),
        capabilities=probe.capabilities,
        total=probe.total,
        unseen=probe.unseen,
    )
