"""Reservations: money and cap counts held for bids until billing, release or expiry.

A reservation is a hold in each book that it needs, always in this order: the book of its id, that
of the campaign tree, the user's, the household's. The first holds nothing; its content is the
`Plan`, which says what is held where, so that a commit needs the id alone. Where a later book
refuses, what was held before is given back. The campaign's book, or the user's where no campaign is
named, says how a reservation was resolved; the others follow, and a call that is repeated completes
what one that was cut off has left.
"""

from collections.abc import Sequence
from typing import Final

from xsp.state.v1.budget_pb2 import ReservationSpec
from xsp.state.v1.guarantee_pb2 import FailPolicy
from xsp.state.v1.state_service_pb2 import ReservationCommit
from xsp_server.errors import InvalidRequest, XspError
from xsp_server.state.backend import StateBackend
from xsp_server.state.campaign_rules import Settings
from xsp_server.state.campaigns import Campaigns
from xsp_server.state.caps import Caps
from xsp_server.state.faults import check_distinct, check_number
from xsp_server.state.messages import DAY_MS, Clock, check_id, machine_clock
from xsp_server.state.money_book import book_of
from xsp_server.state.reservation_moves import Moves, index_of, reservation_id
from xsp_server.state.reservation_plan import Read, Reader, Work
from xsp_server.state.reservation_results import Item, Results
from xsp_server.state.reserving import Reserving
from xsp_server.state.reserving_at_once import Answer, ReservingAtOnce
from xsp_server.state.resolving import Resolving

__all__ = [
    "DEFAULT_TTL_MS",
    "MAX_RESERVATIONS",
    "Answer",
    "Item",
    "Reservations",
    "index_of",
]

MAX_RESERVATIONS: Final = 1000
DEFAULT_TTL_MS: Final = 600_000


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
        self._clock = clock
        moves = Moves(keep_ms)
        results = Results(backend, caps, fail_policy)
        self._reader = Reader(campaigns, clock, ttl_ms)
        self._reserving = Reserving(backend, clock, moves, results)
        self._at_once = ReservingAtOnce(backend, clock, moves, results)
        self._resolving = Resolving(backend, self._reader, moves)

    async def close(self) -> None:
        """Waits until what is being given back is; each call has its own limit."""
        await self._at_once.close()

    async def reserve(self, specs: Sequence[ReservationSpec]) -> list[Item]:
        """Holds money and cap counts: each reservation all or nothing, in their order.

        Raises:
            InvalidRequest: a reservation can't be.
            StoreAway: the store can't be reached, and its campaigns never could.
        """
        check_number("reservations", len(specs), MAX_RESERVATIONS)
        check_distinct("reservations", [each.reservation_id for each in specs], ".reservation_id")
        failure = await self._campaigns.freshen()
        works: list[Read] = []
        for place, spec in enumerate(specs):
            work = self._reader.read_alone(spec, f"reservations[{place}]")
            if isinstance(work, tuple) and isinstance(work[1], InvalidRequest):
                raise work[1]
            works.append(work)
        items = await self._reserving.reserve(
            [each for each in works if isinstance(each, Work)], failure
        )
        return [each if isinstance(each, tuple) else items[each.id] for each in works]

    async def reserve_at_once(
        self, specs: Sequence[ReservationSpec], seconds: float
    ) -> list[Answer | tuple[str, XspError] | None]:
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
        works = [
            self._reader.read_alone(each, f"reservations[{place}]")
            for place, each in enumerate(specs)
        ]
        return await self._at_once.reserve(works, seconds)

    async def commit(self, commits: Sequence[ReservationCommit]) -> list[Item]:
        """Spends what reservations hold, and confirms their cap counts.

        Raises:
            InvalidRequest: the call can't be.
            StoreAway: the store can't be reached; the same call again completes it.
        """
        _check_ids("commits", [each.reservation_id for each in commits], ".reservation_id")
        await self._campaigns.refresh()
        return await self._resolving.commit(commits)

    async def release(self, ids: Sequence[str]) -> list[Item]:
        """Gives back what reservations hold.

        Raises:
            InvalidRequest: the call can't be.
            StoreAway: the store can't be reached; the same call again completes it.
        """
        _check_ids("reservation_ids", ids)
        await self._campaigns.refresh()
        return await self._resolving.release(ids)

    async def held_by(self, settings: Settings) -> list[str]:
        """Ids of the reservations of a campaign that are held."""
        book = book_of(self._campaigns.lineage(settings)[-1].id).name
        now_ms = self._clock()
        held: list[str] = []
        page = await self._backend.open_holds(book, now_ms)
        while page:
            held += [reservation_id(each.id) for each in page if each.content == settings.id]
            page = await self._backend.open_holds(book, now_ms, after=page[-1].id)
        return held


def _check_ids(path: str, ids: Sequence[str], field: str = "") -> None:
    """Raises InvalidRequest unless there are some, not too many, each one that can be, and once."""
    check_number(path, len(ids), MAX_RESERVATIONS)
    for place, id_ in enumerate(ids):
        check_id(f"{path}[{place}]{field}", id_)
    check_distinct(path, ids, field)
