"""HTML that a caller hands in, made safe to send: no scripts, no forms, no tricks with links, CSS inlined."""

import re
from collections import Counter
from functools import cache

import css_inline
import nh3

from postroom.mail.fields import ComposeError

_LONGEST = 1_000_000  # characters; the sanitiser's time grows with length times depth
_DEEPEST = 400  # elements; the inliner's stack ends somewhere beyond 5,000
_MOST_MATCHES = 5_000_000  # style rules times elements
_MOST_COPIES = 1_000_000  # an open <b> is repeated in every paragraph that follows (HTML 13.2.4.3)

_UNREAD = re.compile(
    r"<(?:!--|[!?]|/(?![a-z])"
    r"|(script|style|title|textarea|xmp|iframe|noembed|noframes|noscript|template|plaintext)(?![^\s/>]))",
    re.IGNORECASE | re.ASCII,
)
_TAG = re.compile(  # HTML 13.2.5.6 to 13.2.5.39; it always matches, so one pass reads everything
    r"""<(/?)([a-z][^\s/>]*+)
    (?:[\s/]++
      |=?[^\s/>=]++(?:\s*+=\s*+(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)|[^\s>"'][^\s>]*+)?)?
      |=)*+(?:>|\Z)""",
    re.IGNORECASE | re.ASCII | re.VERBOSE,
)
_SELF_CLOSING = re.compile(
    "area|base|br|col|colgroup|dd|dt|embed|hr|img|input|li|link|meta|option|p|source|tbody|td|tfoot|th|thead|track"
    "|tr|wbr"
)
_FORMATTING = re.compile("a|b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u")
_RISKY_VALUE = re.compile(r"\\|url\s*\(|expression\s*\(|javascript:|@import|behaviou?r", re.IGNORECASE)

_ATTRIBUTES = {
    "*": {"align", "class", "dir", "id", "lang", "style", "title", "valign"},
    "a": {"href", "name", "target"},
    "blockquote": {"type"},
    "font": {"color", "face", "size"},
    "img": {"alt", "border", "height", "hspace", "src", "vspace", "width"},
    "ol": {"start", "type"},
    "table": {"bgcolor", "border", "cellpadding", "cellspacing", "height", "role", "width"},
    "td": {"bgcolor", "colspan", "height", "nowrap", "rowspan", "width"},
    "th": {"bgcolor", "colspan", "height", "nowrap", "rowspan", "scope", "width"},
    "tr": {"bgcolor", "height"},
    "col": {"span", "width"},
    "colgroup": {"span", "width"},
}
_TAGS = """
    a abbr address article aside b bdi bdo big blockquote br caption center cite code col colgroup
    dd del details dfn div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img
    ins kbd li main mark nav ol p pre q rp rt ruby s samp section small span strike strong sub
    summary sup table tbody td tfoot th thead time tr tt u ul var wbr
"""
_PROPERTIES = """
    background background-color border border-bottom border-bottom-color border-bottom-style
    border-bottom-width border-collapse border-color border-left border-left-color border-left-style
    border-left-width border-radius border-right border-right-color border-right-style
    border-right-width border-spacing border-style border-top border-top-color border-top-style
    border-top-width border-width box-sizing clear color color-scheme direction display float font
    font-family font-size font-style font-variant font-weight height letter-spacing line-height
    list-style-type margin margin-bottom margin-left margin-right margin-top max-height max-width
    min-height min-width mso-line-height-rule overflow-wrap padding padding-bottom padding-left
    padding-right padding-top table-layout text-align text-decoration text-indent text-transform
    vertical-align white-space width word-break word-wrap
"""


def clean_html(html: str) -> str:
    """`html` (a page or a piece of one) as a piece that is safe to send; its style sheets become attributes.

    What runs, submits, frames or loads a sheet is left out, links and pictures go to http(s), mailto, tel and
    cid only, and relative ones go nowhere. Raises `ComposeError` for more than 1,000,000 characters and for
    nesting or style rules that no mail needs.
    """
    if len(html) > _LONGEST:
        raise ComposeError("html", f"is longer than {_LONGEST:,} characters")
    html, css = _without_unread(html.replace("\v", " "))  # no white space in HTML, but in patterns
    tags = _count_tags(html)
    html = _cleaner().clean(html)
    if css:
        if (css.count("{") + css.count(",")) * tags > _MOST_MATCHES:
            raise ComposeError("html", "has too many style rules")
        html = _cleaner().clean(_inliner().inline_fragment(html, css))
    return html.strip()


def _without_unread(html: str) -> tuple[str, str]:
    """`html` without comments and without elements whose content is no HTML, and the style sheets in it."""
    pieces: list[str] = []
    sheets: list[str] = []
    position = 0
    for opening in _UNREAD.finditer(html):
        if opening.start() < position:
            continue
        pieces.append(html[position : opening.start()])
        name = (opening[1] or "").lower()
        position = _end_of_element(html, name, opening.end()) if name else _end_of_comment(html, opening)
        if name == "style":
            sheets.append(html[opening.end() : position].partition(">")[2].rpartition("</")[0])
    return " ".join([*pieces, html[position:]]), "\n".join(sheets)


def _end_of_comment(html: str, opening: re.Match[str]) -> int:
    mark, start = ("-->", opening.start() + len("<!")) if opening[0] == "<!--" else (">", opening.end())
    end = html.find(mark, start)
    return len(html) if end < 0 else end + len(mark)


def _end_of_element(html: str, name: str, start: int) -> int:
    """Where the raw text element `name` ends (HTML 13.2.5); one that is never closed takes all the rest."""
    closing = re.compile(rf"</{name}(?:[\s/][^>]*)?>", re.IGNORECASE).search(html, start)
    return closing.end() if closing else len(html)


def _count_tags(html: str) -> int:
    """How many tags `html` has; raises `ComposeError` when a parser would build too much from them.

    Both bounds are from above: an element is taken as open until a tag of its own name closes it.
    """
    tags = depth = deepest = formatting = 0
    open_tags: Counter[str] = Counter()
    for closing, name in _TAG.findall(html):
        tags += 1
        name = name.lower()
        if _SELF_CLOSING.fullmatch(name) or (closing and not open_tags[name]):
            continue
        step = -1 if closing else 1
        open_tags[name] += step
        depth += step
        deepest = max(deepest, depth)
        formatting = max(formatting, open_tags[name] if _FORMATTING.fullmatch(name) else 0)
    if deepest > _DEEPEST or formatting * tags > _MOST_COPIES:
        raise ComposeError("html", "is nested too deeply")
    return tags


def _harmless(_tag: str, attribute: str, value: str) -> str | None:
    if attribute != "style":
        return value
    return ";".join(part for part in value.split(";") if not _RISKY_VALUE.search(part))


@cache
def _inliner() -> css_inline.CSSInliner:
    return css_inline.CSSInliner(load_remote_stylesheets=False)


@cache
def _cleaner() -> nh3.Cleaner:
    return nh3.Cleaner(
        tags=set(_TAGS.split()),
        attributes=_ATTRIBUTES,
        attribute_filter=_harmless,
        filter_style_properties=set(_PROPERTIES.split()),
        link_rel=None,
        url_schemes={"http", "https", "mailto", "tel", "cid"},
        url_relative="deny",
    )
