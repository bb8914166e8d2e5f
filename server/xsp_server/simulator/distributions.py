"""How prices and latencies spread, and how a setting writes that as one line.

`FORMS` has the forms. A distribution draws nothing: it gives the value at a share, so equal draws
give equal values.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from statistics import NormalDist
from typing import ClassVar, Final

FORMS: Final = """\
2.5                            always the same
uniform min=0.5 max=4          evenly between two values
lognormal median=2 sigma=0.5   a long tail upwards; sigma is that of the logarithm
lognormal median=20 p99=80     the same, with one value in a hundred above p99"""
"""What a setting may say, a line each, as people are shown it."""

_EXPECTATION = (
    "expected a number, 'uniform min=A max=B', 'lognormal median=M sigma=S' "
    "or 'lognormal median=M p99=P'"
)

_NORMAL = NormalDist()
_LARGEST = 1e9
_LARGEST_SIGMA = 10.0


class Distribution(ABC):
    """A spread of values from 0 upwards. Its text is what `parse` reads.

    Attributes:
        type_name: how lists of settings name it.
    """

    type_name: ClassVar[str] = "number or spread"

    @abstractmethod
    def at(self, share: float) -> float:
        """The value below which this share of all values lies; share is from (0, 1)."""


@dataclass(frozen=True, slots=True)
class Fixed(Distribution):
    """One value."""

    value: float

    def __post_init__(self) -> None:
        _check("value", self.value)

    def __str__(self) -> str:
        return f"{self.value:g}"

    def at(self, share: float) -> float:  # noqa: ARG002 - every share has the same value
        """See `Distribution.at`."""
        return self.value


@dataclass(frozen=True, slots=True)
class Uniform(Distribution):
    """Evenly from `low` to `high`."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check("min", self.low)
        _check("max", self.high, least=self.low)

    def __str__(self) -> str:
        return f"uniform min={self.low:g} max={self.high:g}"

    def at(self, share: float) -> float:
        """See `Distribution.at`."""
        return self.low + (self.high - self.low) * share


@dataclass(frozen=True, slots=True)
class LogNormal(Distribution):
    """Half of the values below `median`, and a tail upwards that `sigma` makes longer."""

    median: float
    sigma: float

    def __post_init__(self) -> None:
        _check("median", self.median)
        _check("sigma", self.sigma, most=_LARGEST_SIGMA)

    def __str__(self) -> str:
        return f"lognormal median={self.median:g} sigma={self.sigma:g}"

    def at(self, share: float) -> float:
        """See `Distribution.at`."""
        return self.median * math.exp(self.sigma * _NORMAL.inv_cdf(share))


def parse(value: object) -> Distribution:
    """Reads a setting; a distribution itself passes through.

    Raises:
        ValueError: the text has none of the forms, or a number is out of its bounds.
    """
    if isinstance(value, Distribution):
        return value
    word, *parts = str(value).split() or [""]
    try:
        if not parts:
            return Fixed(_number(word))
        pairs = (part.partition("=") for part in parts)
        numbers = {name: _number(number) for name, _, number in pairs}
    except _NotANumber:
        raise ValueError(_EXPECTATION) from None
    match word, numbers:
        case "uniform", {"min": low, "max": high, **rest} if not rest:
            return Uniform(low, high)
        case "lognormal", {"median": median, "sigma": sigma, **rest} if not rest:
            return LogNormal(median, sigma)
        case "lognormal", {"median": median, "p99": p99, **rest} if not rest:
            return LogNormal(median, _sigma(median, p99))
    raise ValueError(_EXPECTATION)


class _NotANumber(Exception):
    """A word stands where a number should."""


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise _NotANumber from None


def _sigma(median: float, p99: float) -> float:
    """The sigma that puts one value in a hundred above p99."""
    _check("median", median, least=1e-9)
    _check("p99", p99, least=median)
    return math.log(p99 / median) / _NORMAL.inv_cdf(0.99)


def _check(name: str, number: float, *, least: float = 0, most: float = _LARGEST) -> None:
    if not least <= number <= most:  # which refuses NaN as well
        raise ValueError(f"expected {name} from {least:g} to {most:g}, got {number:g}")
