"""Servers to measure, each in a process of its own on uvloop, and what they use."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
BID_METHOD = "/xsp.bid.v1.BidService/Bid"
STREAM_METHOD = "/xsp.bid.v1.BidService/StreamBids"

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
async def canned(bidders: int, imps: int, margin_ms: int = 20) -> AsyncIterator[Process]:
    """XSP with bidders in process that have their answers to requests of so many imps ready."""
    options = {"--bidders": bidders, "--imps": imps, "--margin-ms": margin_ms}
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
