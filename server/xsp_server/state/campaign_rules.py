"""What a campaign may say, and what it says as the rest works with it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from xsp.money.v1.money_pb2 import Money
from xsp.state.v1.campaign_pb2 import (
    Campaign,
    CampaignStatus,
    Flight,
    Pacing,
    PacingMode,
    PacingPeriod,
)
from xsp.state.v1.frequency_pb2 import FrequencyCap
from xsp_server.state.backend import AMOUNT_MAX
from xsp_server.state.cap_rules import CapRule, rule_of
from xsp_server.state.faults import CurrencyMismatch, InvalidField, check_distinct
from xsp_server.state.messages import DAY_MS, check_currency, check_id, ms_of, zone_of
from xsp_server.state.pacing import FULL, Plan, Span, curve_of, merged
from xsp_server.state.windows import NEVER, Calendar, calendar

MAX_CAPS: Final = 64
MAX_FLIGHTS: Final = 1000
MAX_POINTS: Final = 1000
MAX_KEY_PART: Final = 256
DEFAULT_LOOKAHEAD_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Settings:
    """A campaign that was checked.

    Attributes:
        message: as it is stored, with revision and times.
        id: its id.
        parent_id: its parent's id. Empty: none.
        key: what no other campaign may have, as text.
        currency: of all its money.
        zone: of its days and hours.
        paused: whether it is paused.
        total: limit in micros; None: none. So `daily` and `hourly`.
        flights: when it may run, in order; empty: always.
        caps: its caps.
        pacing: mode other than as soon as possible; None: as soon as possible.
    """

    message: Campaign
    id: str
    parent_id: str
    key: str
    currency: str
    zone: ZoneInfo
    paused: bool
    total: int | None
    daily: int | None
    hourly: int | None
    flights: tuple[Span, ...]
    caps: tuple[CapRule, ...]
    pacing: Pacing | None

    @property
    def paces_days(self) -> bool:
        """Whether its pacing spreads the daily limit."""
        pacing = self.pacing
        if pacing is None or pacing.period == PacingPeriod.PACING_PERIOD_FLIGHT:
            return False
        return pacing.period == PacingPeriod.PACING_PERIOD_DAY or self.daily is not None

    def plan(self, now_ms: int) -> Plan | None:
        """How its spend is spread now; None: as soon as possible."""
        pacing = self.pacing
        if pacing is None:
            return None
        lookahead = (
            ms_of(pacing.lookahead) if pacing.HasField("lookahead") else DEFAULT_LOOKAHEAD_MS
        )
        curve = curve_of(pacing.mode, pacing.curve)
        if self.paces_days:
            day = calendar(Calendar.DAY, self.zone, now_ms)
            return Plan(self.daily or 0, (day,), curve, lookahead)
        return Plan(self.total or 0, self.flights, curve, lookahead)

    def runs(self, now_ms: int) -> bool:
        """Whether it is in flight."""
        return not self.flights or any(start <= now_ms < end for start, end in self.flights)

    def next_flight(self, now_ms: int) -> int:
        """When its next flight begins; 0: there is none."""
        return next((start for start, _ in self.flights if start > now_ms), 0)


def settings_of(campaign: Campaign) -> Settings:
    """Checks a campaign, and reads it.

    Raises:
        InvalidRequest: a field has a value that it can't have; paths begin with `campaign.`.
    """
    check_id("campaign.campaign_id", campaign.campaign_id)
    if campaign.parent_id:
        check_id("campaign.parent_id", campaign.parent_id)
    check_currency("campaign.currency", campaign.currency)
    _check_ttl(campaign)
    _check_known(campaign)
    flights = merged([*_flights(campaign.flights)])
    settings = Settings(
        message=campaign,
        id=campaign.campaign_id,
        parent_id=campaign.parent_id,
        key=_key(campaign),
        currency=campaign.currency,
        zone=zone_of("campaign.time_zone", campaign.time_zone),
        paused=campaign.status == CampaignStatus.CAMPAIGN_STATUS_PAUSED,
        total=_limit(campaign, "total"),
        daily=_limit(campaign, "daily"),
        hourly=_limit(campaign, "hourly"),
        flights=flights,
        caps=caps_of("campaign.caps", campaign.caps),
        pacing=campaign.pacing if _paces(campaign.pacing) else None,
    )
    _check_pacing(campaign.pacing, settings)
    return settings


def caps_of(path: str, caps: Sequence[FrequencyCap]) -> tuple[CapRule, ...]:
    """Checks caps, and reads them.

    Raises:
        InvalidRequest: one can't be, or two have the same name.
    """
    if len(caps) > MAX_CAPS:
        raise InvalidField(path, f"expected at most {MAX_CAPS}, got {len(caps)}")
    rules = [rule_of(path, cap, place) for place, cap in enumerate(caps)]
    if len(rules) > 1:
        check_distinct(path, [rule.id for rule in rules], ".cap_id")
    return tuple(rules)


def key_text(cid: str, seat: str, bidder: str) -> str:
    """A key as text; other keys have other texts."""
    return f"{len(bidder)}:{bidder}{len(seat)}:{seat}{cid}"


def key_texts(cid: str, seat: str, bidder: str) -> Iterator[str]:
    """The keys of campaigns that a bid's key fits, the most telling first."""
    yield key_text(cid, seat, bidder)
    yield key_text(cid, seat, "")
    yield key_text(cid, "", bidder)
    yield key_text(cid, "", "")


def _key(campaign: Campaign) -> str:
    if not campaign.HasField("key"):
        return key_text(campaign.campaign_id, "", "")
    key = campaign.key
    if not key.cid:
        raise InvalidField("campaign.key.cid", "missing; expected the campaign's id at the buyer")
    for name in ("cid", "seat", "bidder"):
        part = getattr(key, name)
        if len(part.encode()) > MAX_KEY_PART or "\0" in part:
            expected = f"expected at most {MAX_KEY_PART} bytes without NUL, got {part!r:.80}"
            raise InvalidField(f"campaign.key.{name}", expected)
    return key_text(key.cid, key.seat, key.bidder)


def _check_ttl(campaign: Campaign) -> None:
    if not campaign.HasField("reservation_ttl"):
        return
    if not 1000 <= ms_of(campaign.reservation_ttl) <= DAY_MS:
        got = campaign.reservation_ttl.ToJsonString()
        raise InvalidField("campaign.reservation_ttl", f"expected 1 s to 24 h, got {got}")


def _check_known(campaign: Campaign) -> None:
    for name in ("status", "budget_fail_policy"):
        told = getattr(campaign, name)
        if told not in (0, 1, 2):
            raise InvalidField(f"campaign.{name}", f"expected a value of the enum, got {told}")


def _limit(campaign: Campaign, name: str) -> int | None:
    if not campaign.limits.HasField(name):  # type: ignore[arg-type]
        return None
    limit: Money = getattr(campaign.limits, name)
    path = f"campaign.limits.{name}"
    if limit.currency != campaign.currency:
        raise CurrencyMismatch(f"{path}.currency", campaign.currency, limit.currency or "none")
    if not 0 <= limit.micros <= AMOUNT_MAX:
        raise InvalidField(f"{path}.micros", f"expected 0 to {AMOUNT_MAX}, got {limit.micros}")
    return limit.micros


def _flights(flights: Sequence[Flight]) -> Iterator[Span]:
    if len(flights) > MAX_FLIGHTS:
        raise InvalidField(
            "campaign.flights", f"expected at most {MAX_FLIGHTS}, got {len(flights)}"
        )
    for place, flight in enumerate(flights):
        start = ms_of(flight.start_time) if flight.HasField("start_time") else 0
        end = ms_of(flight.end_time) if flight.HasField("end_time") else NEVER
        if not start < end:
            raise InvalidField(
                f"campaign.flights[{place}].end_time",
                f"expected a time after start_time, got {flight.end_time.ToJsonString()}",
            )
        yield start, end


def _paces(pacing: Pacing) -> bool:
    return pacing.mode in (PacingMode.PACING_MODE_EVEN, PacingMode.PACING_MODE_CURVE)


def _check_pacing(pacing: Pacing, settings: Settings) -> None:
    if pacing.mode not in PacingMode.values():
        raise InvalidField("campaign.pacing.mode", f"expected a value, got {pacing.mode}")
    if pacing.period not in PacingPeriod.values():
        raise InvalidField("campaign.pacing.period", f"expected a value, got {pacing.period}")
    if pacing.HasField("lookahead") and not 0 <= ms_of(pacing.lookahead) <= DAY_MS:
        got = pacing.lookahead.ToJsonString()
        raise InvalidField("campaign.pacing.lookahead", f"expected 0 s to 24 h, got {got}")
    _check_curve(pacing)
    if settings.pacing is None:
        return
    if settings.paces_days:
        if settings.daily is None:
            raise InvalidField("campaign.limits.daily", "missing; pacing over days needs it")
    elif settings.total is None:
        raise InvalidField("campaign.limits.total", "missing; pacing over flights needs it")
    elif not settings.flights or settings.flights[0][0] == 0 or settings.flights[-1][1] == NEVER:
        raise InvalidField(
            "campaign.flights", "expected flights with both ends; pacing over flights needs them"
        )


def _check_curve(pacing: Pacing) -> None:
    is_curve = pacing.mode == PacingMode.PACING_MODE_CURVE
    if is_curve != bool(pacing.curve) or len(pacing.curve) > MAX_POINTS:
        expected = f"1 to {MAX_POINTS} points" if is_curve else "none, since the mode is no curve"
        raise InvalidField("campaign.pacing.curve", f"expected {expected}, got {len(pacing.curve)}")
    before = (0, 0)
    for place, point in enumerate(pacing.curve):
        path = f"campaign.pacing.curve[{place}]"
        for name, told, least in (
            ("elapsed_ppm", point.elapsed_ppm, before[0]),
            ("spend_ppm", point.spend_ppm, before[1]),
        ):
            if not least <= told <= FULL:
                raise InvalidField(f"{path}.{name}", f"expected {least} to {FULL}, got {told}")
        before = (point.elapsed_ppm, point.spend_ppm)
