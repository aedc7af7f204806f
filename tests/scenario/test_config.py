"""B1: the environment is read strictly and argues back, one clear line a fault."""

import base64
from pathlib import Path

import pytest

from postroom.agents.spec import HttpSpec
from postroom.config import load
from postroom.variables import HINTS, SECRETS
from tests.support.commands import postroom
from tests.support.environment import KEY, REQUIRED, fault, faults, settings

WRONG = [
    ("ENABLED_CLIENTS", "email,telegram"),
    ("EMAIL_SMTP_HOST", "smtp.example.com/path"),
    ("EMAIL_SMTP_PORT", "smtp"),
    ("EMAIL_SMTP_PORT", "0"),
    ("EMAIL_SMTP_PORT", "65536"),
    ("EMAIL_SMTP_PORT", "٥٨٧"),
    ("EMAIL_SMTP_SECURITY", "ssl"),
    ("EMAIL_USER", "agent\x07@example.com"),
    ("EMAIL_FROM_ADDRESS", "agent"),
    ("EMAIL_FROM_ADDRESS", "agent@example.com, other@example.com"),
    ("EMAIL_ALIASES", "info@example.com,sales"),
    ("EMAIL_ALIASES", "agent@example.com"),
    ("EMAIL_IMAP_HOST", "imaps://imap.example.com"),
    ("EMAIL_IMAP_PORT", "-1"),
    ("EMAIL_IMAP_SECURITY", "none"),
    ("EMAIL_POLL_INTERVAL_SECONDS", "0"),
    ("EMAIL_POLL_INTERVAL_SECONDS", "1.5"),
    ("EMAIL_START", "yesterday"),
    ("POSTROOM_PORT", "http"),
    ("POSTROOM_PUBLIC_URL", "agent.example.com"),
    ("POSTROOM_DATABASE_URL", "mysql://user:hunter3@localhost/db"),
    ("POSTROOM_DATABASE_URL", "postroom.db"),
    ("POSTROOM_BLOBS_URL", "ftp://example.com"),
    ("POSTROOM_BLOBS_URL", "file://relative/path"),
    ("POSTROOM_SECRET_KEY", "not base64!"),
    ("POSTROOM_SECRET_KEY", base64.b64encode(bytes(31)).decode()),
    ("POSTROOM_SECRET_KEY", f"{KEY},"),
    ("POSTROOM_API_KEY", "tiny"),
    ("POSTROOM_API_KEY", "with a space in it, twenty"),
    ("POSTROOM_AGENT", "robot"),
    ("POSTROOM_AGENT", "python:module"),
    ("POSTROOM_AGENT", "http:"),
    ("POSTROOM_AGENT", "llm:"),
    ("POSTROOM_AGENT_BASE_URL", "localhost:11434"),
    ("POSTROOM_TLS_CA_FILE", "no-such-file.pem"),
    ("POSTROOM_ALLOW_HOSTS", "10.0.0.1/8"),
    ("POSTROOM_ALLOW_HOSTS", "mail server"),
    ("POSTROOM_LOG_LEVEL", "loud"),
    ("POSTROOM_LOG_FORMAT", "xml"),
]


def test_b1_what_is_required_is_enough(tmp_path: Path) -> None:
    read = settings(tmp_path)
    assert read.email is not None
    channel = read.email.channel
    assert (channel.email, channel.login) == ("agent@example.com", "agent@example.com")
    assert (channel.outgoing_server, channel.outgoing_port) == ("smtp.example.com", 587)
    assert (channel.smtp_security, channel.incoming_server) == ("starttls", None)
    assert read.email.password == "hunter2-canary"
    assert read.poll_seconds == 60


def test_b1_every_optional_variable_is_heard(tmp_path: Path) -> None:
    read = settings(
        tmp_path,
        EMAIL_SMTP_PORT="465",
        EMAIL_FROM_ADDRESS="cleo@example.com",
        EMAIL_IMAP_HOST="IMAP.example.com",
        EMAIL_IMAP_PORT="143",
        EMAIL_POLL_INTERVAL_SECONDS="30",
        EMAIL_START="unseen",
    )
    assert read.email is not None
    channel = read.email.channel
    assert (channel.email, channel.login) == ("cleo@example.com", "agent@example.com")
    assert (channel.incoming_server, channel.imap_security) == ("imap.example.com", "starttls")
    assert channel.smtp_security == "tls"
    assert read.poll_seconds == 30
    assert read.email.document["start"] == "unseen"


def test_b1_security_can_be_said_against_the_port(tmp_path: Path) -> None:
    read = settings(
        tmp_path, EMAIL_SMTP_PORT="2465", EMAIL_SMTP_SECURITY="TLS", EMAIL_IMAP_SECURITY="starttls"
    )
    assert read.email is not None
    assert read.email.channel.smtp_security == "tls"
    assert read.email.channel.imap_security == "starttls"


@pytest.mark.parametrize(("name", "value"), WRONG, ids=lambda value: ascii(value)[:40])
def test_b1_a_wrong_value_is_one_line_with_name_fault_and_hint(tmp_path: Path, name: str, value: str) -> None:
    line = fault(tmp_path, **{name: value})
    assert line.startswith(f"{name}: ")
    assert line.endswith(f"; {HINTS[name]}")
    assert "\n" not in line
    if name in SECRETS:
        assert value not in line


def test_b1_all_faults_are_told_at_once(tmp_path: Path) -> None:
    lines = faults(tmp_path, {**REQUIRED, "EMAIL_SMTP_PORT": "x", "EMAIL_START": "x", "POSTROOM_PORT": "x"})
    assert [line.partition(":")[0] for line in lines] == ["POSTROOM_PORT", "EMAIL_SMTP_PORT", "EMAIL_START"]


@pytest.mark.parametrize("name", ["EMAIL_SMTP_HOST", "EMAIL_USER", "EMAIL_PASSWORD"])
@pytest.mark.parametrize("value", [None, "", "  "])
def test_b1_what_is_required_and_missing_or_empty_is_told(
    tmp_path: Path, name: str, value: str | None
) -> None:
    variables = {**REQUIRED, name: value or ""}
    if value is None:
        del variables[name]
    [line] = faults(tmp_path, variables)
    assert line == f"{name}: is missing, and required when ENABLED_CLIENTS has email; {HINTS[name]}"


@pytest.mark.parametrize("name", [name for name in HINTS if name != "ENABLED_CLIENTS"])
def test_b1_a_misspelt_variable_is_told_with_the_one_that_was_meant(tmp_path: Path, name: str) -> None:
    misspelt = name[:-2] + name[-1]
    line = fault(tmp_path, **{misspelt: "1"})
    assert line == f"{misspelt}: is not a known variable; did you mean {name}?"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("email_user", "did you mean EMAIL_USER?"),
        ("POSTROOM_QUUX_ZYZZYVA", "remove it"),
        ("EMAIL_USER_FILE", "only secrets are read from files, so set EMAIL_USER itself"),
        ("EMAIL_\n\x1b[2J", "remove it"),
    ],
)
def test_b1_an_unknown_variable_is_told(tmp_path: Path, name: str, hint: str) -> None:
    line = fault(tmp_path, **{name: "x"})
    assert hint in line
    assert line.isprintable()


def test_b1_a_misspelt_switch_is_told(tmp_path: Path) -> None:
    [line] = faults(tmp_path, {"ENABLED_CLIENT": "email"})
    assert line == "ENABLED_CLIENT: is not a known variable; did you mean ENABLED_CLIENTS?"


def test_b1_variables_of_others_are_left_alone(tmp_path: Path) -> None:
    assert settings(tmp_path, MY_EMAIL_USER="x", POSTROOMS="x", EMAILS="x", ENABLED_FEATURES="x").email


def test_b1_clients_are_a_list_and_an_unknown_one_is_named(tmp_path: Path) -> None:
    assert settings(tmp_path, ENABLED_CLIENTS=" , Email ,").email is not None
    assert "'telegram'" in fault(tmp_path, ENABLED_CLIENTS="email, telegram")


def test_b1_without_the_switch_the_channel_is_off_and_the_start_says_so(tmp_path: Path) -> None:
    variables = {name: value for name, value in REQUIRED.items() if name != "ENABLED_CLIENTS"}
    read = load(variables, tmp_path)
    assert read.email is None
    assert [note.partition(":")[0] for note in read.notes] == ["ENABLED_CLIENTS"]
    assert load({}, tmp_path).notes == ()
    assert settings(tmp_path).notes == ()


def test_b1_a_user_name_that_is_no_address_needs_an_address_beside_it(tmp_path: Path) -> None:
    line = fault(tmp_path, EMAIL_USER="agent")
    assert line.startswith("EMAIL_FROM_ADDRESS: is missing, and required when EMAIL_USER is no address; ")
    read = settings(tmp_path, EMAIL_USER="agent", EMAIL_FROM_ADDRESS="agent@example.com")
    assert read.email is not None
    assert (read.email.channel.login, read.email.channel.email) == ("agent", "agent@example.com")


def test_b1_the_address_may_have_a_display_name(tmp_path: Path) -> None:
    read = settings(tmp_path, EMAIL_FROM_ADDRESS="Cleo <cleo@example.com>")
    assert read.email is not None
    assert (read.email.channel.display_name, read.email.channel.email) == ("Cleo", "cleo@example.com")


def test_b1_lists_are_comma_separated(tmp_path: Path) -> None:
    read = settings(
        tmp_path,
        EMAIL_ALIASES=" info@example.com ,sales@example.com,, ",
        POSTROOM_ALLOW_HOSTS="10.0.0.0/8,*.lan",
    )
    assert read.email is not None
    assert read.email.channel.aliases == ("info@example.com", "sales@example.com")
    assert read.allow_hosts.name("mail.lan")


# --- Kubernetes


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POSTROOM_PORT", "tcp://10.96.0.12:8025"),
        ("POSTROOM_SERVICE_HOST", "10.96.0.12"),
        ("POSTROOM_SERVICE_PORT", "8025"),
        ("POSTROOM_SERVICE_PORT_HTTP", "8025"),
        ("POSTROOM_PORT_8025_TCP", "tcp://10.96.0.12:8025"),
        ("POSTROOM_PORT_8025_TCP_ADDR", "10.96.0.12"),
        ("POSTROOM_DB_SERVICE_HOST", "10.96.0.13"),
        ("EMAIL_SMTP_PORT", "tcp://10.96.0.14:25"),
    ],
)
def test_b1_what_kubernetes_sets_is_told_with_what_switches_it_off(
    tmp_path: Path, name: str, value: str
) -> None:
    line = fault(tmp_path, **{name: value})
    assert line.startswith(f"{name}: was set by Kubernetes")
    assert line.endswith("set enableServiceLinks: false in the pod's spec")


# --- .env


def test_b1_a_dotenv_file_is_read_and_the_process_environment_wins(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "# the agent's mailbox\n"
        "ENABLED_CLIENTS=email\n"
        "export EMAIL_SMTP_HOST=smtp.example.com\n"
        "EMAIL_USER='agent@example.com'\n"
        'EMAIL_PASSWORD="pa$$ ${HOME} word"\n'
        "POSTROOM_PORT=1\n"
        "OTHER_PROGRAM=x\n"
    )
    read = load({"POSTROOM_PORT": "2", "EMAIL_USER": ""}, tmp_path)
    assert read.email is not None
    assert read.email.password == "pa$$ ${HOME} word"
    assert read.email.channel.email == "agent@example.com"
    assert read.port == 2


def test_b1_a_misspelt_variable_in_the_dotenv_file_is_told(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("EMAIL_PASWORD=x\n")
    assert "did you mean EMAIL_PASSWORD?" in fault(tmp_path)


@pytest.mark.parametrize("content", [b"EMAIL_USER=a\n'broken\n", b"\xff\xfeE", None])
def test_b1_a_dotenv_file_that_cannot_be_read_is_told(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / ".env"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    line = fault(tmp_path)
    assert line.startswith(".env: ")
    assert "cannot be read; " in line


# --- the service itself


def test_the_service_has_defaults_for_everything(tmp_path: Path) -> None:
    read = load({}, tmp_path)
    assert (read.host, read.port, read.data_dir) == ("127.0.0.1", 8025, Path("postroom-data"))
    assert read.embedded
    assert (read.log_level, read.log_format) == ("info", "auto")


def test_the_service_takes_what_is_set(tmp_path: Path) -> None:
    read = load(
        {
            "POSTROOM_HOST": "::1",
            "POSTROOM_PORT": "0",
            "POSTROOM_AGENT": "http:https://agent.example.com/turns",
            "POSTROOM_LOG_LEVEL": "DEBUG",
        },
        tmp_path,
    )
    assert (read.host, read.port, read.log_level) == ("::1", 0, "debug")
    assert read.agent == HttpSpec("https://agent.example.com/turns")


# --- through the real process


def test_b1_a_wrong_environment_stops_the_start_with_a_line_each_and_stores_nothing(tmp_path: Path) -> None:
    wrong = {**dict(WRONG), "EMAIL_ALIASES": "sales", "EMAIL_PASWORD": "hunter2-canary"}
    ended = postroom(tmp_path, "serve", variables={**REQUIRED, **wrong})
    assert ended.returncode == 2
    lines = ended.stderr.splitlines()
    assert {line.partition(":")[0] for line in lines} == set(wrong)
    assert all("; " in line for line in lines)
    assert "Traceback" not in ended.stderr
    assert "hunter2" not in ended.stderr + ended.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["check", "threads", "migrate"])
def test_b1_every_command_tells_of_the_environment_alike(tmp_path: Path, command: str) -> None:
    ended = postroom(tmp_path, command, variables={"POSTROOM_PORT": "tcp://10.0.0.1:8025"})
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1
    assert "enableServiceLinks: false" in ended.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("agent", "told"),
    [
        ("python:no_such_module:answer", "there is no module no_such_module"),
        ("python:os:answer", "the module os has no answer"),
        ("python:os.path:join", "must be async"),
    ],
)
def test_an_agent_that_cannot_be_built_stops_the_start_before_anything_is_stored(
    tmp_path: Path, agent: str, told: str
) -> None:
    ended = postroom(tmp_path, "serve", variables={"POSTROOM_AGENT": agent, "POSTROOM_PORT": "0"})
    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert line.startswith("POSTROOM_AGENT: ")
    assert told in line
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"lock"}
