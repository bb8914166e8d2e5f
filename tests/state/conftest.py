"""One store after the other for the suite of behaviour."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from state.backends import BACKENDS, Factory
from state.play import Play
from xsp_server.state.backend import StateBackend


@pytest.fixture(params=BACKENDS)
def open_backend(request: pytest.FixtureRequest) -> Factory:
    """What opens an empty store, for tests that run event loops of their own."""
    return BACKENDS[request.param]


@pytest.fixture
async def backend(
    open_backend: Factory, request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[StateBackend]:
    """An empty store."""
    async with open_backend(request, tmp_path) as opened:
        yield opened


@pytest.fixture
def play(backend: StateBackend) -> Play:
    """Moves of one book of an empty store, with times counted from `play.T0`."""
    return Play(backend)
