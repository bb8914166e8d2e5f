"""Rows of books in a database, alike in SQLite and PostgreSQL, and the objects of `moves.py`."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import orjson

from xsp_server.state.backend import HoldState, Kind
from xsp_server.state.counters import CounterState
from xsp_server.state.moves import Claim, Hold, Memory
from xsp_server.state.windows import Window, WindowKind
from xsp_server.state.wire import outcome_from_json, outcome_to_json

Row = tuple[Any, ...]


def counter_of(row: Sequence[Any]) -> CounterState:
    """A counter from its row: book, name, and the rest."""
    _, _, kind, ms, *numbers, steps = row
    counter = CounterState(_window(kind, ms), *numbers)
    if steps is not None:
        counter.steps = dict(orjson.loads(steps))
    return counter


def counter_row(book: str, name: str, counter: CounterState) -> Row:
    """A counter as its row."""
    steps = counter.steps
    return (
        book,
        name,
        counter.window.kind,
        counter.window.ms,
        counter.counted,
        counter.held,
        counter.first_at,
        counter.last_at,
        counter.ends_at,
        counter.kept_until,
        counter.held_until,
        None if steps is None else orjson.dumps(list(steps.items())).decode(),
    )


def memory_of(row: Sequence[Any]) -> Memory:
    """What is known of a move, from its row: book, id, and the rest."""
    _, _, kind, content, outcome, known_until, state, *times, resolution, claims = row
    memory = Memory(Kind(kind), content, outcome_from_json(outcome), known_until)
    if state is not None:
        expires_at, keep_ms, resolved_at = times
        claimed = [_claim_of(*claim) for claim in orjson.loads(claims)]
        memory.hold = Hold(expires_at, keep_ms, claimed, HoldState(state), resolved_at, resolution)
    return memory


def memory_row(book: str, id_: str, memory: Memory) -> Row:
    """What is known of a move, as its row."""
    outcome = outcome_to_json(memory.outcome)
    row = (book, id_, memory.kind, memory.content, outcome, memory.known_until)
    hold = memory.hold
    if hold is None:
        return (*row, None, 0, 0, 0, "", "[]")
    claims = orjson.dumps([_claim_row(claim) for claim in hold.claims]).decode()
    times = (hold.expires_at, hold.keep_ms, hold.resolved_at)
    return (*row, hold.state, *times, hold.resolution, claims)


@lru_cache(maxsize=10_000)
def _window(kind: str, ms: int) -> Window:
    return Window(WindowKind(kind), ms)


def _claim_of(counter: str, kind: str, ms: int, *numbers: int) -> Claim:
    return Claim(counter, _window(kind, ms), *numbers)


def _claim_row(claim: Claim) -> list[Any]:
    window = claim.window
    return [claim.counter, window.kind, window.ms, claim.add, claim.cooldown_ms, claim.claimed]
