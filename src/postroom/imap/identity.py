"""Who a server says it is (RFC 2971)."""

from postroom.imap.exchange import Untagged
from postroom.imap.responses import Data
from postroom.imap.tokens import as_text


class IdClaim:
    """Takes the ID response; `fields` has its keys in lower case."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}

    def __call__(self, response: Untagged) -> bool:
        if not isinstance(response, Data) or response.name != "ID":
            return False
        values = response.values[0] if response.values else None
        if isinstance(values, tuple):
            texts = [as_text(value) for value in values]
            self.fields = {key.lower(): text for key, text in zip(texts[::2], texts[1::2], strict=False)}
        return True
