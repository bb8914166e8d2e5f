"""The one primitive of state, moves of counters in a book, and the protocol of what stores them.

Three words:

- A **book** is what a store changes in one atomic step: a campaign tree, a user, a household. What
  spans books is made above: a hold in each, book after book, given back where a later one refuses.
- A **counter** of a book counts impressions or micros in a window, and knows what is held of it.
- A **move** changes counters of one book: all its entries or none.

This text is the rule for every store. `moves.py` is the same rule as a pure function; where the two
could differ the tests compare them. `wire.py` gives moves and outcomes as JSON.


Numbers
    Amounts (`add`, `limit`, `soft`, `counted`, `held`) are whole: impressions, or micros of money.
    Each is from 0 to `AMOUNT_MAX` = 10^18 - 1, so the sum of three fits into an int64, and each is
    two halves of nine digits where numbers are doubles (Lua). Times are whole milliseconds since
    1970-01-01 00:00 UTC, from 1 to `NEVER` = 2^53 - 1, which is exact everywhere and means
    "never". 0 means "not" (not opened, no impression yet). Texts are compared and sorted by their
    UTF-8 bytes and hold no NUL.

Time
    `now_ms` is the caller's, one for all moves of a call. A book keeps no clock: everything is
    judged by the `now_ms` of the call, also where it is a little less than that of the call
    before. A store's own clock is for garbage only: what by these rules reads as if it did not
    exist may be deleted `SLACK_MS` after that, and deleting it changes no answer.

One call: `apply(book, moves, now_ms)`
    1. Due holds are expired: of the holds in state HELD with `expires_at <= now_ms`, in the order
       of (expires_at, id), the first `DUE_AT_ONCE`. More than that wait for the next call; until
       then their counts stay held, which is never too little (`expiring.py` asks again).
    2. Each move is done, one after the other, each seeing what those before it did. Nobody else's
       move comes between.

Ids
    A move with an `id` that was applied or refused (APPLIED, LATE, REFUSED) is known from then on:
    - for `keep_ms` (at least 1): while `now_ms < at + keep_ms`;
    - a HOLD that was applied: as long as it is held, and `keep_ms` more, counted from when it
      was resolved; for one that expired that is its `expires_at`.
    An id that is known, with the same kind and the same `content`, gives the first outcome again,
    in every number, with `replayed` set, and nothing moves. With another kind or content the
    outcome is REUSED: nothing moves, and `content` of the outcome is that of the first move.
    UNKNOWN, EXPIRED, COMMITTED, RELEASED and REUSED outcomes are not kept, and CHECK moves are
    never kept. A move without an id is not kept: the caller can't repeat it. An id that is no
    longer known may be used anew, as if for the first time.

Counters
    A counter is (window, counted, held, first_at, last_at, ends_at, kept_until, held_until) and,
    for SLIDING windows, its steps. All are 0 in one that does not exist. The window is the one
    told when it was made; who names a counter names its window with it.

    Its *current count* at `now_ms`:
    - SLIDING: the sum of the steps i with `now_ms < (i + 1) * step + length`, where
      `step = ceil(length / 60)`. So an impression counts for at least `length` and at most one
      step longer: never too low. *Overcount* is the sum of those of them with
      `i * step + length <= now_ms`: the steps that may be partly over.
    - UNTIL: `counted`; but 0 where `ends_at <= now_ms` and nothing is held. (It never starts
      again: its start is in its name.)
    - FIRST, REFRESH: `counted`; but 0 where `ends_at <= now_ms`.
    - FOREVER: `counted`.

    To *count* `add` > 0 at `now_ms`, with the entry's cooldown:
    - SLIDING: add it to step `i = now_ms // step`; `ends_at = max(ends_at, (i + 1) * step +
      length)`; `first_at` stays 0. Steps that no longer count are dropped; `counted` is the sum
      of the rest.
    - else, if the current count is 0 the window opens: `counted = 0`, `first_at = now_ms`, and
      `ends_at` is now_ms + length (FIRST, REFRESH), the time told (UNTIL) or NEVER (FOREVER).
      REFRESH that is open already: `ends_at = max(ends_at, now_ms + length)`.
      Then `counted = current count + add`.
    - `last_at = max(last_at, now_ms)`,
      `kept_until = max(kept_until, ends_at, now_ms + cooldown)`.
    To count 0 changes nothing, makes no counter and opens no window.

    `held` is the sum of what open holds claim. It has no window: what is held counts against the
    limit until it is resolved, and a commit counts it in the window that is open at the commit.
    To *hold* `add` > 0: `held += add`, `held_until = max(held_until, expires_at)`.
    To *give back*: `held -= add`; at 0 `held_until = 0`.

    A counter with `held` = 0 and `kept_until <= now_ms` reads as one that does not exist; what is
    counted or held of it next begins with all at 0.

Judging
    Every entry of a move is judged, against the counters as they were before the move, also after
    one has refused. With n the current count and h `held`, an entry with `add` > 0 is refused for:
    - OVERFLOW: n + h + add > AMOUNT_MAX;
    - LIMIT: n + h + add > limit;
    - SOFT: n + h + add > soft;
    - COOLDOWN: the entry has a cooldown, and h > 0 (an impression is under way) or
      last_at > 0 and now_ms < last_at + cooldown.
    An entry with `add` = 0 is never refused. A `forced` entry is refused for OVERFLOW only.

Kinds
    CHECK    judges the entries, changes nothing. With `add` = 0 it reads counters.
    COUNT    judges the entries; if none is refused, counts all of them.
    HOLD     judges the entries; if none is refused, holds all of them until `expires_at`. Id
             required. No entries: a hold of nothing, which is known and resolved like any other.
    COMMIT   resolves the HOLD `of`; below.
    RELEASE  resolves the HOLD `of`: gives back what it claims.
    REMOVE   forgets the counters named by its entries, counted and held (only `counter` of the
             entries matters). Open holds lose their claims on these counters, so that committing
             such a hold counts anew and releasing it gives nothing back there.

    COMMIT and RELEASE, where `of` is
    - unknown, or no HOLD, or a HOLD that was refused: UNKNOWN.
    - HELD with `expires_at <= now_ms`: it is expired first, as in step 1, then:
    - EXPIRED: RELEASE answers EXPIRED. COMMIT without `late` entries answers EXPIRED. COMMIT with
      `late` entries judges and counts these like COUNT: LATE, or REFUSED, after which the hold
      is still EXPIRED.
    - COMMITTED or RELEASED, by another move: COMMITTED or RELEASED.
    - HELD: RELEASE gives back what is claimed: APPLIED. COMMIT counts, and after each counter gives
      back what is claimed of it:
        - for each entry of the hold, in their order: the `add` of the COMMIT's entry with the same
          counter where there is one, else the hold's own;
        - then, for each entry of the COMMIT whose counter the hold has not: its `add`.
      With n and h before the move, it is judged so:
        - OVERFLOW, each of these: n + h - (what the hold claims of it) + (what is counted)
          > AMOUNT_MAX;
        - LIMIT and SOFT, each entry of the COMMIT that is not forced: what it counts more than the
          hold's own `add` (all of it, where the hold has not the counter), if above 0, is judged
          as the `add` of an entry; its `frees_at` is that of this `add`.
      There is no cooldown to judge. One refused: nothing moves, the hold stays HELD. For the
      counters of the hold its own window and cooldown are used, not those of the COMMIT.
      Where the claim was lost by REMOVE nothing is given back; what is counted is the same.

    A hold goes HELD -> COMMITTED | RELEASED | EXPIRED, once; EXPIRED -> COMMITTED by LATE.

Sequence
    Each book has a number that grows with each change. Each COUNT, HOLD, COMMIT, RELEASE or REMOVE
    that is APPLIED or LATE sets it to `max(sequence + 1, now_ms * 1000)`; each expired hold to
    `max(sequence + 1, expires_at * 1000)`, so that it doesn't matter when it is found expired. A
    book that was forgotten, as nothing of it existed any more, begins again with 0, and yet its
    next change has a greater number than all before.

Outcome
    `numbers` has one for each entry: of CHECK, COUNT, HOLD, REMOVE those of the move in its
    order; of COMMIT and RELEASE that found the hold HELD those of the hold, then those of the
    COMMIT that the hold has not; of LATE, and COMMIT refused late, those of `late`. In other
    statuses there are none. They are as after the move (for REMOVE before it): the window's
    state at `now_ms`, so `first_at` and `ends_at` are 0 where the current count is 0. `last_at`
    is 0 where the counter reads as not existing. `why` is what refused, and `frees_at` when the
    same entry would pass, if nothing else is counted or released:
    - 0: not refused, or by SOFT alone, whose end the store can't know;
    - OVERFLOW: NEVER;
    - LIMIT: down(limit - add - h); where h > 0 that, or if it is earlier the later of `held_until`
      and down(limit - add). down(most) is when the current count is `most` or less by itself:
      NEVER if most < 0; 0 if n <= most; for SLIDING the end, (i + 1) * step + length, of the first
      step i with which enough is over; else `ends_at`, which is NEVER for FOREVER;
    - COOLDOWN: last_at + cooldown where last_at > 0, and `held_until` if h > 0; the later;
    - several of these: the latest.
    A forced entry that was not refused tells, as after the move, `why` and `frees_at` of one more
    impression (add = 1, unforced).
    In a COMMIT of a hold that is HELD only entries that are refused have `why` and `frees_at`.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from enum import IntFlag, StrEnum
from typing import Final, Protocol

from xsp_server.errors import InvalidRequest, Unavailable, Violation
from xsp_server.state.arguments import check_int, check_text
from xsp_server.state.windows import DURATION_MAX, FOREVER, NEVER, Window, first
from xsp_server.values import value

AMOUNT_MAX: Final = 10**18 - 1
"""Greatest amount, limit and count."""

SLACK_MS: Final = 60_000
"""How long a store keeps what can't be seen any more, for callers whose clocks are behind."""

DUE_AT_ONCE: Final = 256
"""Most holds of a book that one call expires."""

ID_MAX: Final = 256
"""Longest id of a move, in UTF-8 bytes."""

NAME_MAX: Final = 1024
"""Longest name of a book, of a counter, or of a campaign, in UTF-8 bytes."""

CONTENT_MAX: Final = 16_384
"""Longest content of a move, in UTF-8 bytes."""

ENTRIES_MAX: Final = 512
"""Most entries of a move, and most late ones."""


class StoreAway(Unavailable):
    """The store can't be reached, or failed. Whether the call was applied is not known."""

    reason = "STATE_UNAVAILABLE"


class Kind(StrEnum):
    """What a move does; the module tells how."""

    CHECK = "check"
    COUNT = "count"
    HOLD = "hold"
    COMMIT = "commit"
    RELEASE = "release"
    REMOVE = "remove"


# Members by names of the module: Python 3.11 takes six times as long to read one from its class.
_HOLD: Final = Kind.HOLD
_COMMIT: Final = Kind.COMMIT
_RELEASE: Final = Kind.RELEASE


class Status(StrEnum):
    """What became of a move."""

    APPLIED = "applied"
    """Done: all entries. For CHECK: it would be."""
    LATE = "late"
    """COMMIT: done, by the late entries, although the hold had expired."""
    REFUSED = "refused"
    """At least one entry is refused; nothing moved."""
    UNKNOWN = "unknown"
    """COMMIT, RELEASE: there is no such hold."""
    EXPIRED = "expired"
    """COMMIT, RELEASE: the hold expired before; nothing moved now."""
    COMMITTED = "committed"
    """COMMIT, RELEASE: another move committed the hold before; nothing moved now."""
    RELEASED = "released"
    """COMMIT, RELEASE: another move released the hold before; nothing moved now."""
    REUSED = "reused"
    """The id is known with another kind or content; nothing moved."""


class Why(IntFlag):
    """What refuses an entry. Several may."""

    LIMIT = 1
    SOFT = 2
    COOLDOWN = 4
    OVERFLOW = 8


class HoldState(StrEnum):
    """Where a hold stands."""

    HELD = "held"
    COMMITTED = "committed"
    RELEASED = "released"
    EXPIRED = "expired"


@value
class Book:
    """What is changed in one atomic step.

    Attributes:
        name: unique in the store, 1 to `NAME_MAX` bytes.
        ledger: whether the store, if it keeps a ledger, writes into it each movement of the
            book's UNTIL and FOREVER counters; nothing may be counted in an UNTIL window that is
            over, but by the commit of a hold. A book that ever had one keeps it. For money: what
            is counted of people shall be forgotten.
    """

    name: str
    ledger: bool = False

    def __post_init__(self) -> None:
        """Raises InvalidRequest where the name is too long, empty or has a NUL."""
        check_text("book", self.name, 1, NAME_MAX)


@value
class Entry:
    """One counter in a move.

    Attributes:
        counter: name in the book, 1 to `NAME_MAX` bytes. A move names a counter once.
        window: the window it counts in; always the same for one name.
        add: what to count or to hold.
        limit: greatest sum of what is counted and held. None: any.
        soft: the same, told apart: pacing. None: any.
        cooldown_ms: least time since the last impression. 0: none.
        forced: counted without asking.
    """

    counter: str
    window: Window
    add: int
    limit: int | None = None
    soft: int | None = None
    cooldown_ms: int = 0
    forced: bool = False

    def __post_init__(self) -> None:
        """Raises InvalidRequest where a value is not one that every store can take."""
        check_text("counter", self.counter, 1, NAME_MAX)
        check_int("add", self.add, 0, AMOUNT_MAX)
        if self.limit is not None:
            check_int("limit", self.limit, 0, AMOUNT_MAX)
        if self.soft is not None:
            check_int("soft", self.soft, 0, AMOUNT_MAX)
        check_int("cooldown_ms", self.cooldown_ms, 0, DURATION_MAX)


@value
class Move:
    """A change of counters of one book: all entries or none.

    Attributes:
        kind: what it does.
        entries: the counters.
        id: what makes a retry harmless; up to `ID_MAX` bytes. Empty: it can't be repeated.
            Required for HOLD; ignored for CHECK.
        content: what the id stands for: up to `CONTENT_MAX` bytes, opaque to the store, which
            compares it and gives it back.
        keep_ms: how long the id is known. At least 1 where there is an id.
        expires_at: HOLD: when it expires.
        of: COMMIT, RELEASE: the id of the HOLD.
        late: COMMIT: what to count where the hold has expired. Empty: then it isn't committed.
    """

    kind: Kind
    entries: tuple[Entry, ...] = ()
    id: str = ""
    content: str = ""
    keep_ms: int = 0
    expires_at: int = 0
    of: str = ""
    late: tuple[Entry, ...] = ()

    def __post_init__(self) -> None:
        """Raises InvalidRequest where a value is not one that every store can take."""
        if self.id:
            check_text("id", self.id, 1, ID_MAX)
            check_text("content", self.content, 0, CONTENT_MAX)
            check_int("keep_ms", self.keep_ms, 1, DURATION_MAX)
        if len(self.entries) > 1 or self.late:
            _check_entries("entries", self.entries)
            _check_entries("late", self.late)
        kind = self.kind
        if kind is _HOLD:
            check_text("id", self.id, 1, ID_MAX)
            check_int("expires_at", self.expires_at, 1, NEVER)
        elif kind is _COMMIT or kind is _RELEASE:
            check_text("of", self.of, 1, ID_MAX)


@value
class Numbers:
    """How one counter of a move stands; see "Outcome" above.

    Attributes:
        counted: the current count, without what is held.
        held: what open holds claim.
        overcount: by how much `counted` may be too high; above 0 for SLIDING only.
        first_at: when the window opened. 0: it is not open, or SLIDING.
        last_at: the last impression. 0: none is known.
        ends_at: when the window ends. 0: it is not open.
        frees_at: when a refused entry would pass. 0: not refused; `NEVER`: not by itself.
        why: what refuses the entry, as bits of `Why`.
    """

    counted: int
    held: int
    overcount: int = 0
    first_at: int = 0
    last_at: int = 0
    ends_at: int = 0
    frees_at: int = 0
    why: int = 0


@value
class Outcome:
    """What became of a move.

    Attributes:
        status: what happened.
        at: `now_ms` of the call that decided; of the first one where it is replayed.
        sequence: number of the book's last change, after the move.
        numbers: of each entry.
        content: REUSED: the content that the id stands for. Else empty.
        replayed: True: this is the outcome of the same move before; nothing moved this time.
    """

    status: Status
    at: int
    sequence: int
    numbers: tuple[Numbers, ...] = ()
    content: str = ""
    replayed: bool = False


@value
class Known:
    """What a book knows of a move.

    Attributes:
        id: its id.
        kind: its kind.
        content: its content.
        outcome: its first outcome, with `replayed` set.
        hold: where its hold stands. None: it is no HOLD, or was refused.
        expires_at: HOLD: when it expires. Else 0.
        resolved_at: when its hold was committed, released or, by `expires_at`, expired. Else 0.
        resolution: content of the move that committed or released it. Else empty.
    """

    id: str
    kind: Kind
    content: str
    outcome: Outcome
    hold: HoldState | None = None
    expires_at: int = 0
    resolved_at: int = 0
    resolution: str = ""


@value
class Counter:
    """One counter as it is kept, for inspection.

    Attributes:
        name: its name in the book.
        window: its window.
        counted: its current count, without what is held.
        held: what open holds claim.
        first_at: when the window opened. 0: it is not open, or SLIDING.
        last_at: the last impression. 0: none yet.
        forgotten_at: max(kept_until, held_until). `NEVER`: not by itself.
    """

    name: str
    window: Window
    counted: int
    held: int
    first_at: int
    last_at: int
    forgotten_at: int


@value
class Movement:
    """One line of the ledger: a change of one counter, never changed or deleted.

    Attributes:
        number: place in the ledger of the store, from 1 up, growing, not always by one.
        book: the book's name.
        sequence: of the book, after the change.
        counter: the counter's name.
        kind: a `Kind`, or "expire".
        id: id of the move, or of the hold that expired.
        counted: change of what is counted; below 0 where the counter was removed.
        held: change of what is held.
        at: `now_ms` of the call.
    """

    number: int
    book: str
    sequence: int
    counter: str
    kind: str
    id: str
    counted: int
    held: int
    at: int


@value
class Balance:
    """What the ledger says of one counter, beside what the store says: the audit.

    The two are equal, and `held` is the sum of what open holds claim, or the store is wrong.
    A counter that was forgotten has no stored numbers: its window is over.

    Attributes:
        book: the book's name.
        counter: the counter's name.
        counted: sum of the ledger.
        held: sum of the ledger.
        stored_counted: as stored. None: forgotten.
        stored_held: as stored. None: forgotten.
        claimed: sum of what the open holds of the book claim of it.
    """

    book: str
    counter: str
    counted: int
    held: int
    stored_counted: int | None
    stored_held: int | None
    claimed: int

    @property
    def proven(self) -> bool:
        """Whether ledger, counter and holds agree."""
        if self.stored_counted is None or self.stored_held is None:
            return self.held == self.claimed == 0
        return self.counted == self.stored_counted and self.held == self.stored_held == self.claimed


@value
class CampaignDocument:
    """A campaign's settings as they are stored.

    Attributes:
        campaign_id: its id, 1 to `NAME_MAX` bytes.
        key: what no two campaigns may share, made by the caller. Empty: nothing.
        body: the settings, opaque to the store.
        request_id: of the call that put it.
        revision: from 1 up, by 1 with each put; made by the store.
        created_at: `now_ms` of the first put; made by the store.
        updated_at: `now_ms` of the last put; made by the store.
    """

    campaign_id: str
    key: str
    body: bytes
    request_id: str = ""
    revision: int = 0
    created_at: int = 0
    updated_at: int = 0

    def __post_init__(self) -> None:
        """Raises InvalidRequest where a text is too long, or the id is empty."""
        check_text("campaign_id", self.campaign_id, 1, NAME_MAX)
        check_text("key", self.key, 0, NAME_MAX)
        check_text("request_id", self.request_id, 0, ID_MAX)


class PutStatus(StrEnum):
    """What became of a campaign document that was put, or deleted."""

    STORED = "stored"
    """It is stored; for deletion: it is deleted."""
    REPLAYED = "replayed"
    """The last put of this campaign had the same request_id: it is stored already."""
    DIFFERS = "differs"
    """It has another revision than was expected."""
    OUTDATED = "outdated"
    """Some campaign was stored or deleted since the version that was expected."""
    TAKEN = "taken"
    """Another campaign has its key."""
    ABSENT = "absent"
    """Deletion: there is none."""


@value
class PutOutcome:
    """What became of a campaign document that was put, or deleted.

    Attributes:
        status: what happened.
        document: STORED, REPLAYED: as it is stored, or was last before deletion; DIFFERS: as it
            is, None where there is none; TAKEN: the other campaign; ABSENT, OUTDATED: None.
    """

    status: PutStatus
    document: CampaignDocument | None


class StateBackend(Protocol):
    """Where books and campaigns are stored.

    Calls of one tick of the event loop travel together: one pipeline, one batch, one transaction;
    of one book in the order in which they were made. A call that is cancelled by its caller may
    still be applied; ids make it harmless to repeat.

    Every method raises `StoreAway` when the store can't be reached, and `InvalidRequest` for
    arguments that no store can take.
    """

    @property
    def scheme(self) -> str:
        """Scheme of its URL: memory, sqlite, redis, rediss, redis+cluster or postgresql."""
        ...

    @property
    def in_process(self) -> bool:
        """Whether it is in this process alone: nobody else changes it, and it is never away.

        Its calls never wait: a task of their own, or a limit on their time, is worth nothing.
        """
        ...

    @property
    def durable(self) -> bool:
        """Whether an acknowledged write is on disk."""
        ...

    @property
    def keeps_ledger(self) -> bool:
        """Whether it keeps the ledger of books that ask for one."""
        ...

    async def apply(self, book: Book, moves: Sequence[Move], now_ms: int) -> list[Outcome]:
        """Does the moves in their order, in one atomic step; one outcome for each."""
        ...

    async def find(self, book: str, ids: Sequence[str], now_ms: int) -> list[Known | None]:
        """What is known of these moves; None for an id that is not known.

        A hold that is due is told as EXPIRED, whether or not it was expired already.
        """
        ...

    async def open_holds(
        self, book: str, now_ms: int, *, after: str = "", limit: int = 100
    ) -> list[Known]:
        """Holds in state HELD that are not due, in the order of their ids, from after `after`."""
        ...

    async def counters(
        self, book: str, now_ms: int, *, after: str = "", limit: int = 100
    ) -> list[Counter]:
        """Counters that exist at `now_ms`, in the order of their names, from after `after`.

        Due holds are expired first, as by a call without moves.
        """
        ...

    async def put_campaign(
        self,
        document: CampaignDocument,
        now_ms: int,
        *,
        expected_revision: int | None = None,
        expected_version: int | None = None,
    ) -> PutOutcome:
        """Creates or replaces a campaign, in one atomic step.

        Judged in this order: REPLAYED (the stored one has this request_id, not empty), DIFFERS
        (0 is expected where there is none), OUTDATED (`campaigns_version` is another), TAKEN,
        STORED. The document's own revision and times are ignored.
        """
        ...

    async def get_campaigns(self, campaign_ids: Sequence[str]) -> list[CampaignDocument | None]:
        """The campaigns with these ids; None where there is none."""
        ...

    async def list_campaigns(self, *, after: str = "", limit: int = 100) -> list[CampaignDocument]:
        """Campaigns in the order of their ids, from after the id `after`."""
        ...

    async def delete_campaign(
        self,
        campaign_id: str,
        *,
        expected_revision: int | None = None,
        expected_version: int | None = None,
    ) -> PutOutcome:
        """Deletes a campaign, in one atomic step: ABSENT, DIFFERS, OUTDATED or STORED."""
        ...

    async def campaigns_version(self) -> int:
        """A number that grows with each campaign stored or deleted. 0: none was ever."""
        ...

    async def movements(self, book: str, *, after: int = 0, limit: int = 1000) -> list[Movement]:
        """The ledger of a book, in order, from after the number `after`.

        Empty in stores that keep none.
        """
        ...

    async def audit(self, book: str | None = None) -> list[Balance]:
        """Ledger against counters against holds, of one book or of all that have a ledger.

        Ordered by book and counter. Empty in stores that keep no ledger.
        """
        ...

    async def ping(self) -> None:
        """Returns if the store answers."""
        ...

    async def close(self) -> None:
        """Ends what is under way, and lets the store go. Twice is harmless."""
        ...

    async def get_count(self, key: str, *, now_ms: int | None = None) -> int:
        """The count of this name; 0 where there is none or it has expired."""
        return await self._named(f"count/{key}", _READ, now_ms)

    async def increment(
        self,
        key: str,
        amount: int = 1,
        *,
        expires_in: float | None = None,
        request_id: str = "",
        now_ms: int | None = None,
    ) -> int:
        """Adds to the count of this name; the count after it.

        Args:
            key: the name; counts and spends of one name are apart.
            amount: what to add, from 0 up.
            expires_in: seconds from the first change until it is 0 again. None: never. Always the
                same for one name.
            request_id: makes a retry harmless, for an hour. Empty: a retry counts again.
            now_ms: the time. None: the machine's.
        """
        return await self._named(
            f"count/{key}", _named_count(amount, expires_in, request_id), now_ms
        )

    async def get_spend(self, key: str, *, now_ms: int | None = None) -> int:
        """The spend of this name in micros; 0 where there is none or it has expired."""
        return await self._named(f"spend/{key}", _READ, now_ms)

    async def add_spend(
        self,
        key: str,
        micros: int,
        *,
        expires_in: float | None = None,
        request_id: str = "",
        now_ms: int | None = None,
    ) -> int:
        """Adds to the spend of this name; the spend after it. Arguments as in `increment`."""
        return await self._named(
            f"spend/{key}", _named_count(micros, expires_in, request_id), now_ms
        )

    async def _named(self, name: str, move: Move, now_ms: int | None) -> int:
        now = time.time_ns() // 1_000_000 if now_ms is None else now_ms
        [outcome] = await self.apply(Book(name), (move,), now)
        if outcome.status is Status.REUSED:
            was = f"{move.id!r} was used to add {outcome.content} before, now {move.content}"
            raise InvalidRequest(Violation("request_id", f"{was}; expected a new id"))
        if outcome.status is Status.REFUSED:
            raise InvalidRequest(Violation("amount", f"the sum would be above {AMOUNT_MAX}"))
        return outcome.numbers[0].counted


async def apply_all(
    backend: StateBackend, moves: Mapping[Book, Sequence[Move]], now_ms: int
) -> dict[Book, list[Outcome]]:
    """Does the moves of many books, all on their way at once; outcomes by book.

    Raises:
        StoreAway: the store can't be reached.
    """
    if backend.in_process or len(moves) == 1:
        return {book: await backend.apply(book, those, now_ms) for book, those in moves.items()}
    told = await asyncio.gather(
        *(backend.apply(book, those, now_ms) for book, those in moves.items()),
        return_exceptions=True,  # none is under way any more when one has failed
    )
    outcomes: dict[Book, list[Outcome]] = {}
    for book, each in zip(moves, told, strict=True):
        if isinstance(each, BaseException):
            raise each
        outcomes[book] = each
    return outcomes


def _named_count(amount: int, expires_in: float | None, request_id: str) -> Move:
    window = FOREVER if expires_in is None else first(round(expires_in * 1000))
    return Move(
        Kind.COUNT,
        (Entry("n", window, amount),),
        id=request_id,
        content=str(amount),
        keep_ms=3_600_000,
    )


_READ: Final = Move(Kind.CHECK, (Entry("n", FOREVER, 0),))


def _check_entries(name: str, entries: tuple[Entry, ...]) -> None:
    """Raises InvalidRequest where there are too many, or two of one counter."""
    check_int(f"number of {name}", len(entries), 0, ENTRIES_MAX)
    counters = {entry.counter for entry in entries}
    if len(counters) < len(entries):
        raise InvalidRequest(Violation(name, "a counter is named twice; expected each once"))
