"""Where a key is: on the one server, or on one of a cluster.

In a cluster each key has a slot, and each slot a server. The map of slots is asked for with the
first call and after each failure; a server that a slot has left says where it went (MOVED), and one
that a slot is leaving says so for one call (ASK). Neither has done anything then, so that to follow
them is no repetition.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, Protocol
from zlib import crc32

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)

from xsp_server.state.backend import StoreAway
from xsp_server.state.redis.link import Link, Request

Address = tuple[str, int]
"""Host and port."""

LANES: Final = 2
"""Connections to each server; a key always takes the same. While the server works on the pipeline
of one, that of the other is made or read: one after the other they would wait for each other."""

HOPS_MAX: Final = 8
"""Most redirections, and attempts while the cluster is busy with itself, of one call."""

PAUSE: Final = 0.05
"""Seconds between two attempts while the cluster is busy with itself, or between two maps."""


class Store(Protocol):
    """Where requests go."""

    @property
    def on_disk(self) -> bool:
        """Whether what is acknowledged is on disk, whatever dies then."""
        ...

    async def run(self, key: str, request: Request) -> Any:
        """Sends a request about a key; its reply. Raises StoreAway."""
        ...

    def servers(self) -> list[Link]:
        """A connection to each server that keys are on, as far as they are known by now."""
        ...

    async def close(self) -> None:
        """Ends what is under way, and all connections."""
        ...


class OneServer:
    """A single server: everything is there."""

    def __init__(self, links: list[Link]) -> None:
        self._links = links

    @property
    def on_disk(self) -> bool:
        """See Store."""
        told = {link.on_disk for link in self._links}
        return True in told and False not in told

    async def run(self, key: str, request: Request) -> Any:
        """See Store."""
        link = self._links[crc32(key.encode()) % len(self._links)]
        try:
            return await link.run(request)
        except ResponseError as refusal:
            raise refused(link.name, refusal) from refusal

    def servers(self) -> list[Link]:
        """See Store."""
        return self._links[:1]

    async def close(self) -> None:
        """See Store."""
        for link in self._links:
            await link.close()


class Cluster:
    """A cluster: each key is on the server of its slot."""

    on_disk = False
    """A replica that takes over may lack the last changes, however they were synced."""

    def __init__(self, seeds: list[Address], link: Callable[[Address], Link]) -> None:
        self._seeds = seeds
        self._make_link = link
        self._links: dict[tuple[Address, int], Link] = {}
        self._slots: list[Address | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        self._mapping: asyncio.Task[None] | None = None
        self._mapped_at = -PAUSE
        self._closed = False

    async def run(self, key: str, request: Request) -> Any:
        """See Store."""
        slot = key_slot(key.encode())
        failure: Exception = StoreAway("the cluster serves no such slot", retry_after=PAUSE)
        link = await self._link_of(slot)
        asked = request
        for _ in range(HOPS_MAX):
            try:
                return await link.run(asked)
            except MovedError as moved:
                failure, asked = moved, request
                address = self._address(moved.host, moved.port, link)
                self._slots[slot] = address
                link = self._link(address, slot)
            except AskError as ask:
                failure, asked = ask, replace(request, asking=True)
                link = self._link(self._address(ask.host, ask.port, link), slot)
            except (TryAgainError, ClusterDownError) as busy:
                failure, asked = busy, request
                await asyncio.sleep(PAUSE)
                await self._map_anew()
                link = await self._link_of(slot)
            except ResponseError as refusal:
                raise refused(link.name, refusal) from refusal
            except StoreAway:
                # Somebody may have taken over; the next call, or the repetition, goes there.
                await self._map_anew()
                before, link = link, await self._link_of(slot)
                if link is before or not request.repeatable:
                    raise
        raise refused(link.name, failure) from failure

    def servers(self) -> list[Link]:
        """See Store."""
        addresses = dict.fromkeys(address for address in self._slots if address is not None)
        return [self._link(address) for address in addresses]

    async def close(self) -> None:
        """See Store."""
        self._closed = True
        if self._mapping is not None:
            await asyncio.shield(self._mapping)
        for link in self._links.values():
            await link.close()

    async def _link_of(self, slot: int) -> Link:
        """The link to the server of a slot."""
        if self._slots[slot] is None:
            await self._map_anew()
        address = self._slots[slot]
        if address is None:
            raise StoreAway("the cluster is away, or serves no such slot", retry_after=PAUSE)
        return self._link(address, slot)

    def _link(self, address: Address, slot: int = 0) -> Link:
        """The connection to a server that the keys of a slot take."""
        if self._closed:
            raise StoreAway("closed", retry_after=PAUSE)
        lane = slot % LANES
        link = self._links.get((address, lane))
        if link is None:
            link = self._links[address, lane] = self._make_link(address)
        return link

    def _address(self, host: str, port: int, asked: Link) -> Address:
        """An address as told by a server, which may leave out its own host."""
        return (host or asked.name.rpartition(":")[0], port)

    async def _map_anew(self) -> None:
        """Asks for the map of slots; callers at about one time share the answer."""
        loop = asyncio.get_running_loop()
        if self._mapping is None:
            if loop.time() < self._mapped_at + PAUSE:
                return
            self._mapping = loop.create_task(self._map())
        await asyncio.shield(self._mapping)

    async def _map(self) -> None:
        """Asks one server after the other for the map; leaves it as it is if none answers."""
        try:
            known = [address for address, _ in self._links]
            for address in dict.fromkeys([*known, *self._seeds]):
                link = self._link(address)
                try:
                    ranges = await link.run(Request(("CLUSTER", "SLOTS"), repeatable=True))
                except (StoreAway, ResponseError):
                    continue
                self._take(ranges, link)
                return
        finally:
            self._mapped_at = asyncio.get_running_loop().time()
            self._mapping = None

    def _take(self, ranges: list[Any], asked: Link) -> None:
        """Takes over a map: ranges of slots, each with its master first."""
        for first, last, master, *_replicas in ranges:
            host = (master[0] or b"").decode()
            address = self._address(host, int(master[1]), asked)
            self._slots[first : last + 1] = [address] * (last + 1 - first)


def refused(name: str, refusal: Exception) -> StoreAway:
    """What callers are told where a server answers with an error."""
    retry_after = 1.0 if isinstance(refusal, OutOfMemoryError | ReadOnlyError) else PAUSE
    return StoreAway(f"{name}: {refusal}", retry_after=retry_after)
