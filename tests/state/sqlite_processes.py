"""Processes of their own that write into a SQLite file: `python sqlite_processes.py what path`."""

import asyncio
import os
import sys
from itertools import count as numbers_from

from state.play import T0, count, entry, hold
from xsp_server.state.backend import Book
from xsp_server.state.sqlite import SqliteBackend

BOOK = Book("campaign", ledger=True)
LIMIT = 500


async def spend_until_killed(path: str) -> None:
    """Prints the id of each spend once it is acknowledged; never ends by itself."""
    backend = SqliteBackend(path)
    ids = numbers_from()

    async def spend() -> None:
        for number in ids:
            move = count(entry(3), id=f"s{number}") if number % 2 else hold(f"h{number}", entry(2))
            await backend.apply(BOOK, (move,), T0)
            os.write(1, f"{move.id}\n".encode())

    await asyncio.gather(*(spend() for _ in range(16)))


async def spend_to_the_limit(path: str) -> None:
    """Spends beside other processes until the limit refuses; prints how often it was let pass."""
    backend = SqliteBackend(path)
    move = count(entry(1, LIMIT))
    applied = 0
    refused = False
    while not refused:
        calls = [backend.apply(BOOK, (move,), T0) for _ in range(20)]
        statuses = [outcome.status for [outcome] in await asyncio.gather(*calls)]
        applied += statuses.count("applied")
        refused = "refused" in statuses
    print(applied)  # noqa: T201 what the test reads
    await backend.close()


if __name__ == "__main__":
    asyncio.run(globals()[sys.argv[1]](sys.argv[2]))
