"""Reads text/plain with format=flowed (RFC 3676)."""


def unflow(text: str, delsp: bool = False) -> str:
    """Paragraphs joined into lines, space-stuffing undone; quoted lines keep their `>` marks.

    `delsp`: the space before a soft break belongs to the break (DelSp=yes), as in languages that
    write without spaces. Lines end in "\\n".
    """
    out: list[str] = []
    paragraph: list[str] = []
    depth = 0
    for line in text.split("\n"):
        level, content = _split_quote(line)
        if paragraph and (level != depth or content == "-- "):
            out.append(_marked(depth, "".join(paragraph).rstrip(" ")))
            paragraph = []
        depth = level
        if content.endswith(" ") and content != "-- ":
            paragraph.append(content[:-1] if delsp else content)
        else:
            out.append(_marked(depth, "".join(paragraph) + content))
            paragraph = []
    if paragraph:
        out.append(_marked(depth, "".join(paragraph).rstrip(" ")))
    return "\n".join(out)


def _split_quote(line: str) -> tuple[int, str]:
    content = line.lstrip(">")
    return len(line) - len(content), content.removeprefix(" ")


def _marked(depth: int, content: str) -> str:
    if not depth:
        return content
    return ">" * depth + (f" {content}" if content else "")
