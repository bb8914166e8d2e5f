"""Every store gives the answers of the pure rule, whatever is asked of it in whatever order."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from state.backends import Factory
from state.play import DAY, HOUR, T0, count, entry
from xsp_server.state import counters, moves
from xsp_server.state.backend import AMOUNT_MAX, Book, Entry, HoldState, Kind, Move, StateBackend
from xsp_server.state.windows import FOREVER, Window, first, refresh, sliding, until

WINDOWS = {
    "budget": FOREVER,
    "cap": first(HOUR),
    "day": until(2**52),
    "slide": sliding(70_000),
    "visit": refresh(20_000),
}

IDS = st.sampled_from("abcdef")
DURATIONS = st.sampled_from([1, 900, 20_000, HOUR, DAY])
SMALL = st.integers(0, 4)
GREAT = st.sampled_from([2**53 + 1, 10**17 + 7, AMOUNT_MAX - 1, AMOUNT_MAX])
LIMITS = st.none() | st.integers(0, 8) | GREAT


@st.composite
def entries(draw: st.DrawFn, windows: dict[str, Window]) -> tuple[Entry, ...]:
    names = draw(st.lists(st.sampled_from(sorted(windows)), max_size=3, unique=True))
    return tuple(
        Entry(
            name,
            windows[name],
            draw(SMALL | GREAT if draw(st.integers(0, 9)) == 0 else SMALL),
            draw(LIMITS),
            draw(LIMITS),
            draw(st.just(0) | DURATIONS),
            draw(st.booleans()) and draw(st.booleans()),
        )
        for name in names
    )


@st.composite
def any_moves(draw: st.DrawFn, now: int, windows: dict[str, Window]) -> Move:
    kind = draw(st.sampled_from(Kind))
    return Move(
        kind,
        draw(entries(windows)),
        draw(IDS if kind is Kind.HOLD else IDS | st.just("")),
        draw(st.sampled_from(["", "say"])),
        draw(DURATIONS),
        now + draw(DURATIONS) if kind is Kind.HOLD else 0,
        draw(IDS) if kind in {Kind.COMMIT, Kind.RELEASE} else "",
        draw(entries(windows)) if kind is Kind.COMMIT else (),
    )


class Books(RuleBasedStateMachine):
    """Two books of a store beside two of the rule."""

    backend: StateBackend
    runner: asyncio.Runner
    start = T0

    def __init__(self) -> None:
        super().__init__()
        self.now = self.start
        self.run = self.runner.run
        # In the book with a ledger nobody counts in a period that is over.
        self.user_windows = WINDOWS | {"day": until(self.start + DAY)}
        name = uuid4().hex  # the store is shared by all examples
        self.books = [Book(f"{name}/money", ledger=True), Book(f"{name}/user")]
        self.rule = {book.name: moves.BookState() for book in self.books}

    @initialize()
    def begin(self) -> None:
        """What keeps the books from being forgotten, and their sequences with them."""
        for book in self.books:
            self.compare(book, (count(entry(counter="anchor")),))

    @rule(data=st.data(), which=st.integers(0, 1), size=st.integers(1, 4))
    def move(self, data: st.DataObject, which: int, size: int) -> None:
        windows = [WINDOWS, self.user_windows][which]
        batch = tuple(data.draw(any_moves(self.now, windows)) for _ in range(size))
        self.compare(self.books[which], batch)

    @rule(data=st.data())
    def move_both_at_once(self, data: st.DataObject) -> None:
        windows = {name: WINDOWS[name] for name in WINDOWS if name != "day"}
        batch = (data.draw(any_moves(self.now, windows)),)

        async def both():
            calls = [self.backend.apply(book, batch, self.now) for book in self.books]
            return await asyncio.gather(*calls)

        expected = [self.expected(book, batch) for book in self.books]
        assert self.run(both()) == expected

    @rule(by=st.sampled_from([1, 500, 1000, 17_000, 65_000, HOUR, DAY, 3 * DAY]))
    def time_passes(self, by: int) -> None:
        self.now += by

    @rule(by=st.integers(1, 1000))
    def a_caller_is_behind(self, by: int) -> None:
        self.now -= by

    @rule(which=st.integers(0, 1))
    def find(self, which: int) -> None:
        book = self.books[which].name
        expected = [moves.find(self.rule[book], id_, self.now) for id_ in "abcdef"]
        assert self.run(self.backend.find(book, "abcdef", self.now)) == expected

    @rule(which=st.integers(0, 1))
    def open_holds(self, which: int) -> None:
        book = self.books[which].name
        known = [moves.find(self.rule[book], id_, self.now) for id_ in "abcdef"]
        expected = [each for each in known if each is not None and each.hold is HoldState.HELD]
        assert self.run(self.backend.open_holds(book, self.now)) == expected

    @invariant()
    def counters_are_those_of_the_rule(self) -> None:
        for book, state in self.rule.items():
            moves.apply(state, (), self.now)
            told = [
                counters.inspect(name, counter, self.now)
                for name, counter in sorted(state.counters.items())
            ]
            expected = [each for each in told if each is not None]
            assert self.run(self.backend.counters(book, self.now)) == expected

    def teardown(self) -> None:
        Books.start = max(self.start, self.now) + DAY  # time goes on in a store, if not in a book
        balances = self.run(self.backend.audit(self.books[0].name))
        assert all(balance.proven for balance in balances), balances
        assert self.run(self.backend.audit(self.books[1].name)) == []

    def expected(self, book: Book, batch: tuple[Move, ...]) -> list[moves.Outcome]:
        return moves.apply(self.rule[book.name], batch, self.now)

    def compare(self, book: Book, batch: tuple[Move, ...]) -> None:
        expected = self.expected(book, batch)
        assert self.run(self.backend.apply(book, batch, self.now)) == expected


def test_a_store_gives_the_answers_of_the_rule(
    open_backend: Factory, request: pytest.FixtureRequest, tmp_path: Path
):
    with asyncio.Runner() as runner:
        opened = open_backend(request, tmp_path)
        Books.backend, Books.runner = runner.run(opened.__aenter__()), runner
        try:
            run_state_machine_as_test(
                Books,
                settings=settings(
                    max_examples=60,
                    stateful_step_count=30,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(opened.__aexit__(None, None, None))
