"""Environments for tests of the configuration: what is required, and what a wrong one is told."""

import base64
from collections.abc import Mapping
from pathlib import Path

import pytest

from postroom.config import ConfigError, Settings, load

REQUIRED = {
    "ENABLED_CLIENTS": "email",
    "EMAIL_SMTP_HOST": "smtp.example.com",
    "EMAIL_USER": "agent@example.com",
    "EMAIL_PASSWORD": "hunter2-canary",
}
KEY = base64.b64encode(bytes(range(32))).decode()
OTHER_KEY = base64.b64encode(bytes(32)).decode()


def settings(folder: Path, **variables: str) -> Settings:
    return load({**REQUIRED, **variables}, folder)


def faults(folder: Path, variables: Mapping[str, str]) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(variables, folder)
    assert list(folder.glob("postroom-data")) == []
    return caught.value.lines


def fault(folder: Path, **variables: str) -> str:
    lines = faults(folder, {**REQUIRED, **variables})
    assert len(lines) == 1, lines
    return lines[0]
