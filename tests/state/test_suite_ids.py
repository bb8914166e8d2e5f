"""Ids, replays, and what is known of moves: the same on every store."""

from dataclasses import replace

import pytest

from state.play import DAY, T0, Play, check, commit, count, entry, hold, release, remove
from xsp_server.state.backend import HoldState, Kind, Known, Status


@pytest.mark.parametrize(
    "move",
    [
        count(entry(2, 10), id="x"),
        count(entry(20, 10), id="x"),
        hold("x", entry(2, 10)),
        hold("x", entry(20, 10)),
        commit("held", entry(1), id="x"),
        release("held", id="x"),
        remove("c", id="x"),
    ],
    ids=lambda move: f"{move.kind} of {sum(entry.add for entry in move.entries)}",
)
async def test_the_same_move_again_repeats_the_first_outcome_and_moves_nothing(play: Play, move):
    await play(0, hold("held", entry(3)))
    first = await play(1, move)
    assert not first.replayed
    await play(2, count(entry(1)))
    before = await play.read(3)
    assert await play(4, move) == replace(first, replayed=True)
    assert await play.read(5) == before


async def test_an_id_with_other_content_is_refused_and_told_the_first(play: Play):
    await play(0, count(entry(2), id="x", content="two"))
    other = await play(1, count(entry(3), id="x", content="three"))
    assert (other.status, other.content, other.numbers) == (Status.REUSED, "two", ())
    assert (other.at, other.replayed) == (T0 + 1, False)
    kind = await play(2, hold("x", entry(2), content="two"))
    assert kind.status is Status.REUSED
    assert await play.read(3) == [(2, 0)]


async def test_a_repeated_id_in_one_call_counts_once(play: Play):
    move = count(entry(2), id="x")
    first, again = await play.all(0, move, move)
    assert (first.replayed, again.replayed) == (False, True)
    assert await play.read(1) == [(2, 0)]


async def test_an_id_is_known_for_its_time_and_then_new(play: Play):
    move = count(entry(2), id="x", keep=1000)
    await play(0, move)
    assert (await play(999, move)).replayed
    assert not (await play(1000, move)).replayed
    assert await play.read(1001) == [(4, 0)]


async def test_a_move_without_an_id_counts_each_time(play: Play):
    for _ in range(2):
        assert not (await play(0, count(entry(2)))).replayed
    assert await play.read(1) == [(4, 0)]


async def test_checks_and_failures_are_not_kept(play: Play):
    late = commit("h", late=(entry(1),), id="c")
    assert (await play(0, late)).status is Status.UNKNOWN
    await play(1, hold("h", entry(1), ttl=10))
    assert (await play(11, late)).status is Status.LATE
    assert (await play(12, late)).status is Status.LATE
    [known] = await play.backend.find("book", ["c"], T0 + 12)
    assert known.outcome.status is Status.LATE


async def test_ids_of_books_are_apart(play: Play):
    move = count(entry(2), id="x")
    await play(0, move)
    other = Play(play.backend, replace(play.book, name="other"))
    assert not (await other(0, move)).replayed


async def test_what_is_known_of_a_move(play: Play):
    counted = await play(0, count(entry(2), id="n", content="say"))
    held = await play(1, hold("h", entry(2), ttl=100, content="hold"))
    replayed = [replace(outcome, replayed=True) for outcome in (counted, held)]
    assert await play.backend.find("book", ["n", "none", "h"], T0 + 2) == [
        Known("n", Kind.COUNT, "say", replayed[0]),
        None,
        Known("h", Kind.HOLD, "hold", replayed[1], HoldState.HELD, T0 + 100),
    ]
    await play(50, release("h", id="r"))
    [released] = await play.backend.find("book", ["h"], T0 + 60)
    assert (released.hold, released.resolved_at) == (HoldState.RELEASED, T0 + 50)
    assert await play.backend.find("nobody", ["h"], T0) == [None]
    assert await play.backend.find("book", ["n"], T0 + DAY) == [None]


async def test_open_holds_are_listed_by_id_page_by_page(play: Play):
    ids = ["b", "é", "a", "z", "Z", "due", "done"]
    ttls = {"due": 5}
    await play.all(0, *(hold(id_, entry(), ttl=ttls.get(id_, 1000)) for id_ in ids))
    await play(1, commit("done"))
    listed = await play.backend.open_holds("book", T0 + 5)
    assert [known.id for known in listed] == ["Z", "a", "b", "z", "é"]
    page = await play.backend.open_holds("book", T0 + 5, after="a", limit=2)
    assert [known.id for known in page] == ["b", "z"]
    assert all(known.hold is HoldState.HELD for known in page)
    assert await play.backend.open_holds("nobody", T0) == []


async def test_a_check_with_an_id_is_judged_each_time(play: Play):
    move = replace(check(entry(1, 1)), id="x", keep_ms=1000)
    assert (await play(0, move)).status is Status.APPLIED
    await play(1, count(entry(1)))
    assert (await play(2, move)).status is Status.REFUSED
