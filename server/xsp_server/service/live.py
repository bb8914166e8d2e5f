"""The exchange under the settings of now: they change while auctions run.

An auction keeps the settings that it began under. A bidder whose section stays the same keeps its
connections and what was learned of it; one that changes, or whose certificates do, or that goes, is
closed when the last auction that may ask it has ended, its late answer included.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server import registry
from xsp_server.auction import Rules
from xsp_server.auction.privacy import PrivacyPolicy
from xsp_server.config import Settings
from xsp_server.errors import ConfigError
from xsp_server.openrtb.reply import Reply
from xsp_server.service.exchange import AuctionRun, Exchange, KeepsState
from xsp_server.service.planning import Planner
from xsp_server.service.rates import RuleBook
from xsp_server.upstream import (
    Bidder,
    FanOut,
    Session,
    Transport,
    UpstreamConfig,
    build_group,
)
from xsp_server.upstream.certificates import Contents, contents

log = structlog.get_logger(__name__)

RELOADED = frozenset({"auction", "rules", "privacy", "schain", "bidders", "groups", "log"})
"""Sections of the settings that can change while the server runs; others wait for its restart."""


@dataclass(slots=True, eq=False)
class _Desk:
    """A bidder with the section that it is built from.

    Attributes:
        certificates: what the files held that the section names.
        books: settings in use that ask it.
    """

    section: Mapping[str, Any]
    bidder: Bidder
    settings: UpstreamConfig
    certificates: Contents
    books: int = 0

    def has_new_certificates(self) -> bool:
        """Whether the files hold something else by now."""
        return contents(self.settings.certificate_files) != self.certificates


@dataclass(slots=True, eq=False)
class _Book:
    """All that one reading of the settings makes of auctions.

    Attributes:
        privacy: what others may see.
        running: auctions that began under it and have not ended.
        replaced: others are in force since.
    """

    exchange: Exchange
    bidders: FanOut
    desks: list[_Desk]
    privacy: PrivacyPolicy
    running: int = 0
    replaced: bool = False


@dataclass(slots=True)
class LiveExchange:
    """Runs auctions by the settings that are in force when they begin.

    Attributes:
        settings: in force now.
        state: caps and budgets, which stay the same; None: nothing is limited.
        clock: seconds, monotonic.
    """

    settings: Settings
    state: KeepsState | None = None
    clock: Callable[[], float] = time.monotonic
    _now: _Book = field(init=False)
    _closing: set[asyncio.Task[None]] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        """Builds the bidders; nothing is called yet.

        Raises:
            ConfigError: a bidder's section doesn't fit its type, two share a name, or a setting of
                rules, privacy or supply chain is wrong.
        """
        self._now = self._open(self.settings, {}, {})

    @property
    def privacy(self) -> PrivacyPolicy:
        """What others may see, as it is in force now."""
        return self._now.privacy

    @property
    def certificate_files(self) -> list[Path]:
        """Those that its bidders are reached with."""
        return [file for desk in self._now.desks for file in desk.settings.certificate_files]

    @property
    def bidders(self) -> list[str]:
        """Names of the bidders, in the order of the settings."""
        return [desk.bidder.name for desk in self._now.desks]

    async def run(
        self,
        request: BidRequest,
        time_remaining: float | None,
        on_reply: Callable[[Reply], None] | None = None,
        session: Session | None = None,
    ) -> AuctionRun:
        """One auction; arguments and errors are those of `Exchange.run`."""
        book = self._now
        book.running += 1
        try:
            return await book.exchange.run(request, time_remaining, on_reply, session)
        finally:
            book.running -= 1
            if book.replaced and not book.running:
                self._retire(book)

    def change(self, settings: Settings) -> list[str]:
        """Puts other settings in force, for auctions that begin from now on.

        Returns:
            Sections that differ and stay as they were until the server starts again.

        Raises:
            ConfigError: a setting is wrong. Nothing has changed then.
        """
        before, desks = self._now, dict[str, _Desk]()
        try:
            known = {desk.bidder.name: desk for desk in before.desks}
            self._now = self._open(settings, known, desks)
        except ConfigError:
            self._spawn(_close_unused(desks.values()))
            raise
        waiting = [
            name
            for name in Settings.model_fields
            if name not in RELOADED and getattr(settings, name) != getattr(self.settings, name)
        ]
        self.settings = settings
        before.replaced = True
        if not before.running:
            self._retire(before)
        return waiting

    def renew_certificates(self) -> list[str]:
        """Builds bidders anew whose files of certificates hold others than when they were built.

        Returns:
            Their names.

        Raises:
            ConfigError: a certificate is wrong. Nothing has changed then.
        """
        renewed = [desk.bidder.name for desk in self._now.desks if desk.has_new_certificates()]
        if renewed:
            self.change(self.settings)
        return renewed

    async def close(self) -> None:
        """Waits for late calls, each bounded by its limit, then closes every bidder."""
        self._now.replaced = True
        self._retire(self._now)
        await asyncio.gather(*self._closing)

    def _open(
        self, settings: Settings, known: Mapping[str, _Desk], desks: dict[str, _Desk]
    ) -> _Book:
        """What settings make of auctions.

        Args:
            settings: to be read.
            known: desks by name of bidder, to be used again where their section is the same.
            desks: empty; filled as far as the settings can be read.
        """
        for index, section in enumerate(settings.bidders):
            self._add_desk(section, f"bidders[{index}]", known, desks)
        fan_out = FanOut(
            [desk.bidder for desk in desks.values()], build_group(settings.groups, list(desks))
        )
        rules = RuleBook(
            Rules.from_mapping(settings.rules),
            settings.auction.rates_file,
            settings.auction.rates_max_age_days,
        )
        planner = Planner.from_settings(
            settings.privacy, settings.schain, [desk.settings for desk in desks.values()]
        )
        closed = [each.settings.name for each in desks.values() if each.settings.campaigns_only]
        exchange = Exchange(settings.auction, rules, planner, fan_out, self.state, closed)
        for desk in desks.values():
            desk.books += 1
        return _Book(exchange, fan_out, list(desks.values()), planner.policy)

    def _add_desk(
        self,
        section: Mapping[str, Any],
        where: str,
        known: Mapping[str, _Desk],
        desks: dict[str, _Desk],
    ) -> None:
        desk = known.get(section.get("name", ""))
        if desk is None or desk.section != section or desk.has_new_certificates():
            transport: Transport = registry.build("transport", section, where)
            bidder = Bidder(transport, self.clock, transport.settings.policy)
            desk = _Desk(section, bidder, transport.settings, transport.certificates)
        name = desk.bidder.name
        if name in desks:
            raise ConfigError(
                f'{where}.name: got "{name}", which bidders[{list(desks).index(name)}] has '
                "already; expected a name of its own"
            )
        desks[name] = desk

    def _retire(self, book: _Book) -> None:
        """Closes what only these settings used, once its late calls have ended."""
        self._spawn(_close(book))

    def _spawn(self, closing: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(closing)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _close(book: _Book) -> None:
    await book.bidders.drain()
    for desk in book.desks:
        desk.books -= 1
    await _close_unused(book.desks)


async def _close_unused(desks: Iterable[_Desk]) -> None:
    await asyncio.gather(*(desk.bidder.close() for desk in desks if not desk.books))
