"""The service on PostgreSQL: everything in one process, and by role in several."""

import base64
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from email.utils import make_msgid
from pathlib import Path

import psycopg
import pytest

from postroom.engine.lease import LEASE
from postroom.engine.worker import SWEEP_SECONDS
from postroom.sandbox.server import Sandbox
from tests.support.commands import postroom
from tests.support.databases import Cluster
from tests.support.sandboxed import ADA, answer_to, letter, mailbox_environment, mails, plain_text, post
from tests.support.served import Served, eventually, start, start_worker

KEY = base64.b64encode(b"k" * 32).decode()
TOKEN = "incoming-token-of-the-tests"


@pytest.fixture
def database(postgresql: Cluster, tmp_path: Path) -> dict[str, str]:
    """The variables of a database that `postroom migrate` has made ready."""
    variables = {"POSTROOM_DATABASE_URL": postgresql.empty(), "POSTROOM_SECRET_KEY": KEY}
    done = postroom(tmp_path, "migrate", variables=variables)
    assert done.returncode == 0, done.stderr
    return variables


def ended(stack: ExitStack, service: Served) -> Served:
    """The service, ended with the stack."""
    stack.callback(service.kill)
    return service


def test_migrating_twice_changes_nothing_and_a_start_without_it_is_refused(
    postgresql: Cluster, tmp_path: Path
) -> None:
    variables = {"POSTROOM_DATABASE_URL": postgresql.empty(), "POSTROOM_SECRET_KEY": KEY}
    refused = postroom(tmp_path, "serve", variables=variables | {"POSTROOM_PORT": "0"})
    assert refused.returncode == 1
    assert "run postroom migrate" in refused.stderr
    assert "Traceback" not in refused.stderr
    for _ in range(2):
        assert postroom(tmp_path, "migrate", variables=variables).returncode == 0
    with psycopg.connect(variables["POSTROOM_DATABASE_URL"]) as connection:
        row = connection.execute("SELECT count(*), count(DISTINCT name) FROM bell_migrations").fetchone()
    assert row is not None
    assert row[0] == row[1] > 30


def test_the_roles_of_many_processes_need_postgresql(tmp_path: Path) -> None:
    refused = postroom(tmp_path, "worker")
    assert refused.returncode == 2
    assert refused.stderr.startswith("POSTROOM_DATABASE_URL: ")
    assert "postroom serve" in refused.stderr
    assert not (tmp_path / "data").exists()


def test_one_process_answers_over_a_restart_of_the_database(
    database: dict[str, str], postgresql: Cluster, mailboxes: Sandbox, tmp_path: Path
) -> None:
    variables = database | mailbox_environment(mailboxes, "pg-one@postroom.test")
    variables["POSTROOM_ALLOW_HOSTS"] = "127.0.0.0/8"
    with ExitStack() as stack:
        service = ended(stack, start(tmp_path, variables))
        first = post(mailboxes, letter("pg-one@postroom.test", "Before", "one"))
        assert plain_text(answer_to(mailboxes, first))
        postgresql.restart(signal.SIGINT)
        second = post(mailboxes, letter("pg-one@postroom.test", "After", "two"))
        assert plain_text(answer_to(mailboxes, second))
        assert service.stop() == 0
    answered = [m["In-Reply-To"] for m in mails(mailboxes, ADA)]
    assert [answered.count(mail["Message-ID"]) for mail in (first, second)] == [1, 1]


def test_an_api_and_two_workers_share_the_work_and_one_that_dies_is_replaced(
    database: dict[str, str], mailboxes: Sandbox, tmp_path: Path
) -> None:
    variables = database | mailbox_environment(mailboxes, "pg-many@postroom.test")
    variables |= {"POSTROOM_ALLOW_HOSTS": "127.0.0.0/8", "POSTROOM_INCOMING_TOKEN": TOKEN}
    with ExitStack() as stack:
        workers = [ended(stack, start_worker(tmp_path, variables)) for _ in range(2)]
        api = ended(stack, start(tmp_path, variables, command="api"))
        with api.client() as client:
            shown = eventually(
                lambda: len(found := client.get("/api/workers").json()["items"]) == 2 and found
            )
            assert {worker["role"] for worker in shown} == {"worker"}
            assert sum(worker["accounts"] for worker in shown) == 1
        first = post(mailboxes, letter("pg-many@postroom.test", "To whoever watches", "one"))
        answer_to(mailboxes, first)
        watching = watching_process(database["POSTROOM_DATABASE_URL"], workers)
        watching.kill()
        killed = time.monotonic()
        second = post(mailboxes, letter("pg-many@postroom.test", "To the other", "two"))
        answer_to(mailboxes, second)
        assert time.monotonic() - killed < 20
        sent = send(api, "pg-many@postroom.test")
        eventually(lambda: any(m["Message-ID"] == f"<{sent}>" for m in mails(mailboxes, ADA)))
        with bells_switched_off(database["POSTROOM_DATABASE_URL"]):
            handed = hand_in(api, "pg-many@postroom.test")
            answered_by(mailboxes, handed, seconds=SWEEP_SECONDS + 15)
        answered_by(mailboxes, hand_in(api, "pg-many@postroom.test"), seconds=SWEEP_SECONDS / 2)
        (left,) = (worker for worker in workers if worker is not watching)
        assert left.stop() == 0
        assert api.stop() == 0


def test_a_turn_that_is_cut_short_is_taken_over_before_its_lease_ends(
    database: dict[str, str], mailboxes: Sandbox, tmp_path: Path
) -> None:
    variables = database | mailbox_environment(mailboxes, "pg-over@postroom.test")
    variables["POSTROOM_ALLOW_HOSTS"] = "127.0.0.0/8"
    agent = "python:tests.support.bots:"
    with ExitStack() as stack:
        leaving = ended(stack, start_worker(tmp_path, variables | {"POSTROOM_AGENT": f"{agent}endless"}))
        eventually(lambda: mailboxes.world.account("pg-over@postroom.test")["INBOX"].watched)
        mail = post(mailboxes, letter("pg-over@postroom.test", "Never here", "one"))
        eventually(lambda: claimed(database["POSTROOM_DATABASE_URL"]))
        staying = ended(stack, start_worker(tmp_path, variables | {"POSTROOM_AGENT": f"{agent}short"}))
        began = time.monotonic()
        assert leaving.stop() == 0
        stopped = time.monotonic()
        assert stopped - began < 20
        assert plain_text(answer_to(mailboxes, mail)) == "at last"
        assert time.monotonic() - stopped < LEASE.total_seconds() / 2
        began = time.monotonic()
        assert staying.stop() == 0
        assert time.monotonic() - began < 5


def claimed(url: str) -> bool:
    with psycopg.connect(url) as connection:
        return bool(connection.execute("SELECT FROM threads WHERE lease_owner IS NOT NULL").rowcount)


def watching_process(url: str, workers: list[Served]) -> Served:
    """The worker that holds the account."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT owner FROM holdings WHERE owner IS NOT NULL").fetchone()
    assert row is not None
    pid = int(row[0].split(":")[1])
    return next(worker for worker in workers if worker.process.pid == pid)


@contextmanager
def bells_switched_off(url: str) -> Iterator[None]:
    """Nothing can be stored in procrastinate's table or taken from it."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE procrastinate_jobs RENAME TO procrastinate_jobs_away")
        try:
            yield
        finally:
            connection.execute("ALTER TABLE procrastinate_jobs_away RENAME TO procrastinate_jobs")


def hand_in(api: Served, address: str) -> str:
    """A mail of Ada's by the incoming webhook; its Message-ID."""
    message_id = make_msgid(domain="example.test")
    body = {
        "from_address": ADA,
        "to_address": address,
        "subject": "By webhook",
        "body": "Hello?",
        "message_id": message_id,
    }
    with api.client() as client:
        answer = client.post("/email/incoming", json=body, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 202, answer.text
    return message_id


def answered_by(mailboxes: Sandbox, message_id: str, seconds: float) -> None:
    """Wait until Ada has an answer to it."""
    eventually(lambda: any(m["In-Reply-To"] == message_id for m in mails(mailboxes, ADA)), seconds)


def send(api: Served, address: str) -> str:
    """Write to Ada by REST; the mail's Message-ID."""
    body = {"site_id": "default", "to": ADA, "subject": "First", "content": f"From {address}"}
    with api.client() as client:
        answer = client.post("/api/agents/tools/sendEmail", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["message_id"])
