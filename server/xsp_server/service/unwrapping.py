"""The VAST behind winning bids, followed to its ads before the answer goes out."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol

from google.protobuf.duration_pb2 import Duration

from xsp.bid.v1.auction_options_pb2 import VastResolution
from xsp.bid.v1.auction_report_pb2 import VastUnwrap
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp.vast.v1.resolution_pb2 import Resolution
from xsp.vast.v1.resolve_options_pb2 import ResolutionPart, ResolveOptions, VastSource
from xsp_server import auction
from xsp_server.auction import BidKey
from xsp_server.errors import InvalidRequest, Violation
from xsp_server.service.exchange import AuctionRun, without
from xsp_server.service.planning import for_strangers
from xsp_server.service.session import Discretion
from xsp_server.upstream import Session
from xsp_server.vast.macros import Judge

_HEAD = 1000
"""Characters of markup in which the root element of VAST is looked for."""
_LEAST_SECONDS = 0.001


class Resolver(Protocol):
    """What follows chains: `VastChainResolver`."""

    async def resolve(  # noqa: PLR0913 - what the resolver takes
        self,
        source: VastSource,
        /,
        *,
        options: ResolveOptions,
        session: Session,
        seen: Session,
        judge: Judge,
        timeout: float | None,
    ) -> Resolution:
        """See `VastChainResolver.resolve`."""


class Unwrapping:
    """Unwraps the winners of one auction after another."""

    def __init__(self, resolver: Resolver) -> None:
        """Takes what follows chains."""
        self._resolver = resolver

    async def unwrap(
        self,
        run: AuctionRun,
        wanted: VastResolution,
        session: Session,
        settle: Callable[[AuctionRun, float], Awaitable[AuctionRun]] | None = None,
    ) -> tuple[AuctionRun, BidResponse]:
        """Follows the VAST of every winner, all at once, in what is left of the auction's time.

        Args:
            run: the auction as decided.
            wanted: how far, how long, and whether a winner needs an ad to stay one.
            session: that the auction belongs to.
            settle: asks caps and budgets about who wins in place of a bid that is withdrawn, until
                a time by the clock of the event loop; None: nothing does.

        Returns:
            The auction, decided again where bids had to be withdrawn, and its answer with the
            merged documents as markup.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        end = started + (run.timings.available_ms - run.timings.total_ms) / 1000
        whom = Discretion(session, for_strangers(run.privacy, run.request, session))
        unwraps: dict[BidKey, VastUnwrap] = {}
        documents: dict[BidKey, str] = {}
        while True:
            new = {
                key: bid.adm
                for key, bid in _bids(run, run.response)
                if key not in unwraps and is_vast(bid.adm)
            }
            left = end - loop.time()
            await asyncio.gather(
                *(
                    self._follow(markup, wanted, whom, left, key, unwraps, documents)
                    for key, markup in new.items()
                )
            )
            failed = [key for key in new if not unwraps[key].resolved]
            if not (failed and wanted.require_ad):
                break
            withdrawn = {key: auction.vast_unresolved(unwraps[key].error_code) for key in failed}
            run = without(run, {**run.withdrawn, **withdrawn})
            if settle is not None:
                run = await settle(run, end)
        took_ms = round((loop.time() - started) * 1000, 3)
        run = replace(run, unwraps=unwraps, vast_ms=took_ms)
        return run, _answer(run, documents)

    async def _follow(  # noqa: PLR0913, PLR0917 - one winner, and where its outcome goes
        self,
        markup: str,
        wanted: VastResolution,
        whom: Discretion,
        left: float,
        key: BidKey,
        unwraps: dict[BidKey, VastUnwrap],
        documents: dict[BidKey, str],
    ) -> None:
        source = VastSource(document=markup.encode())
        timeout = min(left, _seconds(wanted)) if wanted.HasField("timeout") else left
        options = ResolveOptions(
            max_hops=wanted.max_hops if wanted.HasField("max_hops") else None, parts=_PARTS
        )
        resolution = await self._resolver.resolve(
            source,
            options=options,
            session=whom.session,
            seen=whom.seen,
            judge=whom.judge,
            timeout=max(timeout, _LEAST_SECONDS),
        )
        unwraps[key] = _unwrap_of(resolution)
        if resolution.ads:
            documents[key] = resolution.xml


_PARTS = (
    ResolutionPart.RESOLUTION_PART_ADS,
    ResolutionPart.RESOLUTION_PART_XML,
    ResolutionPart.RESOLUTION_PART_HOPS,
)


def check(wanted: VastResolution) -> None:
    """Refuses what can't be.

    Raises:
        InvalidRequest: `max_hops` or `timeout` is below what the contract allows.
    """
    if wanted.max_hops < 0:
        path = "options.resolve_vast.max_hops"
        raise InvalidRequest(Violation(path, f"expected 0 or more, got {wanted.max_hops}"))
    if wanted.HasField("timeout") and _seconds(wanted) <= 0:
        path = "options.resolve_vast.timeout"
        raise InvalidRequest(Violation(path, f"expected more than 0, got {_seconds(wanted):g} s"))


def is_vast(markup: str) -> bool:
    """Whether the markup of a bid is a VAST document."""
    head = markup[:_HEAD].lstrip("\ufeff \t\r\n")
    return head.startswith("<") and "<VAST" in head


def _bids(run: AuctionRun, answer: BidResponse) -> Iterator[tuple[BidKey, BidResponse.Bid]]:
    """The winners' bids in an answer, which has them by seat, in the order of first wins."""
    seats: dict[tuple[str, str | None], list[BidKey]] = {}
    for winner in run.result.winners:
        key = auction.key_of(winner.verdict.facts)
        seats.setdefault((winner.bidder, winner.seat), []).append(key)
    for keys, seatbid in zip(seats.values(), answer.seatbid, strict=True):
        yield from zip(keys, seatbid.bid, strict=True)


def _unwrap_of(resolution: Resolution) -> VastUnwrap:
    hops = [hop for hop in resolution.hops if hop.HasField("final_url")]
    took = Duration()
    took.CopyFrom(resolution.elapsed)
    return VastUnwrap(
        resolved=bool(resolution.ads),
        hops=max((ad.wrapper_count for ad in resolution.ads), default=len(resolution.hops) - 1),
        error_code=resolution.failures[0].code if resolution.failures else 0,
        took=took,
        last_url=hops[-1].final_url if hops else "",
    )


def _answer(run: AuctionRun, documents: Mapping[BidKey, str]) -> BidResponse:
    """The answer with merged documents in place of wrappers; the auction's own stays as it is."""
    if not documents:
        return run.response
    answer = BidResponse()
    answer.CopyFrom(run.response)
    for key, bid in _bids(run, answer):
        if key in documents:
            bid.adm = documents[key]
    return answer


def _seconds(wanted: VastResolution) -> float:
    return wanted.timeout.seconds + wanted.timeout.nanos / 1e9
