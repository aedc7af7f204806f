"""What a site can be set to: one strict model, the same for REST, environment and storage.

Field names are the ones that product.md spells; unknown fields are refused with their path. The stored
document is sparse (what was set); the model fills in the defaults.
"""

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from postroom.core.errors import InvalidInput, Problem
from postroom.mail.address import AddressError, check_address

Document = dict[str, Any]
Security = Literal["tls", "starttls"]

IMPLICIT_TLS = frozenset({993, 465})
STARTTLS = frozenset({143, 587, 25, 2525})


def _address(value: str) -> str:
    try:
        return check_address(value, "address").address
    except AddressError as exc:
        raise ValueError(str(exc)) from exc


def _one_line(value: str) -> str:
    if any(ch < " " or ch in "\x7f\x85\u2028\u2029" for ch in value):
        raise ValueError("must be one line without control characters")
    return value


def _host(value: str) -> str:
    text = _one_line(value).strip().rstrip(".").lower()
    if not text or len(text) > 253 or any(ch in " /@\\?#" for ch in text):
        raise ValueError("must be a host name or an address, without scheme, path or port")
    return text


def _url(value: str) -> str:
    try:
        parts = urlsplit(_one_line(value))
        port = parts.port
    except ValueError as exc:
        raise ValueError("must be an http or https URL with a host, and a port from 1 to 65535") from exc
    if parts.scheme not in ("http", "https") or not parts.hostname or any(ch.isspace() for ch in value):
        raise ValueError("must be an http or https URL with a host")
    if port == 0:
        raise ValueError("must have a port from 1 to 65535")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user name or password")
    return value


def _pattern(value: str) -> str:
    text = _one_line(value).strip().lower()
    host = text.rpartition("@")[2] if "@" in text else text.removeprefix("*.")
    shaped = "@" in text or text.startswith("*.")
    if not shaped or not host or any(ch in " @*," for ch in host):
        raise ValueError("must be user@host, @host or *.host")
    return text


Line = Annotated[str, Field(max_length=998), AfterValidator(_one_line)]
Host = Annotated[str, Field(max_length=255), AfterValidator(_host)]
Port = Annotated[int, Field(ge=1, le=65535)]
EmailAddress = Annotated[str, Field(max_length=320), AfterValidator(_address)]
Pattern = Annotated[str, Field(max_length=320), AfterValidator(_pattern)]
Url = Annotated[str, Field(max_length=2000), AfterValidator(_url)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", alias_generator=to_camel, validate_by_name=False
    )


class EmailChannel(_Model):
    """The account: where mail is read and handed over, and which addresses are ours (A2)."""

    email: EmailAddress
    username: Annotated[str, Field(min_length=1, max_length=320), AfterValidator(_one_line)] | None = None
    display_name: Line | None = None
    incoming_server: Host | None = None
    incoming_port: Port = 993
    incoming_security: Security | None = None
    outgoing_server: Host | None = None
    outgoing_port: Port = 587
    outgoing_security: Security | None = None
    aliases: Annotated[tuple[EmailAddress, ...], Field(max_length=200)] = ()
    authserv_id: Line | None = None

    @property
    def imap_security(self) -> Security:
        """TLS from the start or STARTTLS, by setting, else by port; an unusual port means TLS."""
        return self.incoming_security or ("starttls" if self.incoming_port in STARTTLS else "tls")

    @property
    def smtp_security(self) -> Security:
        """TLS from the start or STARTTLS, by setting, else by port; an unusual port means STARTTLS."""
        return self.outgoing_security or ("tls" if self.outgoing_port in IMPLICIT_TLS else "starttls")

    @property
    def login(self) -> str:
        """The user name that both servers are given."""
        return self.username or self.email

    @property
    def addresses(self) -> tuple[str, ...]:
        """The account's address, then its aliases."""
        return (self.email, *self.aliases)


class Channels(_Model):
    """The ways in and out; e-mail is the only one."""

    email: EmailChannel | None = None


class Caps(_Model):
    """How many answers at most (D7); None lifts a cap."""

    thread_per10_min: Annotated[Count | None, Field(alias="threadPer10Min")] = 5
    thread_per2_hours: Annotated[Count | None, Field(alias="threadPer2Hours")] = 20
    correspondent_per_day: Count | None = 30
    new_senders_per_hour: Count | None = 200

    @property
    def any(self) -> bool:
        """Whether one of them is set."""
        return any(cap is not None for cap in self.__dict__.values())


class ReplyTo(_Model):
    """Reply-To addresses that may be used although their domain differs (D6)."""

    allow: Annotated[tuple[EmailAddress, ...], Field(max_length=1000)] = ()


class Retention(_Model):
    """How long what was handled is kept; None keeps it."""

    days: Annotated[int, Field(ge=1, le=36500)] | None = None


class AcknowledgeAgent(_Model):
    """Says that the message arrived and that no agent is configured yet."""

    type: Literal["acknowledge"]


class HttpAgent(_Model):
    """POSTs each turn to a URL; its signing secret is the secure token (`agent`, `secret`)."""

    type: Literal["http"]
    url: Url


class LlmAgent(_Model):
    """A language model; its key is the secure token (`agent`, `api_key`)."""

    type: Literal["llm"]
    model: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_one_line)]
    base_url: Annotated[Url | None, Field(alias="base_url")] = None
    instructions: Annotated[str, Field(max_length=100_000)] | None = None


AgentSettings = Annotated[AcknowledgeAgent | HttpAgent | LlmAgent, Field(discriminator="type")]


def _start(value: str) -> str:
    if value in ("now", "unseen"):
        return value
    try:
        datetime.fromisoformat(value) if "T" in value else date.fromisoformat(value)
    except ValueError as exc:
        raise ValueError('must be "now", "unseen" or a date such as 2026-01-31') from exc
    return value


class SiteSettings(_Model):
    """All settings of a site (product.md, Settings of a site), defaults filled in."""

    channels: Channels = Channels()
    start: Annotated[str, Field(max_length=40), AfterValidator(_start)] = "now"
    mark: Literal["seen"] | None = None
    answer_within_hours: Annotated[int, Field(ge=1, le=87600)] | None = 72
    watch: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_one_line)], ...],
        Field(max_length=100),
    ] = ("INBOX",)
    signature: Annotated[str, Field(max_length=10_000)] | None = None
    quote: bool = False
    owner: EmailAddress | None = None
    allow: Annotated[tuple[Pattern, ...], Field(max_length=10_000)] = ()
    block: Annotated[tuple[Pattern, ...], Field(max_length=10_000)] = ()
    require_verified: bool = False
    reply_to: ReplyTo = ReplyTo()
    caps: Caps = Caps()
    agent: AgentSettings | None = None
    retention: Retention = Retention()
    paused: bool = False

    @model_validator(mode="after")
    def _own_names_are_told_apart(self) -> "SiteSettings":
        email = self.channels.email
        if email and len({a.lower() for a in email.addresses}) != len(email.addresses):
            raise ValueError("channels.email: an address is named twice among email and aliases")
        return self

    def document(self) -> Document:
        """The full settings as JSON, spelt as in product.md."""
        return self.model_dump(mode="json", by_alias=True)


def parse_settings(document: Mapping[str, Any]) -> SiteSettings:
    """Validate a whole settings document. Raises `InvalidInput` with a JSON pointer a fault."""
    try:
        return SiteSettings.model_validate_json(json.dumps(document))
    except ValidationError as exc:
        raise InvalidInput(problems_of(exc)) from exc


def problems_of(error: ValidationError) -> list[Problem]:
    """The faults that pydantic found, each with its JSON pointer and never with the value."""
    return [Problem(pointer(_without_tag(e["loc"])), _words(e)) for e in error.errors(include_input=False)]


def pointer(location: tuple[str | int, ...]) -> str:
    """A JSON pointer (RFC 6901) for a place in a document."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in location)


def _without_tag(location: tuple[str | int, ...]) -> tuple[str | int, ...]:
    # pydantic names the chosen member of a tagged union in the path; the document does not have it.
    if location[:1] == ("agent",) and location[1:2] in (("acknowledge",), ("http",), ("llm",)):
        return ("agent", *location[2:])
    return location


def _words(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "is not a known field"
    return str(error["msg"]).removeprefix("Value error, ")


LIFTABLE = (
    ("answerWithinHours",),
    ("caps", "threadPer10Min"),
    ("caps", "threadPer2Hours"),
    ("caps", "correspondentPerDay"),
    ("caps", "newSendersPerHour"),
)


def apply_patch(document: Mapping[str, Any], patch: Mapping[str, Any]) -> Document:
    """A stored settings document after a JSON merge patch (RFC 7396).

    Null takes a field back to its default, as the RFC's removal; where the default is a limit, null lifts it
    and stays in the document.
    """
    result = merge_patch(document, patch)
    for path in LIFTABLE:
        inner: Any = patch
        for name in path[:-1]:
            inner = inner.get(name) if isinstance(inner, Mapping) else None
        if isinstance(inner, Mapping) and path[-1] in inner and inner[path[-1]] is None:
            target = result
            for name in path[:-1]:
                target = target.setdefault(name, {})
            target[path[-1]] = None
    return dict(result)


def merge_patch(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7396 section 2); gives the result and changes nothing in place."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result
