"""Whole chains over real HTTP: those that were given, and our own, each for rules of the facts.

Every host of a chain is one local server. The guard lets nothing else through, so what a chain
says of private addresses is tested at the same time.
"""

import json
from pathlib import Path

import pytest

from vast import chain_files
from vast.chain_expectations import check
from vast.chain_files import Chain
from vast.chain_server import served
from xsp.session.v1 import session_context_pb2 as pb_session
from xsp.vast.v1 import resolution_pb2 as pb
from xsp_server.upstream.documents import Documents
from xsp_server.upstream.fetch import GuardedFetcher
from xsp_server.upstream.guard import AddressGuard, GuardSettings
from xsp_server.upstream.session import Session, SessionContext
from xsp_server.vast.resolver import VastChainResolver

CHAINS = [
    pytest.param(folder / name, id=f"{folder.name}/{name}")
    for folder in (chain_files.GIVEN, chain_files.OWN)
    for name in chain_files.names(folder)
]


class LocalUpstream:
    """Fetches for real, and takes every host of a chain to be this machine."""

    def __init__(self, chain: Chain) -> None:
        guard = AddressGuard(GuardSettings(allow_hosts=tuple(chain.hosts())))
        self.connections = GuardedFetcher(guard, look_up=_look_up)
        self.fetcher = Documents(self.connections)
        self.sources = chain.sources()

    def open_session(self, user_id: str | None) -> Session:
        return Session(SessionContext.from_message(pb_session.SessionContext(user_id=user_id)))


async def _look_up(host: str, _port: int) -> list[str]:
    assert host.endswith(".test")
    return ["127.0.0.1"]


async def resolve(chain: Chain) -> pb.Resolution:
    upstream = LocalUpstream(chain)
    told = chain.session()
    try:
        return await VastChainResolver(upstream).resolve(
            options=chain.options(),
            macros=chain.macros(),
            session=told and Session(SessionContext.from_message(told)),
        )
    finally:
        await upstream.connections.close()


@pytest.mark.parametrize("folder", CHAINS)
async def test_a_chain_ends_as_its_file_says(folder: Path) -> None:
    async with served(folder) as server:
        resolution = await resolve(server.chain)
    check(resolution, server)
    elapsed = resolution.elapsed.ToTimedelta().total_seconds() * 1000
    assert elapsed < server.chain.expected.get("max_elapsed_ms", 10_000)


def test_every_rule_has_a_chain_of_ours_that_shows_it() -> None:
    index = json.loads((chain_files.OWN / "index.json").read_bytes())
    ours = {each["name"] for each in index["scenarios"]}
    assert len(index["rules"]) == 34
    for rule in index["rules"]:
        assert rule["scenarios"], rule["rule"]
        assert set(rule["scenarios"]) <= ours


def test_the_index_names_every_folder() -> None:
    index = json.loads((chain_files.OWN / "index.json").read_bytes())
    folders = {each.name for each in chain_files.OWN.iterdir() if each.is_dir()}
    assert {each["name"] for each in index["scenarios"]} == folders
