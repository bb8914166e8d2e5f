"""Moves and outcomes as JSON: lists, amounts as decimal strings, times as numbers.

What stores written in other languages take and give:

    window   [kind, ms]
    entry    [counter, window kind, window ms, add, limit, soft, cooldown_ms, forced]
             add: decimal string; limit, soft: decimal string, or "" for any; forced: 0 or 1
    move     [kind, id, content, of, expires_at, keep_ms, entries, late]
    numbers  [counted, held, overcount, first_at, last_at, ends_at, frees_at, why]
             the first three: decimal strings
    outcome  [status, at, sequence, numbers, content]

An outcome is stored as this text and replayed byte for byte; whether it is replayed is told beside
it. An empty list may also be `{}`, which is what Lua's cjson makes of one.
"""

from typing import Any

import orjson

from xsp_server.state.backend import Entry, Move, Numbers, Outcome, Status


def move_to_wire(move: Move) -> list[Any]:
    """A move as its list."""
    return [
        move.kind,
        move.id,
        move.content,
        move.of,
        move.expires_at,
        move.keep_ms,
        [_entry_to_wire(entry) for entry in move.entries],
        [_entry_to_wire(entry) for entry in move.late],
    ]


def outcome_to_json(outcome: Outcome) -> str:
    """An outcome as its text, as it is stored. `replayed` is not part of it."""
    return orjson.dumps(
        [
            outcome.status,
            outcome.at,
            outcome.sequence,
            [_numbers_to_wire(numbers) for numbers in outcome.numbers],
            outcome.content,
        ]
    ).decode()


def outcome_from_json(text: str | bytes, *, replayed: bool = False) -> Outcome:
    """An outcome from its text."""
    return outcome_from_wire(orjson.loads(text), replayed=replayed)


def outcome_from_wire(item: list[Any], *, replayed: bool = False) -> Outcome:
    """An outcome from its list."""
    status, at, sequence, numbers, content = item
    return Outcome(
        _STATUSES[status],
        at,
        sequence,
        tuple([_numbers_from_wire(item) for item in numbers]),
        content,
        replayed,
    )


_STATUSES = {status.value: status for status in Status}


def _entry_to_wire(entry: Entry) -> list[Any]:
    return [
        entry.counter,
        entry.window.kind,
        entry.window.ms,
        str(entry.add),
        "" if entry.limit is None else str(entry.limit),
        "" if entry.soft is None else str(entry.soft),
        entry.cooldown_ms,
        int(entry.forced),
    ]


def _numbers_to_wire(numbers: Numbers) -> list[Any]:
    return [
        str(numbers.counted),
        str(numbers.held),
        str(numbers.overcount),
        numbers.first_at,
        numbers.last_at,
        numbers.ends_at,
        numbers.frees_at,
        numbers.why,
    ]


def _numbers_from_wire(item: list[Any]) -> Numbers:
    counted, held, overcount, *rest = item
    return Numbers(int(counted), int(held), int(overcount), *rest)
