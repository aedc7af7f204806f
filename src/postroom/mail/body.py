"""Which parts of a message are its text, and what that text is.

RFC 2046 section 5.1 says what multiparts mean, RFC 8621 section 4.1.4 which parts are the body.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from postroom.mail import charset, flowed, html, invisible, structure, transfer, uuencode
from postroom.mail.charset.labels import codec_of
from postroom.mail.structure import Part
from postroom.mail.uuencode import EmbeddedFile

_META_CHARSET = re.compile(
    rb"<meta[^>]{0,200}?charset\s{0,5}=\s{0,5}[\"']?\s{0,5}([A-Za-z0-9_:.-]{2,40})", re.IGNORECASE
)
_META_WITHIN = 4_096
_LINE_END = re.compile(r"\r{0,2}\n|\r")
_WORD = re.compile(r"\w+")
_SAME_TEXT = 0.8


@dataclass(frozen=True, slots=True)
class Body:
    """The text of a message: all of it as text, its HTML if it has some, the files found inside the text.

    `text_is_of_html`: the text was made of the HTML, because nothing else was sent.
    """

    text: str
    html: str | None
    text_is_of_html: bool
    files: tuple[EmbeddedFile, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Segment:
    """One text part, decoded; `index` is the place of the part."""

    index: int
    is_html: bool
    text: str


def text_parts(parts: Sequence[Part]) -> tuple[int, ...]:
    """The places of the parts that are text to be read, in order; every other leaf is an attachment."""
    roots = _roots(parts)
    with_plain: set[int] = set()
    found: list[int] = []
    for index, part in enumerate(parts):
        if index in roots or _is_text_beside_others(part, parts, part.parent in with_plain):
            found += [index] if _is_text(part) else []
        if part.content_type == "text/plain":
            with_plain.add(part.parent)
    return tuple(found)


def _roots(parts: Sequence[Part]) -> set[int]:
    """Of every multipart the child that is read first, and the message itself."""
    children: dict[int, list[int]] = {}
    for index, part in enumerate(parts):
        children.setdefault(part.parent, []).append(index)
    return {
        _related_root(parts, parent, places) if _is_related(parts, parent) else places[0]
        for parent, places in children.items()
    }


def _is_related(parts: Sequence[Part], index: int) -> bool:
    return index >= 0 and parts[index].content_type == "multipart/related"


def _related_root(parts: Sequence[Part], parent: int, children: Sequence[int]) -> int:
    """What a multipart/related shows (RFC 2387 section 3.2): the part that `start` names, else the first.

    Where that can hold no text, a program told them in the wrong order: the first text that is no file.
    """
    start = parts[parent].parameters.parameters.get("start", "").strip("<> ")
    started = [index for index in children if start and structure.content_id(parts[index]) == start]
    for index in (*started[:1], children[0]):
        if parts[index].content_type.startswith(("text/", "multipart/")):
            return index
    unnamed = (index for index in children if _is_text(parts[index]) and not _is_named(parts[index]))
    return next(unnamed, children[0])


def _is_text(part: Part) -> bool:
    """Whether it can be read as text where it stands as the only part, or as the first."""
    if part.disposition.value == "attachment":
        return False
    if part.content_type in {"text/plain", "text/html"}:
        return True
    return part.parent < 0 and part.content_type.startswith("text/") and part.content_type not in _FILES


def _is_text_beside_others(part: Part, parts: Sequence[Part], follows_plain: bool) -> bool:
    """Whether text that does not come first is no file: an alternative is none, whatever its name."""
    around = parts[part.parent].content_type
    if around == "multipart/alternative" and not (follows_plain and part.content_type == "text/plain"):
        return True
    return around != "multipart/related" and not _is_named(part)


def _is_named(part: Part) -> bool:
    return "filename" in part.disposition.parameters or "name" in part.parameters.parameters


_FILES = frozenset({"text/calendar", "text/x-vcard", "text/vcard", "text/csv", "text/directory"})


def read(raw: bytes, parts: Sequence[Part], texts: Sequence[int]) -> Body:
    """Decodes the text parts of a message, those at `texts`, and puts them together."""
    notes: dict[str, None] = {}
    files: list[EmbeddedFile] = []
    segments = [_segment(raw, index, parts[index], files, notes) for index in texts]
    htmls = [segment.text for segment in segments if segment.is_html]
    pieces, hidden = _texts(segments, parts)
    if hidden:
        notes["hidden_text"] = None
    only_html = bool(htmls) and not any(_is_plain_text(segment) for segment in segments)
    return Body("\n".join(pieces), "\n".join(htmls) if htmls else None, only_html, tuple(files), tuple(notes))


def _is_plain_text(segment: _Segment) -> bool:
    return not segment.is_html and bool(segment.text.strip())


def _segment(
    raw: bytes, index: int, part: Part, files: list[EmbeddedFile], notes: dict[str, None]
) -> _Segment:
    """One text part; uuencoded files in it and facts about it are added to `files` and `notes`."""
    data = transfer.decode(raw[part.start : part.end], part.encoding)
    is_html = part.content_type == "text/html"
    label = part.parameters.parameters.get("charset", "")
    if is_html and codec_of(label) == "us-ascii":
        label = _meta_charset(data) or label
    else:
        data, embedded = uuencode.extract(data)
        files.extend(embedded)
        if embedded:
            notes["uuencode"] = None
    text, repaired = charset.decode(data, label)
    if repaired:
        notes["charset_repaired"] = None
    text, had_tags = invisible.without_tags(_LINE_END.sub("\n", text) if "\r" in text else text)
    if had_tags:
        notes["hidden_text"] = None
    if not is_html and part.parameters.parameters.get("format", "").lower() == "flowed":
        text = flowed.unflow(text, part.parameters.parameters.get("delsp", "").lower() == "yes")
    return _Segment(index, is_html, text)


def _meta_charset(data: bytes) -> str:
    match = _META_CHARSET.search(data, 0, _META_WITHIN)
    return match[1].decode("ascii") if match else ""


def _texts(segments: Sequence[_Segment], parts: Sequence[Part]) -> tuple[list[str], bool]:
    """The pieces of the whole text, and whether HTML hides some.

    They are the plain pieces, and the HTML ones where no plain piece says the same.
    """
    plain = [segment for segment in segments if _is_plain_text(segment)]
    covered = {place for segment in plain for place in _alternatives(segment.index, parts)}
    texts: list[str] = []
    said: set[str] = set()
    counted = 0
    hidden = False
    for segment in segments:
        if not segment.is_html:
            if segment.text.strip():
                texts.append(segment.text)
        elif covered.intersection(_alternatives(segment.index, parts)):
            hidden = hidden or html.has_hidden_text(segment.text)
        else:
            read = html.to_text(segment.text)
            hidden = hidden or read.hidden
            said.update(word for text in texts[counted:] for word in _WORD.findall(text))
            counted = len(texts)
            if read.text and not _is_said(read.text, said):
                texts.append(read.text)
    return texts, hidden


def _alternatives(index: int, parts: Sequence[Part]) -> set[int]:
    """The multipart/alternative parts around the part at `index`."""
    found = set()
    while (index := parts[index].parent) >= 0:
        if parts[index].content_type == "multipart/alternative":
            found.add(index)
    return found


def _is_said(text: str, said: set[str]) -> bool:
    """Whether the text before it has nearly all its words: programs that wrote mixed for alternative."""
    words = set(_WORD.findall(text))
    return bool(said) and len(words & said) >= _SAME_TEXT * len(words)
