"""Message-ID, In-Reply-To and References: ids byte for byte, without their angle brackets (RFC 5322)."""

import re

from postroom.mail import charset

_BRACKETED = re.compile(r"<([^<>]*)>")
_UNCLOSED = re.compile(r"<([^<>\s]+)\s*\Z")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_FOLD = re.compile(r"[\r\n]+[ \t]*")


def message_id(raw: bytes) -> str:
    """The id of a raw Message-ID value; missing brackets are forgiven; empty when there is none."""
    text = _text(raw)
    found = _bracketed(text)
    return found[0] if found else charset.one_line(text).strip("<> ")


def references(raw: bytes) -> tuple[str, ...]:
    """The ids of a raw References value in order, each once; bare words count when they have an @.

    Ids that a program put into encoded words count too, but nothing between brackets is decoded.
    RFC 5322 section 3.6.4.
    """
    text = _with_words_read(_text(raw))
    found = _bracketed(text)
    if not found:
        found = [_CONTROL.sub("", word).strip("<>,;\"'") for word in text.split() if "@" in word]
    return tuple(dict.fromkeys(identifier for identifier in found if identifier))


def in_reply_to(raw: bytes) -> tuple[str, ...]:
    """As `references`, but of free text ("Your message of Monday") only what stands in brackets counts."""
    text = _text(raw)
    return references(raw) if "<" in text or len(text.split()) == 1 else ()


def _text(raw: bytes) -> str:
    """The value with its folds; ids that a program put into encoded words are taken out of them."""
    text = charset.storable(charset.header_text(raw)).strip()
    if "=?" in text and "<" not in text:
        return charset.decode_header(text)
    return text


def _with_words_read(text: str) -> str:
    """Encoded words outside brackets read; an open bracket takes all that follows it."""
    if "=?" not in text:
        return text
    pieces = _BRACKETED.split(text)
    for place in range(0, len(pieces), 2):
        outside, bracket, rest = pieces[place].partition("<")
        pieces[place] = f" {charset.decode_header(outside)} {bracket}{rest}"
    return "".join(piece if place % 2 == 0 else f"<{piece}>" for place, piece in enumerate(pieces))


def _bracketed(text: str) -> list[str]:
    """What stands between brackets; a fold inside is not part of the id."""
    found = [_CONTROL.sub("", _FOLD.sub("", inner)).strip() for inner in _BRACKETED.findall(text)]
    if unclosed := _UNCLOSED.search(text):
        found.append(_CONTROL.sub("", unclosed[1]))
    return [identifier for identifier in found if identifier]
