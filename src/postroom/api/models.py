"""What callers send, checked strictly: unknown fields, wrong types and control characters are refused."""

from base64 import b64decode
from binascii import Error as Base64Error
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from postroom.core.errors import TooLarge
from postroom.core.settings import Host, Line, Port

CONTENT_LIMIT = 1_000_000
RECIPIENTS = 100
FILES = 100


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _bounded(value: Any) -> Any:
    if isinstance(value, str) and len(value) > CONTENT_LIMIT:
        raise TooLarge(f"/content: more than {CONTENT_LIMIT} characters")
    return value


def _moment(value: Any) -> Any:
    # A bare number would pass for seconds since 1970, and a date for its midnight.
    if not isinstance(value, str) or "T" not in value.upper():
        raise ValueError("must be a date and time with a zone, such as 2026-01-31T09:00:00+01:00")
    return value


def _base64(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        return b64decode("".join(value.split()), validate=True)
    except (AttributeError, Base64Error, ValueError) as exc:
        raise ValueError("must be base64 text") from exc


ADDRESSES = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}, "maxItems": RECIPIENTS},
    ]
}
Written = Annotated[Line, Field(min_length=1)]
Addresses = Annotated[
    list[Written], BeforeValidator(_listed), Field(max_length=RECIPIENTS), WithJsonSchema(ADDRESSES)
]


class Request(BaseModel):
    """Base of request bodies."""

    model_config = ConfigDict(strict=True, extra="forbid")


class EncryptRequest(Request):
    """Step 1 of connecting a mailbox: keep its password."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "site_id": "your-site-uuid",
                    "token_type": "email",
                    "identifier": "user@example.com",
                    "value": "your-app-password",
                    "store_in_db": True,
                }
            ]
        }
    )

    site_id: str
    token_type: str
    identifier: str
    value: str = Field(repr=False)
    store_in_db: bool = False


SETTINGS_EXAMPLE = {
    "channels": {
        "email": {
            "email": "user@example.com",
            "incomingServer": "imap.gmail.com",
            "incomingPort": 993,
            "outgoingServer": "smtp.gmail.com",
            "outgoingPort": 587,
            "aliases": ["support@example.com"],
        }
    }
}


class CheckRequest(Request):
    """Step 3: try the saved account, or one that is given here."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"site_id": "your-site-uuid", "use_saved_credentials": True}]}
    )

    site_id: str | None = None
    use_saved_credentials: bool = True
    email: Line | None = None
    username: Line | None = None
    password: Annotated[str | None, Field(min_length=1, max_length=65_536, repr=False)] = None
    incoming_server: Host | None = None
    incoming_port: Port | None = None
    incoming_security: Literal["tls", "starttls"] | None = None
    outgoing_server: Host | None = None
    outgoing_port: Port | None = None
    outgoing_security: Literal["tls", "starttls"] | None = None
    skip_smtp: bool = False


class FileUpload(Request):
    """A file to attach: its bytes in base64."""

    filename: Annotated[Line, Field(min_length=1, max_length=255)]
    content_type: (
        Annotated[str, Field(max_length=255, pattern=r"^[\w.+!#$&^-]+/[\w.+!#$&^-]+( *;[ -~]*)?$")] | None
    ) = None
    content: Annotated[
        bytes,
        BeforeValidator(_base64),
        Field(repr=False),
        WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
    ]


def _other_names(schema: dict[str, Any]) -> None:
    """`email` and `message` may stand for `to` and `content`: one of each pair, not both."""
    schema["properties"]["email"] = {**ADDRESSES, "description": "Another name for `to`."}
    schema["properties"]["message"] = {"type": "string", "description": "Another name for `content`."}
    schema["required"] = [name for name in schema["required"] if name not in OTHER_NAMES.values()]
    schema["allOf"] = [
        {"oneOf": [{"required": [name]}, {"required": [other]}]} for other, name in OTHER_NAMES.items()
    ]
    schema["examples"] = [
        {
            "site_id": "your-site-uuid",
            "to": "customer@example.com",
            "subject": "Hello",
            "content": "Message body...",
        }
    ]


OTHER_NAMES = {"email": "to", "message": "content"}


class SendRequest(Request):
    """A mail to send as the site."""

    model_config = ConfigDict(json_schema_extra=_other_names)

    site_id: str
    to: Annotated[Addresses, Field(min_length=1)]
    subject: Line
    content: Annotated[str, BeforeValidator(_bounded), Field(min_length=1, repr=False)]
    cc: Addresses = []
    bcc: Addresses = []
    from_: Annotated[Line | None, Field(alias="from")] = None
    reply_to: Addresses = []
    thread_id: Written | None = None
    in_reply_to: Written | None = None
    content_type: Literal["text/markdown", "text/plain", "text/html"] = "text/markdown"
    attachments: Annotated[list[FileUpload], Field(max_length=FILES)] = []
    send_at: Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_moment)] | None = None


class IncomingRequest(BaseModel):
    """A mail that a provider posts; other fields are ignored."""

    model_config = ConfigDict(
        strict=True,
        extra="ignore",
        json_schema_extra={
            "examples": [
                {
                    "from_address": "user@example.com",
                    "to_address": "cleo@yourdomain.com",
                    "subject": "Re: Question",
                    "body": "Plain text body of the email",
                    "message_id": "<optional Message-ID header>",
                    "in_reply_to": "<optional In-Reply-To>",
                    "references": "<ref1> <ref2>",
                }
            ]
        },
    )

    from_address: Annotated[str, Field(min_length=1, max_length=1000)]
    to_address: Annotated[str, Field(min_length=1, max_length=1000)]
    body: str
    subject: Annotated[str, Field(max_length=10_000)] | None = None
    message_id: Annotated[str, Field(max_length=5000)] | None = None
    in_reply_to: Annotated[str, Field(max_length=5000)] | None = None
    references: Annotated[str, Field(max_length=100_000)] | None = None


class KeyRequest(Request):
    """A new API key: for one site, or an admin key."""

    label: Annotated[Line, Field(max_length=200)] = ""
    site_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = None
