"""Orders in which upstreams are asked."""

import asyncio

import pytest

from upstream.virtual_time import run
from xsp_server.errors import ConfigError
from xsp_server.upstream.groups import (
    First,
    Group,
    GroupSettings,
    Parallel,
    Waterfall,
    build_group,
)


class Script:
    """Members by name: after how many seconds each fills or not. Without a line: never."""

    def __init__(self, **lines):
        self.lines = lines
        self.turns = {}
        self.cancelled = []

    async def step(self, name, turn_ends):
        clock = asyncio.get_running_loop().time
        self.turns[name] = (clock() - 1000, turn_ends - 1000)
        seconds, fills = self.lines.get(name, (1e9, False))
        try:
            await asyncio.sleep(min(seconds, turn_ends - clock()))
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise
        return fills and clock() - 1000 <= self.turns[name][0] + seconds <= turn_ends - 1000

    def run(self, group, seconds=0.3):
        """Whether the group filled, and how long it took."""

        async def scenario():
            clock = asyncio.get_running_loop().time
            filled = await group.run(self.step, clock, clock() + seconds)
            return filled, clock() - 1000

        return run(scenario())


def near(*figures):
    return pytest.approx(figures, abs=1e-6)


def test_parallel_asks_all_at_once_and_waits_for_all():
    script = Script(a=(0.1, False), b=(0.02, True), c=(0.2, False))
    filled, took = script.run(Parallel("a", "b", "c"))
    assert (filled, took) == (True, pytest.approx(0.2))
    assert all(turn == near(0, 0.3) for turn in script.turns.values())


def test_parallel_without_a_filling_member_has_not_filled():
    assert Script(a=(0.1, False)).run(Parallel("a", "b")) == (False, pytest.approx(0.3))


def test_first_ends_with_the_first_that_fills():
    script = Script(a=(0.1, True), b=(0.02, False), c=(0.05, True))
    filled, took = script.run(First("a", "b", "c"))
    assert (filled, took) == (True, pytest.approx(0.05))
    assert script.cancelled == ["a"]


def test_first_without_a_filling_member_waits_for_all():
    assert Script(a=(0.1, False), b=(0.02, False)).run(First("a", "b")) == (
        False,
        pytest.approx(0.1),
    )


def test_a_waterfall_asks_the_next_only_when_one_has_not_filled():
    script = Script(a=(0.02, False), b=(0.03, True), c=(0, True))
    assert script.run(Waterfall("a", "b", "c")) == (True, pytest.approx(0.05))
    assert list(script.turns) == ["a", "b"]


def test_each_of_a_waterfall_has_an_equal_share_of_the_time_left():
    script = Script(a=(0.02, False), c=(0.05, False))
    assert script.run(Waterfall("a", "b", "c")) == (False, pytest.approx(0.21))
    assert script.turns == {"a": near(0, 0.1), "b": near(0.02, 0.16), "c": near(0.16, 0.3)}


def test_a_waterfall_never_takes_more_than_its_time():
    assert Script().run(Waterfall(*"abcd")) == (False, pytest.approx(0.3))


def test_a_waterfall_out_of_time_asks_nobody_more():
    script = Script(a=(0.3, True))
    assert script.run(Waterfall("a", "b"), 0.0) == (False, 0)
    assert script.turns == {}


def test_a_group_may_be_a_member():
    """A waterfall of two, where the first is two asked at once, and the second a race."""
    script = Script(a=(0.05, False), b=(0.03, False), c=(0.02, True))
    group = Waterfall(Parallel("a", "b"), First("c", "d"))
    assert script.run(group) == (True, pytest.approx(0.07))
    assert script.turns["a"] == script.turns["b"] == near(0, 0.15)
    assert script.turns["c"] == script.turns["d"] == near(0.05, 0.3)
    assert script.cancelled == ["d"]


def test_a_waterfall_in_a_race_asks_no_further_when_the_race_is_decided():
    script = Script(a=(0.02, False), c=(0.03, True))
    assert script.run(First(Waterfall("a", "b", "x"), "c")) == (True, pytest.approx(0.03))
    assert "x" not in script.turns
    assert script.cancelled == ["b"]


def test_members_are_listed_in_their_order():
    assert list(Waterfall("a", Parallel("b", First("c")), "d")) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("kind", [Parallel, First, Waterfall])
def test_a_group_that_is_cancelled_leaves_nobody_behind(kind):
    script = Script()

    async def scenario():
        clock = asyncio.get_running_loop().time
        running = asyncio.ensure_future(kind("a", "b").run(script.step, clock, clock() + 1))
        await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await asyncio.sleep(0)

    run(scenario())
    assert set(script.cancelled) == set(script.turns)


def settings(*groups):
    return [GroupSettings(name=name, ask=ask, members=members) for name, ask, members in groups]


def shape(group):
    """Kinds and names, nested."""
    if not isinstance(group, Group):
        return group
    return (type(group).__name__, *map(shape, group.members))


def test_without_groups_there_is_none():
    assert build_group([], ["a", "b"]) is None


def test_groups_are_built_in_any_order_and_who_is_in_none_is_beside_them():
    made = build_group(
        settings(("backfill", "waterfall", ("b", "c")), ("race", "first", ("a", "backfill"))),
        ["a", "b", "c", "d"],
    )
    assert shape(made) == ("Parallel", ("First", "a", ("Waterfall", "b", "c")), "d")
    assert sorted(made) == ["a", "b", "c", "d"]


def test_two_groups_are_asked_at_once():
    made = build_group(
        settings(("x", "parallel", ("a",)), ("y", "waterfall", ("b", "c"))), ["a", "b", "c"]
    )
    assert shape(made) == ("Parallel", ("Parallel", "a"), ("Waterfall", "b", "c"))


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ([("a", "first", ("b",))], r'groups\[0\].name: got "a", which is taken'),
        (
            [("x", "first", ("a",)), ("x", "first", ("b",))],
            r'groups\[1\].name: got "x", which is taken',
        ),
        ([("x", "first", ("a", "z"))], r'groups\[0\].members\[1\]: got "z"; expected the name'),
        ([("x", "first", ("a", "a"))], r'members\[1\]: got "a", which is a member already'),
        (
            [("x", "first", ("a",)), ("y", "first", ("a",))],
            r'groups\[1\].members\[0\]: got "a", which is a member already',
        ),
        ([("x", "first", ("x",))], "groups: x can't be reached from outside"),
        ([("x", "first", ("y",)), ("y", "first", ("x", "a"))], "groups: x, y can't be reached"),
    ],
)
def test_groups_that_make_no_order_are_refused(groups, words):
    with pytest.raises(ConfigError, match=words):
        build_group(settings(*groups), ["a", "b"])
