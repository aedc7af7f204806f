"""What the tests of watching share."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.scenario.watch.postbox import Postbox
from tests.scenario.watch.rig import Rig, SwiftClock, open_rig
from tests.support.certificates import CertificateAuthority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    folder: Path = tmp_path_factory.mktemp("authority")
    return CertificateAuthority(folder)


@pytest.fixture(scope="module")
def tls(authority: CertificateAuthority) -> ssl.SSLContext:
    """A server's side of TLS."""
    return authority.localhost().context()


@pytest.fixture
async def box(tls: ssl.SSLContext) -> AsyncIterator[Postbox]:
    """A mailbox server."""
    async with Postbox(tls) as server:
        yield server


@pytest.fixture
async def rig(tmp_path: Path, authority: CertificateAuthority) -> AsyncIterator[Rig]:
    """The engine at work, by the system's clock."""
    async with open_rig(tmp_path, authority) as running:
        yield running


@pytest.fixture
async def swift(tmp_path: Path, authority: CertificateAuthority) -> AsyncIterator[Rig]:
    """The engine at work, by a clock that runs a hundred times faster."""
    async with open_rig(tmp_path, authority, clock=SwiftClock()) as running:
        yield running
