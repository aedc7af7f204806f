"""A body cut into spans, the writer's own and the quoted ones, and which of them are the new text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from postroom.mail.quote import words
from postroom.mail.quote.attribution import ADDRESS, DATE, TIME, Opening
from postroom.mail.quote.lines import INDENTED, OWN, QUOTED, Lines
from postroom.mail.quote.openings import may_open, opening_at

_MOST_LOOKS = 2_000
_MOST_QUOTES = 2_000


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
    """The spans of `lines` in order; of a body beyond all bounds the rest is taken as the writer's own.

    Indented lines are a person's own layout until something introduces a quote.
    """
    spans: list[Span] = []
    start, least, quotes = 0, QUOTED, 0
    for index in _worth_a_look(lines):
        if index < start:
            continue
        if quotes == _MOST_QUOTES:
            break
        if lines.marks[index] >= least:
            quote = Span(index, _run_end(lines, index, least), quoted=True, body=index)
        elif (opening := opening_at(lines, index, start)) is not None:
            quote, least = _introduced_quote(lines, opening), INDENTED
        else:
            continue
        _append(spans, lines, Span(start, quote.start))
        _append(spans, lines, quote)
        start, quotes = quote.end, quotes + 1
    _append(spans, lines, Span(start, len(lines)))
    return spans


def _worth_a_look(lines: Lines) -> Iterator[int]:
    """The lines that are quoted or may open a quote; of the latter no more than mail ever has."""
    looks = _MOST_LOOKS
    for index, text in enumerate(lines.texts):
        if not text or text.isspace():
            continue
        if lines.marks[index] != OWN:
            yield index
        elif looks and (index in lines.opens or may_open(text)):
            looks -= 1
            yield index


def _introduced_quote(lines: Lines, opening: Opening) -> Span:
    """The marked lines below an opening, or the element around it, or everything to the end."""
    first = lines.next_filled(opening.end)
    if first is not None and lines.marks[first] != OWN:
        return Span(opening.start, _run_end(lines, first, INDENTED), quoted=True, body=first)
    ends = [lines.ends[line] for line in range(opening.start, opening.end) if line in lines.ends]
    end = max(ends, default=0)
    return Span(opening.start, end if end > opening.end else len(lines), quoted=True, body=opening.end)


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
    """Add `span`; blank ones vanish into their neighbours and adjacent quotes become one.

    A quote that nothing introduces may be the writer's own, so it stays apart from an introduced one below.
    """
    if span.start == span.end:
        return
    blank = not span.quoted and not lines.says_something(span.start, span.end)
    last = spans[-1] if spans else None
    adjacent = last is not None and last.quoted and span.quoted
    if last is not None and (blank or (adjacent and (last.introduced or not span.introduced))):
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
        shown = [place for place in quotes if place == quotes[0] and _is_announced(lines, spans[place])]
        return [spans[place] for place in sorted(own + shown)]
    in_place = {
        place for place in quotes if place < answers[-1] and _stays(lines, spans, place, len(answers))
    }
    return [
        Span(span.body, span.end, quoted=True, body=span.body) if span.quoted else span
        for place, span in enumerate(spans)
        if place in in_place or not span.quoted
    ]


def _is_announced(lines: Lines, span: Span) -> bool:
    """Whether the writer shows lines that are no mail: the line above says so by its colon, without date or
    address."""
    if span.introduced or _is_forward(lines, span):
        return False
    above = next(
        (i for i in range(span.start - 1, span.start - 4, -1) if i >= 0 and not lines.is_blank(i)), None
    )
    text = "" if above is None else lines.tidy(above)
    told = DATE.search(text) or TIME.search(text) or ADDRESS.search(text)
    return text.endswith((":", "：")) and not told


def _stays(lines: Lines, spans: Sequence[Span], place: int, answers: int) -> bool:
    """Whether the quote at `place` is shown with the answer below it.

    One answer below one introduced quote needs no context (bottom posting); several answers do, and lines
    that nobody introduced may be no quote of a mail at all.
    """
    span = spans[place]
    if answers > 1:
        return True
    if span.introduced or _is_forward(lines, span):
        return False
    return place > 0 and lines.says_something(span.start, span.end)


def _is_forward(lines: Lines, span: Span) -> bool:
    """Whether marked lines begin with what introduces forwarded mail, marked with it."""
    first = lines.next_filled(span.body)
    return first is not None and bool(words.FORWARD_STARTS.match(lines.tidy(first).lstrip("> ")))
