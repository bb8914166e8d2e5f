"""Servers to measure, each in a process of its own on uvloop, and what they use."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BID_METHOD = "/xsp.bid.v1.BidService/Bid"
STREAM_METHOD = "/xsp.bid.v1.BidService/StreamBids"
BARE_METHOD = "/xsp.bid.v1.BidService/Bare"
"""A stream that answers each message with fixed bytes; only the far side of a benchmark has it."""

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Process:
    """A server at work.

    Attributes:
        address: what a client dials.
        pid: its process.
    """

    address: str
    pid: int

    def cpu_seconds(self) -> float:
        """User and system time so far (proc(5), fields 14 and 15 of stat)."""
        stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii")
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def resident_bytes(self) -> int:
        """Memory in use now (proc(5), field 2 of statm)."""
        return int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE


@asynccontextmanager
async def canned(
    bidders: int, imps: int, margin_ms: int = 20, keep_bids: int = 100_000
) -> AsyncIterator[Process]:
    """XSP with bidders in process that have their answers to requests of so many imps ready."""
    options = {"--bidders": bidders, "--imps": imps, "--margin-ms": margin_ms}
    options |= {"--keep-bids": keep_bids}
    arguments = (str(part) for option in options.items() for part in option)
    async with _started("canned.py", *arguments) as process:
        yield process


@asynccontextmanager
async def echo(answer: bytes) -> AsyncIterator[Process]:
    """A bare grpc.aio server that gives this answer to every call."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(answer)
        file.flush()
        async with _started("echo.py", file.name) as process:
            yield process


@asynccontextmanager
async def far_side(imps: int) -> AsyncIterator[tuple[str, str]]:
    """Bidders that answer to requests of so many imps; their HTTP URL and gRPC address."""
    async with _started("far_side.py", str(imps)) as process:
        http_url, grpc_address = process.address.split()
        yield http_url, grpc_address


@asynccontextmanager
async def exchange(bidders: list[dict[str, Any]]) -> AsyncIterator[Process]:
    """XSP with these sections of bidders."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(json.dumps(bidders).encode())
        file.flush()
        async with _started("exchange.py", file.name) as process:
            yield process


@asynccontextmanager
async def bare_exchange(  # noqa: PLR0913, PLR0917 - what it calls, and what goes in and out
    kind: str, address: str, bidders: int, body: bytes, answer: bytes, folder: Path
) -> AsyncIterator[Process]:
    """The same calls without an exchange between; `folder` takes the messages."""
    (folder / "body").write_bytes(body)
    (folder / "answer").write_bytes(answer)
    files = (str(folder / "body"), str(folder / "answer"))
    async with _started("bare_exchange.py", kind, address, str(bidders), *files) as process:
        yield process


@asynccontextmanager
async def _started(*command: str) -> AsyncIterator[Process]:
    """A program that prints its address first and ends when its standard input does."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, HERE / command[0], *command[1:]),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    address = (await process.stdout.readline()).decode().strip()
    assert address, f"{command[0]} did not start"
    try:
        yield Process(address, process.pid)
    finally:
        await process.communicate(b"")
