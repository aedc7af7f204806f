"""What callers send, checked strictly: unknown fields, wrong types and control characters are refused."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from postroom.core.settings import Host, Line, Port


def _storable(value: str) -> str:
    if "\x00" in value or any("\ud800" <= ch <= "\udfff" for ch in value):
        raise ValueError("must not hold NUL or lone surrogates")
    return value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Text = Annotated[str, AfterValidator(_storable)]
Written = Annotated[Line, Field(min_length=1)]
Addresses = Annotated[list[Written], BeforeValidator(_listed), Field(max_length=100)]


class Request(BaseModel):
    """Base of request bodies."""

    model_config = ConfigDict(strict=True, extra="forbid", populate_by_name=True)


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

    site_id: Text
    token_type: Text
    identifier: Text
    value: Text = Field(repr=False)
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

    site_id: Text | None = None
    use_saved_credentials: bool = True
    email: Line | None = None
    username: Line | None = None
    password: Annotated[Text | None, Field(min_length=1, max_length=65_536, repr=False)] = None
    incoming_server: Host | None = None
    incoming_port: Port | None = None
    incoming_security: Literal["tls", "starttls"] | None = None
    outgoing_server: Host | None = None
    outgoing_port: Port | None = None
    outgoing_security: Literal["tls", "starttls"] | None = None
    skip_smtp: bool = False

    @model_validator(mode="after")
    def _complete(self) -> "CheckRequest":
        if self.use_saved_credentials:
            if self.site_id is None:
                raise ValueError("site_id is required with use_saved_credentials")
            return self
        missing = [n for n in ("email", "password") if getattr(self, n) is None]
        if missing:
            raise ValueError(f"{' and '.join(missing)} must be given without use_saved_credentials")
        if self.incoming_server is None and self.outgoing_server is None:
            raise ValueError("incoming_server or outgoing_server must be given without use_saved_credentials")
        return self


class FileUpload(Request):
    """A file to attach: its bytes in base64."""

    filename: Annotated[Line, Field(min_length=1, max_length=255)]
    content_type: Annotated[Line, Field(max_length=255)] | None = None
    content: str = Field(repr=False)


class SendRequest(Request):
    """A mail to send as the site."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "site_id": "your-site-uuid",
                    "to": "customer@example.com",
                    "subject": "Hello",
                    "content": "Message body...",
                }
            ]
        }
    )

    site_id: Text
    to: Annotated[Addresses, Field(min_length=1, validation_alias=AliasChoices("to", "email"))]
    subject: Line
    content: Annotated[
        Text, Field(min_length=1, max_length=10_000_000, validation_alias=AliasChoices("content", "message"))
    ]
    cc: Addresses = []
    bcc: Addresses = []
    from_: Annotated[Line | None, Field(alias="from")] = None
    reply_to: Addresses = []
    thread_id: Line | None = None
    in_reply_to: Line | None = None
    content_type: Literal["text/markdown", "text/plain", "text/html"] = "text/markdown"
    attachments: Annotated[list[FileUpload], Field(max_length=100)] = []
    send_at: Annotated[AwareDatetime | None, Field(strict=False)] = None

    @model_validator(mode="before")
    @classmethod
    def _one_name_each(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for name, other in (("to", "email"), ("content", "message")):
                if name in data and other in data:
                    raise ValueError(f"{name} and {other} are two names of one field; give one of them")
        return data


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


def past_or_soon(moment: datetime | None, now: datetime, limit_days: int = 366) -> bool:
    """Whether a time to send at is one that can be meant."""
    return moment is None or (moment - now).days <= limit_days
