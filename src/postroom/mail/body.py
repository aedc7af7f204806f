"""Which parts of a message are its text, and what that text is.

RFC 2046 section 5.1 says what multiparts mean, RFC 8621 section 4.1.4 which parts are the body.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from postroom.mail import charset, flowed, html, invisible, transfer, uuencode
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
    """The text of a message: all of it as text, its HTML if it has some, the files found inside the text."""

    text: str
    html: str | None
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
    first_children: dict[int, int] = {}
    for index, part in enumerate(parts):
        first_children.setdefault(part.parent, index)
    return tuple(
        index
        for index, part in enumerate(parts)
        if _is_text(part, parts, is_first=first_children[part.parent] == index)
    )


def _is_text(part: Part, parts: Sequence[Part], is_first: bool) -> bool:
    if part.disposition.value == "attachment":
        return False
    if part.content_type not in {"text/plain", "text/html"}:
        return part.parent < 0 and part.content_type.startswith("text/") and part.content_type not in _FILES
    if is_first:
        return True
    named = "filename" in part.disposition.parameters or "name" in part.parameters.parameters
    return not named and parts[part.parent].content_type != "multipart/related"


_FILES = frozenset({"text/calendar", "text/x-vcard", "text/vcard", "text/csv", "text/directory"})


def read(raw: bytes, parts: Sequence[Part]) -> Body:
    """Decodes the text parts of a message and puts them together."""
    notes: dict[str, None] = {}
    files: list[EmbeddedFile] = []
    segments = [_segment(raw, index, parts[index], files, notes) for index in text_parts(parts)]
    htmls = [segment.text for segment in segments if segment.is_html]
    texts, hidden = _texts(segments, parts)
    if hidden:
        notes["hidden_text"] = None
    return Body("\n".join(texts), "\n".join(htmls) if htmls else None, tuple(files), tuple(notes))


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
    plain = [segment for segment in segments if not segment.is_html and segment.text.strip()]
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
