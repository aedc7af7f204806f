"""The environment, read once and strictly: it becomes frozen values, or one clear line a fault (B1).

Sources, the first that names a variable wins: the process environment, then `.env` in the current
directory. A secret may come from the file that `NAME_FILE` names. An empty value counts as missing.
"""

import re
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from postroom.core.errors import InvalidInput, PostroomError
from postroom.core.settings import parse_settings

CLIENTS = ("email",)

EMAIL_NAMES = {
    "EMAIL_SMTP_HOST": "outgoingServer",
    "EMAIL_SMTP_PORT": "outgoingPort",
    "EMAIL_SMTP_SECURITY": "outgoingSecurity",
    "EMAIL_IMAP_HOST": "incomingServer",
    "EMAIL_IMAP_PORT": "incomingPort",
    "EMAIL_IMAP_SECURITY": "incomingSecurity",
    "EMAIL_USER": "username",
    "EMAIL_FROM_ADDRESS": "email",
    "EMAIL_ALIASES": "aliases",
}
EMAIL_OTHERS = ("EMAIL_PASSWORD", "EMAIL_POLL_INTERVAL_SECONDS", "EMAIL_START")
SECRETS = (
    "EMAIL_PASSWORD",
    "POSTROOM_SECRET_KEY",
    "POSTROOM_API_KEY",
    "POSTROOM_INCOMING_TOKEN",
    "POSTROOM_AGENT_SECRET",
    "POSTROOM_AGENT_API_KEY",
    "POSTROOM_DATABASE_URL",
)
SERVICE_NAMES = (
    "POSTROOM_HOST",
    "POSTROOM_PORT",
    "POSTROOM_DATA_DIR",
    "POSTROOM_DATABASE_URL",
    "POSTROOM_BLOBS_URL",
    "POSTROOM_SECRET_KEY",
    "POSTROOM_API_KEY",
    "POSTROOM_AGENT",
    "POSTROOM_AGENT_INSTRUCTIONS",
    "POSTROOM_AGENT_SECRET",
    "POSTROOM_AGENT_API_KEY",
    "POSTROOM_AGENT_BASE_URL",
    "POSTROOM_INCOMING_TOKEN",
    "POSTROOM_PUBLIC_URL",
    "POSTROOM_TLS_CA_FILE",
    "POSTROOM_ALLOW_HOSTS",
    "POSTROOM_LOG_LEVEL",
    "POSTROOM_LOG_FORMAT",
)
KNOWN = frozenset((*EMAIL_NAMES, *EMAIL_OTHERS, *SERVICE_NAMES, *(f"{name}_FILE" for name in SECRETS)))
SERVICE_LINK = re.compile(r"POSTROOM_(SERVICE_(HOST|PORT)\w*|PORT(_\d+_(TCP|UDP)\w*)?)")
LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("auto", "json", "readable")


class ConfigError(PostroomError):
    """The environment cannot be used. `lines`: one fault each, fit to be printed as they are."""

    code = "bad_configuration"
    temporary = False

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(self.lines))


@dataclass(frozen=True, slots=True)
class EmailEnvironment:
    """The environment's own mailbox: its settings document as site `default`, and its password."""

    document: Mapping[str, Any]
    address: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the service is told by its environment."""

    host: str = "127.0.0.1"
    port: int = 8025
    data_dir: Path = Path("postroom-data")
    database_url: str | None = field(default=None, repr=False)
    blobs_url: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    agent: str = "acknowledge"
    agent_instructions: str | None = None
    agent_secret: str | None = field(default=None, repr=False)
    agent_api_key: str | None = field(default=None, repr=False)
    agent_base_url: str | None = None
    incoming_token: str | None = field(default=None, repr=False)
    public_url: str | None = None
    tls_ca_file: Path | None = None
    allow_hosts: tuple[str, ...] = ()
    log_level: str = "info"
    log_format: str = "auto"
    email: EmailEnvironment | None = None
    poll_seconds: float = 60.0

    @property
    def embedded(self) -> bool:
        """Whether the database is our own SQLite file."""
        return self.database_url is None or self.database_url.startswith("sqlite")


def load(environ: Mapping[str, str], directory: Path) -> Settings:
    """Read the settings. Raises `ConfigError` with every fault at once."""
    dotenv = {k: v for k, v in dotenv_values(directory / ".env").items() if v is not None}
    return _Reader({**dotenv, **environ}).settings()


class _Reader:
    """Collects values and faults."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._faults: list[str] = []
        self._values = {k: v if k in SECRETS else v.strip() for k, v in variables.items() if v.strip()}
        self._check_names()
        self._read_files()

    def settings(self) -> Settings:
        """All of it, or every fault."""
        settings = Settings(
            host=self._text("POSTROOM_HOST", "127.0.0.1"),
            port=self._number("POSTROOM_PORT", 8025, 0, 65535),
            data_dir=Path(self._text("POSTROOM_DATA_DIR", "postroom-data")),
            database_url=self._url("POSTROOM_DATABASE_URL", ("postgresql", "sqlite")),
            blobs_url=self._url("POSTROOM_BLOBS_URL", ("file", "s3", "gs", "az")),
            secret_key=self._key_ring(),
            api_key=self._api_key(),
            agent=self._text("POSTROOM_AGENT", "acknowledge"),
            agent_instructions=self._values.get("POSTROOM_AGENT_INSTRUCTIONS"),
            agent_secret=self._values.get("POSTROOM_AGENT_SECRET"),
            agent_api_key=self._values.get("POSTROOM_AGENT_API_KEY"),
            agent_base_url=self._url("POSTROOM_AGENT_BASE_URL", ("http", "https")),
            incoming_token=self._values.get("POSTROOM_INCOMING_TOKEN"),
            public_url=self._url("POSTROOM_PUBLIC_URL", ("http", "https")),
            tls_ca_file=self._file("POSTROOM_TLS_CA_FILE"),
            allow_hosts=self._list("POSTROOM_ALLOW_HOSTS"),
            log_level=self._choice("POSTROOM_LOG_LEVEL", "info", LEVELS),
            log_format=self._choice("POSTROOM_LOG_FORMAT", "auto", FORMATS),
            email=self._email(),
            poll_seconds=float(self._number("EMAIL_POLL_INTERVAL_SECONDS", 60, 1, 86_400)),
        )
        if self._faults:
            raise ConfigError(self._faults)
        return settings

    def _fault(self, name: str, text: str) -> None:
        self._faults.append(f"{name}: {text}")

    def _check_names(self) -> None:
        for name in sorted(self._values):
            if not name.startswith(("EMAIL_", "POSTROOM_")):
                continue
            if SERVICE_LINK.fullmatch(name) and (name not in KNOWN or "://" in self._values[name]):
                self._fault(
                    name,
                    "was set by Kubernetes for a service called postroom; "
                    "set enableServiceLinks: false in the pod's spec",
                )
                self._values.pop(name)
            elif name not in KNOWN:
                near = get_close_matches(name, KNOWN, 1)
                self._fault(name, f"is not a known variable{f'; did you mean {near[0]}?' if near else ''}")

    def _read_files(self) -> None:
        for name in SECRETS:
            path = self._values.get(f"{name}_FILE")
            if path is None:
                continue
            if name in self._values:
                self._fault(name, f"is set, and {name}_FILE too; set one of them")
                continue
            try:
                value = Path(path).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                self._fault(f"{name}_FILE", "the file cannot be read; check its path and rights")
                continue
            value = value.removesuffix("\n").removesuffix("\r")
            if value:
                self._values[name] = value
            else:
                self._fault(f"{name}_FILE", "the file is empty")

    def _text(self, name: str, default: str) -> str:
        return self._values.get(name, default)

    def _number(self, name: str, default: int, lowest: int, highest: int) -> int:
        value = self._values.get(name)
        if value is None:
            return default
        if not re.fullmatch(r"\d{1,9}", value) or not lowest <= int(value) <= highest:
            self._fault(name, f"must be a whole number from {lowest} to {highest}")
            return default
        return int(value)

    def _choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self._values.get(name, default).lower()
        if value not in allowed:
            self._fault(name, f"must be one of {', '.join(allowed)}")
            return default
        return value

    def _list(self, name: str) -> tuple[str, ...]:
        parts = (part.strip() for part in self._values.get(name, "").split(","))
        return tuple(part for part in parts if part)

    def _url(self, name: str, schemes: tuple[str, ...]) -> str | None:
        value = self._values.get(name)
        if value is None:
            return None
        scheme = value.partition("://")[0].partition("+")[0]
        if "://" not in value or scheme not in schemes:
            self._fault(name, f"must be a URL that begins with {' or '.join(f'{s}://' for s in schemes)}")
        return value

    def _file(self, name: str) -> Path | None:
        value = self._values.get(name)
        if value is None:
            return None
        if not Path(value).is_file():
            self._fault(name, "the file does not exist; name a PEM file")
        return Path(value)

    def _key_ring(self) -> str | None:
        value = self._values.get("POSTROOM_SECRET_KEY")
        if value is not None and not all(_is_key(part.strip()) for part in value.split(",")):
            self._fault(
                "POSTROOM_SECRET_KEY",
                "must be base64 of 32 bytes, or several with commas, the newest first; make one with "
                "`openssl rand -base64 32`",
            )
        return value

    def _api_key(self) -> str | None:
        value = self._values.get("POSTROOM_API_KEY")
        if value is not None and (len(value) < 20 or not value.isascii() or " " in value):
            self._fault("POSTROOM_API_KEY", "must have at least 20 ASCII characters and no spaces")
        return value

    def _email(self) -> EmailEnvironment | None:
        if not self._enabled("email"):
            return None
        for name in ("EMAIL_SMTP_HOST", "EMAIL_USER", "EMAIL_PASSWORD"):
            if name not in self._values:
                self._fault(name, "is required when ENABLED_CLIENTS has email")
        channel: dict[str, Any] = {
            field_name: self._values[name] for name, field_name in EMAIL_NAMES.items() if name in self._values
        }
        for name in ("EMAIL_SMTP_PORT", "EMAIL_IMAP_PORT"):
            if name in self._values:
                channel[EMAIL_NAMES[name]] = self._number(name, 0, 1, 65535)
        channel["aliases"] = list(self._list("EMAIL_ALIASES"))
        user = self._values.get("EMAIL_USER", "")
        if "email" not in channel and user:
            if "@" not in user:
                self._fault("EMAIL_FROM_ADDRESS", "is required when EMAIL_USER is not an e-mail address")
                return None
            channel["email"] = user
        document: dict[str, Any] = {"channels": {"email": channel}}
        if "EMAIL_START" in self._values:
            document["start"] = self._values["EMAIL_START"]
        self._check_document(document)
        return EmailEnvironment(document, channel.get("email", ""), self._values.get("EMAIL_PASSWORD", ""))

    def _check_document(self, document: Mapping[str, Any]) -> None:
        if self._faults:
            return
        try:
            parse_settings(document)
        except InvalidInput as exc:
            for problem in exc.problems:
                self._fault(_variable_of(problem.pointer), problem.text)

    def _enabled(self, client: str) -> bool:
        named = self._list("ENABLED_CLIENTS")
        for name in named:
            if name not in CLIENTS:
                self._fault(
                    "ENABLED_CLIENTS", f"names a client that does not exist; known: {', '.join(CLIENTS)}"
                )
        return client in named


def _variable_of(pointer: str) -> str:
    parts: Iterator[str] = (part for part in pointer.split("/") if part not in ("", "channels"))
    names = list(parts)
    if names[:1] == ["start"]:
        return "EMAIL_START"
    wanted = names[1] if len(names) > 1 else ""
    return next((name for name, field_name in EMAIL_NAMES.items() if field_name == wanted), "EMAIL_USER")


def _is_key(text: str) -> bool:
    try:
        return (
            len(b64decode(text, altchars=b"-_" if "-" in text or "_" in text else None, validate=True)) == 32
        )
    except ValueError:
        return False
