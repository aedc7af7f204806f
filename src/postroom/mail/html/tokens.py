"""HTML as a flat run of tags and text: no tree, so that depth costs nothing. Linear."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape

_TAG = re.compile(
    r"<(?:(?P<comment>!--)|(?P<other>[!?])[^<>]*+>"
    r"|(?P<close>/)?(?P<name>[a-zA-Z][^\s/>\"'<]*+)(?P<attributes>(?:[^<>\"']++|\"[^\"<]*+\"|'[^'<]*+'|[\"'])*+)>)"
)
_ATTRIBUTE = re.compile(r"([^\s\"'=<>/]++)(?:\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s\"'>]++)))?+")
_RAW_TEXT = frozenset({"script", "style", "title", "textarea", "xmp", "noembed", "noframes"})
_LONGEST_ATTRIBUTES = 20_000


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of HTML. `kind`: "open", "close" or "text"; `text` is as written, entities and all.

    For a tag `name` is in lower case and `text` holds its attributes.
    """

    kind: str
    name: str
    text: str

    def attributes(self) -> dict[str, str]:
        """Attributes by lower-case name, entities read; the first of doubles wins."""
        found: dict[str, str] = {}
        for match in _ATTRIBUTE.finditer(self.text[:_LONGEST_ATTRIBUTES]):
            written = match[2] or match[3] or match[4] or ""
            found.setdefault(match[1].lower(), unescape(written) if "&" in written else written)
        return found


def tokens(html: str, most: int) -> Iterator[Token]:
    """The tags and texts of `html`; comments are left out, as is the content of scripts and their like.

    The content of `style` comes as a text token of that name. After `most` tags the rest is one text.
    """
    position = 0
    lowered = ""
    unclosed: set[str] = set()
    for _ in range(most):
        match = _TAG.search(html, position)
        if match is None:
            break
        if match.start() > position:
            yield Token("text", "", html[position : match.start()])
        position = match.end()
        if match["comment"]:
            end = -1 if "-->" in unclosed else html.find("-->", match.start() + 2)
            if end < 0:
                unclosed.add("-->")
            else:
                position = max(end + 3, position)
        elif match["name"]:
            name = match["name"].lower()
            if name not in _RAW_TEXT or match["close"]:
                yield Token("close" if match["close"] else "open", name, match["attributes"])
                continue
            lowered = lowered or _ascii_lower(html)
            end = -1 if name in unclosed else lowered.find(f"</{name}", position)
            if end < 0:
                unclosed.add(name)
                continue
            if name == "style":
                yield Token("text", "style", html[position:end])
            position = end
    if position < len(html):
        yield Token("text", "", _TAG.sub(" ", html[position:]))


def _ascii_lower(html: str) -> str:
    """Lower case letter by letter, so that places in it are places in `html`."""
    return html.translate(_LOWER)


_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
