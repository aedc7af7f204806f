"""The environment, read once and strictly: it becomes frozen values, or one clear line a fault (B1)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from postroom.adapters.hosts import AllowedHosts
from postroom.adapters.tls import client_context
from postroom.adapters.vault import KeyRing
from postroom.agents.spec import AcknowledgeSpec, OperatorSpec, parse_agent_spec
from postroom.config_email import EmailEnvironment, read_email
from postroom.core.errors import InvalidInput, PostroomError
from postroom.environment import Reading, read_variables
from postroom.variables import KNOWN, fault

CLIENTS = ("email",)
LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("auto", "json", "readable")
API_KEY_LENGTH = 20


class ConfigError(PostroomError):
    """The environment cannot be used. `lines`: one fault each, fit to be printed as they are."""

    code = "bad_configuration"
    temporary = False

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(self.lines))


def wrong(name: str, text: str, hint: str | None = None) -> ConfigError:
    """A `ConfigError` about one variable."""
    return ConfigError([fault(name, text, hint)])


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the service is told by its environment. `notes`: lines worth telling at the start."""

    host: str = "127.0.0.1"
    port: int = 8025
    data_dir: Path = Path("postroom-data")
    database_url: str | None = field(default=None, repr=False)
    blobs_url: str | None = None
    key_ring: KeyRing | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    agent: OperatorSpec = field(default_factory=AcknowledgeSpec)
    agent_instructions: str | None = field(default=None, repr=False)
    agent_secret: str | None = field(default=None, repr=False)
    agent_api_key: str | None = field(default=None, repr=False)
    agent_base_url: str | None = None
    incoming_token: str | None = field(default=None, repr=False)
    public_url: str | None = None
    tls_ca_file: Path | None = None
    allow_hosts: AllowedHosts = field(default_factory=AllowedHosts)
    log_level: str = "info"
    log_format: str = "auto"
    email: EmailEnvironment | None = None
    poll_seconds: float = 60.0
    notes: tuple[str, ...] = ()

    @property
    def embedded(self) -> bool:
        """Whether the database is our own SQLite file."""
        return self.database_url is None or self.database_url.startswith("sqlite")


def load(environ: Mapping[str, str], directory: Path) -> Settings:
    """Read the settings from the environment and from `.env` in the directory. Nothing is written.

    Raises `ConfigError` with every fault at once.
    """
    reading = Reading(read_variables(environ, directory))
    settings = _settings(reading)
    if reading.faults:
        raise ConfigError(reading.faults)
    return settings


def _settings(reading: Reading) -> Settings:
    return Settings(
        host=reading.text("POSTROOM_HOST") or "127.0.0.1",
        port=reading.number("POSTROOM_PORT", 0, 65535, 8025),
        data_dir=Path(reading.text("POSTROOM_DATA_DIR") or "postroom-data"),
        database_url=_database_url(reading),
        blobs_url=_blobs_url(reading),
        key_ring=_key_ring(reading),
        api_key=_api_key(reading),
        agent=_agent(reading),
        agent_instructions=reading.text("POSTROOM_AGENT_INSTRUCTIONS"),
        agent_secret=reading.text("POSTROOM_AGENT_SECRET"),
        agent_api_key=reading.text("POSTROOM_AGENT_API_KEY"),
        agent_base_url=reading.url("POSTROOM_AGENT_BASE_URL", ("http", "https")),
        incoming_token=reading.text("POSTROOM_INCOMING_TOKEN"),
        public_url=reading.url("POSTROOM_PUBLIC_URL", ("http", "https")),
        tls_ca_file=_tls_ca_file(reading),
        allow_hosts=_allow_hosts(reading),
        log_level=reading.choice("POSTROOM_LOG_LEVEL", LEVELS, "info"),
        log_format=reading.choice("POSTROOM_LOG_FORMAT", FORMATS, "auto"),
        email=read_email(reading) if _enabled(reading, "email") else None,
        poll_seconds=float(reading.number("EMAIL_POLL_INTERVAL_SECONDS", 1, 86_400, 60)),
        notes=tuple(_notes(reading)),
    )


def _enabled(reading: Reading, client: str) -> bool:
    named = [name.lower() for name in reading.items("ENABLED_CLIENTS")]
    for name in named:
        if name not in CLIENTS:
            reading.fault("ENABLED_CLIENTS", f"names {name!a}, which does not exist")
    return client in named


def _database_url(reading: Reading) -> str | None:
    value = (reading.text("POSTROOM_DATABASE_URL") or "").strip()
    if not value:
        return None
    from postroom.storage.engines import DatabaseUrlError, parse_url

    try:
        backend = parse_url(value).get_backend_name()
    except DatabaseUrlError:
        reading.fault("POSTROOM_DATABASE_URL", "cannot be read as the address of a database")
        return None
    if backend != "sqlite" and not reading.has("POSTROOM_SECRET_KEY"):
        reading.fault("POSTROOM_SECRET_KEY", "is missing, and required with PostgreSQL")
    return value


def _blobs_url(reading: Reading) -> str | None:
    value = reading.url("POSTROOM_BLOBS_URL", ("file", "s3", "gs", "az"))
    if value and value.lower().startswith("file://") and not value[len("file://") :].startswith("/"):
        reading.fault("POSTROOM_BLOBS_URL", "has no absolute path after file://")
    return value


def _key_ring(reading: Reading) -> KeyRing | None:
    value = reading.text("POSTROOM_SECRET_KEY")
    try:
        return None if value is None else KeyRing.parse(value)
    except ValueError as exc:
        reading.fault("POSTROOM_SECRET_KEY", str(exc))
        return None


def _api_key(reading: Reading) -> str | None:
    value = reading.text("POSTROOM_API_KEY")
    if value is not None and (len(value) < API_KEY_LENGTH or not all("!" <= ch <= "~" for ch in value)):
        reading.fault("POSTROOM_API_KEY", "is too short, or has characters that a header cannot carry")
    return value


def _agent(reading: Reading) -> OperatorSpec:
    try:
        return parse_agent_spec(reading.text("POSTROOM_AGENT") or "acknowledge")
    except InvalidInput as exc:
        reading.fault("POSTROOM_AGENT", "; ".join(problem.text for problem in exc.problems))
        return AcknowledgeSpec()


def _tls_ca_file(reading: Reading) -> Path | None:
    value = reading.text("POSTROOM_TLS_CA_FILE")
    if value is None:
        return None
    try:
        client_context(Path(value))
    except ValueError as exc:
        reading.fault("POSTROOM_TLS_CA_FILE", str(exc))
    return Path(value)


def _allow_hosts(reading: Reading) -> AllowedHosts:
    try:
        return AllowedHosts.parse(reading.items("POSTROOM_ALLOW_HOSTS"))
    except ValueError as exc:
        reading.fault("POSTROOM_ALLOW_HOSTS", str(exc))
        return AllowedHosts()


def _notes(reading: Reading) -> Iterator[str]:
    idle = [name for name in KNOWN if name.startswith("EMAIL_") and reading.has(name)]
    if idle and not reading.items("ENABLED_CLIENTS"):
        yield fault("ENABLED_CLIENTS", f"is not set, so {idle[0]} has no effect", "set it to email")
