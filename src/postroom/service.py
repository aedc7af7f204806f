"""The one place where things are built: from settings to a running service."""

import fcntl
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from postroom.adapters.blobs import open_blobs
from postroom.adapters.credentials import SiteCredentials, TokenName
from postroom.adapters.hosts import AllowedHosts, PublicHosts
from postroom.adapters.mailbox import ImapAccess
from postroom.adapters.submission import SmtpSubmission
from postroom.adapters.tls import client_context
from postroom.adapters.vault import EnvelopeVault, KeyRing, canary, check_canary, make_key
from postroom.agents.choose import AgentChoice, OperatorOptions, operator_agent
from postroom.agents.connect import open_client
from postroom.agents.spec import parse_agent_spec
from postroom.api import ApiParts
from postroom.config import ConfigError, Settings
from postroom.core.agent import Agent
from postroom.core.clock import SystemClock
from postroom.core.errors import InvalidInput
from postroom.core.ports import Bells, Blobs, Clock, Credentials, NoSteps, Steps, Vault
from postroom.core.store import Store
from postroom.engine.accounts import Accounts, Logins
from postroom.engine.answer import Answerer, AnswerParts
from postroom.engine.compose import Composer
from postroom.engine.idempotency import Idempotent
from postroom.engine.incoming import Incoming
from postroom.engine.ingest import Ingest
from postroom.engine.keys import Keyring
from postroom.engine.mailcare import Mailcare
from postroom.engine.notify import Notifier
from postroom.engine.send import Mailer
from postroom.engine.submit import Submitter
from postroom.engine.sync import Sync
from postroom.engine.watch import Watchers, WatchParts
from postroom.engine.worker import Worker
from postroom.jobs.embedded import EmbeddedBells
from postroom.storage import migrate, open_store

log = structlog.get_logger()

DEFAULT_SITE = "default"
KEY_FILE = "secret-key"
EMBEDDED_OWNER = "embedded"


@dataclass(frozen=True, slots=True)
class Service:
    """Everything that was built, for those who run or call it."""

    settings: Settings
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
    signing_secret: bytes = field(repr=False)
    made_key_file: Path | None = None


def database_url(settings: Settings) -> str:
    """Where the database is: as set, else a SQLite file in the data directory."""
    return settings.database_url or f"sqlite:///{settings.data_dir.absolute() / 'postroom.db'}"


@contextmanager
def data_directory(settings: Settings) -> Iterator[None]:
    """Make the data directory if need be and hold it: a second `serve` on it is refused."""
    path = settings.data_dir
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise ConfigError(["POSTROOM_DATA_DIR: the directory cannot be made or written to"]) from exc
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        os.close(handle)
        raise ConfigError(
            ["POSTROOM_DATA_DIR: another postroom is running on this data directory; stop it first"]
        ) from exc
    try:
        yield
    finally:
        os.close(handle)


def read_key_ring(settings: Settings) -> tuple[KeyRing, Path | None]:
    """The ring of key-encryption keys, and the file it was just made in, if it was.

    With the embedded database a key is made on the first start; with another one it must be given.
    """
    if settings.secret_key is not None:
        return KeyRing.parse(settings.secret_key), None
    path = settings.data_dir / KEY_FILE
    if path.exists():
        return KeyRing.parse(path.read_text(encoding="ascii").strip()), None
    if not settings.embedded:
        raise ConfigError(
            ["POSTROOM_SECRET_KEY: is required with this database; make one with `openssl rand -base64 32`"]
        )
    text = make_key()
    write_private(path, text + "\n")
    return KeyRing.parse(text), path


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read; refuses to replace one."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(handle)


@asynccontextmanager
async def opened(
    settings: Settings, agent: Agent | None = None, steps: Steps | None = None, clock: Clock | None = None
) -> AsyncIterator[Service]:
    """Open storage and build the service; nothing runs yet. Everything is closed on leaving.

    `agent` stands in for the one that the settings name. Raises `ConfigError`.
    """
    steps = steps or NoSteps()
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    ring, made = read_key_ring(settings)
    url = database_url(settings)
    if settings.embedded:
        await migrate(url)
    async with open_store(url, steps) as store:
        vault = EnvelopeVault(ring)
        check_canary(vault, await store.tokens.remember("canary", canary(vault)))
        secret = await _signing_secret(store, vault)
        building = _Building(settings, store, vault, secret, steps, clock or SystemClock(), agent)
        try:
            yield building.service(made)
        finally:
            await building.close()


async def _signing_secret(store: Store, vault: Vault) -> bytes:
    """What our Message-IDs are signed with; made once, and kept sealed."""
    context = ("postroom", "signing-secret")
    sealed = await store.tokens.remember("signing_secret", vault.seal(secrets.token_hex(32), context))
    return bytes.fromhex(vault.open(sealed, context))


class _Building:
    """The parts in the order in which they need each other."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        vault: Vault,
        secret: bytes,
        steps: Steps,
        clock: Clock,
        agent: Agent | None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._vault = vault
        self._secret = secret
        self._steps = steps
        self._clock = clock
        self._owner = EMBEDDED_OWNER if settings.embedded else f"{os.uname().nodename}:{os.getpid()}"
        try:
            self._hosts = PublicHosts(AllowedHosts.parse(settings.allow_hosts))
        except ValueError as exc:
            raise ConfigError([f"POSTROOM_ALLOW_HOSTS: {exc}"]) from exc
        try:
            self._blobs = open_blobs(settings.blobs_url or "", settings.data_dir)
        except ValueError as exc:
            raise ConfigError([f"POSTROOM_BLOBS_URL: {exc}"]) from exc
        self._credentials = SiteCredentials(store.tokens, vault, environment_secrets(settings))
        self._client = open_client()
        self._agents = self._choice(agent)
        self._bells = EmbeddedBells(clock)
        context = client_context(settings.tls_ca_file)
        self._access = ImapAccess(self._hosts, context, steps)
        self._submission = SmtpSubmission(self._hosts, context, steps)

    def _choice(self, agent: Agent | None) -> AgentChoice:
        settings = self._settings
        public_url = settings.public_url or f"http://{settings.host}:{settings.port}"
        options = OperatorOptions(
            settings.agent_secret,
            settings.agent_api_key,
            settings.agent_base_url,
            settings.agent_instructions,
        )
        try:
            spec = parse_agent_spec(settings.agent)
            chosen = agent or operator_agent(spec, options, self._client, self._clock, public_url)
        except InvalidInput as exc:
            raise ConfigError([f"POSTROOM_AGENT: {p.text}" for p in exc.problems]) from exc
        judge = self._hosts.judge_host
        return AgentChoice(chosen, self._credentials, judge, self._clock, public_url)

    def service(self, made_key_file: Path | None) -> Service:
        """All of it."""
        store, clock, steps, bells = self._store, self._clock, self._steps, self._bells
        logins = Logins(self._credentials)
        idempotent = Idempotent(store.idempotency, clock)
        composer = Composer(store.outbox, store.things, store.lists, self._blobs, clock, self._secret)
        notifier = Notifier(store.desk, composer, bells, clock)
        submitter = Submitter(
            store.outbox,
            store.sites,
            logins,
            self._submission,
            self._blobs,
            bells,
            notifier,
            clock,
            steps,
            self._owner,
        )
        answerer = Answerer(
            AnswerParts(
                answering=store.answering,
                sites=store.sites,
                things=store.things,
                agents=self._agents,
                composer=composer,
                submitter=submitter,
                blobs=self._blobs,
                bells=bells,
                notifier=notifier,
                clock=clock,
                steps=steps,
                owner=self._owner,
            )
        )
        ingest = Ingest(store.intake, self._blobs, bells, clock, steps, self._secret)
        watchers = Watchers(self._watch_parts(logins, ingest, notifier))
        return Service(
            settings=self._settings,
            store=store,
            vault=self._vault,
            blobs=self._blobs,
            credentials=self._credentials,
            bells=bells,
            clock=clock,
            accounts=Accounts(
                store.sites,
                store.tokens,
                self._vault,
                self._credentials,
                self._access,
                self._submission,
                bells,
                clock,
            ),
            composer=composer,
            mailer=Mailer(composer, submitter, store.things, idempotent, bells, clock),
            idempotent=idempotent,
            answerer=answerer,
            ingest=ingest,
            incoming=Incoming(store.sites, store.things, ingest, clock),
            watchers=watchers,
            worker=Worker(store.answering, store.outbox, answerer, submitter, watchers, bells, clock),
            signing_secret=self._secret,
            made_key_file=made_key_file,
        )

    def _watch_parts(self, logins: Logins, ingest: Ingest, notifier: Notifier) -> WatchParts:
        store, clock, steps = self._store, self._clock, self._steps
        return WatchParts(
            sites=store.sites,
            accounts=store.accounts,
            logins=logins,
            access=self._access,
            sync=Sync(store.intake, ingest, store.desk, clock, steps),
            care=Mailcare(store.aftercare, store.intake, self._blobs, clock, steps),
            notifier=notifier,
            clock=clock,
            poll_seconds=self._settings.poll_seconds,
        )

    async def close(self) -> None:
        """Close what holds connections."""
        await self._bells.close()
        await self._submission.close()
        await self._agents.close()
        await self._client.aclose()


def environment_secrets(settings: Settings) -> dict[TokenName, str]:
    """The secrets that the environment gives to its own site."""
    found: dict[TokenName, str] = {}
    if settings.email is not None:
        found[(DEFAULT_SITE, "email", settings.email.address)] = settings.email.password
    if settings.incoming_token is not None:
        found[(DEFAULT_SITE, "incoming", "webhook")] = settings.incoming_token
    return found


def api_parts(service: Service) -> ApiParts:
    """What the API is made with."""
    return ApiParts(
        store=service.store,
        blobs=service.blobs,
        clock=service.clock,
        credentials=service.credentials,
        keyring=Keyring(service.store.keys, service.clock),
        idempotent=service.idempotent,
        accounts=service.accounts,
        mailer=service.mailer,
        answerer=service.answerer,
        incoming=service.incoming,
        watchers=service.watchers,
        ready=lambda: _not_ready(service),
        ring=service.bells.ring,
    )


def _not_ready(service: Service) -> str:
    if service.settings.email is None or service.watchers.settled(DEFAULT_SITE):
        return ""
    return "the environment's mailbox has neither been read nor failed yet"


async def rotate_secrets(service: Service) -> tuple[int, int]:
    """Bring every stored secret under the newest key; gives how many were changed, of how many."""
    changed = total = 0
    cursor: str | None = None
    while True:
        page = await service.store.tokens.list(None, cursor, 200)
        for token in page.items:
            total += 1
            new = service.vault.rewrap(token.sealed)
            # A token stored anew in between is under the newest key already.
            if new is not None and await service.store.tokens.rewrap(token.id, token.sealed, new):
                changed += 1
        cursor = page.next
        if cursor is None:
            break
    for name in ("signing_secret", "canary"):
        total += 1
        new = service.vault.rewrap(await service.store.tokens.remember(name, ""))
        if new is not None:
            await service.store.tokens.replace(name, new)
            changed += 1
    return changed, total
