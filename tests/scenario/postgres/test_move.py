"""`postroom move`: an embedded set-up goes to PostgreSQL, and nothing is answered twice."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from postroom.adapters.vault import KeyRing
from postroom.agents.python import PythonAgent
from postroom.config import Settings
from postroom.core.model import MessageState
from postroom.datadir import held_data_directory
from postroom.service import Service, opened
from tests.support.clock import START, TestClock
from tests.support.commands import postroom
from tests.support.databases import Cluster
from tests.support.office import SITE, US, Office, mail, open_office, say_hello

PASSWORD = "canary-of-a-password"


@pytest.fixture
async def left(tmp_path: Path) -> tuple[str, str]:
    """Where a service ran: one conversation is answered, another waits; their messages."""
    async with open_office(tmp_path) as office:
        await office.service.accounts.seal(SITE, "email", US, PASSWORD, store=True, may_create=True)
        answered = await office.work(await office.arrive(mail(subject="Answered")))
        waits = await office.arrive(mail(subject="Waits"))
        return answered.id, waits.message.id


def moved_settings(folder: Path, url: str) -> Settings:
    """As the command says at its end."""
    key = (folder / "data" / "secret-key").read_text().strip()
    return Settings(data_dir=folder / "data", database_url=url, key_ring=KeyRing.parse(key))


async def submissions(service: Service) -> int:
    return len((await service.store.lists.submissions(SITE, {}, None, 200)).items)


async def test_everything_goes_along_and_nothing_is_answered_twice(
    tmp_path: Path, postgresql: Cluster, left: tuple[str, str]
) -> None:
    answered, waits = left
    url = postgresql.empty()
    done = postroom(tmp_path, "move", "--to", url, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["tables"]["messages"] == 3
    assert told["rows"] == sum(told["tables"].values())
    assert (tmp_path / "data" / "secret-key").read_text().strip() not in done.stdout
    assert [word for line in told["next"] for word in line.split() if word.startswith("POSTROOM_")]
    clock = TestClock(START + timedelta(hours=1))
    async with opened(moved_settings(tmp_path, url), PythonAgent(say_hello), clock=clock) as service:
        office = Office(service, clock)
        for message_id in (answered, waits):
            found = await office.message(message_id)
            await service.answerer.look(found.thread_id)
            assert (await office.message(message_id)).state is MessageState.ANSWERED
            assert await service.blobs.get(found.raw)
        assert await submissions(service) == 2
        assert await service.credentials.find(SITE, "email", US) == PASSWORD
    refused = postroom(tmp_path, "serve")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("POSTROOM_DATABASE_URL: ")
    again = postroom(tmp_path, "move", "--to", url)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.startswith("It was moved there before.")
    assert f"{tmp_path / 'data' / 'secret-key'}" in again.stdout


@pytest.mark.usefixtures("left")
def test_while_the_service_runs_nothing_is_moved(tmp_path: Path, postgresql: Cluster) -> None:
    url = postgresql.empty()
    with held_data_directory(tmp_path / "data"):
        refused = postroom(tmp_path, "move", "--to", url)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "in use by another running Postroom" in refused.stderr


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("sqlite:////tmp/other.db", "must name a PostgreSQL database"),
        ("postgresql://me:secret@/x?host=/nonexistent", "the database cannot be used now"),
        ("nonsense:secret", "cannot be read"),
    ],
)
@pytest.mark.usefixtures("left")
def test_a_target_that_cannot_be_is_told_in_one_line_without_its_password(
    tmp_path: Path, to: str, why: str
) -> None:
    refused = postroom(tmp_path, "move", "--to", to)
    assert (refused.returncode, refused.stdout) == (1, "")
    [line] = refused.stderr.splitlines()
    assert why in line
    assert "secret" not in line
    assert not (tmp_path / "data" / "moved").exists()


def test_where_nothing_is_nothing_is_made(tmp_path: Path) -> None:
    refused = postroom(tmp_path, "move", "--to", "postgresql:///x")
    assert refused.returncode == 1
    assert "there is no database at" in refused.stderr
    assert list(tmp_path.iterdir()) == []
