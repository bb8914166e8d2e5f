"""Frequency caps: may this user, or household, see this once more?

All counters of a user are in one book and all of a household in another. A candidate whose caps
need one book is decided in one step of the store. One that needs both holds its impressions in the
first, counts them in the second and then confirms the hold; where the second refuses, or nobody
comes back, the hold is given back. So no cap is passed; at worst somebody is refused for a moment.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from xsp.state.v1 import state_service_pb2 as pb
from xsp.state.v1.frequency_pb2 import (
    CapDenial,
    CapScope,
    CapSubject,
    FrequencyCandidate,
    FrequencyCount,
    FrequencyResult,
    Subject,
    Window,
    WindowUnit,
)
from xsp.state.v1.frequency_pb2 import FrequencyCap as CapMessage
from xsp.state.v1.guarantee_pb2 import FailPolicy
from xsp_server.errors import InvalidRequest, MissingField, XspError
from xsp_server.state.backend import (
    Book,
    Counter,
    Entry,
    Kind,
    Move,
    Outcome,
    StateBackend,
    Status,
    StoreAway,
    apply_all,
)
from xsp_server.state.basis import away, is_open, stored
from xsp_server.state.campaigns import Campaigns
from xsp_server.state.candidates import (
    Candidate,
    books_of,
    candidate_of,
    denied_by,
    names_of,
    one_each,
)
from xsp_server.state.cap_rules import CounterName, counter_name, duration
from xsp_server.state.faults import (
    InvalidField,
    RequestIdReused,
    check_distinct,
    check_number,
)
from xsp_server.state.messages import (
    HOUR_MS,
    Clock,
    digest,
    machine_clock,
    moment,
    page_position,
    page_size,
    page_token,
)
from xsp_server.state.resetting import Resetting, counters_of

MAX_CANDIDATES: Final = 1000

_COUNT: Final = Kind.COUNT  # which Python 3.11 takes six times as long to find

STEP_MS: Final = 10_000
"""How long an impression may be under way between two books."""

_SHORT: Final = 36
"""Longest id of a candidate that stands in the ids of its moves as it is: that of a UUID."""

_Counting = pb.CheckAndIncrementFrequencyRequest | pb.RecordFrequencyRequest


class _Call:
    """A request that counts, as far as its moves have to know it.

    Attributes:
        request_id: what the client calls it. Empty: it can't be repeated.
        prefix: what the ids of its moves begin with.
        content: the digest of all that it says.
    """

    __slots__ = ("content", "prefix", "request_id")

    def __init__(self, request: _Counting, content: bytes | None = None) -> None:
        self.request_id = request.request_id
        self.prefix = self.content = ""
        if self.request_id:
            self.prefix = f"{type(request).__name__[:5]}/{self.request_id}/"
            self.content = digest(content or request.SerializeToString(deterministic=True))


Item = FrequencyResult | tuple[str, XspError]
"""A candidate's result, or its id and why it alone failed."""


class Caps:
    """Checks and counts impressions of users and households."""

    def __init__(
        self,
        backend: StateBackend,
        campaigns: Campaigns,
        clock: Clock = machine_clock,
        *,
        keep_ms: int = HOUR_MS,
        fail_policy: "FailPolicy.ValueType" = FailPolicy.FAIL_POLICY_FAIL_CLOSED,
    ) -> None:
        """Takes the store and its campaigns.

        Args:
            backend: where impressions are counted.
            campaigns: of the same store.
            clock: milliseconds since 1970.
            keep_ms: how long request ids are known.
            fail_policy: for caps that don't tell one.
        """
        self._backend = backend
        self._campaigns = campaigns
        self._clock = clock
        self._keep_ms = keep_ms
        self._fail_policy = fail_policy
        self._bases = stored(backend, wrote=False), stored(backend, wrote=True)

    async def check(self, request: pb.CheckFrequencyRequest) -> list[Item]:
        """Says which candidates the caps allow; counts nothing.

        Raises:
            InvalidRequest: the request can't be.
            StoreAway: the store can't be reached, and its campaigns never could.
        """
        failure, items = await self._read(request)
        candidates = [each for each in items if isinstance(each, Candidate)]
        if failure is None:
            try:
                await self.look(candidates)
            except StoreAway as away_now:
                failure = away_now
        return self._told(
            items,
            failure,
            lambda each: self.judged(each, wrote=False, include_caps=request.include_caps),
        )

    async def check_and_increment(
        self, request: pb.CheckAndIncrementFrequencyRequest, content: bytes | None = None
    ) -> tuple[list[Item], bool]:
        """Counts one impression of each candidate that the caps allow.

        Args:
            request: as it came.
            content: the same as bytes, deterministic, for who has them. None: made here.

        Returns:
            One for each candidate, in their order; and whether all is a repetition.

        Raises:
            InvalidRequest: the request can't be.
            RequestIdReused: the request id came before with other content.
            StoreAway: the store can't be reached, and its campaigns never could.
        """
        failure, items = await self._read(request)
        candidates = [each for each in items if isinstance(each, Candidate)]
        counted: list[bool] = []
        if failure is None:
            try:
                counted = await self._count(_Call(request, content), candidates)
                if request.include_caps:
                    await self.look([each for each in candidates if each.is_missing])
            except StoreAway as away_now:
                failure = away_now
        replayed = bool(counted) and all(counted)
        told = self._told(
            items,
            failure,
            lambda each: self.judged(each, wrote=not replayed, include_caps=request.include_caps),
        )
        return told, replayed

    async def record(self, request: pb.RecordFrequencyRequest) -> tuple[list[Item], bool]:
        """Counts impressions that happened, without asking.

        Raises:
            InvalidRequest: the request can't be.
            RequestIdReused: the request id came before with other content.
            StoreAway: the store can't be reached.
        """
        if not (request.subject.user_id or request.subject.household_id):
            raise MissingField("subject", "a user_id or a household_id")
        failure, items = await self._read(request)
        if failure is not None:
            raise failure
        candidates = [each for each in items if isinstance(each, Candidate)]
        call = _Call(request)
        replays = await asyncio.gather(
            *(self._count_in(call, book, candidates, forced=True) for book in _books(candidates))
        )
        replayed = bool(replays) and all(each for of_book in replays for each in of_book)
        told = self._told(
            items, None, lambda each: self._recorded(each, request.include_caps, wrote=not replayed)
        )
        return told, replayed

    async def reset(self, request: pb.ResetFrequencyRequest) -> int:
        """Forgets counters of a subject; how many, or how many the same request did before.

        Raises:
            InvalidRequest: the request can't be.
            RequestIdReused: the request id came before with other content.
            StoreAway: the store can't be reached; the same call again completes it.
        """
        return await Resetting(self._backend, self._clock, self._keep_ms).reset(request)

    async def page(
        self, request: pb.ListFrequencyCountsRequest
    ) -> tuple[list[FrequencyCount], str]:
        """One page of a subject's counters, and the token of the next one.

        Raises:
            InvalidRequest: the request can't be.
            StoreAway: the store can't be reached.
        """
        books = books_of(request.subject)
        if not books:
            raise MissingField("subject", "a user_id or a household_id")
        now_ms = self._clock()
        most = page_size(request.page_size)
        conditions = digest("counts", request.subject.SerializeToString(deterministic=True))
        place, after = page_position(request.page_token, now_ms, conditions) or (0, "")
        counts: list[FrequencyCount] = []
        for kind, id_, book in books[place:]:
            for counter in await counters_of(self._backend, book, now_ms, after):
                name = counter_name(counter.name)
                if name.is_rest or request.subject.session_id not in ("", name.session_id):
                    continue
                if len(counts) == most:
                    return counts, page_token(now_ms, conditions, [place, after])
                counts.append(_count(kind, id_, name, counter))
                after = counter.name
            place, after = place + 1, ""
        return counts, ""

    def judged(self, candidate: Candidate, *, wrote: bool, include_caps: bool) -> FrequencyResult:
        """What the store decided of a candidate, from the numbers that it told."""
        if candidate.is_allowed and not include_caps:
            basis = self._bases[wrote and bool(candidate.books)]
            return FrequencyResult(candidate_id=candidate.id, allowed=True, basis=basis)
        told = candidate.statuses()
        denier = denied_by(told)
        return FrequencyResult(
            candidate_id=candidate.id,
            allowed=denier is None,
            denied_by=denier,
            caps=one_each(told) if include_caps else (),
            basis=stored(self._backend, wrote=wrote and denier is None and bool(candidate.books)),
        )

    def while_away(self, candidate: Candidate, failure: StoreAway) -> FrequencyResult:
        """What the policies decide of a candidate."""
        told = candidate.statuses()
        for each, cap in zip(candidate.asked, told, strict=True):
            cap.ClearField("count")
            open_ = is_open(each.rule.fail_policy, self._fail_policy)
            if each.counter and not each.missing:
                cap.denial = (
                    CapDenial.CAP_DENIAL_UNSPECIFIED if open_ else CapDenial.CAP_DENIAL_STORE_AWAY
                )
        denier = denied_by(told)
        return FrequencyResult(
            candidate_id=candidate.id,
            allowed=denier is None,
            denied_by=denier,
            basis=away(self._backend, failure, open_=denier is None),
        )

    def _recorded(
        self, candidate: Candidate, include_caps: bool, *, wrote: bool
    ) -> FrequencyResult:
        told = candidate.statuses(after=True)
        denier = denied_by(told)
        shown = one_each([each for each in told if include_caps or each.denial])
        return FrequencyResult(
            candidate_id=candidate.id,
            allowed=denier is None,
            denied_by=denier,
            caps=shown,
            basis=stored(self._backend, wrote=wrote and bool(candidate.books)),
        )

    def _told(
        self,
        items: Sequence[Candidate | tuple[str, XspError]],
        failure: StoreAway | None,
        result: Callable[[Candidate], FrequencyResult],
    ) -> list[Item]:
        return [
            item
            if isinstance(item, tuple)
            else self.while_away(item, failure)
            if failure is not None and item.books
            else result(item)
            for item in items
        ]

    async def _read(
        self,
        request: pb.CheckFrequencyRequest | _Counting,
    ) -> tuple[StoreAway | None, list[Candidate | tuple[str, XspError]]]:
        """The candidates, each read or failed; and whether the store is away."""
        asking = list(request.candidates)
        check_number("candidates", len(asking), MAX_CANDIDATES)
        ids = [each.candidate_id for each in asking]
        if "" in ids:
            raise MissingField(f"candidates[{ids.index('')}].candidate_id", "a name of its own")
        check_distinct("candidates", ids, ".candidate_id")
        subject = request.subject
        names = names_of(subject)
        failure = None
        for each in asking:
            if each.WhichOneof("campaign"):
                failure = await self._campaigns.freshen()
                break
        now_ms = self._clock()
        items: list[Candidate | tuple[str, XspError]] = []
        for place, each in enumerate(asking):
            path = f"candidates[{place}]"
            try:
                items.append(
                    candidate_of(each, subject, self._campaigns, now_ms, path=path, names=names)
                )
            except InvalidRequest:
                raise
            except XspError as error:
                items.append((each.candidate_id, error))
        return failure, items

    async def look(self, candidates: Sequence[Candidate]) -> None:
        """Judges candidates, each as if it alone were shown, in one round trip; counts nothing.

        Raises:
            StoreAway: the store can't be reached.
        """
        here = {
            Book(book): [each for each in candidates if book in each.books]
            for book in _books(candidates)
        }
        moves = {
            book: [Move(Kind.CHECK, each.entries(book.name)) for each in those]
            for book, those in here.items()
        }
        outcomes = await apply_all(self._backend, moves, self._clock())
        for book, those in here.items():
            for each, outcome in zip(those, outcomes[book], strict=True):
                each.take(book.name, outcome)

    async def _count(self, call: _Call, candidates: Sequence[Candidate]) -> list[bool]:
        """Counts what is allowed; of each candidate that was counted or refused, if it is a replay.

        Where every candidate needs the same one book, all of them are one step of the store.
        """
        asking = [each for each in candidates if each.books and not each.is_missing]
        if len(asking) == 1:  # nearly always
            return [await self._count_alone(call, asking[0])]
        books = _books(asking)
        if len(books) == 1:
            return await self._count_in(call, books[0], asking, forced=False)
        # One after the other, so that each sees what those before it counted.
        return [await self._count_alone(call, each) for each in asking]

    async def _count_alone(self, call: _Call, candidate: Candidate) -> bool:
        """Counts a candidate in all of its books; whether it is a replay."""
        if len(candidate.books) > 1:
            return await self._count_in_both(call, candidate)
        [book] = candidate.books
        move = self._move(call, candidate, _COUNT, candidate.entries(book))
        return (await self._do(call, candidate, book, move)).replayed

    async def _count_in(
        self,
        call: _Call,
        book: str,
        candidates: Sequence[Candidate],
        *,
        forced: bool,
    ) -> list[bool]:
        """Counts candidates in one book; of each, whether it is a replay."""
        here = [each for each in candidates if book in each.books]
        moves = [self._move(call, each, _COUNT, each.entries(book, forced=forced)) for each in here]
        outcomes = await self._backend.apply(Book(book), moves, self._clock())
        for each, outcome in zip(here, outcomes, strict=True):
            _check_reused(call, each, outcome)
            each.take(book, outcome)
        return [outcome.replayed for outcome in outcomes]

    async def _count_in_both(self, call: _Call, candidate: Candidate) -> bool:
        """Counts a candidate in two books: a hold in the first, confirmed after the second.

        One that was cut off is completed by the same call again. Was it so long that the hold is
        over, the first book judges anew: if it refuses, what the second has counted stays, which
        is never too little.
        """
        if not call.request_id:
            raise MissingField("request_id", "an id, since caps of user and household are asked")
        first, second = candidate.books
        now_ms = self._clock()
        entries = candidate.entries(first)
        hold = self._move(call, candidate, Kind.HOLD, entries, expires_at=now_ms + STEP_MS)
        held = await self._do(call, candidate, first, hold)
        if held.status is Status.REFUSED:
            candidate.take(second, await self._judge(candidate, second))
            return held.replayed
        count = self._move(call, candidate, Kind.COUNT, candidate.entries(second))
        counted = await self._do(call, candidate, second, count)
        if counted.status is Status.REFUSED:
            back = Move(Kind.RELEASE, of=hold.id)
            await self._backend.apply(Book(first), [back], self._clock())
            candidate.take(first, await self._judge(candidate, first))
            return counted.replayed
        # A hold that expired meanwhile is judged anew: somebody else may have taken its place.
        confirm = Move(
            Kind.COMMIT, id=f"{hold.id}/ok", keep_ms=self._keep_ms, of=hold.id, late=entries
        )
        await self._do(call, candidate, first, confirm)
        return counted.replayed

    async def _do(self, call: _Call, candidate: Candidate, book: str, move: Move) -> Outcome:
        """One move of a candidate, which takes what it tells."""
        [outcome] = await self._backend.apply(Book(book), [move], self._clock())
        _check_reused(call, candidate, outcome)
        candidate.take(book, outcome)
        return outcome

    async def _judge(self, candidate: Candidate, book: str) -> Outcome:
        """How the other book of a refused candidate stands."""
        move = Move(Kind.CHECK, candidate.entries(book))
        [outcome] = await self._backend.apply(Book(book), [move], self._clock())
        return outcome

    def _move(
        self,
        call: _Call,
        candidate: Candidate,
        kind: Kind,
        entries: tuple[Entry, ...],
        expires_at: int = 0,
    ) -> Move:
        """A move that the same candidate of the same request repeats."""
        if not call.request_id:
            return Move(kind, entries)
        name = candidate.id
        plain = len(name) <= _SHORT and name.isascii() and name.isprintable()
        name = f"={name}" if plain else digest(name)
        return Move(
            kind,
            entries,
            id=call.prefix + name,
            content=call.content,
            keep_ms=self._keep_ms,
            expires_at=expires_at,
        )


class FrequencyCap:
    """Frequency caps in a few words.

    cap = FrequencyCap(backend)
    await cap.check_and_increment("user-1", limit=3)            # an hour from the first impression
    await cap.check_and_increment("user-1", 10, window="day")   # another counter
    """

    def __init__(
        self,
        backend: StateBackend,
        clock: Clock = machine_clock,
        *,
        fail_policy: "FailPolicy.ValueType" = FailPolicy.FAIL_POLICY_FAIL_CLOSED,
    ) -> None:
        """Takes the store.

        Args:
            backend: where impressions are counted.
            clock: milliseconds since 1970.
            fail_policy: what to answer while the store is away.
        """
        self._caps = Caps(backend, Campaigns(backend, clock), clock, fail_policy=fail_policy)

    async def check_and_increment(  # noqa: PLR0913 - all but two are by name
        self,
        user_id: str,
        limit: int,
        window: str | timedelta = "hour",
        *,
        scope: str = "",
        session_id: str = "",
        request_id: str = "",
    ) -> bool:
        """Whether the user may see one more; if so it is counted, in one step.

        Args:
            user_id: whose impressions. Empty: nobody known, and the answer is no.
            limit: greatest number of impressions in the window, from 0 up.
            window: from the first impression on: "hour", "day", "week", "lifetime", "session" or
                any length from 1 s up.
            scope: counts of other scopes are apart.
            session_id: what the window "session" counts in.
            request_id: makes a retry harmless, for an hour. Empty: a retry counts again.

        Raises:
            InvalidRequest: one of these can't be.
            RequestIdReused: the request id came before with other content.
        """
        candidate = FrequencyCandidate(
            candidate_id="0",
            custom_scopes={SCOPE: scope},
            caps=[
                CapMessage(
                    cap_id="cap",
                    scope=CapScope.CAP_SCOPE_CUSTOM,
                    custom_scope=SCOPE,
                    limit=limit,
                    window=_window(window),
                )
            ],
        )
        request = pb.CheckAndIncrementFrequencyRequest(
            request_id=request_id,
            subject=Subject(user_id=user_id, session_id=session_id),
            candidates=[candidate],
        )
        [result], _ = await self._caps.check_and_increment(request)
        return isinstance(result, FrequencyResult) and result.allowed


SCOPE: Final = "impressions"
"""The custom scope that `FrequencyCap` counts in."""


_UNITS: Final = frozenset(WindowUnit.keys())


def _window(told: str | timedelta) -> Window:
    if isinstance(told, timedelta):
        return Window(duration=duration(round(told.total_seconds() * 1000)))
    name = f"WINDOW_UNIT_{told.upper()}"
    if name not in _UNITS or name.endswith("UNSPECIFIED"):
        raise InvalidField("window", f"expected hour, day, week, lifetime or session, got {told!r}")
    return Window(unit=WindowUnit.Value(name))


def _books(candidates: Sequence[Candidate]) -> list[str]:
    """The books that candidates need, in the fixed order."""
    return sorted({book for each in candidates for book in each.books}, reverse=True)


def _check_reused(call: _Call, candidate: Candidate, outcome: Outcome) -> None:
    if outcome.status is Status.REUSED:
        raise RequestIdReused(
            f"request_id {call.request_id!r} came before with other content, for candidate "
            f"{candidate.id!r}; expected an id of its own for other content"
        )


def _count(
    kind: "CapSubject.ValueType", id_: str, name: CounterName, counter: Counter
) -> FrequencyCount:
    return FrequencyCount(
        subject=kind,
        subject_id=id_,
        session_id=name.session_id,
        scope=name.scope,
        custom_scope=name.custom_scope,
        scope_value=name.scope_value,
        window=name.window,
        count=counter.counted + counter.held,
        reserved=counter.held,
        first_at=moment(counter.first_at),
        last_at=moment(counter.last_at),
        expires_at=moment(counter.forgotten_at),
    )
