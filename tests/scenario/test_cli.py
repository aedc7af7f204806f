"""The command line, each command as a process of its own."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from postroom.sandbox.server import Sandbox
from tests.support.commands import postroom
from tests.support.sandboxed import ADA, answer_to, letter, mailbox_environment, mails, plain_text, post
from tests.support.served import Served, served

COMMANDS = [
    ["serve"],
    ["check"],
    ["migrate"],
    ["demo"],
    ["send"],
    ["threads"],
    ["show"],
    ["keys", "create"],
    ["keys", "list"],
    ["keys", "revoke"],
    ["secrets", "rotate"],
]
HEAVY = (
    "sqlalchemy",
    "fastapi",
    "pydantic",
    "cryptography",
    "uvicorn",
    "httpx2",
    "aiosmtplib",
    "postroom.service",
)
MAILBOX = "cli@postroom.test"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def variables(mailboxes: Sandbox) -> dict[str, str]:
    return {**mailbox_environment(mailboxes, MAILBOX), "POSTROOM_AGENT": "python:tests.world.bot:words"}


@pytest.fixture(scope="module")
def service(folder: Path, variables: dict[str, str]) -> Iterator[Served]:
    """A service that runs while the commands are given."""
    with served(folder, variables) as running_service:
        yield running_service


@pytest.fixture(scope="module")
def talk(service: Served, mailboxes: Sandbox) -> EmailMessage:
    """A conversation with a subject that a terminal would obey."""
    mail = post(
        mailboxes, letter(MAILBOX, "Prices\x1b]0;owned\x07 \N{RIGHT-TO-LEFT OVERRIDE}exe", "one\x1b[2J two")
    )
    return answer_to(mailboxes, mail)


def document(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


# --- help and usage


def test_help_starts_fast_because_it_imports_nothing_heavy() -> None:
    asked = "import sys, postroom.cli; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=True
    ).stdout.split()
    assert [name for name in HEAVY if name in found] == []


def test_help_lists_every_command(tmp_path: Path) -> None:
    ended = postroom(tmp_path, "--help")
    assert ended.returncode == 0
    for command in COMMANDS:
        assert re.search(rf"^│ {command[0]} ", ended.stdout, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_teaches_by_example(tmp_path: Path, command: list[str]) -> None:
    ended = postroom(tmp_path, *command, "--help")
    assert ended.returncode == 0
    _, _, rest = ended.stdout.partition(f"Usage: postroom {' '.join(command)}")
    assert f"postroom {' '.join(command)}" in rest
    assert list(tmp_path.iterdir()) == []


def test_the_version_is_told(tmp_path: Path) -> None:
    ended = postroom(tmp_path, "--version")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", ended.stdout)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["sned"], "No such command 'sned'. Did you mean 'send'? See `postroom --help`."),
        (["send"], "Missing option '--to'. See `postroom send --help`."),
        (["show"], "Missing argument 'ID'. See `postroom show --help`."),
        (["threads", "--limit", "0"], "See `postroom threads --help`."),
        (["send", "--to", "a@b.example", "--subject", "x", "--attach", "no-such-file"], "no-such-file"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(tmp_path: Path, arguments: list[str], told: str) -> None:
    ended = postroom(tmp_path, *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    [line] = ended.stderr.splitlines()
    assert told in line


# --- empty states and things that do not exist


@pytest.mark.parametrize(
    "arguments",
    [
        ["threads"],
        ["show", "thr_x"],
        ["keys", "list"],
        ["keys", "revoke", "key_x"],
        ["secrets", "rotate"],
        ["check"],
    ],
    ids=" ".join,
)
def test_where_nothing_is_stored_commands_say_so_and_make_nothing(
    tmp_path: Path, arguments: list[str]
) -> None:
    ended = postroom(tmp_path, *arguments)
    assert (ended.returncode, ended.stdout) == (1, "")
    [line] = ended.stderr.splitlines()
    assert line.startswith("there is no database at ")
    assert "POSTROOM_DATA_DIR" in line
    assert list(tmp_path.iterdir()) == []


def test_empty_lists_are_told_in_words_and_in_json(tmp_path: Path, variables: dict[str, str]) -> None:
    assert postroom(tmp_path, "migrate").stdout == "The database is up to date.\n"
    assert document(postroom(tmp_path, "migrate", "--json").stdout) == {"migrated": True}
    assert "postroom keys create" in postroom(tmp_path, "keys", "list").stdout
    assert document(postroom(tmp_path, "keys", "list", "--json").stdout) == {"items": [], "next": None}
    assert postroom(tmp_path, "check", variables=variables).returncode == 0  # makes the site known
    assert postroom(tmp_path, "threads", variables=variables).stdout == "No conversations yet.\n"
    listed = postroom(tmp_path, "threads", "--json", variables=variables)
    assert document(listed.stdout) == {"items": [], "next": None}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["show", "thr_nosuch"],
            "there is no such thread or message. `postroom threads` lists what there is.",
        ),
        (
            ["show", "msg_nosuch"],
            "there is no such thread or message. `postroom threads` lists what there is.",
        ),
        (["show", "sub_nosuch"], "there is no such submission"),
        (["threads", "--site", "nosuch"], "there is no such site"),
        (["check", "--site", "nosuch"], "there is no such site"),
        (["send", "--site", "nosuch", "--to", ADA, "--subject", "x", "y"], "there is no such site"),
        (["keys", "revoke", "key_nosuch"], "there is no such key"),
        (["send", "--to", "nobody", "--subject", "x", "y"], "/to: "),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_what_does_not_exist_is_one_line_and_exit_code_1(
    service: Served, folder: Path, variables: dict[str, str], arguments: list[str], told: str
) -> None:
    ended = postroom(folder, *arguments, variables=variables)
    assert (ended.returncode, ended.stdout) == (1, "")
    [line] = ended.stderr.splitlines()
    assert line.startswith(told)


# --- check


def test_a3_check_tells_of_both_servers(folder: Path, service: Served, variables: dict[str, str]) -> None:
    ended = postroom(folder, "check", variables=variables)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.count("ok: connected and logged in") == 2
    checked = document(postroom(folder, "check", "--json", variables=variables).stdout)
    assert (checked["success"], checked["imap"]["code"], checked["smtp"]["code"]) == (True, "ok", "ok")
    assert checked["imap"]["latency_ms"] >= 0


def test_a3_check_tells_what_is_wrong_and_changes_nothing_that_runs(
    folder: Path, service: Served, variables: dict[str, str]
) -> None:
    wrong = {**variables, "EMAIL_PASSWORD": "wrong-canary", "EMAIL_SMTP_PORT": "1"}
    ended = postroom(folder, "check", variables=wrong)
    assert ended.returncode == 1
    assert "auth_failed" in ended.stdout
    assert "connect_failed" in ended.stdout
    assert "wrong-canary" not in ended.stdout + ended.stderr
    assert document(postroom(folder, "check", "--json", variables=wrong).stdout)["success"] is False
    with service.client() as client:
        settings = client.get("/api/sites/default/settings").json()
    assert settings["channels"]["email"]["outgoingPort"] == int(variables["EMAIL_SMTP_PORT"])


# --- send, threads, show


def test_a4_send_sends_and_its_thread_can_be_shown(
    folder: Path, service: Served, variables: dict[str, str], mailboxes: Sandbox
) -> None:
    figures = folder / "figures.csv"
    figures.write_text("a,b\n1,2\n")
    ended = postroom(
        folder,
        *("send", "--to", "bob@example.test", "--cc", "carol@example.test", "--bcc", "dan@example.test"),
        *("--subject", "Figures", "--attach", str(figures), "--json", "Here they are, **all** of them."),
        variables=variables,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    sent = document(ended.stdout)
    assert sent["status"] == "sent"
    assert set(sent["recipients"]) == {"bob@example.test", "carol@example.test", "dan@example.test"}
    for address in sent["recipients"]:
        [mail] = mails(mailboxes, address)
        assert mail["Message-ID"] == f"<{sent['message_id']}>"
        assert "dan@example.test" not in f"{mail['To']} {mail['Cc']} {mail['Bcc']}"
        assert plain_text(mail) == "Here they are, **all** of them."
        assert [part.get_content() for part in mail.iter_attachments()] == ["a,b\n1,2\n"]
    shown = document(postroom(folder, "show", sent["thread_id"], "--json", variables=variables).stdout)
    assert [item["subject"] for item in shown["items"]] == ["Figures"]
    told = postroom(folder, "show", sent["id"], variables=variables).stdout
    assert "bob@example.test: accepted 250" in told


def test_send_reads_its_text_from_standard_input_and_says_what_became_of_it(
    folder: Path, service: Served, variables: dict[str, str], mailboxes: Sandbox
) -> None:
    to = ("--to", "erin@example.test", "--subject", "Grüße")
    ended = postroom(folder, "send", *to, "-", variables=variables, stdin="Aus der *Röhre*\n")
    assert ended.returncode == 0
    assert ended.stdout.startswith("sent  sub_")
    assert plain_text(mails(mailboxes, "erin@example.test")[0]) == "Aus der *Röhre*"


def test_a4_one_idempotency_key_sends_once(
    folder: Path, service: Served, variables: dict[str, str], mailboxes: Sandbox
) -> None:
    arguments = (
        "send",
        "--to",
        "frank@example.test",
        "--subject",
        "Once",
        "--idempotency-key",
        "k1",
        "--json",
        "x",
    )
    first, second = (document(postroom(folder, *arguments, variables=variables).stdout) for _ in range(2))
    assert first["id"] == second["id"]
    assert len(mails(mailboxes, "frank@example.test")) == 1


def test_what_mail_brings_does_not_reach_the_terminal_as_commands(
    folder: Path, service: Served, variables: dict[str, str], talk: EmailMessage
) -> None:
    listed = document(postroom(folder, "threads", "--json", variables=variables).stdout)
    thread = next(item for item in listed["items"] if item["subject"].startswith("Prices"))
    table = postroom(folder, "threads", variables=variables).stdout
    shown = postroom(folder, "show", thread["id"], variables=variables).stdout
    assert "Prices" in table
    assert "2 words; history 0" in shown
    assert "answered" in shown
    for text in (table, shown):
        assert not {"\x1b", "\x07", "\N{RIGHT-TO-LEFT OVERRIDE}"} & set(text)


# --- keys


def test_d11_keys_are_made_listed_and_revoked_while_the_service_runs(
    folder: Path, service: Served, variables: dict[str, str]
) -> None:
    made = document(
        postroom(folder, "keys", "create", "--label", "laptop", "--json", variables=variables).stdout
    )
    with service.client(made["key"]) as client:
        assert client.get("/api/sites").status_code == 200
        listed = postroom(folder, "keys", "list", variables=variables).stdout
        assert made["id"] in listed
        assert "laptop" in listed
        assert made["key"] not in listed
        assert postroom(folder, "keys", "revoke", made["id"], variables=variables).stdout == "Revoked.\n"
        assert client.get("/api/sites").status_code == 401
    assert "revoked" in postroom(folder, "keys", "list", variables=variables).stdout


def test_d11_a_key_for_a_site_reaches_that_site_alone(
    folder: Path, service: Served, variables: dict[str, str]
) -> None:
    made = postroom(folder, "keys", "create", "--site", "default", variables=variables)
    assert made.stderr == "Keep it: it is not shown again.\n"
    with service.client(made.stdout.strip()) as client:
        assert client.get("/api/sites/default").status_code == 200
        assert client.get("/api/keys").status_code == 403
