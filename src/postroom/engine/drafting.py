"""What a caller or an agent wrote, checked and brought into the form in which a draft takes it."""

import mimetypes
from collections.abc import Sequence

from postroom.core.agent import Attachment
from postroom.core.errors import InvalidInput, invalid
from postroom.core.model import Message
from postroom.core.settings import EmailChannel
from postroom.mail.address import AddressError, check_address, normalise
from postroom.mail.compose import ComposeError, OutgoingFile, attribution
from postroom.mail.markdown import Body, Quoted, body, html_body, plain_body
from postroom.mail.message import Address

SUBJECT_LIMIT = 900
_FALLBACK_TYPE = "application/octet-stream"
_POINTERS = {
    "From": "/from",
    "To": "/to",
    "Cc": "/cc",
    "Reply-To": "/reply_to",
    "Subject": "/subject",
    "html": "/content",
    "filename": "/attachments",
    "content_type": "/attachments",
}


def identity(channel: EmailChannel, wanted: str | None) -> Address:
    """The sender: the account or one of its aliases, with the display name asked for or the site's own.

    Raises `InvalidInput` at /from for any other address.
    """
    own = {normalise(address): address for address in channel.addresses}
    asked = addresses((wanted,), "/from")[0] if wanted else Address("", channel.email)
    if normalise(asked.address) not in own:
        raise invalid("/from", "must be the address of the account or one of its aliases")
    return Address(asked.name or channel.display_name or "", own[normalise(asked.address)])


def addresses(values: Sequence[str], pointer: str) -> tuple[Address, ...]:
    """Addresses that a caller wrote, checked. Raises `InvalidInput` at the pointer, with the index."""
    found = []
    for index, value in enumerate(values):
        where = pointer if len(values) == 1 else f"{pointer}/{index}"
        try:
            found.append(check_address(value, where))
        except AddressError as exc:
            raise invalid(where, str(exc).removeprefix(f"{where}: ")) from exc
    return tuple(found)


def subject_line(value: str) -> str:
    """A subject as a caller wrote it, checked. Raises `InvalidInput` at /subject."""
    if any(ch < " " or ch in "\x7f\x85\u2028\u2029" for ch in value):
        raise invalid("/subject", "must be one line without control characters")
    if len(value) > SUBJECT_LIMIT:
        raise invalid("/subject", f"must not be longer than {SUBJECT_LIMIT} characters")
    return value


def body_of(content: str, content_type: str, signature: str | None) -> Body:
    """The body of a new mail; Markdown gets the site's signature. Raises `InvalidInput` at /content_type."""
    if content_type == "text/plain":
        return plain_body(content)
    if content_type == "text/html":
        return html_body(content)
    if content_type == "text/markdown":
        return body(content, signature, None)
    raise invalid("/content_type", "must be text/markdown, text/plain or text/html")


def files_of(attachments: Sequence[Attachment]) -> tuple[OutgoingFile, ...]:
    """The files to attach, their types guessed from the names where none is given."""
    return tuple(
        OutgoingFile(item.filename, item.content_type or _guessed(item.filename), item.content)
        for item in attachments
    )


def quotation(message: Message) -> Quoted:
    """The message answered, as it stands below the answer."""
    assert message.sender is not None
    return Quoted(attribution(message.sender, message.date), message.text)


def uncomposable(error: ComposeError) -> InvalidInput:
    """What a caller is told of a value that no mail may carry."""
    return invalid(_POINTERS.get(error.field, ""), error.fault)


def _guessed(filename: str) -> str:
    return mimetypes.guess_type(filename, strict=False)[0] or _FALLBACK_TYPE
