"""Moves of counters in a book: the rule of `backend.py` as a pure function.

No I/O, no clock: `apply` takes the book, the moves and the time. The stores that run in this
process stand on it, and the tests compare the others with it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from heapq import heappop, heappush
from operator import attrgetter
from typing import Final, Protocol

from xsp_server.state.backend import (
    AMOUNT_MAX,
    DUE_AT_ONCE,
    Entry,
    HoldState,
    Kind,
    Known,
    Move,
    Numbers,
    Outcome,
    Status,
)
from xsp_server.state.counters import (
    OVERFLOW,
    CounterState,
    count,
    current,
    frees_at,
    give_back,
    gone,
    hold,
    numbers,
    refusal,
)
from xsp_server.state.windows import NEVER, Window

# Members of enums by names of the module: reading one from its class costs six times as much.
CHECK: Final = Kind.CHECK
COUNT: Final = Kind.COUNT
APPLIED: Final = Status.APPLIED
LATE: Final = Status.LATE
REFUSED: Final = Status.REFUSED

EXPIRE: Final = "expire"
"""What a journal hears of instead of a kind, where a hold expires."""


@dataclass(slots=True)
class Claim:
    """One entry of an open hold: what to count at its commit, and what it claims until then."""

    counter: str
    window: Window
    add: int
    cooldown_ms: int
    claimed: int


@dataclass(slots=True)
class Hold:
    """One hold: where it stands, and what it claims while it is held."""

    expires_at: int
    keep_ms: int
    claims: list[Claim]
    state: HoldState = HoldState.HELD
    resolved_at: int = 0
    resolution: str = ""


class Memory:
    """What a book knows of one move. `known_until` of an open hold is NEVER.

    The outcome is kept as one flat tuple of numbers: memories are by far the most objects there
    are, and the garbage collector does not look at such tuples again and again.
    """

    __slots__ = ("_numbers", "_status", "content", "hold", "kind", "known_until")

    def __init__(
        self,
        kind: Kind,
        content: str,
        outcome: Outcome,
        known_until: int,
        hold: Hold | None = None,
    ) -> None:
        """Takes the outcome of one that was applied or refused."""
        self.kind = kind
        self.content = content
        self.known_until = known_until
        self.hold = hold
        self._status = outcome.status
        flat = [outcome.at, outcome.sequence]
        for each in outcome.numbers:
            flat += _FLAT(each)
        self._numbers = tuple(flat)

    @property
    def outcome(self) -> Outcome:
        """The first outcome."""
        return self._told(replayed=False)

    def replay(self) -> Outcome:
        """The first outcome, as it is told again."""
        return self._told(replayed=True)

    def _told(self, *, replayed: bool) -> Outcome:
        at, sequence, *flat = self._numbers
        size = len(_FIELDS)
        told = [Numbers(*flat[start : start + size]) for start in range(0, len(flat), size)]
        return Outcome(self._status, at, sequence, tuple(told), replayed=replayed)


_FIELDS: Final = [each.name for each in fields(Numbers)]
_FLAT: Final[Callable[[Numbers], tuple[int, ...]]] = attrgetter(*_FIELDS)


@dataclass(slots=True)
class BookState:
    """One book: counters by name, known moves by id, and open holds by the time they are due.

    `due` is a heap of (expires_at, id) that may name holds that are resolved by now.
    """

    counters: dict[str, CounterState] = field(default_factory=dict)
    known: dict[str, Memory] = field(default_factory=dict)
    due: list[tuple[int, str]] = field(default_factory=list)
    sequence: int = 0


Cause = tuple[str, str]
"""Why a counter changed: a kind, or `EXPIRE`, and the id of the move, or of the hold."""


class Journal(Protocol):
    """Who wants to hear what changed, after each change."""

    def counter(
        self, name: str, counter: CounterState, cause: Cause, counted: int, held: int
    ) -> None:
        """A counter changed by so much, or was removed from the book."""
        ...

    def memory(self, id_: str) -> None:
        """What is known of a move changed."""
        ...


def apply(
    book: BookState, moves: Sequence[Move], now_ms: int, journal: Journal | None = None
) -> list[Outcome]:
    """Does the moves in their order; one outcome for each. Changes the book."""
    step = _Step(book, now_ms, journal)
    if book.due and book.due[0][0] <= now_ms:
        step.expire_due()
    if len(moves) == 1:  # as most are; Python 3.11 makes a function of a comprehension each time
        return [step.do(moves[0])]
    return [step.do(move) for move in moves]


def watch(book: BookState, id_: str, open_hold: Hold) -> None:
    """Sees to it that an open hold of the book expires."""
    heappush(book.due, (open_hold.expires_at, id_))


def find(book: BookState, id_: str, now_ms: int) -> Known | None:
    """What the book knows of a move. A hold that is due is told as expired."""
    memory = book.known.get(id_)
    if memory is None or memory.known_until <= now_ms:
        return None
    outcome = memory.replay()
    hold = memory.hold
    if hold is None:
        return Known(id_, memory.kind, memory.content, outcome)
    state, resolved_at = hold.state, hold.resolved_at
    if state is HoldState.HELD and hold.expires_at <= now_ms:
        if hold.expires_at + hold.keep_ms <= now_ms:
            return None
        state, resolved_at = HoldState.EXPIRED, hold.expires_at
    return Known(
        id_,
        memory.kind,
        memory.content,
        outcome,
        state,
        hold.expires_at,
        resolved_at,
        hold.resolution,
    )


class _Step:
    """One call: a book, its time, and who hears of changes."""

    __slots__ = ("book", "journal", "now_ms")

    def __init__(self, book: BookState, now_ms: int, journal: Journal | None) -> None:
        self.book = book
        self.now_ms = now_ms
        self.journal = journal

    def expire_due(self) -> None:
        """Expires holds that are due, the first of them first, `DUE_AT_ONCE` at most."""
        due, known = self.book.due, self.book.known
        expired = 0
        while due and due[0][0] <= self.now_ms and expired < DUE_AT_ONCE:
            expires_at, id_ = heappop(due)
            memory = known.get(id_)
            if memory is not None and memory.hold is not None and _is_open(memory, expires_at):
                self.expire(id_, memory, memory.hold)
                expired += 1

    def do(self, move: Move) -> Outcome:
        """Does one move, or repeats what became of it."""
        if not move.id:
            return self.act(move)
        if move.kind is CHECK:
            return self.check(move)
        memory = self.known(move.id)
        if memory is None:
            outcome = self.act(move)
            if outcome.status in _KEPT:
                self.remember(move, outcome)
            return outcome
        if memory.kind is move.kind and memory.content == move.content:
            return memory.replay()
        return self.outcome(Status.REUSED, content=memory.content)

    def act(self, move: Move) -> Outcome:
        """Does one move."""
        if move.kind is COUNT:  # the busiest; to look it up by an enum costs more
            return self.count_all(move, move.entries, APPLIED)
        return _KINDS[move.kind](self, move)

    def check(self, move: Move) -> Outcome:
        """Judges, changes nothing."""
        asked = self.look(move.entries)
        return self.refused(asked) or self.told(APPLIED, asked)

    def hold(self, move: Move) -> Outcome:
        """Holds all entries or none."""
        asked = self.look(move.entries)
        refused = self.refused(asked)
        if refused is not None:
            return refused
        self.change()
        for entry, counter, _ in asked:
            if entry.add:
                hold(counter, entry.add, move.expires_at)
                self.changed(entry.counter, counter, (move.kind, move.id), 0, entry.add)
        return self.told(APPLIED, asked)

    def commit(self, move: Move) -> Outcome:
        """Counts what a hold claims, or what was spent in fact."""
        memory, claimed = self.claimed(move.of)
        if memory is None or claimed is None:
            return self.outcome(Status.UNKNOWN)
        if claimed.state is HoldState.HELD:
            outcome = self.settle(move, claimed)
        elif claimed.state is HoldState.EXPIRED and move.late:
            outcome = self.count_all(move, move.late, LATE)
        else:
            return self.outcome(_RESOLVED[claimed.state])
        if outcome.status is not REFUSED:
            self.resolve(move, memory, claimed, HoldState.COMMITTED)
        return outcome

    def release(self, move: Move) -> Outcome:
        """Gives back what a hold claims."""
        memory, claimed = self.claimed(move.of)
        if memory is None or claimed is None:
            return self.outcome(Status.UNKNOWN)
        if claimed.state is not HoldState.HELD:
            return self.outcome(_RESOLVED[claimed.state])
        self.change()
        counters = [self.give_back(claim, (move.kind, move.id)) for claim in claimed.claims]
        self.resolve(move, memory, claimed, HoldState.RELEASED)
        return self.outcome(APPLIED, [numbers(each, self.now_ms) for each in counters])

    def remove(self, move: Move) -> Outcome:
        """Forgets counters, and what open holds claim of them."""
        counters = [counter for _, counter, _ in self.look(move.entries)]
        before = [numbers(counter, self.now_ms) for counter in counters]
        self.change()
        cause = (move.kind, move.id)
        for entry, counter in zip(move.entries, counters, strict=True):
            if self.book.counters.pop(entry.counter, None) is not None and self.journal:
                self.journal.counter(entry.counter, counter, cause, -counter.counted, -counter.held)
        self.forget_claims({entry.counter for entry in move.entries})
        return self.outcome(APPLIED, before)

    def count_all(self, move: Move, entries: Sequence[Entry], status: Status) -> Outcome:
        """Counts all entries or none."""
        if len(entries) == 1:
            return self.count_one(move, entries[0], status)
        book, now_ms, journal = self.book, self.now_ms, self.journal
        asked = self.look(entries)
        for entry, counter, counted in asked:
            if refusal(counter, counted, entry, now_ms):
                return self.refusal_of(asked)
        self.change()
        counters, told = book.counters, []
        for entry, counter, counted in asked:
            if entry.add:
                before = counter.counted
                count(counter, counted, entry.add, entry.cooldown_ms, now_ms)
                counters[entry.counter] = counter
                if journal:
                    added = counter.counted - before
                    journal.counter(entry.counter, counter, (move.kind, move.id), added, 0)
            told.append(self.one_more(entry, counter) if entry.forced else numbers(counter, now_ms))
        return Outcome(status, now_ms, book.sequence, tuple(told))

    def count_one(self, move: Move, entry: Entry, status: Status) -> Outcome:
        """As `count_all`, of one entry: the busiest way through the house, in half of the time."""
        book, now_ms, journal = self.book, self.now_ms, self.journal
        counter = book.counters.get(entry.counter)
        if counter is not None and counter.steps is None and now_ms < counter.ends_at:
            counted = counter.counted
        else:
            [(_, counter, counted)] = self.look((entry,))
        if refusal(counter, counted, entry, now_ms):
            return self.refusal_of([(entry, counter, counted)])
        sequence, least = book.sequence + 1, now_ms * 1000  # as `change` does
        book.sequence = sequence = sequence if sequence > least else least  # noqa: FURB136
        if entry.add:
            before = counter.counted
            count(counter, counted, entry.add, entry.cooldown_ms, now_ms)
            book.counters[entry.counter] = counter
            if journal:
                added = counter.counted - before
                journal.counter(entry.counter, counter, (move.kind, move.id), added, 0)
        told = self.one_more(entry, counter) if entry.forced else numbers(counter, now_ms)
        return Outcome(status, now_ms, sequence, (told,))

    def settle(self, move: Move, claimed: Hold) -> Outcome:
        """Commits a hold that is held."""
        asked = {entry.counter: entry for entry in move.entries}
        lines = [self.line(claim, asked.pop(claim.counter, None)) for claim in claimed.claims]
        lines += [self.line(_unclaimed(entry), entry) for entry in asked.values()]
        whys = [line.refusal(self.now_ms) for line in lines]
        if any(whys):
            told = [line.told(self.now_ms, why) for line, why in zip(lines, whys, strict=True)]
            return self.outcome(REFUSED, told)
        self.change()
        cause = (move.kind, move.id)
        for line in lines:
            claim, counter = line.claim, line.counter
            before = counter.counted
            if line.add:
                count(counter, line.counted, line.add, claim.cooldown_ms, self.now_ms)
            give_back(counter, claim.claimed)
            if line.add or claim.claimed:
                added = counter.counted - before
                self.changed(claim.counter, counter, cause, added, -claim.claimed)
        return self.outcome(APPLIED, [line.told(self.now_ms) for line in lines])

    def line(self, claim: Claim, asked: Entry | None) -> "_Line":
        """One counter of a commit."""
        return _Line(claim, asked, self.counter(claim.counter, claim.window), self.now_ms)

    def look(self, entries: Sequence[Entry]) -> "list[_Asked]":
        """The entries, each with its counter and the current count."""
        counters, now_ms = self.book.counters, self.now_ms
        asked = []
        for entry in entries:
            counter = counters.get(entry.counter)
            if counter is not None and counter.steps is None and now_ms < counter.ends_at:
                asked.append((entry, counter, counter.counted))  # nearly all
            elif counter is None or gone(counter, now_ms):
                asked.append((entry, CounterState(entry.window), 0))
            else:
                asked.append((entry, counter, current(counter, now_ms)))
        return asked

    def refused(self, asked: "list[_Asked]") -> Outcome | None:
        """The refusal, if one of the entries is refused."""
        now_ms = self.now_ms
        for entry, counter, counted in asked:
            if refusal(counter, counted, entry, now_ms):
                return self.refusal_of(asked)
        return None

    def refusal_of(self, asked: "list[_Asked]") -> Outcome:
        """The refusal: how all entries stand where one is refused."""
        now_ms, told = self.now_ms, []
        for entry, counter, counted in asked:
            why = refusal(counter, counted, entry, now_ms)
            told.append(numbers(counter, now_ms, frees_at(counter, entry, why, now_ms), why))
        return self.outcome(REFUSED, told)

    def told(self, status: Status, asked: "list[_Asked]") -> Outcome:
        """What is answered where nothing was refused."""
        told = [
            self.one_more(entry, counter) if entry.forced else numbers(counter, self.now_ms)
            for entry, counter, _ in asked
        ]
        return self.outcome(status, told)

    def one_more(self, entry: Entry, counter: CounterState) -> Numbers:
        """How a forced entry stands: whether the next impression would be refused."""
        following = replace(entry, add=1, forced=False)
        counted = current(counter, self.now_ms)
        why = refusal(counter, counted, following, self.now_ms)
        freed_at = frees_at(counter, following, why, self.now_ms)
        return numbers(counter, self.now_ms, freed_at, why)

    def outcome(self, status: Status, told: Sequence[Numbers] = (), content: str = "") -> Outcome:
        """An outcome of now."""
        return Outcome(status, self.now_ms, self.book.sequence, tuple(told), content)

    def counter(self, name: str, window: Window) -> CounterState:
        """The counter, or one with all at 0, not yet of the book, where it does not exist."""
        counter = self.book.counters.get(name)
        if counter is None or gone(counter, self.now_ms):
            return CounterState(window)
        return counter

    def known(self, id_: str) -> Memory | None:
        """What is known of a move by now."""
        memory = self.book.known.get(id_)
        return memory if memory is not None and memory.known_until > self.now_ms else None

    def claimed(self, id_: str) -> tuple[Memory | None, Hold | None]:
        """A hold, expired if it is due; none where there is none."""
        memory = self.known(id_)
        if memory is not None and memory.hold is not None and _is_due(memory.hold, self.now_ms):
            self.expire(id_, memory, memory.hold)
            memory = self.known(id_)
        return (None, None) if memory is None else (memory, memory.hold)

    def remember(self, move: Move, outcome: Outcome) -> None:
        """Keeps what became of a move, and what a hold claims."""
        memory = Memory(move.kind, move.content, outcome, self.now_ms + move.keep_ms)
        if move.kind is Kind.HOLD and outcome.status is APPLIED:
            claims = [
                Claim(entry.counter, entry.window, entry.add, entry.cooldown_ms, entry.add)
                for entry in move.entries
            ]
            memory.known_until = NEVER
            memory.hold = Hold(move.expires_at, move.keep_ms, claims)
            watch(self.book, move.id, memory.hold)
        self.book.known[move.id] = memory
        if self.journal:
            self.journal.memory(move.id)

    def resolve(self, move: Move, memory: Memory, claimed: Hold, state: HoldState) -> None:
        """Ends a hold by a move."""
        claimed.state = state
        claimed.claims = []
        claimed.resolved_at = self.now_ms
        claimed.resolution = move.content
        memory.known_until = self.now_ms + claimed.keep_ms
        if self.journal:
            self.journal.memory(move.of)

    def expire(self, id_: str, memory: Memory, claimed: Hold) -> None:
        """Ends a hold that is due."""
        self.change(claimed.expires_at)
        for claim in claimed.claims:
            self.give_back(claim, (EXPIRE, id_))
        claimed.state = HoldState.EXPIRED
        claimed.claims = []
        claimed.resolved_at = claimed.expires_at
        memory.known_until = claimed.expires_at + claimed.keep_ms
        if self.journal:
            self.journal.memory(id_)

    def give_back(self, claim: Claim, cause: Cause) -> CounterState:
        """Gives back what is claimed of a counter, if anything; the counter after it."""
        counter = self.counter(claim.counter, claim.window)
        if claim.claimed:
            give_back(counter, claim.claimed)
            self.changed(claim.counter, counter, cause, 0, -claim.claimed)
        return counter

    def forget_claims(self, removed: set[str]) -> None:
        """Takes what open holds claim of counters that are removed."""
        for expires_at, id_ in self.book.due:
            memory = self.book.known.get(id_)
            if memory is None or memory.hold is None or not _is_open(memory, expires_at):
                continue
            for claim in memory.hold.claims:
                if claim.counter in removed and claim.claimed:
                    claim.claimed = 0
                    if self.journal:
                        self.journal.memory(id_)

    def change(self, at: int | None = None) -> None:
        """Numbers one change of the book."""
        least = (self.now_ms if at is None else at) * 1000
        following = self.book.sequence + 1
        self.book.sequence = max(least, following)

    def changed(
        self, name: str, counter: CounterState, cause: Cause, counted: int, held: int
    ) -> None:
        """A counter changed: it is one of the book's, and the journal hears of it."""
        self.book.counters[name] = counter
        if self.journal:
            self.journal.counter(name, counter, cause, counted, held)


class _Line:
    """One counter of a commit: what its hold claims, and what is asked for it."""

    __slots__ = ("add", "claim", "counted", "counter", "more")

    def __init__(
        self, claim: Claim, asked: Entry | None, counter: CounterState, now_ms: int
    ) -> None:
        self.claim = claim
        self.counter = counter
        self.counted = current(counter, now_ms)
        self.add = claim.add if asked is None else asked.add
        self.more = (
            replace(asked, add=asked.add - claim.add, cooldown_ms=0)
            if asked is not None and asked.add > claim.add
            else None
        )

    def refusal(self, now_ms: int) -> int:
        """What refuses it, as bits of `Why`."""
        total = self.counted + self.counter.held - self.claim.claimed + self.add
        why = OVERFLOW if total > AMOUNT_MAX else 0
        if self.more is not None:
            why |= refusal(self.counter, self.counted, self.more, now_ms)
        return why

    def told(self, now_ms: int, why: int = 0) -> Numbers:
        """How it stands."""
        if not why:
            return numbers(self.counter, now_ms)
        freed_at = NEVER if self.more is None else frees_at(self.counter, self.more, why, now_ms)
        return numbers(self.counter, now_ms, freed_at, why)


_Asked = tuple[Entry, CounterState, int]
"""An entry, its counter (one with all at 0, not of the book yet, where it does not exist), and its
current count."""

_KINDS: Final[dict[Kind, Callable[[_Step, Move], Outcome]]] = {
    Kind.CHECK: _Step.check,
    Kind.HOLD: _Step.hold,
    Kind.COMMIT: _Step.commit,
    Kind.RELEASE: _Step.release,
    Kind.REMOVE: _Step.remove,
}

_KEPT: Final = (APPLIED, REFUSED, LATE)
"""Outcomes that are repeated for the same id."""

_RESOLVED: Final = {
    HoldState.COMMITTED: Status.COMMITTED,
    HoldState.RELEASED: Status.RELEASED,
    HoldState.EXPIRED: Status.EXPIRED,
}


def _is_open(memory: Memory, expires_at: int) -> bool:
    """Whether a line of `due` tells of a hold that is held."""
    held = memory.hold
    return held is not None and held.state is HoldState.HELD and held.expires_at == expires_at


def _is_due(claimed: Hold, now_ms: int) -> bool:
    return claimed.state is HoldState.HELD and claimed.expires_at <= now_ms


def _unclaimed(entry: Entry) -> Claim:
    """A counter that a commit brings and its hold has not."""
    return Claim(entry.counter, entry.window, 0, entry.cooldown_ms, 0)
