"""What one reservation holds and where, read from what was asked for."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from xsp.state.v1.budget_pb2 import ReservationSpec
from xsp_server.errors import MissingField, XspError
from xsp_server.state import budget_status as statuses
from xsp_server.state.backend import CONTENT_MAX, Book, HoldState, Known, Outcome, Status
from xsp_server.state.budget_status import Level, levels_of
from xsp_server.state.campaign_rules import Settings
from xsp_server.state.campaigns import Campaigns, Lineage
from xsp_server.state.candidates import Candidate, candidate_of
from xsp_server.state.faults import InvalidField
from xsp_server.state.messages import DAY_MS, Clock, amount_of, check_id, ms_of, packed
from xsp_server.state.money_book import book_of


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
    def is_over(self) -> bool:
        """Whether it was resolved, or expired, before it was asked for again."""
        return self.known is not None and self.known.hold is not HoldState.HELD

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels that it is made of."""
        return self.plan.levels_at(self.lineage)


Read = Work | tuple[str, XspError]
"""A reservation that was read, or its id and why it alone can't be."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads reservations.

    Attributes:
        campaigns: the copy to read them by.
        clock: milliseconds since 1970.
        ttl_ms: how long one holds when neither it nor its campaign tells.
    """

    campaigns: Campaigns
    clock: Clock
    ttl_ms: int

    def read(self, spec: ReservationSpec, path: str) -> Work:
        """Reads a reservation.

        Raises:
            InvalidRequest: it can't be.
            CampaignNotFound: there is no such campaign.
        """
        check_id(f"{path}.reservation_id", spec.reservation_id)
        kind = spec.WhichOneof("campaign")
        settings = self.campaigns.of(
            spec.campaign_id if kind == "campaign_id" else None,
            spec.campaign_key if kind == "campaign_key" else None,
        )
        amount = _amount(spec, settings, path)
        now_ms = self.clock()
        candidate = self.candidate(spec, settings, now_ms, path)
        lineage = () if settings is None else self.campaigns.lineage(settings)
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

    def read_alone(self, spec: ReservationSpec, path: str) -> Read:
        """Reads a reservation, or says why it alone can't be."""
        try:
            return self.read(spec, path)
        except XspError as error:
            return spec.reservation_id, error

    def candidate(
        self, spec: ReservationSpec, settings: Settings | None, now_ms: int, path: str
    ) -> Candidate | None:
        """What its caps ask; None: they are not looked at.

        Raises:
            InvalidRequest: it can't be.
            CampaignNotFound: there is no such campaign.
        """
        if not spec.HasField("frequency"):
            return None
        candidate = candidate_of(
            spec.frequency.candidate,
            spec.frequency.subject,
            self.campaigns,
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
        return self.ttl_ms


def _amount(spec: ReservationSpec, settings: Settings | None, path: str) -> int | None:
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


def _refused_by_settings(
    levels: Sequence[Level], candidate: Candidate | None, amount: int | None, now_ms: int
) -> str:
    """Why the settings refuse a reservation, before any store is asked."""
    stop = statuses.stopped(levels, now_ms)
    if stop is not None:
        return packed(statuses.stopped_refusal(levels, *stop, amount or 0, now_ms))
    return "caps" if candidate is not None and candidate.is_missing else ""
