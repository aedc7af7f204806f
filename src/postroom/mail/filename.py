"""Names of attachments: what the sender wrote, made safe to show and to store."""

import re
import unicodedata

from postroom.mail import charset
from postroom.mail.parameters import Parameterised

_SEPARATORS = re.compile(r"[/\\]")
_UNSAFE = re.compile(r'[<>:"|?*]')
_LINE_ENDS = re.compile("[\t-\r\x1c-\x1f\x85\u2028\u2029]+")
_WIDE_GAP = re.compile(r"(\s{4})\s+")  # what could push the end of a name out of sight
_SPACES = "".join(map(chr, (0x20, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000)))
_LONGEST = 200
_LONGEST_EXTENSION = 20
_EXTENSIONS = {
    "text/plain": ".txt",
    "text/html": ".html",
    "text/calendar": ".ics",
    "text/csv": ".csv",
    "text/vcard": ".vcf",
    "text/x-vcard": ".vcf",
    "text/xml": ".xml",
    "text/rfc822-headers": ".txt",
    "text/enriched": ".txt",
    "message/rfc822": ".eml",
    "message/global": ".eml",
    "message/delivery-status": ".txt",
    "message/global-delivery-status": ".txt",
    "message/disposition-notification": ".txt",
    "message/feedback-report": ".txt",
    "image/jpeg": ".jpg",
    "image/jpg": ".jpg",
    "image/pjpeg": ".jpg",
    "image/png": ".png",
    "image/gif": ".gif",
    "image/bmp": ".bmp",
    "image/tiff": ".tif",
    "image/webp": ".webp",
    "image/heic": ".heic",
    "image/svg+xml": ".svg",
    "audio/mpeg": ".mp3",
    "audio/mp4": ".m4a",
    "audio/wav": ".wav",
    "audio/x-wav": ".wav",
    "audio/amr": ".amr",
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
    "application/pdf": ".pdf",
    "application/zip": ".zip",
    "application/gzip": ".gz",
    "application/json": ".json",
    "application/xml": ".xml",
    "application/rtf": ".rtf",
    "application/ics": ".ics",
    "application/msword": ".doc",
    "application/vnd.ms-excel": ".xls",
    "application/vnd.ms-powerpoint": ".ppt",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/pgp-signature": ".asc",
    "application/pgp-encrypted": ".asc",
    "application/pgp-keys": ".asc",
    "application/pkcs7-signature": ".p7s",
    "application/x-pkcs7-signature": ".p7s",
    "application/pkcs7-mime": ".p7m",
    "application/x-pkcs7-mime": ".p7m",
    "application/ms-tnef": ".dat",
}


def of(disposition: Parameterised, content_type: Parameterised) -> str:
    """The name a part gives itself, safe; empty when it gives none (RFC 2183 section 2.3)."""
    for parameters in (disposition.parameters, content_type.parameters):
        for key in ("filename", "name"):
            if parameters.get(key, "").strip():
                return safe(parameters[key])
    return ""


def default(content_type: str, number: int, subject: str = "") -> str:
    """A name for a part without one: from `subject` for a message, else `attachment-N` with a fitting end."""
    extension = _EXTENSIONS.get(content_type, ".txt" if content_type.startswith("text/") else ".bin")
    title = safe(_SEPARATORS.sub("_", subject[:_LONGEST]))
    return f"{title}{extension}" if title else f"attachment-{number}{extension}"


def safe(name: str) -> str:
    """`name` without folders, control, line-break and direction-changing characters, of bounded length.

    Spaces stay as they were written, four in a row at most. Empty when nothing is left of it.
    """
    name = unicodedata.normalize("NFC", charset.storable(name))
    name = "".join(char for char in name if _is_shown(char))
    name = _LINE_ENDS.sub(" ", _SEPARATORS.split(name)[-1])
    name = _UNSAFE.sub("_", _WIDE_GAP.sub(r"\1", name)).strip(_SPACES + ".")
    if len(name) <= _LONGEST:
        return name
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension) > _LONGEST_EXTENSION:
        return name[:_LONGEST]
    return f"{stem[: _LONGEST - len(extension) - 1]}.{extension}"


def _is_shown(char: str) -> bool:
    """Not a control or formatting character; spaces of every kind are dealt with by their own rule."""
    return char.isspace() or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}
