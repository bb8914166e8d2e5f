"""What other rules would have made of the same auctions: revenue, fill and fates, summed up."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from heapq import heappush, heappushpop
from typing import Any

from xsp_server.auction.fates import Fate
from xsp_server.auction.result import BidVerdict, Result
from xsp_server.auction.rules import Rules


def lay_over(rules: Rules, values: Mapping[str, Any], where: str = "rules") -> Rules:
    """Rules with some of them replaced; of tables, such as `rates`, entry by entry.

    Args:
        rules: that hold otherwise.
        values: as `Rules.from_mapping` takes them.
        where: how errors name the section.

    Raises:
        ConfigError: an unknown name or a value that doesn't fit.
    """
    return Rules.from_mapping(_merged(rules.to_mapping(), values), where)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        under = merged.get(name)
        if isinstance(under, Mapping) and isinstance(value, Mapping):
            merged[name] = _merged(under, value)
        else:
            merged[name] = value
    return merged


@dataclass(slots=True)
class Sums:
    """Sums over auctions.

    Attributes:
        imps: that were for sale.
        filled: of them, those with a winner.
        won: bids that won; more than imps in pods.
        revenue: sum of the clearing prices by currency: CPM, exact.
    """

    imps: int = 0
    filled: int = 0
    won: int = 0
    revenue: dict[str, Fraction] = field(default_factory=dict)

    def add(self, result: Result) -> Fraction:
        """Adds one auction and gives its revenue."""
        revenue = sum((winner.clearing_price for winner in result.winners), Fraction(0))
        self.imps += len(result.auction.request.imp)
        self.filled += len({winner.imp for winner in result.winners})
        self.won += len(result.winners)
        self.revenue[result.currency] = self.revenue.get(result.currency, Fraction(0)) + revenue
        return revenue


@dataclass(frozen=True, slots=True)
class FateChange:
    """A bid whose fate became another.

    Attributes:
        bid: `bidder/bid id`.
        imp: id of the imp that it names.
        before: its fate.
        after: its other fate.
    """

    bid: str
    imp: str
    before: Fate
    after: Fate


@dataclass(frozen=True, slots=True)
class AuctionChange:
    """An auction that came out otherwise.

    Attributes:
        auction_id: its name.
        currency: its currency.
        before: its revenue: sum of the clearing prices, CPM, exact.
        after: its other revenue.
        fates: that changed.
    """

    auction_id: str
    currency: str
    before: Fraction
    after: Fraction
    fates: tuple[FateChange, ...]

    @property
    def difference(self) -> Fraction:
        """What it would have earned more."""
        return self.after - self.before


class WhatIf:
    """Pairs of results of the same request and replies by two sets of rules, summed up.

    Holds sums and the greatest changes, whatever the number of auctions.

    Attributes:
        auctions: how many pairs were added.
        changed: of them, those in which a fate or a price is another.
        before, after: sums by the one and the other rules.
        fates: bids by fate before and after, those that stayed the same among them.
        repriced: bids that won both times, at another price.
    """

    def __init__(self, greatest: int = 10) -> None:
        """Starts at nothing.

        Args:
            greatest: how many auctions with the greatest change are kept for each currency.
        """
        self.auctions = self.changed = self.repriced = 0
        self.before, self.after = Sums(), Sums()
        self.fates: Counter[tuple[Fate, Fate]] = Counter()
        self._keep = greatest
        self._greatest: dict[str, list[tuple[Fraction, int, int, AuctionChange]]]
        self._greatest = defaultdict(list)

    def add(self, auction_id: str, before: Result, after: Result) -> None:
        """Adds one auction.

        Args:
            auction_id: its name.
            before: what it came to.
            after: what it comes to by the other rules.
        """
        revenue = self.before.add(before), self.after.add(after)
        fates = tuple(self._compare_fates(before, after))
        repriced = _repriced(before, after)
        self.auctions += 1
        self.repriced += repriced
        if fates or repriced:
            self.changed += 1
            self._weigh(AuctionChange(auction_id, before.currency, *revenue, fates))

    def greatest(self, currency: str) -> list[AuctionChange]:
        """The auctions whose revenue changed the most, the greatest change first.

        Equal changes are in the order of the fates that changed, then in that of their adding.

        Args:
            currency: of the auctions.
        """
        ranked = sorted(self._greatest[currency], key=lambda entry: entry[:3], reverse=True)
        return [change for *_, change in ranked]

    def _compare_fates(self, before: Result, after: Result) -> list[FateChange]:
        was = {_place(verdict): verdict for verdict in before.verdicts}
        changes = []
        for verdict in after.verdicts:
            old = was[_place(verdict)].fate
            self.fates[old, verdict.fate] += 1
            if old is not verdict.fate:
                changes.append(FateChange(verdict.key, verdict.imp, old, verdict.fate))
        return changes

    def _weigh(self, change: AuctionChange) -> None:
        kept = self._greatest[change.currency]
        entry = (abs(change.difference), len(change.fates), -self.auctions, change)
        if len(kept) < self._keep:
            heappush(kept, entry)
        else:
            heappushpop(kept, entry)


def _place(verdict: BidVerdict) -> tuple[str, int, int]:
    """What tells a bid apart: ids may repeat."""
    return (verdict.bidder, verdict.facts.seatbid_index, verdict.facts.bid_index)


def _repriced(before: Result, after: Result) -> int:
    prices = {_place(winner.verdict): winner.clearing_price for winner in before.winners}
    return sum(
        prices.get(_place(winner.verdict), winner.clearing_price) != winner.clearing_price
        for winner in after.winners
    )
