"""`postroom serve`: how it starts, which keys it makes, how those change, and how it ends."""

import base64
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from postroom.sandbox.server import Sandbox
from tests.support.commands import postroom
from tests.support.sandboxed import ADA, answer_to, letter, mailbox_environment, mails, plain_text, post
from tests.support.served import Served, clean_environment, eventually, served

OLD, NEW = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
NO_KEY = {"POSTROOM_API_KEY": ""}


def entries(service: Served) -> list[dict[str, Any]]:
    return [json.loads(line) for line in service.log_text().splitlines()]


def status(service: Served, key: str) -> int:
    """What the API answers to this key."""
    with service.client(key) as client:
        return client.get("/api/sites").status_code


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


# --- first start


def test_the_first_start_makes_both_keys_for_their_owner_alone_and_says_where(tmp_path: Path) -> None:
    with served(tmp_path, NO_KEY) as service:
        told = {entry["event"]: entry.get("file") for entry in entries(service)}
        key_file, admin_file = service.data / "secret-key", service.data / "admin-key"
        assert told["secret_key.made"] == str(key_file)
        assert told["admin_key.made"] == str(admin_file)
        assert (mode(key_file), mode(admin_file), mode(service.data)) == (0o600, 0o600, 0o700)
        key = admin_file.read_text().strip()
        with service.client(key) as client:
            assert client.get("/api/sites").status_code == 200
        for secret in (key, key_file.read_text().strip()):
            assert secret not in service.log_text()
            assert secret.encode() not in b"".join(
                path.read_bytes() for path in service.data.glob("postroom.db*")
            )
        assert service.stop() == 0
    with served(tmp_path, NO_KEY) as again:
        assert {"secret_key.made", "admin_key.made"} & {entry["event"] for entry in entries(again)} == set()
        with again.client(key) as client:
            assert client.get("/api/sites").status_code == 200


def test_on_a_terminal_the_admin_key_is_shown_once_and_written_nowhere(tmp_path: Path) -> None:
    first = terminal_output(tmp_path)
    shown = [line for line in first.splitlines() if line.startswith("Admin key, shown this once: pr_")]
    assert len(shown) == 1
    assert not (tmp_path / "data" / "admin-key").exists()
    assert "Admin key" not in terminal_output(tmp_path)
    key = shown[0].rpartition(" ")[2].strip()
    with served(tmp_path, NO_KEY) as service, service.client(key) as client:
        assert client.get("/api/sites").status_code == 200


def terminal_output(folder: Path) -> str:
    """What a person sees who starts the service in a terminal, until it listens."""
    ours, theirs = pty.openpty()
    variables = {"POSTROOM_DATA_DIR": str(folder / "data"), "POSTROOM_PORT": "0", "NO_COLOR": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "postroom", "serve"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env=clean_environment(variables),
    )
    os.close(theirs)
    seen = ""
    while "api.listening" not in seen:
        seen += os.read(ours, 65_536).decode()
    process.terminate()
    assert process.wait(20) == 0
    os.close(ours)
    return seen


def test_the_environments_admin_key_is_taken_and_the_one_before_it_falls(tmp_path: Path) -> None:
    first, second = "first-key-of-the-operator", "second-key-of-the-operator"
    with served(tmp_path, {"POSTROOM_API_KEY": first}) as service:
        assert not (service.data / "admin-key").exists()
        service.stop()
    with served(tmp_path, {"POSTROOM_API_KEY": second}) as service:
        assert [status(service, key) for key in (first, second)] == [401, 200]


def test_a_channel_that_is_not_switched_on_is_told(tmp_path: Path) -> None:
    with served(tmp_path, {"EMAIL_USER": "agent@example.com"}) as service:
        notes = [entry["note"] for entry in entries(service) if entry["event"] == "configuration.note"]
    assert notes == ["ENABLED_CLIENTS: is not set, so EMAIL_USER has no effect; set it to email"]


# --- what refuses a start


def test_a_second_start_on_the_same_directory_is_refused(tmp_path: Path) -> None:
    with served(tmp_path) as service:
        ended = postroom(tmp_path, "serve", variables={"POSTROOM_PORT": "0"})
        assert ended.returncode == 2
        assert ended.stderr == (
            "POSTROOM_DATA_DIR: is in use by another running Postroom; "
            "stop that one first, or give this one a directory of its own\n"
        )
        assert httpx2.get(f"{service.url}/healthz").status_code == 200


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = postroom(tmp_path, "serve", variables={"POSTROOM_PORT": port})
    assert (ended.returncode, ended.stderr) == (
        2,
        "POSTROOM_PORT: is in use; stop what listens there, or give another port\n",
    )


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"POSTROOM_HOST": "192.0.2.1"}, "POSTROOM_HOST: is no address that can be listened on; "),
        ({"POSTROOM_HOST": "no such host"}, "POSTROOM_HOST: is no address that can be listened on; "),
        ({"POSTROOM_DATA_DIR": "/dev/null/data"}, "POSTROOM_DATA_DIR: cannot be made; "),
        ({"POSTROOM_DATABASE_URL": "sqlite:////dev/null/no.db"}, "the database "),
    ],
)
def test_a_place_that_cannot_be_used_is_one_line(
    tmp_path: Path, variables: dict[str, str], told: str
) -> None:
    ended = postroom(tmp_path, "serve", variables={"POSTROOM_PORT": "0", **variables})
    assert ended.returncode in (1, 2)
    [line] = ended.stderr.splitlines()
    assert line.startswith(told)


def test_another_key_than_the_databases_own_is_told(tmp_path: Path) -> None:
    with served(tmp_path, {"POSTROOM_SECRET_KEY": OLD}) as service:
        service.stop()
    ended = postroom(tmp_path, "serve", variables={"POSTROOM_SECRET_KEY": NEW, "POSTROOM_PORT": "0"})
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert line.startswith("this database was encrypted with another key. Set POSTROOM_SECRET_KEY")
    assert NEW not in line


def test_a_key_that_is_missing_is_told_and_none_is_made_in_its_place(tmp_path: Path) -> None:
    with served(tmp_path) as service:
        service.stop()
    kept = (tmp_path / "data" / "secret-key").rename(tmp_path / "kept")
    ended = postroom(tmp_path, "serve", variables={"POSTROOM_PORT": "0"})
    assert ended.returncode == 2
    assert ended.stderr.startswith(
        "POSTROOM_SECRET_KEY: is missing: this database was encrypted with another key"
    )
    assert not (tmp_path / "data" / "secret-key").exists()
    kept.rename(tmp_path / "data" / "secret-key")
    with served(tmp_path) as service:
        assert service.stop() == 0


def test_a_damaged_key_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "secret-key").write_text("canary-not-a-key\n")
    ended = postroom(tmp_path, "serve", variables={"POSTROOM_PORT": "0"})
    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert line.startswith("POSTROOM_DATA_DIR: its file secret-key holds no keys: ")
    assert "canary" not in line


# --- a change of keys


def test_secrets_are_rotated_while_the_service_runs_and_the_old_key_can_go(
    tmp_path: Path, mailboxes: Sandbox
) -> None:
    outside = {"POSTROOM_TLS_CA_FILE": str(mailboxes.ca_file), "POSTROOM_ALLOW_HOSTS": "127.0.0.0/8"}
    with served(tmp_path, {**outside, "POSTROOM_SECRET_KEY": OLD}) as service:
        store_account(service, mailboxes, "acme@postroom.test")
        service.stop()
    both = {**outside, "POSTROOM_SECRET_KEY": f"{NEW},{OLD}"}
    with served(tmp_path, both) as service:
        assert checked(service) is True
        rotated = postroom(tmp_path, "secrets", "rotate", "--json", variables=both)
        assert json.loads(rotated.stdout) == {"rewrapped": 3, "secrets": 3}
        assert checked(service) is True
        service.stop()
    again = postroom(tmp_path, "secrets", "rotate", variables=both)
    assert again.stdout == "0 of 3 secrets were re-wrapped; all are under the newest key now.\n"
    with served(tmp_path, {**outside, "POSTROOM_SECRET_KEY": NEW}) as service:
        assert checked(service) is True
    refused = postroom(tmp_path, "threads", variables={"POSTROOM_SECRET_KEY": OLD})
    assert refused.stderr.startswith("this database was encrypted with another key")


def store_account(service: Served, mailboxes: Sandbox, address: str) -> None:
    channel = {
        "email": address,
        "incomingServer": mailboxes.host,
        "incomingPort": mailboxes.imap_port,
        "outgoingServer": mailboxes.host,
        "outgoingPort": mailboxes.smtp_port,
    }
    token = {"site_id": "acme", "token_type": "email", "identifier": address, "value": mailboxes.password}
    with service.client() as client:
        settings = {"channels": {"email": channel}}
        assert client.patch("/api/sites/acme/settings", json=settings).status_code == 200
        sealed = client.post("/api/secure-tokens/encrypt", json={**token, "store_in_db": True})
        assert sealed.status_code == 200


def checked(service: Served) -> object:
    with service.client() as client:
        body = {"site_id": "acme", "use_saved_credentials": True}
        return client.post("/api/agents/email/check", json=body).json()["success"]


# --- how it ends


def busy(service: Served) -> bool:
    with service.client() as client:
        items = client.get("/api/sites/default/messages", params={"state": "due"}).json()["items"]
    return any(item["attempts"] for item in items)


def answering(folder: Path, mailboxes: Sandbox, agent: str, name: str) -> dict[str, str]:
    return {
        **mailbox_environment(mailboxes, f"{name}@postroom.test"),
        "POSTROOM_AGENT": f"python:tests.support.bots:{agent}",
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_when_nothing_is_to_be_done(tmp_path: Path, number: signal.Signals) -> None:
    with served(tmp_path) as service:
        began = time.monotonic()
        service.process.send_signal(number)
        assert service.process.wait(20) == 0
        assert time.monotonic() - began < 5
        assert [entry["event"] for entry in entries(service)][-2:] == ["service.stopping", "service.stopped"]


def test_a_signal_lets_a_running_turn_finish(tmp_path: Path, mailboxes: Sandbox) -> None:
    with served(tmp_path, answering(tmp_path, mailboxes, "short", "finishing")) as service:
        mail = post(mailboxes, letter("finishing@postroom.test", "Wait for me", "x"))
        eventually(lambda: busy(service))
        assert service.stop() == 0
        assert plain_text(answer_to(mailboxes, mail)) == "at last"


@pytest.mark.parametrize("agent", ["endless", "blocking"])
def test_a_second_signal_ends_it_at_once_whatever_an_agent_does(
    tmp_path: Path, mailboxes: Sandbox, agent: str
) -> None:
    name = f"hurried-{agent}"
    with served(tmp_path, answering(tmp_path, mailboxes, agent, name)) as service:
        post(mailboxes, letter(f"{name}@postroom.test", "Hurry", "x"))
        begun(service, agent)
        service.process.terminate()
        # Signals that come before the first was heard are one signal.
        with pytest.raises(subprocess.TimeoutExpired):
            service.process.wait(0.5)
        began = time.monotonic()
        service.process.terminate()
        assert service.process.wait(20) == 0
        assert time.monotonic() - began < 2


def begun(service: Served, agent: str) -> None:
    """Return when the agent has the mail; one that blocks everything no longer lets the API say so."""
    if agent == "endless":
        eventually(lambda: busy(service))
        return

    def silent() -> bool:
        try:
            httpx2.get(f"{service.url}/healthz", timeout=1)
        except httpx2.TimeoutException:
            return True
        return False

    eventually(silent)


def test_one_signal_ends_it_within_20_seconds_and_what_was_unfinished_is_taken_up_again(
    tmp_path: Path, mailboxes: Sandbox
) -> None:
    address = "overlong@postroom.test"
    with served(tmp_path, answering(tmp_path, mailboxes, "endless", "overlong")) as service:
        mail = post(mailboxes, letter(address, "Never", "x"))
        eventually(lambda: busy(service))
        began = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - began < 20
        assert "service.cut_short" in service.log_text()
    with served(tmp_path, answering(tmp_path, mailboxes, "short", "overlong")):
        assert plain_text(answer_to(mailboxes, mail)) == "at last"
    assert len([m for m in mails(mailboxes, ADA) if m["In-Reply-To"] == mail["Message-ID"]]) == 1
