"""Content-Transfer-Encoding undone as far as it goes (RFC 2045 section 6)."""

import binascii
import re

from postroom.mail import comments, uuencode

_NAMES = {
    "base64": "base64",
    "base-64": "base64",
    "base_64": "base64",
    "b64": "base64",
    "b": "base64",
    "quoted-printable": "quoted-printable",
    "quotedprintable": "quoted-printable",
    "quoted_printable": "quoted-printable",
    "quoted": "quoted-printable",
    "qp": "quoted-printable",
    "q": "quoted-printable",
    "x-uuencode": "uuencode",
    "x-uue": "uuencode",
    "x-uu": "uuencode",
    "uuencode": "uuencode",
    "uue": "uuencode",
}
_BASE64_AND_LINE_ENDS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\r\n"
_BASE64_AND_SPACES = _BASE64_AND_LINE_ENDS + b" \t"
_LONGEST_NAME = 1_000  # with comments
_SAMPLE = 4_096
_MOST_FOREIGN = 0.1
_FEW_FOREIGN = 3
_FEWEST_WORDS = 3
_SHORT_LINE = 76
_NO_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))
_SOFT_BREAK_SPACES = re.compile(rb"=[ \t]+(?=\r?\n|\Z)")
_SOFT_BREAK_CR = re.compile(rb"=\r(?!\n)")
_NO_ESCAPE = re.compile(rb"=(?==)")
_PADDING = re.compile(rb"=+")


def decode(data: bytes, encoding: str) -> bytes:
    """`data` with the transfer encoding named by a header value undone; unknown names change nothing.

    Never raises: broken base64 and quoted-printable are decoded as far as they go.
    """
    name = name_of(encoding)
    if name == "base64":
        return decode_base64(data)
    if name == "quoted-printable":
        return decode_quoted_printable(data)
    if name == "uuencode":
        return uuencode.decode(data)
    return data


def name_of(encoding: str) -> str:
    """The encoding that a header value means: base64, quoted-printable, uuencode, or "" for none."""
    if "(" in encoding:
        encoding = comments.without_leading(encoding[:_LONGEST_NAME]).partition("(")[0]
    words = encoding.replace(";", " ").replace('"', " ").lower().split()
    return _NAMES.get(words[0], "") if words else ""


def decode_base64(data: bytes) -> bytes:
    """Foreign characters are skipped, missing padding is added, concatenated pieces are all read.

    Prose that only claims to be base64 comes back as it is.
    """
    if _is_prose(data):
        return data
    first, padding, rest = data.partition(b"=")
    content = _piece(first.translate(None, _NO_BASE64))
    if not padding and _is_a_word(data, content):
        return data
    if not padding or not rest.strip(b"= \t\r\n"):
        return content
    return content + _pieces_after(rest)


def _is_prose(data: bytes) -> bool:
    """Several words on its lines, or signs that base64 does not know: judged by the beginning."""
    sample = data[:_SAMPLE].strip()
    words, lines = len(sample.split()), sample.count(b"\n") + 1
    foreign = len(sample.translate(None, _BASE64_AND_SPACES))
    return words > lines + _FEWEST_WORDS or foreign > _FEW_FOREIGN + len(sample) * _MOST_FOREIGN


def _is_a_word(data: bytes, content: bytes) -> bool:
    """`Thanks!`: one short line with a space or sign that base64 does not know, and decoded it is no text."""
    line = data.strip()
    if len(line) > _SHORT_LINE or not line.isascii() or not line.translate(None, _BASE64_AND_LINE_ENDS):
        return False
    try:
        return not content.decode("utf-8").isprintable()
    except UnicodeDecodeError:
        return True


def _pieces_after(rest: bytes) -> bytes:
    """What follows padding: pieces that were encoded one by one, not words that follow by chance."""
    pieces = []
    *padded, last = _PADDING.split(rest.translate(None, b" \t\r\n"))
    for piece in (*padded, last if len(last) % 4 == 0 else b""):
        if len(piece) % 4 == 1 or piece.translate(None, _BASE64_AND_LINE_ENDS):
            break
        pieces.append(_piece(piece))
    return b"".join(pieces)


def _piece(sextets: bytes) -> bytes:
    if len(sextets) % 4 == 1:
        sextets = sextets[:-1]
    return binascii.a2b_base64(sextets + b"=" * (-len(sextets) % 4))


def decode_quoted_printable(data: bytes) -> bytes:
    """What is no escape stays as it is; white space after a soft line break is dropped with it.

    RFC 2045 section 6.7, note 1.
    """
    if b"=" not in data:
        return data
    data = _SOFT_BREAK_SPACES.sub(b"=", data)
    data = _SOFT_BREAK_CR.sub(b"=\r\n", data)
    if b"==" in data:  # the decoder would take two of them for one
        data = _NO_ESCAPE.sub(b"=3D", data)
    return binascii.a2b_qp(data)
