"""Times, durations, money and ids as our messages write them."""

import base64
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from xsp.money.v1.money_pb2 import Money
from xsp.state.v1.budget_pb2 import CpmCost
from xsp_server.errors import Violation
from xsp_server.state.backend import AMOUNT_MAX
from xsp_server.state.faults import (
    CurrencyMismatch,
    CurrencyUnknown,
    InvalidField,
    Overflow,
    PageTokenInvalid,
    TimeZoneUnknown,
)
from xsp_server.state.windows import NEVER

Clock = Callable[[], int]
"""Milliseconds since 1970-01-01 00:00 UTC."""

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS

AnyMessage = TypeVar("AnyMessage", bound=Message)

MAX_DIFFERENCES: Final = 8
"""Fields that are told where an id comes with other content."""

_CURRENCY = re.compile("[A-Z]{3}")
_ID = re.compile("[\x20-\x7e]{1,128}")
_PPM: Final = 1_000_000_000


def machine_clock() -> int:
    """The machine's time."""
    return time.time_ns() // 1_000_000


def timestamp(ms: int) -> Timestamp:
    """A moment."""
    return Timestamp(seconds=ms // 1000, nanos=ms % 1000 * 1_000_000)


def moment(ms: int) -> Timestamp | None:
    """A moment; None for 0, which is "not", and for `NEVER`."""
    return timestamp(ms) if 0 < ms < NEVER else None


def ms_of(message: Timestamp | Duration) -> int:
    """Whole milliseconds, rounded down."""
    return message.seconds * 1000 + message.nanos // 1_000_000


def money(currency: str, micros: int) -> Money:
    """An amount."""
    return Money(currency=currency, micros=micros)


def cost_of(cpm_micros: int, impressions_micros: int) -> int:
    """What impressions cost at a CPM, in micros, rounded once, half to even.

    Args:
        cpm_micros: micros for 1,000 impressions.
        impressions_micros: impressions in millionths.
    """
    micros, rest = divmod(cpm_micros * impressions_micros, _PPM)
    twice = 2 * rest
    return micros + 1 if twice > _PPM or (twice == _PPM and micros % 2) else micros


def amount_of(request: Any, currency: str, least: int = 0, path: str = "") -> int | None:
    """Micros of the oneof `cost` of a request; None where it is unset.

    Raises:
        CurrencyMismatch: it is in another currency.
        InvalidField: it is less than `least`.
        Overflow: it is more than can be counted.
    """
    kind = request.WhichOneof("cost")
    if kind is None:
        return None
    where = f"{path}{kind}"
    if kind == "amount":
        told = request.amount
        micros: int = told.micros
    else:
        told = request.cpm.cpm
        where += ".cpm"
        micros = _cpm_micros(request.cpm, f"{path}cpm")
    if told.currency != currency:
        raise CurrencyMismatch(f"{where}.currency", currency, told.currency or "none")
    if micros < least:
        raise InvalidField(f"{where}.micros", f"expected {least} or more, got {micros}")
    if micros > AMOUNT_MAX:
        raise Overflow(f"{where}.micros: expected at most {AMOUNT_MAX}, got {micros}")
    return micros


def _cpm_micros(cost: CpmCost, path: str) -> int:
    if not cost.HasField("cpm"):
        raise InvalidField(f"{path}.cpm", "missing; expected the price of 1,000 impressions")
    impressions = cost.impressions_micros if cost.HasField("impressions_micros") else 1_000_000
    if impressions < 0:
        raise InvalidField(f"{path}.impressions_micros", f"expected 0 or more, got {impressions}")
    if cost.cpm.micros < 0:
        raise InvalidField(f"{path}.cpm.micros", f"expected 0 or more, got {cost.cpm.micros}")
    return cost_of(cost.cpm.micros, impressions)


def check_id(path: str, id_: str) -> None:
    """Raises InvalidField unless it is 1 to 128 printable ASCII characters."""
    if not _ID.fullmatch(id_):
        found = f"{len(id_)} characters" if len(id_) > 128 else repr(id_)
        raise InvalidField(path, f"expected 1 to 128 printable ASCII characters, got {found}")


def check_currency(path: str, currency: str) -> None:
    """Raises CurrencyUnknown unless it has the form of an ISO 4217 code."""
    if not _CURRENCY.fullmatch(currency):
        found = f"expected an ISO 4217 code such as USD, got {currency!r:.40}"
        raise CurrencyUnknown(Violation(path, found))


def zone_of(path: str, name: str) -> ZoneInfo:
    """The time zone of this name; empty is UTC.

    Raises:
        TimeZoneUnknown: there is none.
    """
    try:
        return ZoneInfo(name or "UTC")
    except (OSError, ValueError):  # ZoneInfoNotFoundError is a KeyError
        pass
    except KeyError:
        pass
    found = f'expected an IANA name such as "America/New_York", got {name!r:.80}'
    raise TimeZoneUnknown(Violation(path, found))


def digest(*parts: bytes | str) -> str:
    """A short name of some content."""
    pieces: list[bytes] = []
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        pieces += (len(data).to_bytes(8, "big"), data)
    return blake2b(b"".join(pieces), digest_size=16).hexdigest()


def packed(message: Message) -> str:
    """A message as text, the same for the same content."""
    return base64.b64encode(message.SerializeToString(deterministic=True)).decode()


def unpacked(text: str, kind: type[AnyMessage]) -> AnyMessage:
    """The message of a text that `packed` made."""
    return kind.FromString(base64.b64decode(text))


def differences(first: Message, new: Message) -> dict[str, str]:
    """Fields that differ, each with both values; ids of people are not told."""
    return dict(islice(_differences("", first, new), MAX_DIFFERENCES))


def _differences(path: str, first: Message, new: Message) -> Iterator[tuple[str, str]]:
    for field in first.DESCRIPTOR.fields:
        name = f"{path}.{field.name}" if path else field.name
        one, other = _told(first, field), _told(new, field)
        if one == other:
            continue
        if field.name == "subject":
            yield name, "differs"
        elif isinstance(one, Message) and isinstance(other, Message):
            yield from _differences(name, one, other)
        else:
            yield name, f"first {_shown(one)}, now {_shown(other)}"


def _told(message: Message, field: Any) -> Any:
    if field.has_presence and not message.HasField(field.name):
        return None
    return getattr(message, field.name)


def _shown(told: object) -> str:
    if told is None:
        return "nothing"
    return f"{str(told)!r:.120}"


def page_token(now_ms: int, conditions: str, position: Sequence[str | int]) -> str:
    """Where the next page begins.

    Args:
        now_ms: the token is good for 24 hours.
        conditions: the digest of what the list is of.
        position: where it goes on.
    """
    text = json.dumps([conditions, now_ms + DAY_MS, *position])
    return base64.urlsafe_b64encode(text.encode()).decode()


def page_position(token: str, now_ms: int, conditions: str) -> list[Any] | None:
    """Where a page begins; None: at the beginning.

    Raises:
        PageTokenInvalid: it is of another list, or too old.
    """
    if not token:
        return None
    try:
        of, until, *position = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, TypeError):
        of, until, position = "", 0, []
    if of != conditions or not isinstance(until, int) or until <= now_ms:
        expected = "expected next_page_token of the page before, of the same list, of the last 24 h"
        raise PageTokenInvalid(Violation("page_token", expected))
    return [*position]


def page_size(asked: int) -> int:
    """How many items a page has.

    Raises:
        InvalidField: it is not 0 to 1000.
    """
    if not 0 <= asked <= 1000:
        raise InvalidField("page_size", f"expected 0 to 1000, got {asked}")
    return asked or 100
