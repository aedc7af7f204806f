"""The parts of a message that are not its text: decoded, named, in order (RFC 2183)."""

from collections.abc import Sequence

from postroom.mail import charset, filename, headers, structure, transfer
from postroom.mail.message import AttachedFile
from postroom.mail.structure import Part
from postroom.mail.uuencode import EmbeddedFile

_MOST_HEADER_BYTES = 100_000
_OCTETS = "application/octet-stream"


def collect(
    raw: bytes, parts: Sequence[Part], text_parts: Sequence[int], embedded: Sequence[EmbeddedFile]
) -> tuple[AttachedFile, ...]:
    """Every leaf that is not text, then the files found inside the text."""
    texts = set(text_parts)
    files: list[AttachedFile] = []
    for index, part in enumerate(parts):
        if index not in texts and not part.is_multipart:
            files.append(_read(raw, part, len(files)))
    for file in embedded:
        files.append(_embedded(file, len(files)))
    return tuple(files)


def _read(raw: bytes, part: Part, index: int) -> AttachedFile:
    content = transfer.decode(raw[part.start : part.end], part.encoding)
    name = filename.of(part.disposition, part.parameters)
    if not name:
        subject = _subject(content) if part.content_type in {"message/rfc822", "message/global"} else ""
        name = filename.default(part.content_type, index + 1, subject)
    return AttachedFile(
        index=index,
        filename=name,
        content_type=part.content_type,
        disposition=part.disposition.value,
        content_id=structure.content_id(part),
        content=content,
    )


def _embedded(file: EmbeddedFile, index: int) -> AttachedFile:
    name = filename.safe(charset.header_text(file.name))
    return AttachedFile(
        index, name or filename.default(_OCTETS, index + 1), _OCTETS, "attachment", "", file.content
    )


def _subject(message: bytes) -> str:
    block = headers.read_block(message, 0, _MOST_HEADER_BYTES)
    return charset.decode_header(headers.unfold(block.first(b"subject")))
