"""What an exchange may set about its auctions. The defaults are the policy of the vectors."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from fractions import Fraction
from itertools import chain
from typing import Any, Final, Self

from xsp_server.errors import ConfigError
from xsp_server.openrtb import money
from xsp_server.openrtb.matching import domain_set

Amount = Fraction | Decimal
"""Exact: a binary float is none."""


class DealPolicy(StrEnum):
    """How deals that are not guaranteed stand to open bids."""

    PRICE = "price"
    """They compete by price."""
    DEALS_FIRST = "deals_first"
    """Every eligible deal bid ranks above every open bid."""


class Overlap(StrEnum):
    """Which floor holds where several ranges of `durfloors` cover a duration."""

    MAX = "max"
    MIN = "min"


class Separation(StrEnum):
    """What two ads of one pod may not share."""

    ADOMAIN = "adomain"
    CAT = "cat"


@dataclass(frozen=True)  # without slots, so that `with_deadline` copies a dict
class Rules:
    """The rules of an auction.

    Attributes:
        deadline_ms: a reply that arrives after it is late, in ms; absent: `BidRequest.tmax`, and no
            deadline without one.
        second_price_increment: what a second price adds to the rival, CPM in the auction currency.
        rates: exchange rates by base and quote: `USD = { EUR = "0.92" }` is 1 USD = 0.92 EUR. The
            way back, and the way through one third currency, follow from them.
        bid_adjustments: by bidder, what of its price counts here (gross to net); absent: 1.
        adjust_deal_bids: whether the adjustment holds for bids that name a deal, too.
        deal_policy: how deals that are not guaranteed stand to open bids.
        max_bids_per_imp_per_seat: how many bids of a seat stay in play on an imp outside pods,
            counted apart for open bids and for each deal.
        durfloors_overlap: the floor where several ranges cover the duration.
        separation: what two ads of one pod may not share, besides what `poddedupe` asks for.
        require_adomain: whether a bid without `adomain` is refused.
        allow_adid_only: whether `adid` (a preloaded ad) is markup enough.
        allow: by bidder, what its bids may name: `seats`, `adomain` (with subdomains), `deals`. A
            list that is absent or empty restricts nothing; a bid that doesn't tell is refused, but
            for an open bid where only `deals` are listed.
        nbr_no_demand: `BidResponse.nbr` when nobody bid, also when there was nobody to ask.
        nbr_all_refused: `BidResponse.nbr` when bids came in time and none won.
        pod_search_limit: how many partial fillings of a pod are looked at before the best so far
            is taken; the report says when not all were.

    Raises:
        ConfigError: a value is out of its range; the message has a line for each.
    """

    deadline_ms: float | None = None
    second_price_increment: Amount = Fraction(1, 100)
    rates: Mapping[str, Mapping[str, Amount]] = field(default_factory=dict)
    bid_adjustments: Mapping[str, Amount] = field(default_factory=dict)
    adjust_deal_bids: bool = False
    deal_policy: DealPolicy = DealPolicy.PRICE
    max_bids_per_imp_per_seat: int = 1
    durfloors_overlap: Overlap = Overlap.MAX
    separation: frozenset[Separation] = frozenset()
    require_adomain: bool = False
    allow_adid_only: bool = False
    allow: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    nbr_no_demand: int = 500
    nbr_all_refused: int = 501
    pod_search_limit: int = 20_000

    def __post_init__(self) -> None:
        """Makes every amount a Fraction and checks the ranges."""
        put = object.__setattr__
        put(self, "second_price_increment", Fraction(self.second_price_increment))
        wrong = list(_below_least(self))
        if not isinstance(self.bid_adjustments, _Checked):
            put(self, "bid_adjustments", _Checked(_fractions(self.bid_adjustments)))
            wrong += _not_positive("bid_adjustments", self.bid_adjustments)
        if not isinstance(self.rates, _Checked):
            put(self, "rates", _Checked((b, _fractions(row)) for b, row in self.rates.items()))
            wrong += chain(*(_not_positive(f"rates.{b}", row) for b, row in self.rates.items()))
        if wrong:
            raise ConfigError("\n".join(wrong))

    def with_deadline(self, deadline_ms: float) -> Self:
        """The same rules for one auction; `replace` would take 15 times as long to check them all.

        Raises:
            ConfigError: the deadline is below 0.
        """
        if deadline_ms < 0:
            raise ConfigError(_too_low("deadline_ms", deadline_ms, 0))
        copy = object.__new__(type(self))
        vars(copy).update(vars(self), deadline_ms=deadline_ms)
        return copy

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], where: str = "rules") -> Self:
        """Rules from the values of a TOML section or a JSON object; what is absent has its default.

        Money, rates and factors are text ("0.01") or numbers, taken as the decimal that is written.

        Args:
            values: by the names of the attributes.
            where: how errors name the section.

        Raises:
            ConfigError: an unknown name or a value that doesn't fit; the message has a line for
                each: which, what was given, what would be right.
        """
        read: dict[str, Any] = {}
        wrong: list[str] = []
        for name, value in values.items():
            reader = _READERS.get(name)
            if reader is None:
                wrong.append(f"{where}.{name}: no such setting")
                continue
            try:
                read[name] = reader(value)
            except ValueError as error:
                wrong.append(f"{where}.{name}: got {value!r}; expected {error}")
        if wrong:
            raise ConfigError("\n".join(wrong))
        try:
            return cls(**read)
        except ConfigError as error:
            raise ConfigError(
                "\n".join(f"{where}.{line}" for line in str(error).split("\n"))
            ) from None

    def to_mapping(self) -> dict[str, Any]:
        """Every rule, defaults included, as values for TOML or JSON that `from_mapping` reads."""
        values = {item.name: _plain(getattr(self, item.name)) for item in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


class _Checked(dict[str, Any]):
    """A table whose amounts are exact and in range already, so that `replace` costs nothing."""


def _fractions(amounts: Mapping[str, Amount]) -> dict[str, Fraction]:
    return {name: Fraction(amount) for name, amount in amounts.items()}


_LEAST: dict[str, float] = {
    "deadline_ms": 0,
    "second_price_increment": 0,
    "max_bids_per_imp_per_seat": 1,
    "nbr_no_demand": 0,
    "nbr_all_refused": 0,
    "pod_search_limit": 1,
}


def _below_least(rules: Rules) -> Iterable[str]:
    for name, least in _LEAST.items():
        value = getattr(rules, name)
        if value is not None and value < least:
            yield _too_low(name, value, least)


def _too_low(name: str, value: Any, least: float) -> str:
    return f"{name}: got {_plain(value)}; expected at least {least}"


def _not_positive(name: str, amounts: Mapping[str, Amount]) -> Iterable[str]:
    for key, amount in amounts.items():
        if amount <= 0:
            yield f"{name}.{key}: got {_plain(amount)}; expected more than 0"


def _amount(value: object) -> Fraction:
    """An exact amount from what TOML or JSON hold."""
    if isinstance(value, float) and math.isfinite(value):
        return money.exact(value)
    if isinstance(value, str | int | Decimal) and not isinstance(value, bool):
        try:
            return Fraction(value)
        except (ValueError, ZeroDivisionError, OverflowError, InvalidOperation):
            pass
    raise ValueError("a decimal, as text or number")


def _amounts(value: object) -> dict[str, Fraction]:
    if not isinstance(value, Mapping):
        raise ValueError("a table of decimals")  # noqa: TRY004 - collected with its siblings
    return {str(name): _amount(amount) for name, amount in value.items()}


def _rates(value: object) -> dict[str, dict[str, Fraction]]:
    if not isinstance(value, Mapping):
        raise ValueError("a table of tables of decimals")  # noqa: TRY004
    return {str(base): _amounts(row) for base, row in value.items()}


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")  # noqa: TRY004
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("a whole number")  # noqa: TRY004
    return value


def _milliseconds(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError("a number of ms")
    return value


def _one_of(words: type[StrEnum]) -> Callable[[object], StrEnum]:
    def read(value: object) -> StrEnum:
        if not isinstance(value, str) or value not in list(words):
            raise ValueError(f"one of: {', '.join(words)}")
        return words(value)

    return read


def _separation(value: object) -> frozenset[Separation]:
    words = list(Separation)
    if isinstance(value, list | tuple | set | frozenset) and all(item in words for item in value):
        return frozenset(Separation(item) for item in value)
    raise ValueError(f"a list of: {', '.join(words)}")


ALLOWED: Final = ("seats", "adomain", "deals")
"""What `allow` can list for a bidder."""


def _allow(value: object) -> dict[str, dict[str, frozenset[str]]]:
    expected = f"a table of tables of lists: {', '.join(ALLOWED)}"
    if not isinstance(value, Mapping):
        raise ValueError(expected)  # noqa: TRY004 - collected with its siblings
    read: dict[str, dict[str, frozenset[str]]] = {}
    for bidder, lists in value.items():
        if not isinstance(lists, Mapping) or not lists.keys() <= {*ALLOWED}:
            raise ValueError(expected)
        if not all(_is_list_of_text(names) for names in lists.values()):
            raise ValueError(expected)
        read[str(bidder)] = {
            name: domain_set(names) if name == "adomain" else frozenset(names)
            for name, names in lists.items()
        }
    return read


def _is_list_of_text(names: object) -> bool:
    return isinstance(names, list | tuple | frozenset) and all(isinstance(n, str) for n in names)


_READERS: dict[str, Callable[[object], Any]] = {
    "deadline_ms": _milliseconds,
    "second_price_increment": _amount,
    "rates": _rates,
    "bid_adjustments": _amounts,
    "adjust_deal_bids": _flag,
    "deal_policy": _one_of(DealPolicy),
    "max_bids_per_imp_per_seat": _count,
    "durfloors_overlap": _one_of(Overlap),
    "separation": _separation,
    "require_adomain": _flag,
    "allow_adid_only": _flag,
    "allow": _allow,
    "nbr_no_demand": _count,
    "nbr_all_refused": _count,
    "pod_search_limit": _count,
}


def _plain(value: Any) -> Any:
    """A value as TOML and JSON have it: amounts as text, exact."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, frozenset):
        return sorted(map(str, value))
    if isinstance(value, Fraction):
        return _text(value)
    return str(value) if isinstance(value, StrEnum) else value


def _text(amount: Fraction) -> str:
    """A decimal where there is a finite one, else a fraction, as `1/3`."""
    places, rest = 0, amount.denominator
    for factor in (10, 5, 2):
        while rest % factor == 0:
            rest //= factor
            places += 1
    if rest != 1:
        return str(amount)
    digits = f"{abs(amount.numerator) * 10**places // amount.denominator:0{places + 1}d}"
    sign = "-" if amount < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"
