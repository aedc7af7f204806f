"""A body cut into spans, the writer's own and the quoted ones, and which of them are the new text."""

from collections.abc import Sequence
from dataclasses import dataclass

from postroom.mail.quote_lines import INDENTED, OWN, QUOTED, Lines
from postroom.mail.quote_openings import Opening, is_followed_by_quote, opening_at

_MOST_LOOKS = 20_000


@dataclass(frozen=True, slots=True)
class Span:
    """Lines [start, end). `body` is where a quote's own lines begin, after what introduces it."""

    start: int
    end: int
    quoted: bool = False
    body: int = 0

    @property
    def introduced(self) -> bool:
        """Whether an attribution, a header block or the like stands above the quote."""
        return self.body > self.start


def spans_of(lines: Lines) -> list[Span]:
    """The spans of `lines` in order; together they hold every line once."""
    spans: list[Span] = []
    start = index = 0
    looks = _MOST_LOOKS
    while index < len(lines):
        quote = _quote_at(lines, index, start, looks > 0)
        looks -= lines.marks[index] == OWN and not lines.is_blank(index)
        if quote is None:
            index += 1
            continue
        _append(spans, lines, Span(start, quote.start))
        _append(spans, lines, quote)
        start = index = quote.end
    _append(spans, lines, Span(start, len(lines)))
    return spans


def _quote_at(lines: Lines, index: int, floor: int, may_look: bool) -> Span | None:
    if lines.marks[index] == QUOTED:
        return Span(index, _run_end(lines, index, QUOTED), quoted=True, body=index)
    if lines.is_blank(index) or not may_look:
        return None
    opening = opening_at(lines, index, floor)
    return None if opening is None else _introduced_quote(lines, opening)


def _introduced_quote(lines: Lines, opening: Opening) -> Span:
    """The marked lines below an opening; without such, everything to the end belongs to it."""
    if is_followed_by_quote(lines, opening.end):
        first = next(lines.filled(opening.end, len(lines)))
        return Span(opening.start, _run_end(lines, first, INDENTED), quoted=True, body=first)
    return Span(opening.start, len(lines), quoted=True, body=opening.end)


def _run_end(lines: Lines, index: int, least: int) -> int:
    """One past the last line of the run of marked lines at `index`; blank lines between them belong to it."""
    end = index + 1
    for found in range(index + 1, len(lines)):
        if lines.marks[found] >= least:
            end = found + 1
        elif not lines.is_blank(found):
            break
    return end


def _append(spans: list[Span], lines: Lines, span: Span) -> None:
    """Add `span`; blank ones vanish into their neighbours and adjacent quotes become one."""
    if span.start == span.end:
        return
    blank = not span.quoted and not lines.says_something(span.start, span.end)
    if spans and (blank or (span.quoted and spans[-1].quoted)):
        last = spans[-1]
        spans[-1] = Span(last.start, span.end, last.quoted, last.body)
    elif not blank:
        spans.append(span)


def new_spans(lines: Lines, spans: Sequence[Span]) -> list[Span]:
    """The spans that are the new text: without quotes, or with those that the writer answered in place."""
    quotes = [place for place, span in enumerate(spans) if span.quoted]
    own = [place for place, span in enumerate(spans) if not span.quoted]
    if not quotes or not own:
        return list(spans)
    answers = [place for place in own if place > quotes[0]]
    if not answers:
        return [spans[place] for place in own]
    in_place = {
        place for place in quotes if place < answers[-1] and _stays(lines, spans, place, len(answers))
    }
    return [
        Span(span.body, span.end, quoted=True, body=span.body) if span.quoted else span
        for place, span in enumerate(spans)
        if place in in_place or not span.quoted
    ]


def _stays(lines: Lines, spans: Sequence[Span], place: int, answers: int) -> bool:
    """Whether the quote at `place` is shown with the answer below it.

    One answer below one introduced quote needs no context (bottom posting); several answers do, and lines
    that nobody introduced may be no quote of a mail at all.
    """
    span = spans[place]
    if answers > 1:
        return True
    return place > 0 and not span.introduced and lines.says_something(span.start, span.end)
