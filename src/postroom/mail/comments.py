"""Comments in structured fields: parentheses, and others inside them (RFC 5322 section 3.2.2)."""

import re

_PARENTHESES = re.compile(r"\\.|[()]", re.DOTALL)


def end_of(value: str, start: int) -> int:
    """Where the comment that opens at `start` ends; -1 when nothing closes it. Linear."""
    depth = 0
    for match in _PARENTHESES.finditer(value, start):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if depth == 0:
            return match.end()
    return -1


def without_leading(value: str) -> str:
    """`value` without the white space and comments before its first word; one left open is kept."""
    start = 0
    while start < len(value) and (value[start].isspace() or value[start] == "("):
        after = end_of(value, start) if value[start] == "(" else start + 1
        if after < 0:
            break
        start = after
    return value[start:]
