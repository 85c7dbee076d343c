"""Fixtures for all tests: real data where it is, no sockets outside loopback, a clean environment."""

import os
import socket
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEST_DATA = Path(os.environ.get("INSTRUCTGEN_TEST_DATA", ROOT / "../shared/data"))


@pytest.fixture
def data_dir():
    """The folder of real data; the test is skipped, and says so, where it is absent."""
    if not TEST_DATA.is_dir():
        pytest.skip(f"REAL DATA ABSENT: {TEST_DATA} (set INSTRUCTGEN_TEST_DATA)")
    return TEST_DATA


@pytest.fixture(autouse=True)
def _only_loopback(monkeypatch):
    """A connection outside loopback fails the test that makes it."""
    real = socket.socket.connect

    def connect(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test tried to reach {address}")
        return real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    """Keys and endpoints of whoever runs the tests play no part in them."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HF_TOKEN", "HF_ENDPOINT", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
