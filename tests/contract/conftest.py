"""Fixtures that several contract suites share."""

from pathlib import Path

import pytest

from tests.support.certificates import CertificateAuthority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """The certificate authority that the clients under test trust."""
    folder: Path = tmp_path_factory.mktemp("authority")
    return CertificateAuthority(folder)
