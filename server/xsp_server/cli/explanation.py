"""An auction report as a tree: every imp, every bid, and what decided about it."""

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from xsp.bid.v1.auction_report_pb2 import (
    AuctionReport,
    BidderOutcome,
    BidderReport,
    BidReport,
    Comparison,
    Fate,
    FloorSource,
    ImpReport,
    Operand,
    PriceBasis,
    PrivacyAction,
    PrivacySignal,
    Relation,
    SkipReason,
    Winner,
)
from xsp_server.cli.render import price
from xsp_server.cli.words import counted, width

_RELATIONS = {
    Relation.RELATION_EQUAL: "must equal",
    Relation.RELATION_AT_LEAST: "must be at least",
    Relation.RELATION_ABOVE: "must be above",
    Relation.RELATION_AT_MOST: "must be at most",
    Relation.RELATION_IN: "must be in",
    Relation.RELATION_NOT_IN: "must not be in",
    Relation.RELATION_PRESENT: "must be there",
    Relation.RELATION_BEFORE: "must come before",
}


def draw(report: AuctionReport, console: Console | None = None) -> None:
    """Draws the report: imps with their bids, best first, then the bidders."""
    root = Tree(Text(f"auction {report.openrtb_request_id}, CPM in {report.currency}", "bold"))
    for imp in report.imps:
        _add_imp(root, imp, report)
    bidders = root.add("bidders")
    for bidder in report.bidders:
        _add_bidder(bidders, bidder)
    if report.HasField("nbr"):
        root.add(Text(f"nothing won: nbr {report.nbr}", "yellow"))
    (console or Console(soft_wrap=True, highlight=False, width=width())).print(root)


def _add_imp(root: Tree, imp: ImpReport, report: AuctionReport) -> None:
    pod = f", pod {imp.pod_id}" if imp.pod_id else ""
    floor = price(imp.floor, report.currency)
    branch = root.add(Text(f"imp {imp.imp_id}: floor {floor}, {counted(imp.bids, 'bid')}{pod}"))
    bids = [
        (bidder.bidder, bid)
        for bidder in report.bidders
        for bid in bidder.bids
        if bid.imp_id == imp.imp_id
    ]
    won = {(winner.bidder, winner.bid_id): winner for winner in imp.winners}
    bids.sort(key=lambda pair: ((pair[0], pair[1].bid_id) not in won, -pair[1].rank_value.micros))
    for bidder, bid in bids:
        _add_bid(branch, bidder, bid, won.get((bidder, bid.bid_id)), report.currency)


def _add_bid(
    branch: Tree, bidder: str, bid: BidReport, winner: Winner | None, currency: str
) -> None:
    fate = _word(Fate.Name(bid.fate), "FATE_")
    style = "bold green" if winner else ""
    head = Text(f"{bidder}/{bid.bid_id} bids {price(bid.price, currency)}: ").append(fate, style)
    leaf = branch.add(head.append(f"  [{bid.rule_id}]", "dim"))
    if winner:
        basis = _word(PriceBasis.Name(winner.price_basis), "PRICE_BASIS_")
        rival = f" {winner.rival}" if winner.rival else ""
        slot = f", slot {winner.slot}" if winner.HasField("slot") else ""
        leaf.add(Text(f"pays {price(winner.clearing_price, currency)}: {basis}{rival}{slot}"))
        return
    if bid.adjusted_price != bid.price:
        rate = f" by rate {bid.rate}" if bid.rate else ""
        factor = f" by factor {bid.adjustment}" if bid.adjustment else ""
        leaf.add(Text(f"counts {price(bid.adjusted_price, currency)}{rate}{factor}"))
    if bid.floor_source not in {
        FloorSource.FLOOR_SOURCE_UNSPECIFIED,
        FloorSource.FLOOR_SOURCE_NONE,
    }:
        source = _word(FloorSource.Name(bid.floor_source), "FLOOR_SOURCE_")
        leaf.add(Text(f"floor {price(bid.floor, currency)} of {source}"))
    for comparison in bid.comparisons:
        leaf.add(Text(_comparison(comparison, currency)))
    if bid.least_change.text:
        leaf.add(Text(bid.least_change.text, "cyan"))


def _comparison(comparison: Comparison, currency: str) -> str:
    found, required = comparison.found, comparison.required
    text = f"{found.name} {_value(found, currency)} {_RELATIONS.get(comparison.relation, '?')}"
    if required.name or required.WhichOneof("value"):
        text += f" {required.name} {_value(required, currency)}"
    return text.rstrip()


def _value(operand: Operand, currency: str) -> str:
    kind = operand.WhichOneof("value")
    if kind is None:
        return "(absent)"
    if kind == "cpm":
        return operand.exact or price(operand.cpm, currency)
    if kind == "duration":
        return f"{operand.duration.ToMicroseconds() / 1000:g} ms"
    if kind == "texts":
        more = f" and {operand.texts.more} more" if operand.texts.more else ""
        return ", ".join(operand.texts.values) + more
    return str(getattr(operand, kind))


def _add_bidder(branch: Tree, bidder: BidderReport) -> None:
    if not bidder.asked:
        reason = _word(SkipReason.Name(bidder.skip_reason), "SKIP_REASON_")
        branch.add(Text(f"{bidder.bidder}: not asked, {reason}  [{bidder.skip_rule_id}]"))
        return
    outcome = _word(BidderOutcome.Name(bidder.outcome), "BIDDER_OUTCOME_")
    detail = f" ({bidder.detail})" if bidder.detail else ""
    ms = bidder.latency.ToMicroseconds() / 1000
    bids = counted(len(bidder.bids), "bid")
    leaf = branch.add(Text(f"{bidder.bidder}: {outcome}{detail}, {ms:.1f} ms, {bids}"))
    for skipped in bidder.skipped_imps:
        leaf.add(Text(f"not asked for imp {skipped.imp_id}  [{skipped.rule_id}]"))
    for change in bidder.privacy_changes:
        action = _word(PrivacyAction.Name(change.action), "PRIVACY_ACTION_")
        signal = _word(PrivacySignal.Name(change.signal), "PRIVACY_SIGNAL_")
        leaf.add(Text(f"{change.path} {action} for {signal}  [{change.rule_id}]"))


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower().replace("_", " ")
