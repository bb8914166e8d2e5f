"""What a simulated bidder can be told."""

import math
import re
from enum import StrEnum
from typing import Annotated

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    ValidationInfo,
    field_validator,
)

from xsp_server.simulator.distributions import Distribution, Fixed, LogNormal, parse

Rate = Annotated[float, Field(ge=0, le=1)]


def _domain(name: str) -> str:
    if re.fullmatch("[A-Za-z0-9.-]+", name):
        return name
    raise ValueError("expected one domain, as advertiser.example")


def _some(names: tuple[str, ...]) -> tuple[str, ...]:
    if names:
        return names
    raise ValueError("expected at least one")


def _currency(code: str) -> str:
    if re.fullmatch("[A-Z]{3}", code):
        return code
    raise ValueError("expected three capital letters of ISO 4217, as USD")


Domain = Annotated[str, AfterValidator(_domain)]
Currency = Annotated[str, AfterValidator(_currency)]
Spread = Annotated[InstanceOf[Distribution], BeforeValidator(parse)]


class BidderSettings(BaseModel):
    """How a simulated bidder bids, how long it takes and how often it fails.

    A spread is written as a number (always that), `uniform min=0.5 max=4`,
    `lognormal median=2 sigma=0.5` or `lognormal median=20 p99=80`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    seat: Annotated[str, Field(min_length=1)] = "simulated"
    """The seat that bids. Bidders of one seed and different seats answer differently."""
    price: Spread = LogNormal(median=2.0, sigma=0.5)
    """Bid prices, CPM in `currency`, as a number or a spread. They do not look at the imp's floor;
    a bid under a deal reaches the deal's."""
    currency: Currency = "USD"
    """Currency of the bids, ISO 4217. Requests that do not allow it get no bid."""
    latency_ms: Spread = Fixed(0)
    """Time before an answer, in ms, as a number or a spread."""
    no_bid_rate: Rate = 0.0
    """Share of the requests that get no bid, from 0 to 1."""
    error_rate: Rate = 0.0
    """Share of the requests that fail: HTTP 500, or gRPC INTERNAL."""
    timeout_rate: Annotated[Rate, Field(validate_default=True)] = 0.0
    """Share of the requests that are never answered. The three rates add up to 1 at most."""
    bids_per_imp: Annotated[int, Field(ge=1, le=100)] = 1
    """Bids on each imp, their prices and creatives drawn one by one."""
    deal_rate: Rate = 0.5
    """Share of the bids made under a deal, of those on imps that offer the seat one. An imp that
    takes bids under deals only gets no others."""
    adomain: Annotated[tuple[Domain, ...], AfterValidator(_some)] = ("advertiser.example",)
    """Advertisers by domain. Each bid is for one of them that the request does not block."""
    cat: tuple[str, ...] = ()
    """Categories of every creative. Requests that block one of them get no bid."""
    notice_url: AnyHttpUrl | None = None
    """Where win, billing and loss notices go; `/win`, `/billing` or `/loss` is added. Bids carry no
    notice URLs without it."""

    @field_validator("timeout_rate")
    @classmethod
    def _rates_leave_room(cls, rate: float, info: ValidationInfo) -> float:
        total = math.fsum((rate, info.data.get("no_bid_rate", 0), info.data.get("error_rate", 0)))
        if total > 1:
            raise ValueError(
                "expected no_bid_rate, error_rate and timeout_rate to add up to 1 at most; "
                f"they make {total:g}"
            )
        return rate


class Fault(StrEnum):
    """Ways in which an HTTP bidder breaks."""

    RESET = "reset"
    """Half of the body, then a TCP reset."""
    SLOW_HEADERS = "slow-headers"
    """A pause after each line of the header."""
    SLOW_BODY = "slow-body"
    """A pause after each byte of the body."""
    GARBAGE = "garbage"
    """200 with bytes that are no JSON and no UTF-8."""
    CONTENT_TYPE = "content-type"
    """200 with a good answer that says it is text/html."""
    STATUS_500 = "status-500"
    """500 with some text."""
    HUGE_BODY = "huge-body"
    """200 with JSON that is correct and very long, sent in chunks of unknown number."""
    WRONG_ID = "wrong-id"
    """A good answer to another request: its id is not the request's."""
    HANG = "hang"
    """The connection stays open and nothing comes."""


class FaultSettings(BaseModel):
    """A fault that strikes every answer of an HTTP simulator."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    fault: Fault
    """Which one."""
    pause_ms: Annotated[int, Field(ge=0)] = 1000
    """How long each pause of the slow ones is, in ms."""
    huge_bytes: Annotated[int, Field(ge=1)] = 64 * 1024 * 1024
    """Length of the huge body, in bytes."""
