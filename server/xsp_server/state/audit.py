"""The audit: proves from the ledger that no money is missing and no budget was passed.

What has to be so, of each counter of money:

- what the ledger says was spent and is held is what the counter says, and what is held is what
  open holds claim;
- the total of a campaign and the counters of the periods that run now are there, once money moved.

Of each campaign:

- limit = spent + reserved + available, for its total and for the day and hour that run now: limit
  by its settings, spent and reserved by the ledger, available by the counter that says yes or no to
  the next spend;
- the total is the sum of its days, and of its hours: each spend is booked in all three;
- no limit was passed since it was set. Where a limit was lowered beneath what was spent already,
  available is below 0, and nothing may have been spent or held since.

Of each reservation: once it is due, the next call to its campaign tree expires it. One that is held
for `SLACK_MS` longer although the tree changed since is stuck.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Final

from xsp.state.v1.campaign_pb2 import Campaign
from xsp_server.state.backend import DUE_AT_ONCE, SLACK_MS, Balance
from xsp_server.state.campaign_rules import Settings, settings_of
from xsp_server.state.ledger import DueHold, Ledger
from xsp_server.state.money_book import Period, book_of, read_name
from xsp_server.state.windows import NEVER, Calendar, calendar
from xsp_server.values import value


@value
class Line:
    """One limit of a campaign; amounts in micros.

    Attributes:
        campaign_id: the campaign.
        period: its period.
        currency: of the amounts; empty: the campaign was deleted, or is elsewhere by now.
        limit: None: there is none.
        spent: by the ledger.
        reserved: by the ledger.
        available: what the counter leaves of the limit. None: there is no limit.
    """

    campaign_id: str
    period: Period
    currency: str
    limit: int | None
    spent: int
    reserved: int
    available: int | None

    @property
    def proven(self) -> bool:
        """Whether limit = spent + reserved + available."""
        if self.limit is None or self.available is None:
            return True
        return self.limit == self.spent + self.reserved + self.available


@value
class Difference:
    """Something that is not as it has to be.

    Attributes:
        kind: "counter", "holds", "missing", "periods", "limit" or "stuck".
        campaign_id: the campaign; empty: none is meant.
        place: the book and the counter, or the hold.
        ledger: what the ledger says. None: it says nothing of it.
        stored: what the store says beside it. None: nothing.
        message: in words.
    """

    kind: str
    campaign_id: str
    place: str
    ledger: int | None
    stored: int | None
    message: str


@dataclass(slots=True)
class Sums:
    """What was looked at.

    Attributes:
        campaigns: campaigns with settings.
        counters: counters of money.
        movements: lines of the ledger.
        waiting: holds that are due and wait for the next call to their campaign tree.
    """

    campaigns: int = 0
    counters: int = 0
    movements: int = 0
    waiting: int = 0


class Audit:
    """One run over a ledger. It keeps the campaigns' settings in memory, and one book's sums.

    Attributes:
        sums: what was looked at, complete after the run.
    """

    def __init__(self, ledger: Ledger, now_ms: int) -> None:
        """Takes the ledger.

        Args:
            ledger: at one moment.
            now_ms: the time; days and hours are those of it.
        """
        self.sums = Sums()
        self._ledger = ledger
        self._now_ms = now_ms
        self._campaigns: dict[str, _Campaign] = {}

    async def run(self) -> AsyncIterator[Line | Difference]:
        """Each line, and each difference.

        Raises:
            StoreAway: the store can't be read.
        """
        await self._read_campaigns()
        async for told in self._books():
            yield told
        for campaign in self._campaigns.values():
            if not campaign.told:
                for line in _lines(campaign.settings.id, campaign.settings, _Money()):
                    yield line
        async for due in self._ledger.due_holds(self._now_ms):
            if await self._is_stuck(due):
                yield _stuck(due)
            else:
                self.sums.waiting += 1
        self.sums.movements = await self._ledger.movements()

    async def _read_campaigns(self) -> None:
        async for document in self._ledger.campaigns():
            settings = settings_of(Campaign.FromString(document.body))
            starts = {
                Period.TOTAL: 0,
                Period.DAILY: calendar(Calendar.DAY, settings.zone, self._now_ms)[0],
                Period.HOURLY: calendar(Calendar.HOUR, settings.zone, self._now_ms)[0],
            }
            self._campaigns[settings.id] = _Campaign(settings, document.updated_at, starts)
        self.sums.campaigns = len(self._campaigns)

    async def _books(self) -> AsyncIterator[Line | Difference]:
        """What is told of each book where money moved, book after book."""
        moneys: dict[str, _Money] = {}
        book = ""
        async for balance in self._ledger.balances():
            if balance.book != book:
                for told in self._ended(book, moneys):
                    yield told
                book, moneys = balance.book, {}
            self.sums.counters += 1
            for difference in _compared(balance):
                yield difference
            async for difference in self._booked(balance, moneys):
                yield difference
        for told in self._ended(book, moneys):
            yield told

    async def _booked(
        self, balance: Balance, moneys: "dict[str, _Money]"
    ) -> AsyncIterator[Difference]:
        """Adds a counter to its campaign's money; tells if it is missing, or its limit passed."""
        name = read_name(balance.book, balance.counter)
        if name is None:
            return
        period, campaign_id, start = name
        campaign = self._here(campaign_id, balance.book)
        starts = _TOTAL_ALONE if campaign is None else campaign.starts
        runs = starts.get(period) == start
        moneys.setdefault(campaign_id, _Money()).add(period, balance, runs=runs)
        if runs and balance.stored_counted is None and balance.counted:
            yield _missing(campaign_id, balance)
        if campaign is not None and await self._was_passed(campaign, period, start, balance):
            yield _passed(campaign.settings, period, balance)

    async def _was_passed(
        self, campaign: "_Campaign", period: Period, start: int, balance: Balance
    ) -> bool:
        """Whether more was spent or held than a limit allows, since the limit is what it is.

        A call that was under way as the limit was set may have gone by the one before.
        """
        limit = _limit(campaign.settings, period)
        if limit is None or balance.counted + balance.held <= limit:
            return False
        since = campaign.updated_at + SLACK_MS
        if _end(period, campaign.settings, start) <= since:
            return False
        return await self._ledger.grew_after(balance.book, balance.counter, since)

    def _ended(self, book: str, moneys: "dict[str, _Money]") -> "Iterator[Line | Difference]":
        """What is told of the campaigns of a book."""
        for campaign_id, money in sorted(moneys.items()):
            campaign = self._here(campaign_id, book)
            if campaign is not None:
                campaign.told = True
            yield from money.compared(campaign_id, book)
            yield from _lines(campaign_id, None if campaign is None else campaign.settings, money)

    def _here(self, campaign_id: str, book: str) -> "_Campaign | None":
        """The campaign, if this is its book; it may have left others behind."""
        campaign = top = self._campaigns.get(campaign_id)
        seen = {campaign_id}
        while top is not None and top.settings.parent_id not in {"", *seen}:
            seen.add(top.settings.parent_id)
            top = self._campaigns.get(top.settings.parent_id)
        return campaign if top is not None and book_of(top.settings.id).name == book else None

    async def _is_stuck(self, due: DueHold) -> bool:
        """Whether a call came by that should have expired it.

        One call expires `DUE_AT_ONCE`; the last one may have left some to the next.
        """
        if due.sequence < (due.expires_at + SLACK_MS) * 1000:
            return False
        return await self._ledger.expired_at(due.book, due.sequence // 1000) < DUE_AT_ONCE


@dataclass(slots=True)
class _Campaign:
    """One campaign.

    Attributes:
        settings: its settings.
        updated_at: since when they are in force.
        starts: when the periods began that run now.
        told: whether its lines were told.
    """

    settings: Settings
    updated_at: int
    starts: dict[Period, int]
    told: bool = False


@dataclass(slots=True)
class _Money:
    """What the counters of one campaign say.

    Attributes:
        running: those of the total, and of the day and hour that run now.
        sums: what the ledger spent and holds in all counters of a period.
    """

    running: dict[Period, Balance] = field(default_factory=dict)
    sums: dict[Period, tuple[int, int]] = field(default_factory=dict)

    def add(self, period: Period, balance: Balance, *, runs: bool) -> None:
        """Adds a counter; whether its period runs now."""
        spent, reserved = self.sums.get(period, (0, 0))
        self.sums[period] = (spent + balance.counted, reserved + balance.held)
        if runs:
            self.running[period] = balance

    def compared(self, campaign_id: str, book: str) -> Iterator[Difference]:
        """Differences between the total and the sums of days and hours."""
        total = self.sums.get(Period.TOTAL, (0, 0))
        for period in (Period.DAILY, Period.HOURLY):
            parts = self.sums.get(period, (0, 0))
            for what, whole, sum_ in zip(("spent", "reserved"), total, parts, strict=True):
                if whole != sum_:
                    yield Difference(
                        "periods",
                        campaign_id,
                        book,
                        sum_,
                        whole,
                        f"the ledger has {what} {whole} in the total and {sum_} in all {period} "
                        "counters; expected the same",
                    )


def _lines(campaign_id: str, settings: Settings | None, money: _Money) -> Iterator[Line]:
    """The lines of a campaign: its total, and each limit that it has."""
    for period in Period:
        limit = None if settings is None else _limit(settings, period)
        if limit is None and period is not Period.TOTAL:
            continue
        balance = money.running.get(period) or Balance("", "", 0, 0, None, None, 0)
        used = (balance.stored_counted or 0) + (balance.stored_held or 0)
        yield Line(
            campaign_id,
            period,
            "" if settings is None else settings.currency,
            limit,
            balance.counted,
            balance.held,
            None if limit is None else limit - used,
        )


def _compared(balance: Balance) -> Iterator[Difference]:
    """Differences between ledger, counter and holds."""
    name = read_name(balance.book, balance.counter)
    campaign_id = "" if name is None else name[1]
    place = f"{balance.book} {balance.counter}"
    pairs = (
        ("counter", "spent", balance.counted, balance.stored_counted, "the counter"),
        ("counter", "reserved", balance.held, balance.stored_held, "the counter"),
        ("holds", "reserved", balance.held, balance.claimed, "the sum of open reservations"),
    )
    for kind, what, ledger, stored, whose in pairs:
        if stored is not None and ledger != stored:
            message = f"{what} is {ledger} by the ledger and {stored} by {whose}; expected the same"
            yield Difference(kind, campaign_id, place, ledger, stored, message)


def _missing(campaign_id: str, balance: Balance) -> Difference:
    return Difference(
        "missing",
        campaign_id,
        f"{balance.book} {balance.counter}",
        balance.counted,
        None,
        f"spent is {balance.counted} by the ledger, and the counter is gone; expected it to be "
        "there until its period is over",
    )


def _passed(settings: Settings, period: Period, balance: Balance) -> Difference:
    limit, used = _limit(settings, period), balance.counted + balance.held
    return Difference(
        "limit",
        settings.id,
        f"{balance.book} {balance.counter}",
        used,
        limit,
        f"spent and reserved are {used} by the ledger, and the {period} limit is {limit} since "
        "before the last of them; expected no more than the limit",
    )


def _stuck(due: DueHold) -> Difference:
    return Difference(
        "stuck",
        due.book.partition("/")[2],
        f"{due.book} {due.id}",
        None,
        due.expires_at,
        f"the reservation was due at {due.expires_at} (ms), the campaign's money moved at "
        f"{due.sequence // 1000}, and it is held; expected it to be expired",
    )


def _limit(settings: Settings, period: Period) -> int | None:
    limits = {
        Period.TOTAL: settings.total,
        Period.DAILY: settings.daily,
        Period.HOURLY: settings.hourly,
    }
    return limits[period]


def _end(period: Period, settings: Settings, start: int) -> int:
    """The first moment after a period that began at `start`."""
    if period is Period.TOTAL:
        return NEVER
    return calendar(_UNITS[period], settings.zone, start)[1]


_UNITS: Final = {Period.DAILY: Calendar.DAY, Period.HOURLY: Calendar.HOUR}

_TOTAL_ALONE: Final = {Period.TOTAL: 0}
"""Periods of a campaign whose time zone is not known any more."""
