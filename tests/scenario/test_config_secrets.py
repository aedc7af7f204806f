"""B1: secrets come from the environment or from files, whole, and are never shown."""

from pathlib import Path

import pytest

from postroom.config import load
from postroom.variables import SECRETS
from tests.support.environment import KEY, OTHER_KEY, REQUIRED, fault, faults, settings

SECRET_VALUES = {
    "EMAIL_PASSWORD": "pass word",
    "POSTROOM_DATABASE_URL": "postgresql://user:pw@db.example.com/postroom",
    "POSTROOM_SECRET_KEY": KEY,
    "POSTROOM_API_KEY": "an-admin-key-of-some-length",
    "POSTROOM_AGENT_SECRET": "signing secret",
    "POSTROOM_AGENT_API_KEY": "provider-key",
    "POSTROOM_INCOMING_TOKEN": "incoming token",
}


@pytest.mark.parametrize("name", SECRETS)
def test_b1_each_secret_may_come_from_a_file_without_its_last_newline(tmp_path: Path, name: str) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET_VALUES[name] + "\n")
    extra = {"POSTROOM_SECRET_KEY": KEY} if name == "POSTROOM_DATABASE_URL" else {}
    variables = {**REQUIRED, **extra, f"{name}_FILE": str(file)}
    if name in REQUIRED:
        del variables[name]
    direct = {**REQUIRED, **extra, name: SECRET_VALUES[name]}
    assert load(variables, tmp_path) == load(direct, tmp_path)


@pytest.mark.parametrize("name", SECRETS)
def test_b1_a_secret_and_its_file_together_are_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET_VALUES[name])
    extra = {"POSTROOM_SECRET_KEY": KEY} if name == "POSTROOM_DATABASE_URL" else {}
    line = fault(tmp_path, **{**extra, name: SECRET_VALUES[name], f"{name}_FILE": str(file)})
    assert line == f"{name}: is set, and {name}_FILE too; set one of them"


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe", b"x" * 70_000])
def test_b1_a_file_that_holds_no_secret_is_told_by_the_name_of_its_variable(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    variables = {**REQUIRED, f"{name}_FILE": str(file)}
    variables.pop(name, None)
    [line] = faults(tmp_path, variables)
    assert line.startswith(f"{name}_FILE: the file ")
    assert line.endswith("; name a readable text file with the secret in it")


def test_b1_a_file_may_be_named_from_the_current_directory(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("pw")
    variables = {**REQUIRED, "EMAIL_PASSWORD": "", "EMAIL_PASSWORD_FILE": "password"}
    read = load(variables, tmp_path)
    assert read.email is not None
    assert read.email.password == "pw"


@pytest.mark.parametrize(
    ("written", "meant"), [("pw\n", "pw"), ("pw\r\n", "pw"), ("pw\n\n", "pw\n"), (" pw \n", " pw ")]
)
def test_b1_only_one_newline_is_dropped_from_a_file(tmp_path: Path, written: str, meant: str) -> None:
    (tmp_path / "password").write_bytes(written.encode())
    read = load({**REQUIRED, "EMAIL_PASSWORD": "", "EMAIL_PASSWORD_FILE": "password"}, tmp_path)
    assert read.email is not None
    assert read.email.password == meant


def test_b1_spaces_around_a_secret_are_kept_and_around_other_values_dropped(tmp_path: Path) -> None:
    read = settings(
        tmp_path,
        EMAIL_PASSWORD=" pass word ",
        POSTROOM_INCOMING_TOKEN=" t ",
        EMAIL_USER=" agent@example.com ",
    )
    assert read.email is not None
    assert read.email.password == " pass word "
    assert read.incoming_token == " t "
    assert read.email.channel.login == "agent@example.com"


def test_b1_secrets_are_never_shown(tmp_path: Path) -> None:
    values = {name: value for name, value in SECRET_VALUES.items() if name != "POSTROOM_DATABASE_URL"}
    shown = repr(settings(tmp_path, **values))
    lines = " ".join(
        faults(tmp_path, {**REQUIRED, **values, "POSTROOM_PORT": "x", "POSTROOM_SECRET_KEY": "s3cr3t"})
    )
    for value in (*values.values(), "s3cr3t", "hunter2-canary"):
        assert value not in shown
        assert value not in lines


def test_b1_postgresql_needs_a_key_for_secrets(tmp_path: Path) -> None:
    url = "postgresql://user:hunter3@db.example.com/postroom"
    line = fault(tmp_path, POSTROOM_DATABASE_URL=url)
    assert line.startswith("POSTROOM_SECRET_KEY: is missing, and required with PostgreSQL; ")
    read = settings(tmp_path, POSTROOM_DATABASE_URL=url, POSTROOM_SECRET_KEY=f"{KEY}, {OTHER_KEY}")
    assert not read.embedded
    assert read.key_ring is not None
    assert len(read.key_ring.keys) == 2
