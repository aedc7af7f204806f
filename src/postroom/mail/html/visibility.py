"""Which text of an HTML mail a reader would not see, as its styles say: as much CSS 2.1 as mail uses."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_SIMPLE_SELECTOR = re.compile(r"(?:\*|[a-z][a-z0-9]*)?([.#][A-Za-z_][\w-]*)")
_NUMBER = re.compile(r"(-?(?:\d++(?:\.\d*+)?|\.\d++))\s*+(px|pt|em|rem|%|)")
_FAR_AWAY = re.compile(r"-\d{3,}")
_CLEAR_COLOURS = frozenset({"transparent"})
_WHITES = frozenset({"#fff", "#ffffff", "white", "rgb(255,255,255)", "rgba(255,255,255,1)", "#fefefe"})
_MAY_HIDE = re.compile(
    r"display|visib|hidden|opacity|overflow|font-size|indent|position|colou?r",
    re.IGNORECASE,
)
_SMALLEST_READABLE = 1.5
_LONGEST_SHEET = 200_000

Styles = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Look:
    """What an element hands down: gone for good, invisible or too small (a child may undo it), its ground.

    `ground` is the colour behind the text, "" when it cannot be known.
    """

    gone: bool = False
    invisible: bool = False
    tiny: bool = False
    colour: str = ""
    ground: str = "white"

    @property
    def hides_text(self) -> bool:
        """Whether text that stands here cannot be seen."""
        return self.gone or self.invisible or self.tiny or self._melts

    @property
    def _melts(self) -> bool:
        """Text in the colour of what lies behind it."""
        return self.colour in _CLEAR_COLOURS or (bool(self.colour) and self.colour == self.ground)


def may_hide(html: str) -> bool:
    """A quick no: nothing in `html` could hide text."""
    return _MAY_HIDE.search(html) is not None


def styles_of(sheets: Iterable[str]) -> dict[str, dict[str, str]]:
    """Declarations by `.class` and `#id`, of rules that always hold; media queries are left out."""
    found: dict[str, dict[str, str]] = {}
    for sheet in sheets:
        for rule in _without_media(_without_comments(sheet[:_LONGEST_SHEET])).split("}"):
            selectors, _, body = rule.rpartition("{")
            declared = declarations(body)
            for selector in selectors.split(",") if declared else ():
                if simple := _SIMPLE_SELECTOR.fullmatch(selector.strip()):
                    found.setdefault(simple[1].lower(), {}).update(declared)
    return found


def _without_comments(sheet: str) -> str:
    first, *others = sheet.split("/*")
    return first + "".join(other.partition("*/")[2] for other in others)


def _without_media(sheet: str) -> str:
    """The sheet without `@media {…}` and its like, braces counted."""
    out: list[str] = []
    depth, start, skipping = 0, 0, False
    for match in re.finditer(r"[@{}]", sheet):
        if match[0] == "@":
            if depth == 0 and not skipping:
                out.append(sheet[start : match.start()])
                skipping = True
        elif match[0] == "{":
            depth += 1
        else:
            depth = max(0, depth - 1)
            if skipping and depth == 0:
                skipping, start = False, match.end()
    if not skipping:
        out.append(sheet[start:])
    return "".join(out)


def declarations(style: str) -> dict[str, str]:
    """The declarations of a style attribute or a rule, in lower case, without `!important`."""
    found: dict[str, str] = {}
    for declaration in style[:_LONGEST_SHEET].lower().split(";"):
        name, colon, value = declaration.partition(":")
        if colon:
            found[name.strip()] = value.replace("!important", "").strip()
    return found


def look_of(name: str, attributes: Mapping[str, str], styles: Styles, parent: Look) -> Look:
    """How an element shows its text, given how its parent does."""
    style: dict[str, str] = {}
    for word in attributes.get("class", "").lower().split():
        style.update(styles.get(f".{word}", {}))
    style.update(styles.get("#" + attributes.get("id", "").lower(), {}))
    style.update(declarations(attributes.get("style", "")))
    return Look(
        gone=parent.gone or "hidden" in attributes or _is_gone(style),
        invisible=_is_invisible(style, parent),
        tiny=_is_tiny(name, attributes, style, parent),
        colour=_colour(style.get("color") or attributes.get("color", "")) or parent.colour,
        ground=_ground(attributes, style, bool(styles), parent),
    )


def _is_gone(style: Mapping[str, str]) -> bool:
    if style.get("display") == "none" or _is_zero(style.get("opacity", "1")):
        return True
    closed = style.get("overflow", "").startswith("hidden")
    sizes = ("height", "max-height", "width", "max-width")
    if closed and any(_is_zero(style.get(size, "1")) for size in sizes):
        return True
    moved = style.get("position") in {"absolute", "fixed"}
    places = ("left", "top") if moved else ()
    return any(_FAR_AWAY.match(style.get(place, "")) for place in (*places, "text-indent"))


def _is_invisible(style: Mapping[str, str], parent: Look) -> bool:
    visibility = style.get("visibility", "")
    return visibility in {"hidden", "collapse"} if visibility else parent.invisible


def _is_tiny(name: str, attributes: Mapping[str, str], style: Mapping[str, str], parent: Look) -> bool:
    size = style.get("font-size", "")
    match = _NUMBER.match(size)
    if match is None:
        return parent.tiny and not size and not (name == "font" and "size" in attributes)
    value = float(match[1][:20])
    if match[2] in {"em", "rem", "%"}:
        return value <= 0 or (parent.tiny and match[2] != "rem")
    return value < _SMALLEST_READABLE


def _is_zero(value: str) -> bool:
    match = _NUMBER.match(value)
    return match is not None and float(match[1][:20]) <= 0


def _colour(value: str) -> str:
    colour = value.replace(" ", "").lower()
    return "white" if colour in _WHITES else colour


def _ground(attributes: Mapping[str, str], style: Mapping[str, str], has_sheet: bool, parent: Look) -> str:
    """The colour behind the element; unknown behind pictures, and where a sheet may colour a class."""
    told = style.get("background-color") or style.get("background") or attributes.get("bgcolor", "")
    if "url(" in told or "gradient" in told or "background-image" in style or "background" in attributes:
        return ""
    if told and told not in {"none", "inherit", "initial", "transparent"}:
        return _colour(told.split()[0] if "rgb" not in told else told)
    return "" if has_sheet and "class" in attributes else parent.ground
