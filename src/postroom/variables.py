"""Every environment variable that there is, and what to say when one is wrong."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable. `hint`: what to do about it, as the second half of a sentence. `secret`: its value may
    come from a file, and is taken with the spaces around it."""

    name: str
    hint: str
    secret: bool = False


_KEY_HINT = (
    "give base64 of 32 bytes, made by `openssl rand -base64 32`; several with commas, the newest first"
)

VARIABLES = (
    Variable("ENABLED_CLIENTS", "list what to turn on, with commas; there is: email"),
    Variable("EMAIL_SMTP_HOST", "name the server that takes outgoing mail, as in smtp.example.com"),
    Variable("EMAIL_SMTP_PORT", "give a port, as in 587 (STARTTLS) or 465 (TLS)"),
    Variable("EMAIL_SMTP_SECURITY", "say tls or starttls; left out, the port decides"),
    Variable("EMAIL_USER", "give the user name that both servers know, mostly the mailbox's address"),
    Variable("EMAIL_PASSWORD", "give the mailbox's password (Gmail, Yahoo: an app password)", secret=True),
    Variable("EMAIL_FROM_ADDRESS", "give the mailbox's address, as in agent@example.com"),
    Variable("EMAIL_ALIASES", "list further addresses of the mailbox, with commas"),
    Variable("EMAIL_IMAP_HOST", "name the server on which mail is read, as in imap.example.com"),
    Variable("EMAIL_IMAP_PORT", "give a port, as in 993 (TLS) or 143 (STARTTLS)"),
    Variable("EMAIL_IMAP_SECURITY", "say tls or starttls; left out, the port decides"),
    Variable("EMAIL_POLL_INTERVAL_SECONDS", "give seconds, as in 60"),
    Variable("EMAIL_START", "say now, unseen or a day such as 2026-01-31"),
    Variable("POSTROOM_HOST", "give an address of this machine, as in 127.0.0.1 or 0.0.0.0"),
    Variable("POSTROOM_PORT", "give a port, as in 8025"),
    Variable("POSTROOM_PUBLIC_URL", "give the URL at which HTTP agents reach this API"),
    Variable("POSTROOM_DATA_DIR", "name a directory that this user may write to"),
    Variable("POSTROOM_DATABASE_URL", "give postgresql://… or sqlite:///FILE, or leave it out", secret=True),
    Variable("POSTROOM_BLOBS_URL", "give file:///PATH or s3://BUCKET/PREFIX, or leave it out"),
    Variable("POSTROOM_SECRET_KEY", _KEY_HINT, secret=True),
    Variable("POSTROOM_API_KEY", "give 20 visible ASCII characters or more, without spaces", secret=True),
    Variable("POSTROOM_AGENT", "say acknowledge, python:module:function, http:URL or llm:provider:model"),
    Variable("POSTROOM_AGENT_INSTRUCTIONS", "give the model's instructions"),
    Variable("POSTROOM_AGENT_SECRET", "give what calls to the HTTP agent are signed with", secret=True),
    Variable("POSTROOM_AGENT_API_KEY", "give the model provider's key", secret=True),
    Variable("POSTROOM_AGENT_BASE_URL", "give the URL of an OpenAI-compatible endpoint"),
    Variable("POSTROOM_INCOMING_TOKEN", "give the bearer token of POST /email/incoming", secret=True),
    Variable("POSTROOM_TLS_CA_FILE", "name a file of certificates in PEM form"),
    Variable("POSTROOM_ALLOW_HOSTS", "list networks and host names, with commas, as in 10.0.0.0/8,*.lan"),
    Variable("POSTROOM_LOG_LEVEL", "say debug, info, warning or error"),
    Variable("POSTROOM_LOG_FORMAT", "say auto, json or readable"),
)
HINTS = {variable.name: variable.hint for variable in VARIABLES}
SECRETS = tuple(variable.name for variable in VARIABLES if variable.secret)
KNOWN = (*HINTS, *(f"{name}_FILE" for name in SECRETS))


def fault(name: str, text: str, hint: str | None = None) -> str:
    """The line for one fault: variable, fault, hint. Never holds the variable's value."""
    return f"{ascii(name)[1:-1]}: {text}; {HINTS[name] if hint is None else hint}"
