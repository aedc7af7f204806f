"""What the engine takes from the bytes of an arrival before anything is decided."""

from datetime import UTC, datetime

import pytest

from postroom.core.model import Source
from postroom.engine.read import Arrived, read

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("return_path", "kind"), [("", ""), (" ", ""), ("<>", "automatic"), ("<ada@example.org>", "")]
)
def test_d7_only_an_envelope_that_names_nobody_is_automatic(return_path: str, kind: str) -> None:
    raw = (
        f"Return-Path: {return_path}\r\nFrom: ada@example.org\r\nTo: desk@example.net\r\n"
        "Subject: Opening hours\r\n\r\nHello, when do you open?\r\n"
    ).encode()
    arrived = Arrived(Source.MAILBOX, raw, received_at=NOW, size=len(raw))
    assert read("site", arrived, (), b"secret", NOW).message.automatic == kind
