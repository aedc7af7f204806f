"""docs/reference/environment.md tells of every variable, with the defaults that the program has."""

import re
from pathlib import Path

import pytest

from postroom.config import Settings, load
from postroom.variables import HINTS, KNOWN, SECRETS

PAGE = (Path(__file__).parents[2] / "docs/reference/environment.md").read_text(encoding="utf-8")
ROWS: list[tuple[str, str, str]] = re.findall(r"^\| (`[A-Z].*?) \| (.*?) \| (.+) \|$", PAGE, re.MULTILINE)
NAMED: list[str] = [name for cell, _, _ in ROWS for name in re.findall(r"`([A-Z_]+)`", cell)]


def default(name: str) -> str:
    """What the page gives as the default, without its quotes; of several in one row, the one of this name."""
    for cell, told, _ in ROWS:
        names = [found for found in re.findall(r"`([A-Z_]+)`", cell) if not found.endswith("_FILE")]
        if name in names:
            values = told.split(", ")
            return (values[names.index(name)] if len(values) == len(names) else told).strip("`")
    raise AssertionError(f"{name} is not on the page")


def test_every_variable_has_its_row_and_no_other_has() -> None:
    files = {f"{name}_FILE" for name in SECRETS}
    assert len(NAMED) == len(set(NAMED))
    assert set(NAMED) == set(HINTS) | files
    assert set(NAMED) == set(KNOWN)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POSTROOM_HOST", Settings().host),
        ("POSTROOM_PORT", Settings().port),
        ("POSTROOM_LOG_LEVEL", Settings().log_level),
        ("POSTROOM_LOG_FORMAT", Settings().log_format),
        ("EMAIL_POLL_INTERVAL_SECONDS", int(Settings().poll_seconds)),
    ],
)
def test_the_defaults_are_those_of_the_program(name: str, value: object) -> None:
    assert default(name) == str(value)


def test_the_defaults_of_the_mailbox_are_those_of_the_program(tmp_path: Path) -> None:
    # A row with its NAME_FILE names the variable itself first.
    required = {cell.split("`")[1] for cell, told, _ in ROWS if told == "required"}
    assert required == {"EMAIL_USER", "EMAIL_PASSWORD", "EMAIL_SMTP_HOST"}
    given = {"ENABLED_CLIENTS": "email", "EMAIL_IMAP_HOST": "imap.example.com"}
    given |= dict.fromkeys(required, "agent@example.com") | {"EMAIL_SMTP_HOST": "smtp.example.com"}
    email = load(given, tmp_path).email
    assert email is not None
    assert default("EMAIL_SMTP_PORT") == str(email.channel.outgoing_port)
    assert default("EMAIL_IMAP_PORT") == str(email.channel.incoming_port)
    assert default("EMAIL_FROM_ADDRESS") == "EMAIL_USER"
    assert email.channel.email == given["EMAIL_USER"]
    assert email.document.get("start", "now") == default("EMAIL_START")
