"""Reservations: money and cap counts held for bids until billing, release or expiry.

A reservation is a hold in each book that it needs, always in this order: the book of its id, that
of the campaign tree, the user's, the household's. The first holds nothing; its content is the
`Plan`, which says what is held where, so that a commit needs the id alone. Where a later book
refuses, what was held before is given back. The campaign's book, or the user's where no campaign is
named, says how a reservation was resolved; the others follow, and a call that is repeated completes
what one that was cut off has left.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, Self

from xsp.state.v1 import state_service_pb2 as pb
from xsp.state.v1.budget_pb2 import (
    BudgetRefusal,
    BudgetStatus,
    Reservation,
    ReservationOutcome,
    ReservationResult,
    ReservationSpec,
    ReservationState,
)
from xsp.state.v1.guarantee_pb2 import FailPolicy
from xsp_server.errors import InvalidRequest, MissingField, XspError
from xsp_server.state import budget_status as statuses
from xsp_server.state.backend import (
    CONTENT_MAX,
    Book,
    Entry,
    HoldState,
    Kind,
    Known,
    Move,
    Outcome,
    StateBackend,
    Status,
    StoreAway,
    apply_all,
)
from xsp_server.state.basis import away, is_open, stored
from xsp_server.state.budget_status import Level, levels_of
from xsp_server.state.budgets import check_overflow, refusal_of, refusal_while_away, status_of
from xsp_server.state.campaign_rules import Settings
from xsp_server.state.campaigns import Campaigns, Lineage
from xsp_server.state.candidates import Candidate, candidate_of
from xsp_server.state.caps import Caps
from xsp_server.state.faults import (
    InvalidField,
    ReservationIdReused,
    ReservationNotFound,
    ReservationResolved,
    check_distinct,
    check_number,
)
from xsp_server.state.messages import (
    DAY_MS,
    Clock,
    amount_of,
    check_id,
    differences,
    digest,
    machine_clock,
    money,
    ms_of,
    packed,
    timestamp,
    unpacked,
)
from xsp_server.state.money_book import book_of
from xsp_server.state.windows import FOREVER
from xsp_server.values import value

MAX_RESERVATIONS: Final = 1000
DEFAULT_TTL_MS: Final = 600_000

Item = ReservationResult | tuple[str, XspError]
"""A result, or a reservation's id and why it alone failed."""

_STATES: Final = {
    HoldState.HELD: ReservationState.RESERVATION_STATE_HELD,
    HoldState.COMMITTED: ReservationState.RESERVATION_STATE_COMMITTED,
    HoldState.RELEASED: ReservationState.RESERVATION_STATE_RELEASED,
    HoldState.EXPIRED: ReservationState.RESERVATION_STATE_EXPIRED,
}
_RESERVED: Final = ReservationOutcome.RESERVATION_OUTCOME_RESERVED
_REFUSED: Final = "refused"
"""Content of what ends a reservation that was never made."""

_INDEX: Final = "r"
_NOTHING: Final = Entry("n", FOREVER, 0)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is held, and where: the content of a reservation's own book.

    Attributes:
        spec: the reservation as it was asked for, packed.
        campaign_id: who pays; empty: nobody.
        currency: of the money; empty: there is none.
        amount: micros; None: no money.
        impressions: held in each counter; 0: none.
        at: when it was made.
        expires_at: when it expires.
        levels: of each level of the tree its id, its day and its hour.
        caps: names of the books of cap counts, in order.
        refused: why the settings refuse it; empty: they don't. "caps", or a packed refusal.
    """

    spec: str
    campaign_id: str
    currency: str
    amount: int | None
    impressions: int
    at: int
    expires_at: int
    levels: tuple[tuple[str, int, int, int, int], ...]
    caps: tuple[str, ...]
    refused: str = ""

    def to_text(self) -> str:
        """As a content."""
        return json.dumps([getattr(self, name) for name in self.__slots__], separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> "Plan":
        """From a content."""
        told = dict(zip(cls.__slots__, json.loads(text), strict=True))
        told["levels"] = tuple(tuple(level) for level in told["levels"])
        told["caps"] = tuple(told["caps"])
        return cls(**told)

    @property
    def root(self) -> str:
        """The campaign at the top."""
        return self.levels[-1][0]

    @property
    def books(self) -> list[Book]:
        """Books that hold something, or say how it was resolved; in order."""
        money_books = [book_of(self.root)] if self.campaign_id else []
        return [*money_books, *(Book(name) for name in self.caps)]

    def levels_at(self, lineage: Lineage) -> tuple[Level, ...]:
        """The levels that it was made of, with the settings of now.

        One that is above the campaign no more has no limits, but its counters hold all the same.
        """
        now = {settings.id: settings for settings in lineage}
        gone = replace(lineage[0], total=None, daily=None, hourly=None, pacing=None)
        return tuple(
            Level(now.get(id_) or replace(gone, id=id_), (day0, day1), (hour0, hour1))
            for id_, day0, day1, hour0, hour1 in self.levels
        )


@dataclass(slots=True)
class Work:
    """One reservation on its way through the books.

    Attributes:
        id: its id.
        plan: what is held where.
        settings: the campaign.
        lineage: and its parents; empty: none.
        candidate: what its caps ask.
        replayed: whether it was asked for before.
        known: where it stands, if it was asked for before.
        cut_off: whether it was over before all its books were asked.
        outcomes: of the books, as far as it came.
        settled: the money after a refusal by caps.
    """

    id: str
    plan: Plan
    settings: Settings | None
    lineage: Lineage
    candidate: Candidate | None
    replayed: bool = False
    known: Known | None = None
    cut_off: bool = False
    outcomes: list[Outcome] = field(default_factory=list)
    settled: Outcome | None = None

    @property
    def refused(self) -> bool:
        """Whether its last book refused."""
        return bool(self.outcomes) and self.outcomes[-1].status is Status.REFUSED

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels that it is made of."""
        return self.plan.levels_at(self.lineage)


@value
class Answer:
    """What became of a reservation that was made at once with others.

    Attributes:
        outcome: what was decided.
        result: makes its message, which nobody may want.
    """

    outcome: "ReservationOutcome.ValueType"
    result: Callable[[], ReservationResult]

    @classmethod
    def of(cls, result: ReservationResult) -> Self:
        """One whose message is there."""
        return cls(result.outcome, lambda: result)


class Reservations:
    """Holds, commits and releases."""

    def __init__(  # noqa: PLR0913 - three parts, and settings by name
        self,
        backend: StateBackend,
        campaigns: Campaigns,
        caps: Caps,
        clock: Clock = machine_clock,
        *,
        ttl_ms: int = DEFAULT_TTL_MS,
        keep_ms: int = DAY_MS,
        fail_policy: "FailPolicy.ValueType" = FailPolicy.FAIL_POLICY_FAIL_CLOSED,
    ) -> None:
        """Takes the store.

        Args:
            backend: where money and impressions are held.
            campaigns: of the same store.
            caps: of the same store.
            clock: milliseconds since 1970.
            ttl_ms: how long a reservation holds when neither it nor its campaign tells.
            keep_ms: how long ids are known after they are resolved.
            fail_policy: for campaigns that don't tell one.
        """
        self._backend = backend
        self._campaigns = campaigns
        self._caps = caps
        self._clock = clock
        self._ttl_ms = ttl_ms
        self._keep_ms = keep_ms
        self._fail_policy = fail_policy
        self._ending: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Waits until what is being given back is; each call has its own limit."""
        await asyncio.gather(*self._ending)

    async def reserve(self, specs: Sequence[ReservationSpec]) -> list[Item]:
        """Holds money and cap counts: each reservation all or nothing, in their order.

        Raises:
            InvalidRequest: a reservation can't be.
            StoreAway: the store can't be reached, and its campaigns never could.
        """
        check_number("reservations", len(specs), MAX_RESERVATIONS)
        check_distinct("reservations", [each.reservation_id for each in specs], ".reservation_id")
        failure = await self._campaigns.freshen()
        works: list[Work | tuple[str, XspError]] = []
        for place, spec in enumerate(specs):
            try:
                works.append(self._work(spec, f"reservations[{place}]"))
            except InvalidRequest:
                raise
            except XspError as error:
                works.append((spec.reservation_id, error))
        results: dict[str, Item] = {}
        for batch in _batches(each for each in works if isinstance(each, Work)):
            if failure is None:
                try:
                    results |= await self._reserve(batch)
                    continue
                except StoreAway as away_now:
                    failure = away_now
            results |= {each.id: self._while_away(each, failure) for each in batch}
        return [each if isinstance(each, tuple) else results[each.id] for each in works]

    async def reserve_at_once(
        self, specs: Sequence[ReservationSpec], seconds: float
    ) -> "list[Answer | tuple[str, XspError] | None]":
        """Holds as `reserve` does, in one round trip, under ids that were never used before.

        Each reservation asks all its books at the same moment, by the copy of the campaigns. Where
        one refuses, the others give back what they held, in a second round trip.

        Args:
            specs: what to hold. In each book the earlier goes first.
            seconds: how long to wait; then the policies decide as if the store were away, and what
                is held after all is given back.

        Returns:
            In their order. None: refused, but only because of what another of this call held that
            was refused itself; asked again, under another id, it may be held.
        """
        end = asyncio.get_running_loop().time() + seconds
        works = [self._read(each, f"reservations[{place}]") for place, each in enumerate(specs)]
        tries = [_Try(work) for work in works if isinstance(work, Work) and not work.plan.refused]
        failure = await self._try_for(seconds, tries)
        if failure is not None:
            return [
                Answer.of(self._while_away(work, failure)) if isinstance(work, Work) else work
                for work in works
            ]
        refused = [each for each in tries if each.refused_in]
        if refused:
            giving_back = self._spawn(self._give_back(refused))
            await asyncio.wait([giving_back], timeout=end - asyncio.get_running_loop().time())
        crowded = _crowded(tries)
        return [
            work if isinstance(work, tuple) else None if work.id in crowded else self._answer(work)
            for work in works
        ]

    async def _try_for(self, seconds: float, tries: "Sequence[_Try]") -> StoreAway | None:
        """As `_try`; what takes too long, or is left by its caller, is given back."""
        if self._backend.scheme == "memory":  # nobody waits, so it needs no task of its own
            return await self._try(tries)
        holding = asyncio.ensure_future(self._try(tries))
        try:
            await asyncio.wait([holding], timeout=seconds)
        except asyncio.CancelledError:
            self._give_back_later(holding, tries)
            raise
        failure = (
            holding.result()
            if holding.done()
            else StoreAway(f"no answer in {seconds * 1000:.0f} ms", retry_after=1)
        )
        if failure is not None:
            self._give_back_later(holding, tries)
        return failure

    def _answer(self, work: Work) -> "Answer | tuple[str, XspError]":
        if not work.refused and not work.plan.refused:
            return Answer(_RESERVED, partial(self._reserved, work))
        item = self._reserved_alone(work)
        return item if isinstance(item, tuple) else Answer.of(item)

    def _reserved_alone(self, work: Work) -> Item:
        try:
            return self._reserved(work)
        except XspError as error:  # a counter is full, and so it was refused
            return work.id, error

    def _read(self, spec: ReservationSpec, path: str) -> "Work | tuple[str, XspError]":
        """Reads a reservation, or says why it alone can't be."""
        try:
            return self._work(spec, path)
        except XspError as error:
            return spec.reservation_id, error

    async def _try(self, tries: "Sequence[_Try]") -> StoreAway | None:
        """Asks all books of all reservations at once; why that failed, if it did."""
        moves: dict[Book, list[Move]] = {}
        here: dict[Book, list[_Try]] = {}
        for each in tries:
            moves[index_of(each.work.id)] = [self._plan_move(each.work)]
            for book in each.work.plan.books:
                moves.setdefault(book, []).append(self._hold_move(each.work, book))
                here.setdefault(book, []).append(each)
        try:
            outcomes = await apply_all(self._backend, moves, self._clock())
        except StoreAway as failure:
            return failure
        for book, those in here.items():
            for each, outcome in zip(those, outcomes[book], strict=True):
                each.outcomes[book] = outcome
        for each in tries:
            each.settle()
        return None

    async def _give_back(self, tries: "Sequence[_Try]") -> None:
        """Gives back what reservations hold in any book, as far as the store can be reached."""
        here: dict[Book, list[Move]] = {}
        for each in tries:
            work = each.work
            for book in each.held:
                here.setdefault(book, []).append(self._end(_hold_id(work.id), _REFUSED))
            here[index_of(work.id)] = [self._end(_INDEX, _REFUSED)]
        now_ms = self._clock()
        await asyncio.gather(
            *(self._backend.apply(book, moves, now_ms) for book, moves in here.items()),
            return_exceptions=True,  # what stays held expires
        )

    def _give_back_later(
        self, holding: "asyncio.Future[StoreAway | None]", tries: "Sequence[_Try]"
    ) -> None:
        async def give_back() -> None:
            with suppress(Exception):  # whatever it was, what was held is given back or expires
                await holding
            for each in tries:
                each.held = each.work.plan.books
            await self._give_back(tries)

        self._spawn(give_back())

    def _spawn(self, ending: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Starts what must end although nobody may wait for it."""
        task = asyncio.get_running_loop().create_task(ending)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        return task

    async def commit(self, commits: Sequence[pb.ReservationCommit]) -> list[Item]:
        """Spends what reservations hold, and confirms their cap counts.

        Raises:
            InvalidRequest: the call can't be.
            StoreAway: the store can't be reached; the same call again completes it.
        """
        ids = [each.reservation_id for each in commits]
        return await self._resolve(
            "commits", ids, lambda place, plan: self._commit(commits[place], plan)
        )

    async def release(self, ids: Sequence[str]) -> list[Item]:
        """Gives back what reservations hold.

        Raises:
            InvalidRequest: the call can't be.
            StoreAway: the store can't be reached; the same call again completes it.
        """
        return await self._resolve(
            "reservation_ids", ids, lambda place, plan: self._release(ids[place], plan)
        )

    async def held_by(self, settings: Settings) -> list[str]:
        """Ids of the reservations of a campaign that are held."""
        book = book_of(self._campaigns.lineage(settings)[-1].id).name
        now_ms = self._clock()
        held: list[str] = []
        page = await self._backend.open_holds(book, now_ms)
        while page:
            held += [each.id.removeprefix("r/") for each in page if each.content == settings.id]
            page = await self._backend.open_holds(book, now_ms, after=page[-1].id)
        return held

    def _work(self, spec: ReservationSpec, path: str) -> Work:
        """Reads a reservation.

        Raises:
            InvalidRequest: it can't be.
            CampaignNotFound: there is no such campaign.
        """
        check_id(f"{path}.reservation_id", spec.reservation_id)
        kind = spec.WhichOneof("campaign")
        settings = self._campaigns.of(
            spec.campaign_id if kind == "campaign_id" else None,
            spec.campaign_key if kind == "campaign_key" else None,
        )
        amount = self._amount(spec, settings, path)
        now_ms = self._clock()
        candidate = self._candidate(spec, settings, now_ms, path)
        lineage = () if settings is None else self._campaigns.lineage(settings)
        levels = levels_of(lineage, now_ms)
        plan = Plan(
            spec=packed(spec),
            campaign_id="" if settings is None else settings.id,
            currency="" if settings is None or amount is None else settings.currency,
            amount=amount,
            impressions=0 if candidate is None else candidate.impressions,
            at=now_ms,
            expires_at=now_ms + self._ttl(spec, settings, path),
            levels=tuple((each.settings.id, *each.day, *each.hour) for each in levels),
            caps=() if candidate is None else tuple(candidate.books),
            refused=_refused_by_settings(levels, candidate, amount, now_ms),
        )
        if len(plan.to_text()) > CONTENT_MAX:
            raise InvalidField(path, f"expected at most about {CONTENT_MAX // 2} bytes")
        return Work(spec.reservation_id, plan, settings, lineage, candidate)

    def _amount(self, spec: ReservationSpec, settings: Settings | None, path: str) -> int | None:
        """Micros to hold; None: none."""
        if settings is None:
            if spec.WhichOneof("cost"):
                raise MissingField(f"{path}.campaign_id", "the campaign that pays")
            amount = None
        else:
            amount = amount_of(spec, settings.currency, 1, f"{path}.")
        if amount is None and not spec.HasField("frequency"):
            raise MissingField(f"{path}.amount", "money to hold, or frequency")
        return amount

    def _candidate(
        self, spec: ReservationSpec, settings: Settings | None, now_ms: int, path: str
    ) -> Candidate | None:
        if not spec.HasField("frequency"):
            return None
        told = spec.frequency.candidate
        candidate = candidate_of(
            told,
            spec.frequency.subject,
            self._campaigns,
            now_ms,
            path=f"{path}.frequency.candidate",
            settings=settings,
        )
        candidate.id = candidate.id or spec.reservation_id
        return candidate

    def _ttl(self, spec: ReservationSpec, settings: Settings | None, path: str) -> int:
        if spec.HasField("ttl"):
            ttl = ms_of(spec.ttl)
            if not 1000 <= ttl <= DAY_MS:
                got = spec.ttl.ToJsonString()
                raise InvalidField(f"{path}.ttl", f"expected 1 s to 24 h, got {got}")
            return ttl
        if settings is not None and settings.message.HasField("reservation_ttl"):
            return ms_of(settings.message.reservation_ttl)
        return self._ttl_ms

    async def _reserve(self, works: Sequence[Work]) -> dict[str, Item]:
        """Takes reservations through their books, all of them through each book at once."""
        failed: dict[str, Item] = {}
        for work, error in zip(
            works, await asyncio.gather(*(self._begin(work) for work in works)), strict=True
        ):
            if error is not None:
                failed[work.id] = (work.id, error)
        going = [work for work in works if work.id not in failed and not work.plan.refused]
        for place in range(max((len(work.plan.books) for work in going), default=0)):
            here: dict[Book, list[Work]] = {}
            for work in going:
                if not work.refused and place < len(work.plan.books):
                    here.setdefault(work.plan.books[place], []).append(work)
            await asyncio.gather(*(self._hold(book, those) for book, those in here.items()))
        await asyncio.gather(*(self._undo(work) for work in going if work.refused))
        for work in going:
            if work.cut_off and not work.refused:
                failed[work.id] = (work.id, _cut_off(work.id))
        asked = [work for work in works if work.id not in failed]
        return failed | {work.id: self._reserved_alone(work) for work in asked}

    async def _begin(self, work: Work) -> XspError | None:
        """Writes the plan, or finds the one of the same reservation before."""
        book = index_of(work.id)
        moves = [self._plan_move(work)]
        if work.plan.refused:
            moves.append(self._end(_INDEX, _REFUSED))
        outcome, *_ = await self._backend.apply(book, moves, work.plan.at)
        if outcome.status is Status.APPLIED and not outcome.replayed:
            return None
        [known] = await self._backend.find(book.name, [_INDEX], self._clock())
        if known is None:
            return ReservationNotFound(f"reservation {work.id} expired while it was repeated")
        first = Plan.from_text(known.content)
        if first.spec != work.plan.spec:
            different = differences(
                unpacked(first.spec, ReservationSpec), unpacked(work.plan.spec, ReservationSpec)
            )
            return ReservationIdReused(
                f"reservation_id {work.id!r} came before with other {', '.join(different)}; "
                "expected an id of its own for other content",
                **different,
            )
        work.plan, work.known, work.replayed = first, known, True
        return None

    async def _hold(self, book: Book, works: Sequence[Work]) -> None:
        """Holds in one book, or reads what became of it before."""
        now_ms = self._clock()
        resolved = [
            work
            for work in works
            if work.known is not None and work.known.hold is not HoldState.HELD
        ]
        found = await asyncio.gather(
            *(self._backend.find(book.name, [_hold_id(work.id)], now_ms) for work in resolved)
        )
        for work, [known] in zip(resolved, found, strict=True):
            if known is None:
                work.cut_off = True
            else:
                self._take(work, book, known.outcome)
        asking = [work for work in works if work not in resolved]
        moves = [self._hold_move(work, book) for work in asking]
        outcomes = await self._backend.apply(book, moves, now_ms) if moves else []
        for work, outcome in zip(asking, outcomes, strict=True):
            self._take(work, book, outcome)

    def _plan_move(self, work: Work) -> Move:
        """Writes the plan of a reservation into the book of its id."""
        return Move(
            Kind.HOLD,
            id=_INDEX,
            content=work.plan.to_text(),
            keep_ms=self._keep_ms,
            expires_at=work.plan.expires_at,
        )

    def _hold_move(self, work: Work, book: Book) -> Move:
        """Holds in one book."""
        return Move(
            Kind.HOLD,
            self._entries(work, book),
            id=_hold_id(work.id),
            content=work.plan.campaign_id,
            keep_ms=self._keep_ms,
            expires_at=work.plan.expires_at,
        )

    def _entries(self, work: Work, book: Book) -> tuple[Entry, ...]:
        """What a reservation holds in a book."""
        if not book.ledger:
            candidate = work.candidate
            known = candidate is not None and book.name in candidate.books
            return tuple(candidate.entries(book.name)) if candidate and known else ()
        if work.plan.amount is None:
            return ()
        return statuses.entries(work.levels, work.plan.amount, work.plan.at, paced=True)

    def _take(self, work: Work, book: Book, outcome: Outcome) -> None:
        work.outcomes.append(outcome)
        if not book.ledger and work.candidate is not None and book.name in work.candidate.books:
            work.candidate.take(book.name, outcome)

    async def _undo(self, work: Work) -> None:
        """Gives back what was held before a book refused."""
        if work.known is not None and work.known.hold is not HoldState.HELD:
            return
        for book in work.plan.books[: len(work.outcomes) - 1]:
            moves = [self._end(_hold_id(work.id), _REFUSED)]
            if book.ledger:
                moves.append(Move(Kind.CHECK, statuses.entries(work.levels, 0, work.plan.at)))
            *_, told = await self._backend.apply(book, moves, self._clock())
            if book.ledger:
                work.settled = told
        await self._backend.apply(index_of(work.id), [self._end(_INDEX, _REFUSED)], self._clock())

    def _end(self, of: str, content: str = "") -> Move:
        """Gives back a hold."""
        id_ = f"x/{of}"
        return Move(Kind.RELEASE, id=id_, content=content, keep_ms=self._keep_ms, of=of)

    def _reserved(self, work: Work) -> ReservationResult:
        """What is answered once the books were asked."""
        plan = work.plan
        result = ReservationResult(
            reservation_id=work.id,
            outcome=ReservationOutcome.RESERVATION_OUTCOME_RESERVED,
            replayed=work.replayed,
        )
        if plan.refused:
            self._refuse(work, result)
        elif work.refused and plan.campaign_id and len(work.outcomes) == 1:
            check_overflow(work.outcomes[-1])
            result.outcome = ReservationOutcome.RESERVATION_OUTCOME_REFUSED_BUDGET
            result.refusal.CopyFrom(
                refusal_of(work.levels, work.outcomes[0], plan.amount or 0, paced=True)
            )
        elif work.refused:
            result.outcome = ReservationOutcome.RESERVATION_OUTCOME_REFUSED_FREQUENCY
        is_held = result.outcome == ReservationOutcome.RESERVATION_OUTCOME_RESERVED
        if work.candidate is not None and not result.HasField("refusal"):
            result.frequency.CopyFrom(
                self._caps.judged(work.candidate, wrote=not work.replayed, include_caps=False)
            )
        if is_held:
            result.reservation.CopyFrom(_reservation(work.id, plan, work.known))
        if plan.amount is not None and work.outcomes:
            outcome = work.settled or work.outcomes[0]
            result.budget.CopyFrom(status_of(work.levels, outcome, outcome.at))
        result.basis.CopyFrom(stored(self._backend, wrote=is_held and not work.replayed))
        return result

    def _refuse(self, work: Work, result: ReservationResult) -> None:
        """What is answered where the settings refuse."""
        if work.plan.refused == "caps":
            result.outcome = ReservationOutcome.RESERVATION_OUTCOME_REFUSED_FREQUENCY
            return
        result.outcome = ReservationOutcome.RESERVATION_OUTCOME_REFUSED_BUDGET
        result.refusal.CopyFrom(unpacked(work.plan.refused, BudgetRefusal))

    def _while_away(self, work: Work, failure: StoreAway) -> ReservationResult:
        """What the policies decide; nothing is held."""
        settings = work.settings
        result = ReservationResult(
            reservation_id=work.id,
            outcome=ReservationOutcome.RESERVATION_OUTCOME_PASSED_OPEN,
        )
        if work.candidate is not None:
            result.frequency.CopyFrom(self._caps.while_away(work.candidate, failure))
            if not result.frequency.allowed:
                result.outcome = ReservationOutcome.RESERVATION_OUTCOME_REFUSED_FREQUENCY
        if work.plan.refused:
            self._refuse(work, result)
        elif (
            settings is not None
            and work.plan.amount is not None
            and not is_open(settings.message.budget_fail_policy, self._fail_policy)
        ):
            result.outcome = ReservationOutcome.RESERVATION_OUTCOME_REFUSED_BUDGET
            result.refusal.CopyFrom(refusal_while_away(settings, work.plan.amount))
        passes = result.outcome == ReservationOutcome.RESERVATION_OUTCOME_PASSED_OPEN
        result.basis.CopyFrom(away(self._backend, failure, open_=passes))
        return result

    async def _resolve(
        self,
        path: str,
        ids: Sequence[str],
        resolve: Callable[[int, Plan], Awaitable[ReservationResult]],
    ) -> list[Item]:
        """Finds the plans of reservations, and resolves each; or says why it alone failed."""
        check_number(path, len(ids), MAX_RESERVATIONS)
        field_ = ".reservation_id" if path == "commits" else ""
        for place, id_ in enumerate(ids):
            check_id(f"{path}[{place}]{field_}", id_)
        check_distinct(path, ids, field_)
        await self._campaigns.refresh()

        async def one(place: int, id_: str) -> Item:
            try:
                [known] = await self._backend.find(index_of(id_).name, [_INDEX], self._clock())
                if known is None or known.resolution == _REFUSED:
                    raise _not_found(id_)
                return await resolve(place, Plan.from_text(known.content))
            except StoreAway:
                raise
            except XspError as error:
                return id_, error

        return list(await asyncio.gather(*(one(place, id_) for place, id_ in enumerate(ids))))

    async def _commit(self, commit: pb.ReservationCommit, plan: Plan) -> ReservationResult:
        """Commits one reservation, in all its books."""
        id_, now_ms = commit.reservation_id, self._clock()
        amount = _actual(commit, plan)
        move_id = f"c/{id_}/{digest(commit.SerializeToString(deterministic=True))}"
        candidate = self._candidate(
            unpacked(plan.spec, ReservationSpec),
            self._campaigns.get(plan.campaign_id) if plan.campaign_id else None,
            now_ms,
            "reservation",
        )

        def move(of: str, entries: Iterable[Entry], late: Iterable[Entry]) -> Move:
            return Move(
                Kind.COMMIT,
                tuple(entries),
                id=move_id,
                content="" if amount is None else str(amount),
                keep_ms=self._keep_ms,
                of=of,
                late=tuple(late) or (_NOTHING,),
            )

        def of_caps(name: str) -> Move:
            counted = candidate is not None and name in candidate.books
            late = candidate.entries(name, forced=True) if candidate and counted else ()
            return move(_hold_id(id_), (), late)

        budget: BudgetStatus | None = None
        if plan.campaign_id:
            outcome, budget, refusal = await self._commit_money(
                id_, plan, amount, now_ms, lambda *parts: move(_hold_id(id_), *parts)
            )
            rest = list(plan.caps)
        else:
            first, *rest = plan.caps or [index_of(id_).name]
            of = of_caps(first) if plan.caps else move(_INDEX, (), ())
            [outcome] = await self._backend.apply(Book(first), [of], now_ms)
            refusal = None
        _check_resolved(id_, outcome)
        result = ReservationResult(
            reservation_id=id_, replayed=outcome.replayed, outcome=_COMMITS[outcome.status]
        )
        if budget is not None:
            result.budget.CopyFrom(budget)
        if refusal is not None:
            result.refusal.CopyFrom(refusal)
            [known] = await self._backend.find(plan.books[0].name, [_hold_id(id_)], now_ms)
            result.reservation.CopyFrom(_reservation(id_, plan, known))
            result.basis.CopyFrom(stored(self._backend, wrote=False))
            return result
        for name in rest:
            await self._backend.apply(Book(name), [of_caps(name)], now_ms)
        await self._backend.apply(index_of(id_), [move(_INDEX, (), ())], now_ms)
        result.reservation.CopyFrom(_resolved(id_, plan, HoldState.COMMITTED, outcome.at, amount))
        result.basis.CopyFrom(stored(self._backend, wrote=not outcome.replayed))
        return result

    async def _commit_money(
        self,
        id_: str,
        plan: Plan,
        amount: int | None,
        now_ms: int,
        move: Callable[[Iterable[Entry], Iterable[Entry]], Move],
    ) -> tuple[Outcome, BudgetStatus | None, BudgetRefusal | None]:
        """Commits in the campaign's book; with the money after it, and why it was refused."""
        lineage = self._campaigns.lineage(self._campaigns.get(plan.campaign_id))
        held, now = plan.levels_at(lineage), levels_of(lineage, now_ms)
        entries: tuple[Entry, ...] = ()
        if amount is not None and plan.amount is not None and amount != plan.amount:
            # What is above the campaign no more takes no more than it held.
            ids = {each.id for each in lineage}
            asked = [each for each in held if amount < plan.amount or each.settings.id in ids]
            entries = statuses.entries(asked, amount, now_ms)
        moves = [
            move(entries, statuses.entries(now, amount or 0, now_ms)),
            Move(Kind.CHECK, statuses.entries(now, 0, now_ms)),
        ]
        outcome, read = await self._backend.apply(book_of(plan.root), moves, now_ms)
        check_overflow(outcome)
        budget = None if amount is None else status_of(now, read, now_ms)
        if outcome.status is not Status.REFUSED:
            return outcome, budget, None
        [known] = await self._backend.find(book_of(plan.root).name, [_hold_id(id_)], now_ms)
        is_late = known is not None and known.hold is HoldState.EXPIRED
        refusal = refusal_of(now if is_late else held, outcome, amount or 0, paced=False)
        return outcome, budget, refusal

    async def _release(self, id_: str, plan: Plan) -> ReservationResult:
        """Releases one reservation, in all its books."""
        now_ms = self._clock()
        books = [*plan.books, index_of(id_)]
        outcome: Outcome | None = None
        read: Outcome | None = None
        levels: tuple[Level, ...] = ()
        for book in books:
            moves = [self._end(_INDEX if book is books[-1] else _hold_id(id_))]
            if book.ledger and plan.amount is not None:
                settings = self._campaigns.get(plan.campaign_id)
                levels = levels_of(self._campaigns.lineage(settings), now_ms)
                moves.append(Move(Kind.CHECK, statuses.entries(levels, 0, now_ms)))
            told, *more = await self._backend.apply(book, moves, now_ms)
            if outcome is None:
                outcome, read = told, more[0] if more else None
                if outcome.status is Status.COMMITTED or outcome.status is Status.UNKNOWN:
                    _check_resolved(id_, outcome)
        assert outcome is not None  # noqa: S101 - there is a book at least: its own
        expired = outcome.status is Status.EXPIRED
        state = HoldState.EXPIRED if expired else HoldState.RELEASED
        at = plan.expires_at if expired else outcome.at
        return ReservationResult(
            reservation_id=id_,
            outcome=ReservationOutcome.RESERVATION_OUTCOME_ALREADY_EXPIRED
            if expired
            else ReservationOutcome.RESERVATION_OUTCOME_RELEASED,
            replayed=outcome.replayed,
            reservation=_resolved(id_, plan, state, at, None),
            budget=None if read is None else status_of(levels, read, now_ms),
            basis=stored(self._backend, wrote=not expired and not outcome.replayed),
        )


@dataclass(slots=True)
class _Try:
    """A reservation that asks all its books at once.

    Attributes:
        work: the reservation.
        outcomes: of its books, as far as they answered.
        held: books that hold it now.
        refused_in: books that refused it.
    """

    work: Work
    outcomes: dict[Book, Outcome] = field(default_factory=dict)
    held: list[Book] = field(default_factory=list)
    refused_in: list[Book] = field(default_factory=list)

    def settle(self) -> None:
        """Sorts the outcomes, and gives them to the work: up to the first book that refused."""
        for book in self.work.plan.books:
            outcome = self.outcomes.get(book)
            if outcome is None:
                continue
            refused = outcome.status is Status.REFUSED
            (self.refused_in if refused else self.held).append(book)
            if len(self.refused_in) <= refused:
                self.work.outcomes.append(outcome)
            candidate = self.work.candidate
            if candidate is not None and book.name in candidate.books:
                candidate.take(book.name, outcome)


def _crowded(tries: Sequence[_Try]) -> set[str]:
    """Ids of those refused only by books in which an earlier one held that was refused itself."""
    crowded: set[str] = set()
    given_back: set[Book] = set()
    for each in tries:
        if each.refused_in and given_back.issuperset(each.refused_in):
            crowded.add(each.work.id)
        if each.refused_in:
            given_back.update(each.held)
    return crowded


def index_of(reservation_id: str) -> Book:
    """The book of a reservation itself."""
    return Book(f"reservation/{reservation_id}")


_COMMITS: Final = {
    Status.APPLIED: ReservationOutcome.RESERVATION_OUTCOME_COMMITTED,
    Status.LATE: ReservationOutcome.RESERVATION_OUTCOME_COMMITTED_LATE,
    Status.REFUSED: ReservationOutcome.RESERVATION_OUTCOME_REFUSED_COMMIT,
}


def _hold_id(reservation_id: str) -> str:
    return f"r/{reservation_id}"


def _batches(works: Iterable[Work]) -> Iterable[list[Work]]:
    """Works that may go through the books together.

    One with caps goes alone: what a later book refuses is given back in an earlier one, and must
    not have been in the way of those after it.
    """
    batch: list[Work] = []
    for work in works:
        if work.plan.caps:
            if batch:
                yield batch
            yield [work]
            batch = []
        else:
            batch.append(work)
    if batch:
        yield batch


def _refused_by_settings(
    levels: tuple[Level, ...], candidate: Candidate | None, amount: int | None, now_ms: int
) -> str:
    """Why the settings refuse a reservation, before any store is asked."""
    stop = statuses.stopped(levels, now_ms)
    if stop is not None:
        return packed(statuses.stopped_refusal(levels, *stop, amount or 0, now_ms))
    return "caps" if candidate is not None and candidate.is_missing else ""


def _actual(commit: pb.ReservationCommit, plan: Plan) -> int | None:
    """Micros to spend; None: it holds no money."""
    if plan.amount is None:
        if commit.WhichOneof("cost"):
            raise InvalidField("amount", "expected none, since the reservation holds no money")
        return None
    amount = amount_of(commit, plan.currency)
    if amount is None:
        return plan.amount
    if amount > plan.amount and not commit.allow_more:
        raise InvalidField(
            "amount", f"expected at most the {plan.amount} micros held, or allow_more; got {amount}"
        )
    return amount


def _not_found(id_: str) -> ReservationNotFound:
    return ReservationNotFound(f"no reservation has the id {id_!r}", reservation_id=id_)


def _cut_off(id_: str) -> ReservationNotFound:
    return ReservationNotFound(
        f"reservation {id_!r} was cut off before it was held, and is over; "
        "expected an id of its own for another attempt",
        reservation_id=id_,
    )


def _check_resolved(id_: str, outcome: Outcome) -> None:
    """Raises where a reservation is not there, or was resolved otherwise."""
    if outcome.status is Status.UNKNOWN:
        raise _not_found(id_)
    if outcome.status is Status.COMMITTED or outcome.status is Status.RELEASED:
        state = outcome.status.value.upper()
        raise ReservationResolved(f"reservation {id_} was {state} otherwise before", state=state)


def _reservation(id_: str, plan: Plan, known: Known | None) -> Reservation:
    """A reservation as it stands."""
    state = HoldState.HELD if known is None or known.hold is None else known.hold
    spent = (
        int(known.resolution)
        if known and state is HoldState.COMMITTED and known.resolution
        else None
    )
    return _resolved(id_, plan, state, 0 if known is None else known.resolved_at, spent)


def _resolved(
    id_: str, plan: Plan, state: HoldState, at: int, committed: int | None
) -> Reservation:
    told = Reservation(
        reservation_id=id_,
        campaign_id=plan.campaign_id,
        state=_STATES[state],
        impressions=plan.impressions,
        create_time=timestamp(plan.at),
        expire_time=timestamp(plan.expires_at),
    )
    if plan.amount is not None:
        told.amount.CopyFrom(money(plan.currency, plan.amount))
    if committed is not None:
        told.committed.CopyFrom(money(plan.currency, committed))
    if at:
        told.resolve_time.CopyFrom(timestamp(at))
    return told
