"""What people and programs are told of the accounts: by REST, on the command line, as metrics."""

import asyncio
import json
import re
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from postroom.api.loop_lag import LoopLag
from tests.scenario.watch.postbox import Postbox
from tests.scenario.watch.rig import address_of, until
from tests.scenario.watch.test_connections import refuse
from tests.support.certificates import CertificateAuthority
from tests.support.commands import postroom
from tests.support.in_thread import running
from tests.support.served import Served, eventually, served


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("accounts")


@pytest.fixture(scope="module")
def service(folder: Path, authority: CertificateAuthority) -> Iterator[Served]:
    variables = {
        "POSTROOM_ALLOW_HOSTS": "127.0.0.0/8",
        "POSTROOM_TLS_CA_FILE": str(authority.ca_file),
    }
    with served(folder, variables) as running_service:
        yield running_service


@pytest.fixture(scope="module")
def sites(service: Served, tls: ssl.SSLContext) -> Iterator[httpx2.Client]:
    """An account that is read, one whose password is wrong, one that has none; gives the way to ask."""
    with running(Postbox(tls)) as good, running(Postbox(tls)) as bad, service.client() as admin:
        bad.on["AUTHENTICATE"] = refuse
        _connect(admin, "good", good.address[1])
        _connect(admin, "wrong", bad.address[1])
        _connect(admin, "bare", good.address[1], password="")
        eventually(lambda: _account(admin, "good")["state"] == "watching")
        eventually(lambda: _account(admin, "wrong")["state"] == "auth_failed")
        eventually(lambda: _account(admin, "bare")["state"] == "stopped")
        yield admin


def _connect(admin: httpx2.Client, site: str, port: int, password: str = "secret") -> None:
    account = {
        "email": address_of(site),
        "incomingServer": "localhost",
        "incomingPort": port,
        "incomingSecurity": "tls",
    }
    settings = {"channels": {"email": account}}
    assert admin.patch(f"/api/sites/{site}/settings", json=settings).status_code == 200
    token = {"site_id": site, "token_type": "email", "identifier": address_of(site), "store_in_db": True}
    if password:
        assert admin.post("/api/secure-tokens/encrypt", json=token | {"value": password}).status_code == 200


def _account(admin: httpx2.Client, site: str) -> dict[str, Any]:
    found: dict[str, Any] = admin.get(f"/api/sites/{site}").json()["account"] or {"state": None}
    return found


def test_rest_tells_state_times_and_the_last_error_in_words(sites: httpx2.Client) -> None:
    good, wrong = _account(sites, "good"), _account(sites, "wrong")
    assert good["since"]
    assert good["last_sync_at"] >= good["since"]
    assert (good["next_try_at"], good["last_error"]) == (None, None)
    assert wrong["next_try_at"] > wrong["since"]
    assert wrong["last_error"]["code"] == "auth_failed"
    assert "password" in wrong["last_error"]["detail"]
    listed = {item["id"]: item["account"]["state"] for item in sites.get("/api/sites").json()["items"]}
    assert {"good": "watching", "wrong": "auth_failed", "bare": "stopped"}.items() <= listed.items()


def test_the_command_line_shows_a_table_and_json(sites: httpx2.Client, folder: Path) -> None:
    table = postroom(folder, "accounts")
    assert (table.returncode, table.stderr) == (0, "")
    rows = {line.split()[0]: line for line in table.stdout.splitlines() if line.strip()}
    assert re.search(r"good@postroom\.test +watching +\d{4}-", rows["good"])
    assert re.search(r"auth failed +\d{4}-.* refused ", rows["wrong"])
    one = json.loads(postroom(folder, "accounts", "--site", "wrong", "--json").stdout)
    assert [item["id"] for item in one["items"]] == ["wrong"]
    assert one["items"][0]["account"]["last_error"] == _account(sites, "wrong")["last_error"]
    unknown = postroom(folder, "accounts", "--site", "nobody")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "no such site" in unknown.stderr


def test_the_command_line_says_when_there_is_nothing_yet(tmp_path: Path) -> None:
    assert postroom(tmp_path, "keys", "create").returncode == 0
    ended = postroom(tmp_path, "accounts")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "No sites yet" in ended.stdout
    assert json.loads(postroom(tmp_path, "accounts", "--json").stdout) == {"items": [], "next": None}


def test_metrics_count_accounts_by_state_and_measure_the_loops_lag(
    sites: httpx2.Client, service: Served
) -> None:
    with service.client(key=None) as nobody:
        text = nobody.get("/metrics").text
    for state in ("watching", "auth_failed", "stopped"):
        assert re.search(rf'^postroom_accounts\{{state="{state}"\}} 1\.0$', text, re.MULTILINE)
    count = re.search(r"^postroom_event_loop_lag_seconds_count (\S+)$", text, re.MULTILINE)
    assert count is not None
    assert float(count[1]) >= 1


async def test_a_loop_that_was_held_up_shows() -> None:
    lag = LoopLag(0.01)
    looking = asyncio.create_task(lag.run())
    await asyncio.sleep(0)
    time.sleep(0.15)  # noqa: ASYNC251 - what must not happen in a loop
    await until(lambda: _late(lag))
    looking.cancel()


def _late(lag: LoopLag) -> bool:
    """Whether a sample was more than 0.1 s late."""
    samples = [sample for metric in lag.histogram.collect() for sample in metric.samples]
    total = next(s.value for s in samples if s.name.endswith("_count"))
    early = next(s.value for s in samples if s.labels.get("le") == "0.1")
    return total > early
