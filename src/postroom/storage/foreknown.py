"""What a batch of arrivals is going to ask for, looked up at once: most mail is new and cites nothing."""

from collections.abc import Collection, Iterable

from sqlalchemy import bindparam, literal_column, select

from postroom.storage.dialect import among
from postroom.storage.statements import Connection, Statement
from postroom.storage.tables import messages

_KNOWN_IDS = Statement(
    select(messages.c.message_key).where(
        messages.c.site_id == bindparam("site"), among(messages.c.message_key, "keys")
    )
)
_KNOWN_CONTENTS = Statement(
    select(messages.c.content_key).where(
        messages.c.site_id == bindparam("site"),
        messages.c.message_key == literal_column("''"),
        among(messages.c.content_key, "keys"),
    )
)


class Foreknown:
    """Which messages of a site there are, as far as was asked; what is added since is told to `note`.

    A message goes by the key of its Message-ID, one without by its content.
    """

    def __init__(self) -> None:
        self._asked: set[tuple[str, str]] = set()
        self._known: set[tuple[str, str]] = set()

    def ask(
        self, connection: Connection, site_id: str, ids: Collection[str], contents: Collection[str]
    ) -> None:
        """Look up messages with these keys of Message-IDs, and those without one and with these contents."""
        self._asked |= {(key, "") for key in ids} | {("", content) for content in contents}
        if ids:
            found = connection.scalars(_KNOWN_IDS, {"site": site_id, "keys": ids})
            self._known |= {(key, "") for key in found}
        if contents:
            found = connection.scalars(_KNOWN_CONTENTS, {"site": site_id, "keys": contents})
            self._known |= {("", content) for content in found}

    def note(self, key: str, content: str) -> None:
        """There is one now."""
        self._known.add((key, "") if key else ("", content))

    def maybe(self, key: str, content: str = "") -> bool:
        """Whether there may be one; False is certain."""
        name = (key, "") if key else ("", content)
        return name in self._known or name not in self._asked

    def maybe_any(self, keys: Iterable[str]) -> bool:
        """Whether there may be one with any of these keys of Message-IDs."""
        return any(self.maybe(key) for key in keys)
