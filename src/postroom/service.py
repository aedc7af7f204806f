"""The one place where things are built: from settings to a running service."""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from postroom.adapters.blobs import open_blobs
from postroom.adapters.credentials import SiteCredentials, TokenName
from postroom.adapters.hosts import PublicHosts
from postroom.adapters.mailbox import ImapAccess
from postroom.adapters.submission import SmtpSubmission
from postroom.adapters.tls import client_context
from postroom.adapters.vault import EnvelopeVault
from postroom.agents.choose import AgentChoice, OperatorOptions, operator_agent
from postroom.agents.connect import open_client
from postroom.config import ConfigError, Settings, wrong
from postroom.core.agent import Agent
from postroom.core.clock import SystemClock
from postroom.core.errors import InvalidInput
from postroom.core.ports import (
    Bells,
    Blobs,
    Clock,
    Credentials,
    MailAccess,
    MailSubmission,
    NoSteps,
    Steps,
    Vault,
)
from postroom.core.shares import Worker as SharingWorker
from postroom.core.store import HeldStore, Store
from postroom.datadir import database_url, held_data_directory, key_ring, make_data_directory
from postroom.engine.accounts import Accounts, Logins
from postroom.engine.answer import Answerer, AnswerParts
from postroom.engine.backfill import Backfill
from postroom.engine.compose import Composer
from postroom.engine.idempotency import Idempotent
from postroom.engine.incoming import Incoming
from postroom.engine.ingest import Ingest
from postroom.engine.mailcare import Mailcare
from postroom.engine.notify import Notifier
from postroom.engine.retention import Retention
from postroom.engine.send import Mailer
from postroom.engine.submit import Submitter
from postroom.engine.sync import Sync
from postroom.engine.watch import Watchers, WatchParts
from postroom.engine.worker import Worker
from postroom.jobs.opening import open_bells
from postroom.secrets_at_rest import check_key, signing_secret
from postroom.storage import libpq_url, migrate, open_store
from postroom.watching import watching_alone, watching_among_others

DEFAULT_SITE = "default"
EMBEDDED_OWNER = "embedded"


@dataclass(frozen=True, slots=True)
class Service:
    """Everything that was built, for those who run or call it."""

    settings: Settings
    owner: str
    store: Store
    vault: Vault
    blobs: Blobs
    credentials: Credentials
    bells: Bells
    clock: Clock
    accounts: Accounts
    composer: Composer
    mailer: Mailer
    idempotent: Idempotent
    answerer: Answerer
    ingest: Ingest
    incoming: Incoming
    watchers: Watchers
    worker: Worker
    retention: Retention
    backfill: Backfill
    signing_secret: bytes = field(repr=False)
    made_key_file: Path | None = None


@asynccontextmanager
async def opened(
    settings: Settings,
    agent: Agent | None = None,
    steps: Steps | None = None,
    clock: Clock | None = None,
    *,
    owner: str | None = None,
    role: str = "serve",
) -> AsyncIterator[Service]:
    """Open storage and build the service; nothing runs yet. Everything is closed on leaving.

    `agent` stands in for the one that the settings name. `owner`: whose claims are made, this process when
    None. `role`: what other processes are told this one does. Raises `ConfigError`, before anything is
    written where the settings alone are at fault.
    """
    steps, clock = steps or NoSteps(), clock or SystemClock()
    async with _operator(settings, agent, clock) as operator:
        make_data_directory(settings.data_dir)
        ring, made = key_ring(settings)
        url = database_url(settings)
        if settings.embedded:
            await migrate(url)
        async with open_store(url, steps) as store, open_bells(_shared(settings), clock) as bells:
            vault = EnvelopeVault(ring)
            await check_key(store, vault, made)
            secret = await signing_secret(store, vault)
            parts = (settings, store, vault, secret, operator, steps, clock, owner or _this_process(), role)
            outside = _outside(*parts, bells)
            try:
                yield _service(outside, made)
            finally:
                await outside.close()


@asynccontextmanager
async def visiting(settings: Settings, agent: Agent | None = None) -> AsyncIterator[Service]:
    """The service for a short while, beside a running `serve` or without one. What was begun is finished
    on leaving. Raises `ConfigError`."""
    async with opened(settings, agent) as service:
        await _introduce(service)
        try:
            yield service
        finally:
            await service.mailer.close()


async def _introduce(service: Service) -> None:
    """Make the environment's site known; what a running `serve` has stored stands."""
    settings = service.settings
    if settings.email is None:
        return
    with suppress(ConfigError), held_data_directory(settings.data_dir):
        if settings.embedded or await service.store.sites.get(DEFAULT_SITE) is None:
            await service.accounts.set_environment(DEFAULT_SITE, settings.email.document)


def _this_process() -> str:
    """A name that no other process has, also not after a restart, when containers give the same again."""
    return f"{os.uname().nodename}:{os.getpid()}:{secrets.token_hex(3)}"


@dataclass(frozen=True, slots=True)
class _Outside:
    """What the engine works with."""

    settings: Settings
    store: Store
    vault: Vault
    secret: bytes
    blobs: Blobs
    credentials: Credentials
    agents: AgentChoice
    bells: Bells
    access: MailAccess
    submission: MailSubmission
    steps: Steps
    clock: Clock
    owner: str
    role: str

    async def close(self) -> None:
        """Close what holds connections."""
        await self.bells.close()
        await self.submission.close()
        await self.agents.close()


@asynccontextmanager
async def _operator(settings: Settings, agent: Agent | None, clock: Clock) -> AsyncIterator[Agent]:
    """The operator's agent: the one handed in, else the one that the settings name. Writes nothing."""
    client = open_client()
    options = OperatorOptions(
        settings.agent_secret,
        settings.agent_api_key,
        settings.agent_base_url,
        settings.agent_instructions,
    )
    try:
        chosen = agent or operator_agent(settings.agent, options, client, clock, public_url(settings))
    except InvalidInput as exc:
        await client.aclose()
        raise wrong("POSTROOM_AGENT", "; ".join(problem.text for problem in exc.problems)) from exc
    try:
        yield chosen
    finally:
        await client.aclose()


def public_url(settings: Settings) -> str:
    """Where HTTP agents reach our API: as set, else as it listens."""
    if settings.public_url:
        return settings.public_url
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - compared
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def _outside(
    settings: Settings,
    store: Store,
    vault: Vault,
    secret: bytes,
    agent: Agent,
    steps: Steps,
    clock: Clock,
    owner: str,
    role: str,
    bells: Bells,
) -> _Outside:
    try:
        blobs = open_blobs(settings.blobs_url or "", settings.data_dir, clock, steps)
    except ValueError as exc:
        raise wrong("POSTROOM_BLOBS_URL", str(exc)) from exc
    hosts = PublicHosts(settings.allow_hosts)
    context = client_context(settings.tls_ca_file)
    credentials = SiteCredentials(store.tokens, vault, environment_secrets(settings))
    return _Outside(
        settings=settings,
        store=store,
        vault=vault,
        secret=secret,
        blobs=blobs,
        credentials=credentials,
        agents=AgentChoice(agent, credentials, hosts.judge_host, clock, public_url(settings)),
        bells=bells,
        access=ImapAccess(hosts, context, steps),
        submission=SmtpSubmission(hosts, context, steps),
        steps=steps,
        clock=clock,
        owner=owner,
        role=role,
    )


def _shared(settings: Settings) -> str | None:
    """The database that other processes use, too, as libpq reads it; None for the embedded one."""
    return None if settings.embedded else libpq_url(database_url(settings))


async def migrate_all(settings: Settings) -> None:
    """Bring the database up to date, and what carries bells in it. Raises `PostroomError`."""
    await migrate(database_url(settings))
    shared = _shared(settings)
    if shared is not None:
        from postroom.jobs.postgresql_schema import migrate_bells

        await migrate_bells(shared)


@dataclass(frozen=True, slots=True)
class _Sending:
    """The parts through which every mail goes out."""

    logins: Logins
    composer: Composer
    notifier: Notifier
    submitter: Submitter


def _sending(outside: _Outside) -> _Sending:
    store, clock = outside.store, outside.clock
    logins = Logins(outside.credentials)
    composer = Composer(store.outbox, store.things, store.lists, outside.blobs, clock, outside.secret)
    notifier = Notifier(store.desk, composer, outside.bells, clock)
    submitter = Submitter(
        store.outbox,
        store.sites,
        logins,
        outside.submission,
        outside.blobs,
        outside.bells,
        notifier,
        clock,
        outside.steps,
        outside.owner,
    )
    return _Sending(logins, composer, notifier, submitter)


def _answerer(outside: _Outside, sending: _Sending) -> Answerer:
    store = outside.store
    parts = AnswerParts(
        answering=store.answering,
        things=store.things,
        agents=outside.agents,
        composer=sending.composer,
        submitter=sending.submitter,
        blobs=outside.blobs,
        bells=outside.bells,
        notifier=sending.notifier,
        clock=outside.clock,
        steps=outside.steps,
        owner=outside.owner,
    )
    return Answerer(parts)


def _accounts(outside: _Outside) -> Accounts:
    return Accounts(
        outside.store.sites,
        outside.store.tokens,
        outside.vault,
        outside.credentials,
        outside.access,
        outside.submission,
        outside.bells,
        outside.clock,
    )


def _watchers(outside: _Outside, sending: _Sending, ingest: Ingest) -> Watchers:
    def parts(held: HeldStore) -> WatchParts:
        return _watch_parts(outside, sending, ingest, held)

    if outside.settings.embedded:
        return watching_alone(outside.store, parts, outside.clock)
    worker = SharingWorker(outside.owner, os.uname().nodename, outside.role, outside.clock.now())
    return watching_among_others(outside.store, parts, worker, outside.clock)


def _watch_parts(outside: _Outside, sending: _Sending, ingest: Ingest, held: HeldStore) -> WatchParts:
    clock, steps = outside.clock, outside.steps
    return WatchParts(
        sites=outside.store.sites,
        accounts=held.accounts,
        logins=sending.logins,
        access=outside.access,
        sync=Sync(held.intake, ingest.writing(held.intake), held.desk, clock, steps),
        care=Mailcare(held.aftercare, held.intake, held.fence, outside.blobs, clock, steps),
        notifier=sending.notifier,
        clock=clock,
        poll_seconds=outside.settings.poll_seconds,
    )


def _backfill(outside: _Outside, sending: _Sending, ingest: Ingest) -> Backfill:
    store = outside.store
    reading = (store.sites, sending.logins, outside.access, store.intake, ingest)
    return Backfill(*reading, store.backfills, outside.clock, outside.steps, outside.owner)


def _service(outside: _Outside, made_key_file: Path | None) -> Service:
    store, clock, bells = outside.store, outside.clock, outside.bells
    sending = _sending(outside)
    answerer = _answerer(outside, sending)
    ingest = Ingest(store.intake, outside.blobs, bells, clock, outside.steps, outside.secret)
    watchers = _watchers(outside, sending, ingest)
    idempotent = Idempotent(store.idempotency, clock)
    retention = Retention(store.sites, store.upkeep, outside.blobs, clock, outside.steps)
    return Service(
        settings=outside.settings,
        owner=outside.owner,
        store=store,
        vault=outside.vault,
        blobs=outside.blobs,
        credentials=outside.credentials,
        bells=bells,
        clock=clock,
        accounts=_accounts(outside),
        composer=sending.composer,
        mailer=Mailer(sending.composer, sending.submitter, store.things, idempotent, bells, clock),
        idempotent=idempotent,
        answerer=answerer,
        ingest=ingest,
        incoming=Incoming(store.sites, store.things, ingest, clock),
        watchers=watchers,
        worker=Worker(
            store.answering, store.outbox, answerer, sending.submitter, watchers, bells, clock, retention
        ),
        retention=retention,
        backfill=_backfill(outside, sending, ingest),
        signing_secret=outside.secret,
        made_key_file=made_key_file,
    )


def environment_secrets(settings: Settings) -> dict[TokenName, str]:
    """The secrets that the environment gives to its own site."""
    found: dict[TokenName, str] = {}
    if settings.email is not None:
        found[(DEFAULT_SITE, "email", settings.email.channel.email)] = settings.email.password
    if settings.incoming_token is not None:
        found[(DEFAULT_SITE, "incoming", "webhook")] = settings.incoming_token
    return found
