"""Moves and outcomes as JSON for stores in other languages."""

import orjson
import pytest

from state.play import T0, commit, entry, hourly
from xsp_server.errors import InvalidRequest
from xsp_server.state.backend import (
    AMOUNT_MAX,
    CONTENT_MAX,
    ENTRIES_MAX,
    ID_MAX,
    NAME_MAX,
    Book,
    Entry,
    Kind,
    Move,
    Numbers,
    Outcome,
    Status,
    StoreAway,
    Why,
)
from xsp_server.state.windows import FOREVER
from xsp_server.state.wire import move_to_wire, outcome_from_json, outcome_to_json


def test_a_move_is_a_list_with_amounts_as_text():
    move = commit(
        "h",
        hourly(AMOUNT_MAX, 5, soft=4, cooldown=3, forced=True),
        late=(entry(0),),
        id="c",
        content="é",
    )
    assert orjson.loads(orjson.dumps(move_to_wire(move))) == [
        "commit",
        "c",
        "é",
        "h",
        0,
        86_400_000,
        [["c", "first", 3_600_000, "999999999999999999", "5", "4", 3, 1]],
        [["c", "forever", 0, "0", "", "", 0, 0]],
    ]


def test_an_outcome_comes_back_as_it_was():
    numbers = Numbers(2**53 + 1, AMOUNT_MAX, 3, T0, T0 + 1, T0 + 2, T0 + 3, Why.LIMIT.value)
    outcome = Outcome(Status.REFUSED, T0, T0 * 1000, (numbers, Numbers(0, 0)), "é")
    text = outcome_to_json(outcome)
    assert outcome_from_json(text) == outcome
    assert outcome_from_json(text.encode(), replayed=True).replayed


def test_an_empty_list_may_be_an_empty_object():
    text = f'["unknown",{T0},0,{{}},""]'
    assert outcome_from_json(text) == Outcome(Status.UNKNOWN, T0, 0)


LONG = "é" * (NAME_MAX // 2)

WRONG = {
    "no book": lambda: Book(""),
    "a book that is too long": lambda: Book(LONG + "e"),
    "a NUL": lambda: Entry("a\0b", FOREVER, 1),
    "half a surrogate pair": lambda: Entry("\ud800", FOREVER, 1),
    "bytes for text": lambda: Book(b"book"),
    "a fraction": lambda: Entry("c", FOREVER, 1.0),
    "a limit below zero": lambda: Entry("c", FOREVER, 1, -1),
    "a soft limit that is too great": lambda: Entry("c", FOREVER, 1, 1, AMOUNT_MAX + 1),
    "a cooldown below zero": lambda: Entry("c", FOREVER, 1, cooldown_ms=-1),
    "a counter named twice": lambda: Move(Kind.COUNT, (entry(), entry())),
    "a late counter named twice": lambda: commit("h", late=(entry(), entry())),
    "too many entries": lambda: Move(
        Kind.CHECK, tuple(entry(counter=str(number)) for number in range(ENTRIES_MAX + 1))
    ),
    "an id without time": lambda: Move(Kind.COUNT, id="x"),
    "an id that is too long": lambda: Move(Kind.COUNT, id="x" * (ID_MAX + 1), keep_ms=1),
    "a content that is too long": lambda: Move(
        Kind.COUNT, id="x", content="x" * (CONTENT_MAX + 1), keep_ms=1
    ),
    "a hold without id": lambda: Move(Kind.HOLD, expires_at=1),
    "a hold without end": lambda: Move(Kind.HOLD, id="x", keep_ms=1),
    "a commit of nothing": lambda: Move(Kind.COMMIT),
    "a release of nothing": lambda: Move(Kind.RELEASE),
}


@pytest.mark.parametrize("make", WRONG.values(), ids=WRONG)
def test_no_move_is_made_that_a_store_could_not_take(make):
    with pytest.raises(InvalidRequest, match="expected"):
        make()


def test_the_longest_names_are_taken():
    assert Book(LONG).name == LONG


def test_a_store_that_is_away_may_be_asked_again():
    away = StoreAway("gone", retry_after=1.0)
    assert (away.status, away.reason, away.retry_after) == ("UNAVAILABLE", "STATE_UNAVAILABLE", 1.0)
