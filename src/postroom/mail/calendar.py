"""Calendar invitations in mail, as far as a reader needs them (RFC 5545, RFC 5546, RFC 6047)."""

import re

from postroom.mail.message import Calendar

_FOLD = re.compile(r"\r?\n[ \t]")
_ESCAPE = re.compile(r"\\([\\;,nN])")
_COMPONENTS = frozenset({"VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY"})
_LONGEST = 1_000_000


def find(text: str, method: str = "") -> Calendar | None:
    """The first event, task or journal entry of a text/calendar body, or None when there is none.

    `method`: that of the Content-Type, used when the body names none. Times stay as written
    ("20250301T090000Z"), with their zone in front when one is named ("Europe/Berlin:20250301T090000").
    """
    found: dict[str, str] = {}
    component = ""
    inner = 0
    for line in _FOLD.sub("", text[:_LONGEST]).splitlines():
        name, parameters, value = _split(line)
        if name == "BEGIN" and value.upper() in _COMPONENTS and not component:
            component = value.upper()
        elif name in {"BEGIN", "END"} and component:
            inner += 1 if name == "BEGIN" else -1
            if inner < 0:
                break
        elif name == "METHOD" and not component:
            found.setdefault("METHOD", value.strip())
        elif component and not inner and name in {"SUMMARY", "DTSTART", "DTEND", "DUE", "DURATION"}:
            found.setdefault(name, _value(name, parameters, value))
    if not component and "METHOD" not in found:
        return None
    return Calendar(
        method=found.get("METHOD", method).upper(),
        summary=found.get("SUMMARY", ""),
        start=found.get("DTSTART", ""),
        end=found.get("DTEND") or found.get("DUE") or found.get("DURATION", ""),
    )


def _split(line: str) -> tuple[str, str, str]:
    """Name, parameters and value of a content line; colons inside quoted parameters do not count."""
    quoted = False
    for index, char in enumerate(line):
        if char == '"':
            quoted = not quoted
        elif char == ":" and not quoted:
            name, _, parameters = line[:index].partition(";")
            return name.strip().upper(), parameters, line[index + 1 :]
    return "", "", ""


def _value(name: str, parameters: str, value: str) -> str:
    if name == "SUMMARY":
        return " ".join(_ESCAPE.sub(_unescape, value).split())
    for parameter in parameters.split(";"):
        key, _, zone = parameter.partition("=")
        if key.strip().upper() == "TZID" and zone:
            return zone.strip(' "') + ":" + value.strip()
    return value.strip()


def _unescape(match: re.Match[str]) -> str:
    return "\n" if match[1] in "nN" else match[1]
