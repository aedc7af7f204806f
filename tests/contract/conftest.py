"""Fixtures that several contract suites share."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path

import pytest
import uvloop

from tests.support.certificates import CertificateAuthority
from tests.support.databases import postgresql  # noqa: F401 - fixture
from tests.support.reading import Reader
from tests.support.scripted_smtp import ScriptedSmtp
from tests.support.submitting import PATIENT, SHORT, Client, MakeServer


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """The certificate authority that the clients under test trust."""
    folder: Path = tmp_path_factory.mktemp("authority")
    return CertificateAuthority(folder)


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every suite is run on asyncio's own loop and on uvloop, which the service runs on."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
def reader(authority: CertificateAuthority) -> Reader:
    """A mailbox reader, with deadlines short enough to wait for."""
    return Reader(authority)


@pytest.fixture
async def client(authority: CertificateAuthority) -> AsyncIterator[Client]:
    """A submission client that waits as long as a loaded machine may need."""
    made = Client(authority.client_context(), PATIENT)
    yield made
    await made.submission.close()


@pytest.fixture
async def hasty(authority: CertificateAuthority) -> AsyncIterator[Client]:
    """A submission client with deadlines short enough to wait for."""
    made = Client(authority.client_context(), SHORT)
    yield made
    await made.submission.close()


@pytest.fixture
def server(authority: CertificateAuthority) -> MakeServer:
    """Makes scripted submission servers."""
    return partial(ScriptedSmtp, tls=authority.localhost().context())
