"""Splits an address header into mailboxes, tolerantly and in linear time (RFC 5322 sections 3.4 and 4.4)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from postroom.mail import charset, comments

_ENCODED_WORD = r"=\?[^?\s]{1,75}\?[bBqQ]\?[^?]*\?="
_ATOM = rf"{_ENCODED_WORD}|\[[^\[\]<>]{{0,255}}\]|[^\s\"(),:;<>\[\]=]+|=+"


def _grammar(quotes: bool, parentheses: bool) -> re.Pattern[str]:
    """One token; a quote or parenthesis that is known to have no partner is a plain character."""
    plain = r"\[\])" + ("" if quotes else '"') + ("" if parentheses else "(")
    return re.compile(
        rf"(?P<space>\s+)|(?P<atom>{_ATOM})|(?P<other>[{plain}]+)|(?P<quote>\")|(?P<open>\()"
        r"|(?P<special>,(?:[\s,]*,)?|[:;<>])|(?P<bracket>\[)"
    )


_GRAMMARS = {(q, c): _grammar(q, c) for q in (True, False) for c in (True, False)}
_WORD = r"[^\s\"(),:;<>@\[\]\\]++"
_SIMPLE = re.compile(
    rf"\s*+(?:(?:\"([^\"\\]++)\"\s*+|({_WORD}(?: {_WORD})*+)\s*+)?+<({_WORD}@{_WORD})>|({_WORD}@{_WORD}))\s*+"
)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_QUOTED_LOCAL = re.compile(r'"(?:[^"\\]|\\.)*"@\S+')
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Entry:
    """One mailbox as found. `bare_name` is what stands in the name outside quotes, undecoded.

    `odd` is set when parsers may disagree about it: a broken or nested bracket, a lost quote, words
    after the bracket, a comment or white space inside the address, a route, a group.
    """

    name: str
    address: str
    bare_name: str
    odd: bool


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


@dataclass(slots=True)
class _Draft:
    """What has been read of one mailbox. `inside` is None until its `<` came.

    `first` is what the brackets hold first, `has_at` whether any of it has an @.
    """

    before: list[_Token] = field(default_factory=list)
    inside: list[_Token] | None = None
    after: list[_Token] = field(default_factory=list)
    closed: bool = False
    odd: bool = False
    first: str = ""
    has_at: bool = False

    def add(self, token: _Token) -> None:
        if self.inside is None:
            self.before.append(token)
        elif not self.closed:
            self.inside.append(token)
            self.first = self.first or (token.text if token.kind not in {"space", "comment"} else "")
            self.has_at = self.has_at or "@" in token.text
        else:
            self.after.append(token)

    def reopen(self) -> None:
        """What stood in brackets is no address but part of the name; another `<` came."""
        inside = self.inside or []
        if self.first:
            closing = [_Token("other", ">")] if self.closed else []
            self.before += [_Token("other", "<"), *inside, *closing]
        self.before += self.after
        self.inside, self.after, self.closed, self.odd, self.first = [], [], False, True, ""

    @property
    def in_angle(self) -> bool:
        return self.inside is not None and not self.closed


def split(value: str, most: int | None = None) -> tuple[Entry, ...]:
    """The mailboxes of one header value, in order, and no more than `most`; groups are opened."""
    if simple := _SIMPLE.fullmatch(value):
        quoted, bare, bracketed, alone = simple.groups(default="")
        return (
            Entry(
                charset.decode_header(quoted or bare), (bracketed or alone).removesuffix("."), bare, odd=False
            ),
        )
    entries: list[Entry] = []
    draft = _Draft()
    in_group = False
    for token in _tokens(value):
        if token.kind != "special":
            draft.add(token)
        elif token.text == "<":
            if draft.closed and draft.has_at:
                entries.extend(
                    _finish(_Draft(draft.before, draft.inside, [], closed=True, odd=True), in_group)
                )
                draft = _Draft(draft.after, odd=True)
            _open_angle(draft)
        elif token.text == ">":
            _close_angle(draft)
        elif draft.in_angle and (token.text[0] != "," or _is_route(draft)):
            draft.odd = True
            draft.add(token)
        elif token.text == ":" and not _has_address(draft):
            draft, in_group = _Draft(), True
        else:
            entries.extend(_finish(draft, in_group))
            draft, in_group = _Draft(), in_group and token.text != ";"
            if most is not None and len(entries) >= most:
                break
    entries.extend(_finish(draft, in_group))
    return tuple(entries[:most])


def _tokens(value: str) -> Iterator[_Token]:
    """Quotes and parentheses that are never closed become plain characters, and are looked for no more."""
    position = 0
    quotes_close = comments_close = True
    while position < len(value):
        match = _GRAMMARS[quotes_close, comments_close].match(value, position)
        assert match is not None
        kind, text, position = str(match.lastgroup), match[0], match.end()
        if kind == "quote":
            quoted = _QUOTED.match(value, match.start())
            quotes_close = quoted is not None
            if quoted:
                kind, text, position = "quoted", quoted[1], quoted.end()
        elif kind == "open":
            end = comments.end_of(value, match.start())
            comments_close = end >= 0
            if comments_close:
                kind, text, position = "comment", value[position : end - 1], end
        yield _Token(kind, text)


def _open_angle(draft: _Draft) -> None:
    if draft.inside is None:
        draft.inside = []
        return
    draft.odd = True
    if draft.has_at:
        draft.add(_Token("other", "<"))
    else:
        draft.reopen()


def _close_angle(draft: _Draft) -> None:
    if draft.in_angle:
        draft.closed = True
    else:
        draft.odd = True


def _is_route(draft: _Draft) -> bool:
    return draft.first.startswith("@")


def _has_address(draft: _Draft) -> bool:
    return draft.inside is not None or any("@" in t.text for t in draft.before if t.kind == "atom")


def _finish(draft: _Draft, in_group: bool) -> list[Entry]:
    found = [_with_angle(draft), *_behind(draft)] if _trimmed(draft.inside or []) else _without_angle(draft)
    return [
        Entry(entry.name, entry.address.removesuffix("."), entry.bare_name, entry.odd or in_group)
        for entry in found
        if entry.name or entry.address
    ]


def _behind(draft: _Draft) -> list[Entry]:
    """Addresses that follow one in brackets without a comma."""
    atoms = (token.text for token in draft.after if token.kind == "atom")
    return [Entry("", text, "", odd=True) for text in atoms if "@" in text.strip("@")]


def _with_angle(draft: _Draft) -> Entry:
    inside = draft.inside or []
    address = _compact(inside)
    odd = draft.odd or not draft.closed or _is_broken(inside) or _is_broken(draft.before)
    odd = odd or any(token.kind not in {"space", "comment"} for token in draft.after)
    if address.endswith(";") and ":" in address:
        return Entry(address.partition(":")[0], "", "", odd=True)
    if address.startswith("@") and ":" in address:
        address = address.rpartition(":")[2].strip()
    address = address.removeprefix("mailto:")
    if " " in address and '"' not in address:
        address = ""
    name = _phrase(draft.before) or _phrase(draft.after) or _comments(draft.before + draft.after)
    return Entry(name, address, _bare(draft.before), odd)


def _without_angle(draft: _Draft) -> list[Entry]:
    """`addr`, `addr (name)`, and what should have had brackets: `name addr`, `addr addr`."""
    whole = _compact(draft.before)
    odd = draft.odd or draft.inside is not None or _is_broken(_trimmed(draft.before))
    if "@" not in whole or whole.endswith('"'):
        return [Entry(_phrase(draft.before), "", _bare(draft.before), True)]
    if " " not in whole or _QUOTED_LOCAL.fullmatch(whole):
        return [Entry(_comments(draft.before), whole, "", odd)]
    words = whole.split(" ")
    addresses = [word for word in words if "@" in word]
    if len(addresses) == len(words):
        return [Entry("", word, "", True) for word in words]
    address = addresses[-1]
    return [Entry(_name_beside(address, draft.before, words), _unbracketed(address.strip("'\"")), "", True)]


def _name_beside(address: str, tokens: list[_Token], words: list[str]) -> str:
    """The name that stands with an address without brackets: what is left of the tokens, else the words."""
    kept = [token for token in tokens if token.kind != "atom" or token.text != address]
    if len(kept) < len(tokens):
        return _phrase(kept)
    return charset.decode_header(" ".join(word for word in words if word != address)).strip('"')


def _unbracketed(address: str) -> str:
    """`[a@b.c]` as people write it who think that brackets of any kind will do."""
    return address[1:-1] if address.startswith("[") and address.endswith("]") else address


def _is_broken(tokens: list[_Token]) -> bool:
    """Whether a quote or bracket has no partner, or an address is cut by a comment or white space."""
    if any(token.kind in {"quote", "open", "other", "bracket"} for token in tokens):
        return True
    has_at = any("@" in token.text for token in tokens if token.kind == "atom")
    return has_at and any(token.kind in {"comment", "space"} for token in _trimmed(tokens))


def _trimmed(tokens: list[_Token]) -> list[_Token]:
    """Without the spaces and comments at both ends, which every parser drops."""
    start, end = 0, len(tokens)
    while start < end and tokens[start].kind in {"space", "comment"}:
        start += 1
    while end > start and tokens[end - 1].kind in {"space", "comment"}:
        end -= 1
    return tokens[start:end]


def _plain(tokens: list[_Token]) -> str:
    """The tokens as written, without comments."""
    out = []
    for token in tokens:
        if token.kind == "quoted":
            out.append(f'"{token.text}"')
        elif token.kind == "comment":
            out.append(" ")
        else:
            out.append(token.text)
    return "".join(out)


def _bare(tokens: list[_Token]) -> str:
    return " ".join(token.text for token in tokens if token.kind in {"atom", "other"})


def _compact(tokens: list[_Token]) -> str:
    """White space around `@` and `.` removed when that leaves one word (RFC 5322 section 4.4)."""
    text = " ".join(_plain(tokens).split())
    if " " not in text:
        return text
    tight = text.replace(" @", "@").replace("@ ", "@").replace(" .", ".").replace(". ", ".")
    quoted = sum(" ".join(token.text.split()).count(" ") for token in tokens if token.kind == "quoted")
    return tight if tight.count(" ") == quoted else text


def _phrase(tokens: list[_Token]) -> str:
    """A display name: quotes removed, comments dropped, encoded words read."""
    out = []
    for token in tokens:
        if token.kind == "quoted":
            out.append(_ESCAPED.sub(r"\1", token.text))
        elif token.kind == "comment":
            out.append(" ")
        elif token.kind != "quote":
            out.append(token.text)
    return charset.decode_header("".join(out))


def _comments(tokens: list[_Token]) -> str:
    texts = [_ESCAPED.sub(r"\1", token.text) for token in tokens if token.kind == "comment"]
    return charset.decode_header(" ".join(texts))
