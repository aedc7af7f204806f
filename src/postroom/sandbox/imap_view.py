"""One client's view of a mailbox: its sequence numbers stay as they are until it was told of changes."""

from collections.abc import Iterator

from postroom.sandbox.mailboxes import MailFolder, StoredMail


class View:
    """A selected mailbox."""

    def __init__(self, folder: MailFolder, *, writable: bool) -> None:
        self.folder = folder
        self.writable = writable
        self._mails = list(folder.mails)
        self._flags = {mail.uid: mail.flags for mail in self._mails}

    def numbered(self) -> Iterator[tuple[int, StoredMail]]:
        """Every message that the client knows of, with its sequence number."""
        return iter(list(enumerate(self._mails, 1)))

    def chosen(self, ranges: str, *, by_uid: bool) -> list[tuple[int, StoredMail]]:
        """The messages of a sequence set such as `1:5,7,9:*` (RFC 9051 section 9). Raises `ValueError`."""
        highest = (self._mails[-1].uid if by_uid else len(self._mails)) if self._mails else 0
        spans = [_span(part, highest) for part in ranges.split(",")]
        return [
            (number, mail)
            for number, mail in self.numbered()
            if any(low <= (mail.uid if by_uid else number) <= high for low, high in spans)
        ]

    def flag(self, mail: StoredMail, flags: frozenset[str]) -> None:
        """Set flags on the client's own wish, of which it need not be told again."""
        self.folder.flag(mail, flags)
        self._flags[mail.uid] = flags

    def news(self) -> Iterator[str]:
        """What changed since the client was last told, as untagged responses; told herewith."""
        there = set(self.folder.mails)
        for number, mail in reversed(list(self.numbered())):
            if mail not in there:
                del self._mails[number - 1], self._flags[mail.uid]
                yield f"* {number} EXPUNGE"
        for number, mail in self.numbered():
            if self._flags[mail.uid] != mail.flags:
                self._flags[mail.uid] = mail.flags
                yield f"* {number} FETCH (UID {mail.uid} FLAGS {flag_list(mail.flags)})"
        if len(self.folder.mails) > len(self._mails):
            self._mails = list(self.folder.mails)
            self._flags = {mail.uid: mail.flags for mail in self._mails}
            yield f"* {len(self._mails)} EXISTS"


def flag_list(flags: frozenset[str]) -> str:
    """Flags as a parenthesised list."""
    return f"({' '.join(sorted(flags))})"


def _span(part: str, highest: int) -> tuple[int, int]:
    first, _, last = part.partition(":")
    ends = [highest if end == "*" else int(end) for end in (first, last or first)]
    return min(ends), max(ends)
