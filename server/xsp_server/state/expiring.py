"""Holds that are due, however many: answers don't tell them as held.

One call of a store expires `DUE_AT_ONCE` of them at most, so that none takes for long. Where that
matters to who asked, and it can only where something is held at all, it is asked again until no
more expire.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from xsp_server.state.backend import Book, Kind, Move, Outcome, StateBackend

ROUNDS: Final = 128
"""How often is asked again at most: that is for 65,536 holds. More are left to the next call."""

_EXPIRE: Final = Move(Kind.CHECK)


async def read(
    backend: StateBackend, book: Book, moves: Sequence[Move], now_ms: int
) -> list[Outcome]:
    """Outcomes of moves that change nothing, once nothing that is due is held any more.

    Raises:
        StoreAway: the store can't be reached.
    """
    outcomes = await backend.apply(book, moves, now_ms)
    for _ in range(ROUNDS):
        if not any(numbers.held for each in outcomes for numbers in each.numbers):
            break
        outcomes, is_done = await _again(backend, book, moves, now_ms)
        if is_done:
            break
    return outcomes


async def expire(backend: StateBackend, book: Book, now_ms: int) -> None:
    """Expires what is due.

    Raises:
        StoreAway: the store can't be reached.
    """
    for _ in range(ROUNDS):
        _, is_done = await _again(backend, book, (_EXPIRE,), now_ms)
        if is_done:
            break


async def _again(
    backend: StateBackend, book: Book, moves: Sequence[Move], now_ms: int
) -> tuple[list[Outcome], bool]:
    """Asks once more, and whether nothing is due any more.

    It asks twice in one tick: what the second call finds changed it has expired itself, as others
    hardly ever come between the two.
    """
    [before], outcomes = await asyncio.gather(
        backend.apply(book, (_EXPIRE,), now_ms), backend.apply(book, moves, now_ms)
    )
    return outcomes, before.sequence == outcomes[-1].sequence
