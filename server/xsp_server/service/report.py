"""The auction report: what an auction came to, as messages."""

import asyncio
from collections import defaultdict
from collections.abc import Generator, Mapping, Sequence
from datetime import datetime
from fractions import Fraction

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from xsp.bid.v1 import auction_report_pb2 as pb
from xsp.bid.v1.auction_options_pb2 import ExplainLevel
from xsp.money.v1.money_pb2 import Money
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.auction import (
    BidderVerdict,
    BidVerdict,
    Evidence,
    Fate,
    FloorSource,
    PodVerdict,
    PriceBasis,
    RankClass,
    Relation,
    Result,
    Standing,
    Winner,
    explain,
    key_of,
)
from xsp_server.auction.explain import LeastChange
from xsp_server.auction.plan import SkipReason
from xsp_server.auction.privacy import Action, Signal
from xsp_server.openrtb import money
from xsp_server.openrtb.reply import NotAsked, Reply, Skipped
from xsp_server.service.exchange import AuctionRun
from xsp_server.service.held import impressions_of
from xsp_server.service.planning import Asked
from xsp_server.service.state_verdicts import BidName, reservations_of

MAX_TEXTS = 20
"""Texts of a list that a comparison shows; the rest is counted."""

BIDS_A_STEP = 64
"""Bids that are told before others get their turn: at up to 170 us each, some 10 ms."""

Telling = Generator[None, None, pb.AuctionReport]
"""A report in the making: it pauses after every `BIDS_A_STEP` bids, and returns the report."""

_FATES = {fate: pb.Fate.Value(f"FATE_{fate.name}") for fate in Fate}
_RELATIONS = {relation: pb.Relation.Value(f"RELATION_{relation.name}") for relation in Relation}
_BASES = {basis: pb.PriceBasis.Value(f"PRICE_BASIS_{basis.name}") for basis in PriceBasis}
_FLOORS = {source: pb.FloorSource.Value(f"FLOOR_SOURCE_{source.name}") for source in FloorSource}
_CLASSES = {rank: pb.RankClass.Value(f"RANK_CLASS_{rank.name}") for rank in RankClass}
_OUTCOMES = {
    standing: pb.BidderOutcome.Value(f"BIDDER_OUTCOME_{standing.name}") for standing in Standing
}
_ACTIONS = {
    Action.REMOVE: pb.PRIVACY_ACTION_REMOVED,
    Action.TRUNCATE: pb.PRIVACY_ACTION_TRUNCATED,
    Action.ROUND: pb.PRIVACY_ACTION_ROUNDED,
}
_SIGNALS = {signal: pb.PrivacySignal.Value(f"PRIVACY_SIGNAL_{signal.name}") for signal in Signal}
_SKIPS = {
    SkipReason.COUNTRY: pb.SKIP_REASON_COUNTRY,
    SkipReason.CURRENCY: pb.SKIP_REASON_CURRENCY,
    SkipReason.MEDIA_TYPE: pb.SKIP_REASON_MEDIA_TYPE,
    SkipReason.NO_IMP: pb.SKIP_REASON_NO_IMP,
}
_POLICIES = {reason: pb.SkipReason.Value(f"SKIP_REASON_{reason.name}") for reason in NotAsked}
_ANSWERED = frozenset({Standing.BIDS, Standing.NO_BID})


def report(run: AuctionRun, auction_id: str, level: ExplainLevel.ValueType) -> pb.AuctionReport:
    """The report of one auction.

    Args:
        run: the auction.
        auction_id: what the server calls it.
        level: FULL, or SUMMARY to leave out comparisons.
    """
    told = _telling(run, auction_id, level)
    while (made := _step(told)) is None:
        pass
    return made


async def report_in_turns(
    run: AuctionRun, auction_id: str, level: ExplainLevel.ValueType
) -> pb.AuctionReport:
    """The same as `report`, letting other auctions go on meanwhile: bidders decide how long it is.

    Args:
        run: the auction.
        auction_id: what the server calls it.
        level: FULL, or SUMMARY to leave out comparisons.
    """
    told = _telling(run, auction_id, level)
    while (made := _step(told)) is None:  # noqa: ASYNC110 - it waits for nothing but its turn
        await asyncio.sleep(0)
    return made


def _step(told: Telling) -> pb.AuctionReport | None:
    """Goes on to the next pause (None), or to the end."""
    try:
        next(told)
    except StopIteration as end:
        made: pb.AuctionReport = end.value
        return made
    return None


def _telling(run: AuctionRun, auction_id: str, level: ExplainLevel.ValueType) -> Telling:
    result = run.result
    verdicts: dict[str, list[BidVerdict]] = defaultdict(list)
    for verdict in result.verdicts:
        verdicts[verdict.bidder].append(verdict)
    full = level == ExplainLevel.EXPLAIN_LEVEL_FULL
    bidders = yield from _bidders(run, verdicts, full=full)
    return pb.AuctionReport(
        auction_id=auction_id,
        openrtb_request_id=result.request_id,
        session_request_id=run.session_id,
        start_time=_timestamp(run.started_at),
        currency=result.currency,
        level=level,
        bidders=bidders,
        imps=_imps(run, result),
        pods=[_pod(pod, result.currency) for pod in result.pods],
        state=run.state,
        nbr=result.nbr,
        timings=_timings(run),
        totals=_totals(run.request, result),
    )


def _bidders(
    run: AuctionRun, verdicts: Mapping[str, Sequence[BidVerdict]], *, full: bool
) -> Generator[None, None, list[pb.BidderReport]]:
    """Every bidder in the settings, asked or not, by name."""
    replied = {bidder.bidder: bidder for bidder in run.result.bidders}
    replies = {reply.bidder: reply for reply in run.replies}
    reports, told = [], 0
    for asked in sorted(run.asked, key=lambda asked: asked.plan.bidder):
        bidder = replied.get(asked.plan.bidder)
        if bidder is None:
            reports.append(_not_asked(asked, run.skipped.get(asked.plan.bidder)))
            continue
        report = _asked(bidder, asked, run, replies.get(bidder.bidder))
        for verdict in verdicts[bidder.bidder]:
            report.bids.append(_bid(verdict, run, full=full))
            told += 1
            if told % BIDS_A_STEP == 0:
                yield
        reports.append(report)
    return reports


def _not_asked(asked: Asked, skipped: Skipped | None) -> pb.BidderReport:
    """A bidder that was not asked: what its policies, privacy or its offering say against it."""
    if skipped is not None:
        reason, rule_id = _POLICIES[skipped.reason], f"policy.{skipped.reason}"
    elif asked.refusal is not None:
        reason, rule_id = pb.SKIP_REASON_PRIVACY, asked.refusal.rule_id
    else:
        reason, rule_id = _skip(asked.plan.reason or SkipReason.NO_IMP)
    return pb.BidderReport(
        bidder=asked.plan.bidder,
        asked=False,
        skip_reason=reason,
        skip_rule_id=rule_id,
        skipped_imps=_skipped_imps(asked),
        detail=skipped.detail if skipped else "",
    )


def _asked(
    bidder: BidderVerdict, asked: Asked, run: AuctionRun, reply: Reply | None
) -> pb.BidderReport:
    """A bidder that was asked; its bids are not in it yet."""
    sent = run.timings.validation_ms + run.timings.planning_ms
    over = sent + run.timings.bidders_ms
    timeout = run.timings.available_ms
    if reply is not None:
        sent = sent if reply.sent_ms is None else reply.sent_ms
        timeout = timeout if reply.timeout_ms is None else reply.timeout_ms
    ended = bidder.arrived_ms
    if ended is None:  # it had until its own timeout, and at most until all were waited for
        ended = min(sent + timeout, over)
    report = pb.BidderReport(
        bidder=bidder.bidder,
        asked=True,
        imp_ids=asked.plan.imps,
        skipped_imps=_skipped_imps(asked),
        privacy_changes=[
            pb.PrivacyChange(
                path=change.path,
                action=_ACTIONS[change.action],
                signal=_SIGNALS[change.signal],
                rule_id=change.rule_id,
            )
            for change in asked.changes
        ],
        timeout=_duration(timeout),
        sent_at=_duration(sent),
        latency=_duration(max(ended - sent, 0.0)),
        attempts=1,
        outcome=_OUTCOMES[bidder.standing],
        outcome_rule_id="" if bidder.standing is Standing.BIDS else bidder.rule_id,
        detail=bidder.detail,
        nbr=bidder.nbr,
        nonbid_status=bidder.nonbid,
    )
    if reply is not None:
        _tell_call(report, reply)
    return report


def _tell_call(report: pb.BidderReport, reply: Reply) -> None:
    """What upstream knows of the call itself."""
    report.attempts = reply.attempts
    report.secondary = reply.secondary
    if reply.http_status is not None:
        report.http_status = reply.http_status
    if reply.grpc_status:
        report.grpc_status.code = grpc.StatusCode[reply.grpc_status].value[0]
        report.grpc_status.message = reply.detail


def _skipped_imps(asked: Asked) -> list[pb.SkippedImp]:
    imps = []
    for skipped in asked.plan.skipped:
        reason, rule_id = _skip(skipped.reason)
        imps.append(pb.SkippedImp(imp_id=skipped.imp, reason=reason, rule_id=rule_id))
    return imps


def _skip(reason: SkipReason) -> tuple[pb.SkipReason.ValueType, str]:
    """The contract's word for a reason; one that it has no word for is told by its rule."""
    return _SKIPS.get(reason, pb.SKIP_REASON_RULE), f"plan.{reason}"


def _bid(verdict: BidVerdict, run: AuctionRun, *, full: bool) -> pb.BidReport:
    message, facts, result = verdict.message, verdict.facts, run.result
    currency = result.currency
    report = pb.BidReport(
        bid_id=verdict.bid,
        seatbid_index=facts.seatbid_index,
        bid_index=facts.bid_index,
        seat=verdict.seat,
        imp_id=verdict.imp,
        deal_id=verdict.deal,
        cid=message.cid if message.HasField("cid") else None,
        crid=message.crid if message.HasField("crid") else None,
        adomain=message.adomain,
        mtype=verdict.media_type,
        duration=None if verdict.seconds is None else Duration(seconds=verdict.seconds),
        duration_assumed=verdict.seconds_assumed,
        price=_money(verdict.price, verdict.bid_currency),
        rate=_ratio(verdict.rate),
        adjustment=_ratio(verdict.factor),
        adjusted_price=_money(verdict.net, currency),
        floor=_money(verdict.floor, currency),
        floor_source=_floor_source(verdict),
        rank_value=_money(verdict.value, currency),
        rank_class=_CLASSES[verdict.rank_class],
        fate=_FATES[verdict.fate],
        rule_id=verdict.rule_id,
        loss_reason=verdict.loss_code,
        nonbid_status=verdict.nonbid,
        vast=run.unwraps.get(key_of(facts)) if run.unwraps else None,
    )
    if full:
        _explain(report, verdict, result)
    return report


def _explain(report: pb.BidReport, verdict: BidVerdict, result: Result) -> None:
    """What was compared, and what would have made the bid win."""
    evidence = explain.comparison(result, verdict)
    if evidence is not None:
        report.comparisons.append(_comparison(evidence, result.currency))
    least_to_win = _money(explain.min_to_win(result, verdict), verdict.bid_currency)
    if least_to_win is not None:
        report.min_to_win.CopyFrom(least_to_win)
    if verdict.fate is not Fate.WON:
        change = explain.least_change(result, verdict)
        report.least_change.CopyFrom(_least_change(change, verdict))


def _least_change(change: LeastChange, verdict: BidVerdict) -> pb.LeastChange:
    """The change as fields and as a sentence."""
    if not change.known:
        return pb.LeastChange(text="Not worked out: there are too many bids beside it.")
    if not change.possible:
        return pb.LeastChange(text=f"No price would have helped against {verdict.rule_id}.")
    report, words = pb.LeastChange(), []
    if change.arrival_ms is not None:
        report.changes.add(path="arrival", arrival_by=_duration(change.arrival_ms))
        words.append(f"an arrival within {change.arrival_ms:g} ms")
    if change.price_micros is not None:
        needed = Money(currency=verdict.bid_currency, micros=change.price_micros)
        report.changes.add(path=f"{verdict.facts.path}.price", price_at_least=needed)
        price = money.to_text(Fraction(change.price_micros, money.MICROS))
        words.append(f"a price of {price} {verdict.bid_currency} or more")
    report.text = f"Would have won with {' and '.join(words) or 'no change of its own'}."
    return report


def _floor_source(verdict: BidVerdict) -> pb.FloorSource.ValueType:
    if verdict.floor is None or verdict.floor_source is None:
        return pb.FLOOR_SOURCE_UNSPECIFIED
    return _FLOORS[verdict.floor_source] if verdict.floor else pb.FLOOR_SOURCE_NONE


def _comparison(evidence: Evidence, currency: str) -> pb.Comparison:
    """What refused the bid: the relation did not hold."""
    return pb.Comparison(
        found=_operand(evidence.name, evidence.found, currency),
        relation=_RELATIONS[evidence.relation],
        required=_operand(evidence.against, evidence.required, currency),
        held=False,
    )


def _operand(name: str, value: object, currency: str) -> pb.Operand:
    operand = pb.Operand(name=name)
    if isinstance(value, Fraction):
        cpm = _money(value, currency)
        if cpm is not None:
            operand.cpm.CopyFrom(cpm)
        if value != Fraction(money.to_micros(value), money.MICROS):
            operand.exact = str(value)
    elif isinstance(value, float):  # an arrival or a deadline, in ms
        operand.duration.CopyFrom(_duration(value))
    elif isinstance(value, int):
        operand.integer = value
    elif isinstance(value, str):
        operand.text = value
    elif isinstance(value, tuple):
        operand.texts.values.extend(map(str, value[:MAX_TEXTS]))
        operand.texts.more = max(len(value) - MAX_TEXTS, 0)
    return operand


def _imps(run: AuctionRun, result: Result) -> list[pb.ImpReport]:
    winners: dict[str, list[Winner]] = defaultdict(list)
    for winner in result.winners:
        winners[winner.imp].append(winner)
    of_imp: dict[str, list[BidVerdict]] = defaultdict(list)
    for verdict in result.verdicts:
        of_imp[verdict.imp].append(verdict)
    pods = {imp_id: pod.id for pod in result.pods for imp_id in pod.imps}
    reserved = reservations_of(run.state)
    return [
        _imp(imp, result, of_imp[imp.id], winners[imp.id], pods, reserved)
        for imp in run.request.imp
    ]


def _imp(  # noqa: PLR0913, PLR0917 - what an auction knows of one imp
    imp: BidRequest.Imp,
    result: Result,
    verdicts: Sequence[BidVerdict],
    winners: Sequence[Winner],
    pods: Mapping[str, str],
    reserved: Mapping[BidName, str],
) -> pb.ImpReport:
    rate = result.auction.rate(imp.bidfloorcur or "USD")
    floor = None if rate is None else money.exact(imp.bidfloor) * rate
    return pb.ImpReport(
        imp_id=imp.id,
        pod_id=pods.get(imp.id, ""),
        auction_type=result.auction.auction_type,
        floor=_money(floor, result.currency),
        bids=len(verdicts),
        eligible_bids=sum(_was_eligible(verdict) for verdict in verdicts),
        winners=[_winner(winner, reserved) for winner in winners],
    )


def _was_eligible(verdict: BidVerdict) -> bool:
    return verdict.rule_id.startswith("auction.")


def _winner(winner: Winner, reserved: Mapping[BidName, str]) -> pb.Winner:
    return pb.Winner(
        imp_id=winner.imp,
        bidder=winner.bidder,
        seat=winner.seat,
        bid_id=winner.bid,
        deal_id=winner.deal,
        slot=winner.slot,
        clearing_price=_money(winner.clearing_price, winner.currency),
        auction_price=_money(winner.auction_price, winner.bid_currency),
        price_basis=_BASES[winner.basis],
        rival=winner.rival or "",
        reservation_id=reserved.get((winner.bidder, winner.imp, winner.bid), ""),
    )


def _pod(pod: PodVerdict, currency: str) -> pb.PodReport:
    return pb.PodReport(
        pod_id=pod.id,
        imp_ids=pod.imps,
        filled=Duration(seconds=pod.seconds),
        ads=pod.ads,
        revenue=_money(pod.revenue, currency),
        optimal=pod.exact,
        revenue_bound=None if pod.exact else _money(pod.revenue + pod.gap, currency),
        conflicts=pod.conflicts,
    )


def _timings(run: AuctionRun) -> pb.AuctionTimings:
    timings = run.timings
    return pb.AuctionTimings(
        available=_duration(timings.available_ms),
        validation=_duration(timings.validation_ms),
        planning=_duration(timings.planning_ms),
        bidders=_duration(timings.bidders_ms),
        decision=_duration(timings.decision_ms),
        state=_duration(timings.state_ms) if run.state else None,
        vast=_duration(run.vast_ms) if run.unwraps else None,
        total=_duration(timings.total_ms + run.vast_ms),
    )


def _totals(request: BidRequest, result: Result) -> pb.AuctionTotals:
    eligible = sum(map(_was_eligible, result.verdicts))
    filled = len({winner.imp for winner in result.winners})
    plays = {imp.id: impressions_of(imp) for imp in request.imp}
    revenue = sum(
        (winner.clearing_price * plays[winner.imp] for winner in result.winners), Fraction()
    )
    return pb.AuctionTotals(
        bidders_asked=len(result.bidders),
        bidders_answered=sum(bidder.standing in _ANSWERED for bidder in result.bidders),
        bidders_bidding=sum(bidder.standing is Standing.BIDS for bidder in result.bidders),
        bids=len(result.verdicts),
        bids_refused=len(result.verdicts) - eligible,
        bids_lost=eligible - len(result.winners),
        bids_won=len(result.winners),
        imps_filled=filled,
        imps_empty=len(request.imp) - filled,
        revenue=_money(revenue, result.currency),
    )


def _money(amount: Fraction | None, currency: str) -> Money | None:
    """Whole micros; None stays None. An amount beyond 64 bits is left out too."""
    if amount is None:
        return None
    micros = money.to_micros(amount)
    return Money(currency=currency, micros=micros) if -(2**63) <= micros < 2**63 else None


def _ratio(ratio: Fraction | None) -> str:
    return "" if ratio is None or ratio == 1 else money.ratio_text(ratio)


def _timestamp(moment: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp


def _duration(milliseconds: float) -> Duration:
    duration = Duration()
    duration.FromMicroseconds(round(milliseconds * 1000))
    return duration
