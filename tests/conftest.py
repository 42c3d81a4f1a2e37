"""What every test runs under: one thread, no network, reproducible property tests, the folder of real photos."""

import os
import socket
import sys
from pathlib import Path

# Before anybody imports torch. Results are bit-exact for one thread count only, and the tests' tensors are
# too small to gain from a second thread. Programs that a test starts inherit it.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
from hypothesis import settings

# The photos and paintings that the project trains on: kept beside the checkout, not in it.
SHARED = Path(__file__).resolve().parents[2] / "shared"

# Fixed examples and no deadline: a failure must come back on the next run, and a slow machine is no failure.
settings.register_profile("stylebank", derandomize=True, deadline=None, database=None)
settings.load_profile("stylebank")


def _refuse_network(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect" and getattr(arguments[0], "family", None) != socket.AF_UNIX:
        raise AssertionError(
            f"a test opened a connection to {arguments[1]}; StyleBank works without a network"
        )


sys.addaudithook(_refuse_network)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked `shared` where the folder is missing."""
    if not SHARED.is_dir():
        for item in items:
            if item.get_closest_marker("shared"):
                item.add_marker(pytest.mark.skip(reason=f"needs the project's photos in {SHARED}"))


@pytest.fixture
def shared() -> Path:
    """The folder of photos and paintings; for tests marked `shared`."""
    return SHARED
