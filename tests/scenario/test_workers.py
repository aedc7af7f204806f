"""Two processes over one PostgreSQL share the accounts, and what one leaves behind the other takes up."""

import base64
import json
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from postroom.sandbox.server import Sandbox
from tests.support.commands import postroom
from tests.support.databases import Cluster, postgresql
from tests.support.sandboxed import ADA, answer_to, letter, mails, post
from tests.support.served import Served, eventually, start

__all__ = ["postgresql"]

ACCOUNTS = [f"shared-{n}" for n in range(4)]
REBALANCED = 15.0


@pytest.fixture(scope="module")
def variables(
    tmp_path_factory: pytest.TempPathFactory, postgresql: Cluster, mailboxes: Sandbox
) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("migrate")
    return migrated(
        folder,
        {
            "POSTROOM_DATABASE_URL": postgresql.empty(),
            "POSTROOM_BLOBS_URL": tmp_path_factory.mktemp("blobs").as_uri(),
            "POSTROOM_SECRET_KEY": base64.b64encode(bytes(32)).decode(),
            "POSTROOM_ALLOW_HOSTS": "127.0.0.0/8",
            "POSTROOM_TLS_CA_FILE": str(mailboxes.ca_file),
        },
    )


def migrated(folder: Path, variables: dict[str, str]) -> dict[str, str]:
    """The same variables, their database brought up to date."""
    assert postroom(folder, "migrate", variables=variables).returncode == 0
    return variables


@pytest.fixture
def pair(tmp_path: Path, variables: Mapping[str, str], mailboxes: Sandbox) -> Iterator[tuple[Served, Served]]:
    processes: list[Served] = []
    try:
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            processes.append(start(tmp_path / name, variables))
        for site in ACCOUNTS:
            configure(processes[0], mailboxes, site)
        yield processes[0], processes[1]
    finally:
        for process in processes:
            if process.process.poll() is None:
                process.kill()


def configure(service: Served, mailboxes: Sandbox, site: str) -> None:
    channel = {
        "email": address(site),
        "incomingServer": mailboxes.host,
        "incomingPort": mailboxes.imap_port,
        "outgoingServer": mailboxes.host,
        "outgoingPort": mailboxes.smtp_port,
    }
    secret = {
        "site_id": site,
        "token_type": "email",
        "identifier": address(site),
        "value": mailboxes.password,
        "store_in_db": True,
    }
    with service.client() as admin:
        settings = {"channels": {"email": channel}}
        assert admin.patch(f"/api/sites/{site}/settings", json=settings).status_code == 200
        assert admin.post("/api/secure-tokens/encrypt", json=secret).status_code == 200


def address(site: str) -> str:
    return f"{site}@postroom.test"


def workers(service: Served) -> list[dict[str, Any]]:
    with service.client() as admin:
        items: list[dict[str, Any]] = admin.get("/api/workers").json()["items"]
    return items


def spread(service: Served) -> list[int]:
    return sorted(one["accounts"] for one in workers(service) if one["state"] == "live")


def all_watched(mailboxes: Sandbox) -> bool:
    return all(mailboxes.world.account(address(site))["INBOX"].watched for site in ACCOUNTS)


def test_b7_what_a_killed_worker_watched_is_answered_by_the_other_once(
    pair: tuple[Served, Served], mailboxes: Sandbox, variables: Mapping[str, str], tmp_path: Path
) -> None:
    one, two = pair
    eventually(lambda: spread(one) == [2, 2] and all_watched(mailboxes))
    first = [post(mailboxes, letter(address(site), "Before", "Hello")) for site in ACCOUNTS]
    answers = [answer_to(mailboxes, mail) for mail in first]
    killed = time.monotonic()
    one.kill()
    during = [post(mailboxes, letter(address(site), "After", "Hello again")) for site in ACCOUNTS]
    eventually(lambda: spread(two) == [4], REBALANCED)
    assert time.monotonic() - killed < REBALANCED
    answers += [answer_to(mailboxes, mail) for mail in during]
    assert [w["state"] for w in workers(two)].count("gone") == 1
    shown = postroom(tmp_path, "workers", variables=variables)
    assert re.search(r"serve\s+live\s+4 ", shown.stdout), shown.stdout
    assert re.search(r"serve\s+gone\s+0 ", shown.stdout)
    listed = json.loads(postroom(tmp_path, "workers", "--json", variables=variables).stdout)
    assert {item["id"] for item in listed["items"]} == {w["id"] for w in workers(two)}
    assert two.stop() == 0
    left = json.loads(postroom(tmp_path, "workers", "--json", variables=variables).stdout)["items"]
    assert [item["state"] for item in left] == ["gone"]
    inbox = [mail["In-Reply-To"] for mail in mails(mailboxes, ADA) if mail["In-Reply-To"]]
    assert sorted(inbox) == sorted(set(inbox))
    assert {mail["In-Reply-To"] for mail in answers} == {mail["Message-ID"] for mail in first + during}


def test_without_workers_it_says_so(
    tmp_path: Path, postgresql: Cluster, variables: Mapping[str, str]
) -> None:
    empty = migrated(tmp_path, {**variables, "POSTROOM_DATABASE_URL": postgresql.empty()})
    assert "nobody reads mail" in postroom(tmp_path, "workers", variables=empty).stdout
    assert postroom(tmp_path, "migrate").returncode == 0
    assert "watches every account itself" in postroom(tmp_path, "workers").stdout


def test_d11_workers_are_shown_to_admins_only(service: Served) -> None:
    with service.client() as admin:
        assert admin.get("/api/workers").json() == {"items": [], "next": None}
        made = admin.post("/api/keys", json={"site_id": "default"}).json()
    with service.client(made["key"]) as mine:
        assert mine.get("/api/workers").status_code == 403
