"""The new text of a mail apart from what it quotes and from its signature.

The body is judged as lines (`quote.lines`), which openings (`quote.openings`) cut into spans
(`quote.spans`). HTML is read as the same kind of lines (`quote.html`), so that one set of rules serves both.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from postroom.mail import thread
from postroom.mail.html import to_text
from postroom.mail.message import Mail
from postroom.mail.quote import html as quote_html
from postroom.mail.quote import words
from postroom.mail.quote.lines import Lines, from_text
from postroom.mail.quote.signature import tail_of
from postroom.mail.quote.spans import Span, new_spans, spans_of

_WORD = re.compile(r"[^\W_]+")
_LINK_TARGET = re.compile(r"\]\([^()\s]{0,500}\)|<(?:https?|mailto):[^<>\s]{0,500}>|https?://\S{1,500}")
_EDGE = 400
_SLACK = 12
_FIRST_LINES = 30
_MOST_MARKDOWN_LINES = 10_000  # nobody writes so many; a hostile mail has them


@dataclass(frozen=True, slots=True)
class Reply:
    """What one mail says now (`new_text`), what it repeats of others (`quoted`), and its `signature`.

    `new_text` is never empty when the mail has text: without words of the writer's own it is the whole
    text. It ends before a signature that ends the mail by a sign that is certain (`-- `, "Sent from my
    phone", a list's footer), and keeps one that only looks like it or stands above the quote or own words.
    """

    new_text: str
    quoted: str
    signature: str


@dataclass(frozen=True, slots=True)
class _Verdict:
    """Which lines of a body are new, quoted, and the signature, as ranges [start, end)."""

    lines: Lines
    new: tuple[tuple[int, int], ...]
    quoted: tuple[tuple[int, int], ...]
    signature: tuple[int, int]

    def text_of(self, ranges: Iterable[tuple[int, int]]) -> str:
        joined = (self.lines.joined(start, end) for start, end in ranges)
        return "\n\n".join(text for text in joined if text)

    def reply(self) -> Reply:
        return Reply(self.text_of(self.new), self.text_of(self.quoted), self.lines.joined(*self.signature))


def of(mail: Mail) -> Reply:
    """The text of `mail` taken apart."""
    answers = thread.is_reply_or_forward(mail)
    return split(mail.text, mail.html, of_html=mail.text_is_of_html, answers=answers)


def split(text: str, html: str | None = None, *, of_html: bool = False, answers: bool = True) -> Reply:
    """`text` taken apart; `html` is the mail's own, where it has one, and `text` may be Markdown made of it.

    `answers`: the mail is a reply or a forward, as far as its fields tell.
    Where both show the same new text, it is taken from `text`; where they differ about where it ends, or
    `text` is made of it, HTML's structure decides. Takes time in proportion to the size of both, and
    raises nothing.
    """
    lines = from_text(text, answers)
    if not html:
        return _judge(lines, spans_of(lines)).reply()
    page = quote_html.read(html, answers)
    marked = _judge(page.lines, spans_of(page.lines))
    plain = _judge(lines, [Span(0, len(lines))] if of_html else spans_of(lines))
    if not (marked.quoted if of_html else _decides(marked, plain)):
        return _signed_as(marked, plain).reply()
    if (cut := _same_beginning(lines, marked)) is not None:
        rest = Span(cut, len(lines), quoted=True, body=len(lines))
        return _judge(lines, [Span(0, cut), rest]).reply()
    return _reply_of(page, marked) or plain.reply()


def _judge(lines: Lines, spans: Sequence[Span]) -> _Verdict:
    """What of `lines` is new: all of it where nothing of the writer's own would remain."""
    own = [span for span in spans if not span.quoted]
    if not own:
        return _all_new(lines)
    last = own[-1]
    if _may_hide_answers(lines, spans, own[0]) and _tells_of_answers_within(lines, own[0]):
        return _all_new(lines)
    tail = tail_of(lines, last.start, last.end)
    if len(own) == 1 and not lines.says_something(last.start, tail.words_end):
        return _all_new(lines)
    words_end = tail.words_end if last is spans[-1] else last.end
    shown = [Span(last.start, words_end) if span is last else span for span in spans]
    filled = [span for span in shown if lines.says_something(span.start, span.end)]
    return _Verdict(
        lines,
        _ranges(new_spans(lines, filled)),
        _ranges(span for span in spans if span.quoted),
        (tail.signature_start, tail.end),
    )


def _may_hide_answers(lines: Lines, spans: Sequence[Span], own: Span) -> bool:
    """Whether below the writer's first words stands a quote in which nothing tells answers from it."""
    below = (span for span in spans if span.quoted and span.start >= own.end)
    return not all(any(lines.marks[span.body : span.end]) for span in below)


def _tells_of_answers_within(lines: Lines, own: Span) -> bool:
    """Whether the writer says at the beginning that answers stand inside the quote."""
    said = islice(lines.filled(own.start, own.end), _FIRST_LINES)
    return any(words.ANSWERS_WITHIN.search(lines.tidy(index)) for index in said)


def _ranges(spans: Iterable[Span]) -> tuple[tuple[int, int], ...]:
    """The lines of `spans`, as few ranges as they make."""
    ranges: list[tuple[int, int]] = []
    for span in spans:
        start = ranges.pop()[0] if ranges and ranges[-1][1] == span.start else span.start
        ranges.append((start, span.end))
    return tuple(ranges)


def _all_new(lines: Lines) -> _Verdict:
    everything = (0, len(lines))
    return _Verdict(lines, (everything,), (), (len(lines), len(lines)))


def _decides(marked: _Verdict, plain: _Verdict) -> bool:
    """Whether HTML shows a quote that the plain text hides: the same mail that ends elsewhere."""
    if not marked.quoted:
        return False
    ours, theirs = plain.text_of(plain.new), marked.text_of(marked.new)
    slack = _SLACK if plain.quoted else 0
    same_start = _is_near(_words(ours[:_EDGE]), _words(theirs[:_EDGE]), slack)
    same_end = _is_near(_words(ours[-_EDGE:])[::-1], _words(theirs[-_EDGE:])[::-1], slack)
    return same_start and not same_end if plain.quoted else not (same_start and same_end)


def _is_near(ours: list[str], theirs: list[str], slack: int) -> bool:
    """Whether the first words of one stand within the first `slack` words of the other, in their order."""
    few = min(3, len(ours), len(theirs))
    if few == 0:
        return len(ours) == len(theirs)
    return any(
        ours[at : at + few] == theirs[:few] or theirs[at : at + few] == ours[:few] for at in range(slack + 1)
    )


def _same_beginning(lines: Lines, marked: _Verdict) -> int | None:
    """One past the line of `lines` that ends the new text of `marked`, when that is how they begin."""
    wanted = _words(marked.text_of(marked.new))
    at = 0
    for index in lines.filled(0, len(lines)):
        found = _words(lines.texts[index])
        if wanted[at : at + len(found)] != found:
            return None
        at += len(found)
        if at == len(wanted):
            return index + 1
    return None


def _signed_as(marked: _Verdict, plain: _Verdict) -> _Verdict:
    """`plain` with the signature that only HTML marks as one, when its lines end with the same words."""
    start, end = plain.new[-1]
    wanted = _words(marked.lines.joined(*marked.signature))
    if plain.signature != (end, end) or not wanted or not marked.lines.signs:
        return plain
    for index in range(end - 1, start, -1):
        found = _words(plain.lines.texts[index])
        if wanted[len(wanted) - len(found) :] != found:
            return plain
        wanted = wanted[: len(wanted) - len(found)]
        if not wanted:
            taken_off = marked.new[-1][1] <= marked.signature[0]
            last = (start, index if taken_off else end)
            return replace(plain, new=(*plain.new[:-1], last), signature=(index, end))
    return plain


def _words(text: str) -> list[str]:
    return _WORD.findall(_LINK_TARGET.sub(" ", text))


def _reply_of(page: quote_html.Page, verdict: _Verdict) -> Reply | None:
    """The parts of a page, its new text as Markdown unless it is endless; None when that shows nothing."""
    if sum(end - start for start, end in verdict.new) > _MOST_MARKDOWN_LINES:
        return verdict.reply()
    new_text = to_text(page.html_of(verdict.new)).text.strip()
    return replace(verdict.reply(), new_text=new_text) if new_text else None
