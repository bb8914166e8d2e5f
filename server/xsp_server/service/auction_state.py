"""Caps and budgets in auctions: who may be served, what winners hold, and the next best bid.

    before the fan-out  bidders none of whose campaigns can be served are not asked
    after the bids      bids of campaigns that can't be served are withdrawn; one round trip
    reserve             what the winners cost and show is held together; one round trip. A bid that
                        is refused is withdrawn, the auction is decided again, and who wins then is
                        asked in turn

Only bids that passed every check take part, and only those with a `cid` that a campaign has. When
the time is over, or the store is away, the policies of caps and campaigns decide.
"""

import asyncio
from collections.abc import Collection, Sequence
from fractions import Fraction
from typing import Final

import structlog

from xsp.bid.v1.auction_report_pb2 import StatePhase, StateReport
from xsp_server.auction import Fate
from xsp_server.errors import XspError
from xsp_server.openrtb.reply import NotAsked, Skipped
from xsp_server.service.campaign_views import View, look, read, subject_of
from xsp_server.service.exchange import AuctionRun
from xsp_server.service.held import Held
from xsp_server.service.settlement import TOO_LATE, Settlement
from xsp_server.service.state_told import Decided, Phase, Told
from xsp_server.service.state_verdicts import fate_of
from xsp_server.state.accounts import Accounts
from xsp_server.state.backend import StoreAway
from xsp_server.upstream import Session

log = structlog.get_logger(__name__)

_ONE: Final = Fraction(1)
_BEFORE: Final = StatePhase.STATE_PHASE_BEFORE_FAN_OUT
MAX_LOOKED: Final = 200
"""Campaigns that are looked at before the fan-out; a bidder beyond them is asked."""


class AuctionState:
    """Decides by caps and budgets in the auctions of a server."""

    def __init__(self, accounts: Accounts, seconds: float) -> None:
        """Takes the store.

        Args:
            accounts: campaigns, caps, budgets and reservations.
            seconds: that an auction keeps for them after its bidders.
        """
        self._accounts = accounts
        self._seconds = seconds
        self._releasing: set[asyncio.Task[None]] = set()

    @property
    def seconds(self) -> float:
        """What auctions keep for caps and budgets; 0 where nobody can have put a campaign.

        Another server may have put the first one in a store that is shared: an auction whose
        bidders take all their time must learn of it, too.
        """
        campaigns = self._accounts.campaigns
        alone = self._accounts.backend.in_process and campaigns.version >= 0
        return 0.0 if alone and not len(campaigns) else self._seconds

    async def start(self) -> None:
        """Reads the campaigns. If the store is away, the first auction tries again."""
        try:
            await self._accounts.campaigns.refresh()
        except StoreAway as failure:
            log.warning("campaigns not read", failure=str(failure))

    async def close(self) -> None:
        """Waits until what is being given back is; each call has its own limit."""
        while self._releasing:
            await asyncio.wait(self._releasing)
        await self._accounts.reservations.close()

    async def before(
        self, bidders: Collection[str], session: Session
    ) -> tuple[dict[str, Skipped], Sequence[StateReport]]:
        """Which bidders need not be asked, as none of their campaigns can be served.

        Args:
            bidders: that bid for campaigns of their own alone, by name.
            session: whose impressions caps count.

        Returns:
            Why they are passed over, by name; and what state said, if it was asked.
        """
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            async with asyncio.timeout(self._seconds):
                await self._accounts.campaigns.freshen()
                views = self._of_bidders(bidders)
                if not views:
                    return {}, []
                read(views, subject_of(session))
                await look(self._accounts, views)
        except TimeoutError:  # then the bids decide
            return {}, _failed_before(TOO_LATE, clock() - started)
        except StoreAway as failure:
            return {}, _failed_before(failure, clock() - started)
        decided = [Decided(view.allowed, view.decision) for view in views]
        told = Told([Phase(_BEFORE, _micros(clock() - started), decided)])
        of_bidder: dict[str, list[View]] = {}
        for view in views:
            of_bidder.setdefault(view.bidder, []).append(view)
        skipped = {
            bidder: _skipped(bidder, {fate_of(view.decision()) for view in those})
            for bidder, those in of_bidder.items()
            if not any(view.allowed for view in those)
        }
        return skipped, told

    async def settle(self, run: AuctionRun, session: Session, end: float) -> AuctionRun:
        """Withdraws who can't be served, and holds what the winners need.

        Args:
            run: the auction as decided.
            session: whose impressions caps count.
            end: by the clock of the event loop, when the policies decide instead.

        Returns:
            The auction, decided again where bids were withdrawn, with what is held.
        """
        campaigns = self._accounts.campaigns
        if campaigns.version == 0 and self._accounts.backend.in_process:
            await campaigns.freshen()
            if campaigns.version == 0:  # no campaign was ever put
                return run
        settlement = Settlement(self._accounts, run, session, end)
        try:
            return await settlement.settle()
        except BaseException:
            self.give_back(settlement.held.values())
            raise
        finally:
            self.give_back(settlement.lost)

    def give_back(self, held: Collection[Held]) -> None:
        """Gives back what is held for bids that won't be shown, without waiting for it."""
        if not held:
            return
        ids = [each.reservation_id for each in held]

        async def release() -> None:
            try:
                await self._accounts.reservations.release(ids)
            except XspError as failure:  # then they expire
                log.warning("reservations left to expire", count=len(ids), failure=str(failure))

        task = asyncio.get_running_loop().create_task(release())
        self._releasing.add(task)
        task.add_done_callback(self._releasing.discard)

    def _of_bidders(self, bidders: Collection[str]) -> list[View]:
        """The campaigns of bidders, as far as there is room for all of a bidder's."""
        views: list[View] = []
        for bidder in bidders:
            own = self._accounts.campaigns.of_bidder(bidder)
            if len(views) + len(own) <= MAX_LOOKED:
                views += [View(self._accounts, each, bidder, None, _ONE) for each in own]
        return views


def _failed_before(failure: StoreAway, seconds: float) -> Told:
    """That nobody could say anything before the fan-out."""
    return Told([Phase(_BEFORE, _micros(seconds), (), failure)])


def _micros(seconds: float) -> int:
    return round(seconds * 1_000_000)


def _skipped(bidder: str, fates: Collection[Fate]) -> Skipped:
    reason = NotAsked.CAPPED if set(fates) == {Fate.CAPPED} else NotAsked.NO_BUDGET
    return Skipped(bidder, reason, f"its campaigns are {', '.join(sorted(fates))}")
