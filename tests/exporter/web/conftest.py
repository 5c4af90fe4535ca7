"""What the tests of web configurations share."""

import shutil
from pathlib import Path

import pytest

from tests.exporter.web.certificates import SPOILT, World, world


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Authorities and certificates; none without the openssl program."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    return world(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def here(certificates: World, tmp_path: Path) -> Path:
    """A folder of the test's own with server.pem, server.key, ca.pem and others in it."""
    named = {
        "server.pem": certificates.server.cert,
        "server.key": certificates.server.key,
        "other.key": certificates.client.key,
        "ca.pem": certificates.good.cert,
        **{name: certificates.good.folder / name for name in SPOILT},
    }
    for name, source in named.items():
        shutil.copy(source, tmp_path / name)
        (tmp_path / name).chmod(0o600)
    return tmp_path
