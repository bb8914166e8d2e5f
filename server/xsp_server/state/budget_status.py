"""A campaign's money as it stands, worked out from its counters and settings.

A *row* has the numbers of one campaign's three counters; rows go from the campaign to the top.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from xsp.state.v1.budget_pb2 import (
    BudgetPeriod,
    BudgetRefusal,
    BudgetRefusalReason,
    BudgetState,
    BudgetStatus,
    LimitStatus,
)
from xsp_server.state.backend import Entry, Numbers, Why
from xsp_server.state.campaign_rules import Settings
from xsp_server.state.campaigns import Lineage
from xsp_server.state.messages import moment, money, timestamp
from xsp_server.state.money_book import PERIODS, day, hour, total
from xsp_server.state.windows import FOREVER, NEVER, Calendar, Window, calendar, until
from xsp_server.values import value

Row = tuple[Numbers, Numbers, Numbers]
"""Numbers of total, day and hour."""

_PERIODS: Final = (
    BudgetPeriod.BUDGET_PERIOD_TOTAL,
    BudgetPeriod.BUDGET_PERIOD_DAILY,
    BudgetPeriod.BUDGET_PERIOD_HOURLY,
)
_NOTHING: Final = Numbers(0, 0)
_RUNNING_OUT: Final = (
    BudgetState.BUDGET_STATE_EXHAUSTED,
    BudgetState.BUDGET_STATE_EXHAUSTED_DAILY,
    BudgetState.BUDGET_STATE_EXHAUSTED_HOURLY,
)


@value
class Level:
    """One campaign of a lineage at a moment.

    Attributes:
        settings: the campaign.
        day: its day: first moment and the first after it.
        hour: its hour.
    """

    settings: Settings
    day: tuple[int, int]
    hour: tuple[int, int]

    def counters(self) -> Iterator[tuple[str, Window, int | None]]:
        """Its three counters: name, window and limit."""
        settings = self.settings
        yield total(settings.id), FOREVER, settings.total
        yield day(settings.id, self.day[0]), until(self.day[1]), settings.daily
        yield hour(settings.id, self.hour[0]), until(self.hour[1]), settings.hourly

    def limits(self) -> tuple[int | None, int | None, int | None]:
        """Its limits in micros."""
        return self.settings.total, self.settings.daily, self.settings.hourly


def levels_of(lineage: Lineage, now_ms: int) -> tuple[Level, ...]:
    """The lineage at a moment."""
    return tuple(
        Level(
            settings,
            calendar(Calendar.DAY, settings.zone, now_ms),
            calendar(Calendar.HOUR, settings.zone, now_ms),
        )
        for settings in lineage
    )


def entries(
    levels: Sequence[Level], add: int, now_ms: int, *, paced: bool = False
) -> tuple[Entry, ...]:
    """What counts so much at all levels.

    Args:
        levels: the lineage at `now_ms`.
        add: micros.
        now_ms: the time.
        paced: whether pacing holds back, too.
    """
    made: list[Entry] = []
    for level in levels:
        softs: list[int | None] = [None, None, None]
        plan = level.settings.plan(now_ms) if paced else None
        if plan is not None:
            softs[1 if level.settings.paces_days else 0] = plan.allows(now_ms)
        made += [
            Entry(name, window, add, limit, soft)
            for (name, window, limit), soft in zip(level.counters(), softs, strict=True)
        ]
    return tuple(made)


def rows_of(numbers: Sequence[Numbers], levels: Sequence[Level]) -> list[Row]:
    """The numbers of a move's entries as rows; 0 where a first answer had fewer levels."""
    rows: list[Row] = []
    for place in range(0, PERIODS * len(levels), PERIODS):
        of_level = [*numbers[place : place + PERIODS], _NOTHING, _NOTHING, _NOTHING]
        rows.append((of_level[0], of_level[1], of_level[2]))
    return rows


def status(
    levels: Sequence[Level], rows: Sequence[Row], now_ms: int, sequence: int
) -> BudgetStatus:
    """The campaign's money, with its parents."""
    told = _status(levels, rows, now_ms, sequence)
    told.parents.extend(
        _status(levels[place:], rows[place:], now_ms, sequence) for place in range(1, len(levels))
    )
    return told


def state_of(levels: Sequence[Level], rows: Sequence[Row], now_ms: int) -> "BudgetState.ValueType":
    """Whether the campaign can pay."""
    remaining = _remaining(levels, rows)
    spendable = _least(remaining, _headroom(levels, rows, now_ms))
    return _state(levels, rows, now_ms, remaining, spendable)


def bare(levels: Sequence[Level], now_ms: int) -> BudgetStatus:
    """The ids and limits alone: what is known while the store is away."""
    told = [_bare(level, now_ms) for level in levels]
    told[0].parents.extend(told[1:])
    return told[0]


def stopped(levels: Sequence[Level], now_ms: int) -> tuple[str, int] | None:
    """What of the settings keeps from serving: reason and the campaign's place; None: nothing."""
    for place, level in enumerate(levels):
        if level.settings.paused:
            return "PAUSED", place
    for place, level in enumerate(levels):
        if not level.settings.runs(now_ms):
            return "NOT_IN_FLIGHT", place
    return None


def stopped_refusal(
    levels: Sequence[Level], reason: str, place: int, asked: int, now_ms: int
) -> BudgetRefusal:
    """The refusal of what `stopped` found."""
    settings = levels[place].settings
    frees_at = settings.next_flight(now_ms) if reason == "NOT_IN_FLIGHT" else 0
    return BudgetRefusal(
        campaign_id=settings.id,
        reason=BudgetRefusalReason.Value(f"BUDGET_REFUSAL_REASON_{reason}"),
        asked=money(settings.currency, asked),
        available=money(settings.currency, 0),
        frees_at=moment(frees_at),
    )


def refusal(
    levels: Sequence[Level], rows: Sequence[Row], asked: int, now_ms: int, *, paced: bool
) -> BudgetRefusal:
    """Why the store refused: the hard limit that frees last, else the pacing that does."""
    currency = levels[0].settings.currency
    hard: list[tuple[int, str, int]] = []
    soft: list[tuple[int, str, int]] = []
    for level, row in zip(levels, rows, strict=True):
        for place, numbers in enumerate(row):
            if numbers.why & (Why.LIMIT | Why.OVERFLOW):
                hard.append((numbers.frees_at, level.settings.id, place))
            elif numbers.why & Why.SOFT:
                soft.append((_paced_until(level, row, asked, now_ms), level.settings.id, place))
    available = _least(_remaining(levels, rows), _headroom(levels, rows, now_ms) if paced else None)
    # A first answer may be of levels that are gone since; then nothing here refused.
    frees_at, campaign_id, place = max(hard or soft, default=(0, levels[0].settings.id, 0))
    return BudgetRefusal(
        campaign_id=campaign_id,
        reason=BudgetRefusalReason.BUDGET_REFUSAL_REASON_LIMIT
        if hard
        else BudgetRefusalReason.BUDGET_REFUSAL_REASON_PACING,
        period=_PERIODS[place] if hard else BudgetPeriod.BUDGET_PERIOD_UNSPECIFIED,
        asked=money(currency, asked),
        available=money(currency, available or 0),
        frees_at=moment(frees_at),
    )


def _status(
    levels: Sequence[Level], rows: Sequence[Row], now_ms: int, sequence: int
) -> BudgetStatus:
    """The money of the first level, without its parents."""
    settings, row = levels[0].settings, rows[0]
    currency = settings.currency
    remaining = _remaining(levels, rows)
    headroom = _headroom(levels, rows, now_ms)
    spendable = _least(remaining, headroom)
    if stopped(levels, now_ms) is not None:
        spendable = 0
    state = _state(levels, rows, now_ms, remaining, spendable)
    told = BudgetStatus(
        campaign_id=settings.id,
        state=state,
        spent=money(currency, row[0].counted),
        reserved=money(currency, row[0].held),
        limits=_limits(levels[0], row),
        as_of=timestamp(now_ms),
        sequence=sequence,
    )
    if remaining is not None:
        told.remaining.CopyFrom(money(currency, remaining))
    if spendable is not None:
        told.spendable.CopyFrom(money(currency, spendable))
    resumes_at = moment(_resumes_at(levels, rows, now_ms, state))
    if resumes_at is not None:
        told.resumes_at.CopyFrom(resumes_at)
    return told


def _bare(level: Level, now_ms: int) -> BudgetStatus:
    told = BudgetStatus(campaign_id=level.settings.id, as_of=timestamp(now_ms))
    for period, limit in zip(_PERIODS, level.limits(), strict=True):
        if limit is not None:
            told.limits.add(period=period, limit=money(level.settings.currency, limit))
    return told


def _limits(level: Level, row: Row) -> Iterator[LimitStatus]:
    """The hard limits of a level."""
    currency = level.settings.currency
    ends = (0, level.day[1], level.hour[1])
    for period, limit, numbers, end in zip(_PERIODS, level.limits(), row, ends, strict=True):
        if limit is not None:
            yield LimitStatus(
                period=period,
                limit=money(currency, limit),
                spent=money(currency, numbers.counted),
                reserved=money(currency, numbers.held),
                remaining=money(currency, max(limit - numbers.counted - numbers.held, 0)),
                resets_at=moment(end),
            )


def _remaining(levels: Sequence[Level], rows: Sequence[Row]) -> int | None:
    """The least that remains in any hard limit; None: there is none."""
    left: int | None = None
    for level, row in zip(levels, rows, strict=True):
        for limit, numbers in zip(level.limits(), row, strict=True):
            if limit is not None:
                left = _least(left, max(limit - numbers.counted - numbers.held, 0))
    return left


def _headroom(levels: Sequence[Level], rows: Sequence[Row], now_ms: int) -> int | None:
    """The least that pacing lets be spent now; None: there is none."""
    left: int | None = None
    for level, row in zip(levels, rows, strict=True):
        plan = level.settings.plan(now_ms)
        if plan is not None:
            left = _least(left, max(plan.allows(now_ms) - _paced_use(level, row), 0))
    return left


def _paced_use(level: Level, row: Row) -> int:
    """What is spent and held of the limit that pacing spreads."""
    numbers = row[1 if level.settings.paces_days else 0]
    return numbers.counted + numbers.held


def _paced_until(level: Level, row: Row, more: int, now_ms: int) -> int:
    """When pacing lets so much more be spent; NEVER: not in this period."""
    plan = level.settings.plan(now_ms)
    if plan is None:
        return 0
    return plan.allows_at(_paced_use(level, row) + more, now_ms) or NEVER


def _least(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def _spent_out(level: Level, row: Row) -> Iterator[int]:
    """Which of its limits are spent: 0 total, 1 daily, 2 hourly."""
    for place, (limit, numbers) in enumerate(zip(level.limits(), row, strict=True)):
        if limit is not None and numbers.counted >= limit:
            yield place


def _state(  # noqa: PLR0911 - one for each state, in the order in which they are told
    levels: Sequence[Level],
    rows: Sequence[Row],
    now_ms: int,
    remaining: int | None,
    spendable: int | None,
) -> "BudgetState.ValueType":
    """Whether the first level can pay."""
    if any(level.settings.paused for level in levels):
        return BudgetState.BUDGET_STATE_PAUSED
    resting = [level for level in levels if not level.settings.runs(now_ms)]
    if any(not level.settings.next_flight(now_ms) for level in resting):
        return BudgetState.BUDGET_STATE_ENDED
    if resting:
        return BudgetState.BUDGET_STATE_NOT_STARTED
    for place in _spent_out(levels[0], rows[0]):
        return _RUNNING_OUT[place]
    if any(any(True for _ in _spent_out(*each)) for each in zip(levels, rows, strict=True)):
        return BudgetState.BUDGET_STATE_EXHAUSTED_PARENT
    if remaining == 0:
        return BudgetState.BUDGET_STATE_RESERVED
    return BudgetState.BUDGET_STATE_PACED if spendable == 0 else BudgetState.BUDGET_STATE_ACTIVE


def _resumes_at(
    levels: Sequence[Level],
    rows: Sequence[Row],
    now_ms: int,
    state: "BudgetState.ValueType",
) -> int:
    """When all that stops it is over by itself; 0: nothing does; NEVER: not by itself."""
    if state == BudgetState.BUDGET_STATE_ACTIVE:
        return 0
    latest = 0
    for level, row in zip(levels, rows, strict=True):
        settings = level.settings
        if settings.paused:
            return NEVER
        if not settings.runs(now_ms):
            latest = max(latest, settings.next_flight(now_ms) or NEVER)
        ends = (NEVER, level.day[1], level.hour[1])
        for limit, numbers, end in zip(level.limits(), row, ends, strict=True):
            if limit is not None and numbers.counted + numbers.held >= limit:
                latest = max(latest, NEVER if limit == 0 else end)
        if state == BudgetState.BUDGET_STATE_PACED:
            latest = max(latest, _paced_until(level, row, 1, now_ms))
    return latest
