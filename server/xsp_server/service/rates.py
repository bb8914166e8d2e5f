"""Exchange rates from a file: dated, and read again when it changes.

A file that can't be read or is wrong leaves the rates as they were, and the log says so; rates that
are too old are dropped, so that bids that need them are refused instead of being guessed at.
"""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from xsp_server.auction import Rules
from xsp_server.errors import ConfigError

log = structlog.get_logger(__name__)

LOOK_EVERY = timedelta(seconds=1)
"""How long a look at the file's time of change holds."""


def now_utc() -> datetime:
    """The time by the machine's clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Rates:
    """What a rates file says.

    Attributes:
        day: the day that the rates are of.
        rates: 1 base = n quote, by base and quote, as the file writes them.
    """

    day: date
    rates: dict[str, dict[str, Any]]


class RuleBook:
    """The rules of auctions that begin now: the settings' own, with the file's rates on top."""

    def __init__(
        self,
        rules: Rules,
        file: Path | None = None,
        max_age_days: int = 7,
        clock: Callable[[], datetime] = now_utc,
    ) -> None:
        """Reads the file.

        Raises:
            ConfigError: it can't be read, or is wrong; later that is only logged.
        """
        self._own = rules
        self._file = file
        self._max_age = timedelta(days=max_age_days)
        self._clock = clock
        self._rules = rules
        self._last_day: date | None = None
        self._looked_at = clock()
        self._stamp = (0, 0)
        if file is not None:
            self._stamp = _stamp(file)
            self._take(read_rates(file))

    def current(self) -> Rules:
        """The rules that hold now. Looks at the file once a second."""
        if self._file is not None:
            now = self._clock()
            if now - self._looked_at >= LOOK_EVERY:
                self._looked_at = now
                self._refresh(self._file)
            if self._last_day is not None and now.date() > self._last_day:
                log.error("rates too old", file=str(self._file), last_day=str(self._last_day))
                self._last_day, self._rules = None, self._own
        return self._rules

    def _refresh(self, file: Path) -> None:
        try:
            stamp = _stamp(file)
            if stamp != self._stamp:
                self._take(read_rates(file))
                self._stamp = stamp
                log.info("rates read", file=str(file))
        except ConfigError as error:
            log.error("rates kept as they were", reason=str(error))  # noqa: TRY400 - it says all

    def _take(self, rates: Rates) -> None:
        merged = {base: dict(row) for base, row in self._own.rates.items()}
        for base, row in Rules.from_mapping({"rates": rates.rates}, str(self._file)).rates.items():
            merged.setdefault(base, {}).update(row)
        self._rules = replace(self._own, rates=merged)
        self._last_day = rates.day + self._max_age


def read_rates(file: Path) -> Rates:
    """Reads a rates file.

    Raises:
        ConfigError: it can't be read, isn't TOML, or lacks `date` or `[rates]`.
    """
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}; expected a readable TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not TOML: {error}") from None
    day, rates = values.get("date"), values.get("rates")
    if not isinstance(day, date) or isinstance(day, datetime):
        raise ConfigError(f"{file}: date: got {day!r}; expected a day, as date = 2026-01-31")
    if not isinstance(rates, dict):
        raise ConfigError(f'{file}: rates: expected tables such as [rates.USD] with EUR = "0.92"')
    return Rates(day, rates)


def _stamp(file: Path) -> tuple[int, int]:
    """What changes when the file does."""
    try:
        status = file.stat()
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}; expected a readable TOML file") from None
    return (status.st_mtime_ns, status.st_size)
