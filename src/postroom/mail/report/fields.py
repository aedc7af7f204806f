"""The fields of machine-readable reports (RFC 3464 section 2), read as tolerantly as they are written.

A group is a list of (name in lower case, value). Blank lines part groups; where they are missing or one too
many, names that repeat and groups that lack their half show what belongs together.
"""

import re
from collections.abc import Iterable, Sequence

from postroom.mail import transfer

Group = list[tuple[str, str]]

_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9-]{1,60})\s*:\s?(.*)")
_RECIPIENT_FIELDS = ("final-recipient", "original-recipient")
_ONCE = (*_RECIPIENT_FIELDS, "action", "status")
_ENCODED_GROUP = re.compile(
    r"(?im)^content-transfer-encoding:[ \t]*base64[ \t]*\r?\n(?:[a-z-]{1,60}:.*\n){0,20}[ \t\r]*\n"
    r"((?:[a-z0-9+/=]{4,}[ \t\r]*\n?)+)"
)
_ACTIONS = ("failed", "delayed", "delivered", "relayed", "expanded")
_ACTION_WORDS = {
    "failure": "failed",
    "fail": "failed",
    "error": "failed",
    "expired": "failed",
    "delay": "delayed",
    "deliverable": "delivered",
    "deliver": "delivered",
    "relay": "relayed",
}
_ADDRESS = re.compile(r"[^\s<>\"(),;:]+@[^\s<>\"(),;:]+")
_LOOKED_AT = 500_000
_RECIPIENTS = 1_000
_VALUE_LENGTH = 2_000
_DIAGNOSTIC_LENGTH = 1000


def groups(text: str) -> list[Group]:
    """All groups of fields in `text`; continuation lines are unfolded, other lines skipped."""
    found: list[Group] = [[]]
    for line in _ENCODED_GROUP.sub(_decoded_group, text[:_LOOKED_AT]).splitlines():
        if not line.strip():
            if found[-1]:
                found.append([])
        elif line[0] in " \t" and found[-1]:
            name, value = found[-1][-1]
            if len(value) < _VALUE_LENGTH:
                found[-1][-1] = (name, f"{value} {line.strip()}".strip())
        elif match := _FIELD.match(line):
            name = match[1].lower()
            if name in _ONCE and any(name == key for key, _ in found[-1]):
                found.append([])
            found[-1].append((name, match[2].strip()))
    return [group for group in found if group]


def _decoded_group(found: re.Match[str]) -> str:
    """Gateways there are that encode a group of fields, as if it were a part of its own."""
    return transfer.decode_base64(found[1].encode("ascii", "replace")).decode("utf-8", "replace")


def recipient_groups(all_groups: Sequence[Group]) -> list[Group]:
    """The groups about one recipient each; a recipient and its action parted by a blank line rejoin."""
    joined: list[Group] = []
    loose: Group = []
    for group in all_groups:
        if len(joined) > _RECIPIENTS:
            break
        if any(key in _RECIPIENT_FIELDS for key, _ in group):
            joined.append([*loose, *group] if not value_of(group, "action") else group)
            loose = []
        elif joined and not value_of(joined[-1], "action"):
            joined[-1] = [*joined[-1], *group]
        elif value_of(group, "action"):
            loose = group
    return joined


def groups_in_text(text: str) -> list[Group]:
    """The groups about recipients that stand in running text, as when a report lost its MIME parts."""
    text = text[:_LOOKED_AT]
    if "-recipient" not in text.lower():
        return []
    blocks: list[Group] = []
    for block in re.split(r"\n[ \t]*\r?\n", text):
        if re.search(r"(?mi)^(?:final|original)-recipient\s*:", block):
            blocks.extend(groups(block))
    return blocks


def value_of(group: Iterable[tuple[str, str]], name: str) -> str:
    """The first value of the field `name` that is not empty."""
    return next((value for key, value in group if key == name and value), "")


def first_value(all_groups: Iterable[Group], name: str) -> str:
    """The first value of the field `name` in any group."""
    return next((value for group in all_groups if (value := value_of(group, name))), "")


def address_of(value: str) -> str:
    """The address of a recipient field: type, angle brackets, comments and source routes taken off."""
    kind, mark, rest = value.partition(";")
    written = (rest if mark else kind).strip()
    angled = re.search(r"<([^<>]*)>", written)
    written = (angled[1] if angled else written).strip()
    if written.startswith("@") and ":" in written:  # a source route, RFC 5321 appendix C
        written = written.partition(":")[2]
    if not re.search(r"[\s()]", written):
        return written
    found = _ADDRESS.search(written)
    return found[0] if found and "|" not in written else written


def is_address(text: str) -> bool:
    """Whether `text` looks like one address, as far as a report's recipient must."""
    return re.fullmatch(r"[^\s<>|]+@[^\s<>|@]+", text) is not None


def action_of(value: str) -> str:
    """The action keyword, with the common misspellings mapped to RFC 3464's five."""
    word = re.split(r"[\s(;]", value.strip().lower(), maxsplit=1)[0]
    return word if word in _ACTIONS else _ACTION_WORDS.get(word, "")


def diagnostic_of(value: str) -> str:
    """The diagnostic text without its type (RFC 3464 section 2.3.6), bounded."""
    kind, mark, rest = value.partition(";")
    text = rest if mark and re.fullmatch(r"[\w-]+", kind.strip()) else value
    return " ".join(text.split())[:_DIAGNOSTIC_LENGTH]
