"""One auction: replies in, verdicts out. A pure function; nothing here waits, logs or guesses."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType
from typing import cast

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.auction.bids import Bid, read_bids
from xsp_server.auction.checks import Checks, Refusal
from xsp_server.auction.contest import CONTEST_RULES, Contest, Settlement
from xsp_server.auction.fates import Evidence, Fate, Relation, Rule
from xsp_server.auction.pods import PodFilling
from xsp_server.auction.pricing import Price, price_in_pod, price_winner
from xsp_server.auction.result import (
    BidderVerdict,
    BidVerdict,
    PodVerdict,
    Result,
    Standing,
    Winner,
)
from xsp_server.auction.rules import Rules
from xsp_server.auction.terms import AuctionTerms
from xsp_server.auction.withdrawals import NOTHING_WITHDRAWN, BidKey, key_of
from xsp_server.openrtb.reply import Outcome, Reply

DEFAULT_RULES = Rules()
ALL_IMPS: Mapping[str, Collection[str]] = MappingProxyType({})

NBR_TECHNICAL_ERROR = 1
NBR_INSUFFICIENT_TIME = 15

_FAILURES: Mapping[Outcome, tuple[Standing, int]] = MappingProxyType(
    {
        Outcome.TIMEOUT: (Standing.TIMEOUT, 101),
        Outcome.ERROR: (Standing.ERROR, 100),
        Outcome.INVALID_RESPONSE: (Standing.INVALID_RESPONSE, 102),
        Outcome.UNREACHABLE: (Standing.UNREACHABLE, 103),
        Outcome.CANCELLED: (Standing.CANCELLED, 101),
    }
)
"""What a reply without a usable answer is, and its status code of the seat-non-bid extension."""

_BIDS = Standing.BIDS  # which Python 3.11 takes 8 times as long to find
_USABLE = (_BIDS, None)
_RULE_IDS = {standing: f"reply.{standing}" for standing in Standing}


def run(
    request: BidRequest,
    replies: Sequence[Reply],
    rules: Rules = DEFAULT_RULES,
    asked: Mapping[str, Collection[str]] = ALL_IMPS,
    withdrawn: Mapping[BidKey, Refusal] = NOTHING_WITHDRAWN,
) -> Result:
    """Judges every bid and finds the winners and their prices.

    Whole replies are judged first, then each bid on its own by `checks.BID_CHECKS`; the bids that
    pass compete. Every sum and comparison is exact.

    Args:
        request: what is for sale; every bidder was sent it under its id.
        replies: what came back, one for each bidder asked. Neither their order nor that of the
            seatbids and bids in them makes a difference.
        rules: the exchange's rules.
        asked: ids of the imps that each bidder was asked for, where it was not for all.
        withdrawn: bids that may not compete although they pass every check, and why.
    """
    auction, checks = AuctionTerms(request, rules, asked), Checks()
    bidders: list[BidderVerdict] = []
    judged: list[tuple[Bid, Refusal | None]] = []
    for reply in replies:
        bids = read_bids(auction, reply)
        verdict = _judge_reply(auction, reply, len(bids))
        bidders.append(verdict)
        if verdict.standing is _BIDS:
            judged += [(bid, checks.first_refusal(bid)) for bid in bids]
        elif verdict.standing in _REPLY_REFUSALS:
            refusal = _REPLY_REFUSALS[verdict.standing](auction, reply)
            judged += [(bid, refusal) for bid in bids]
    if withdrawn:
        judged = [(bid, refusal or withdrawn.get(key_of(bid))) for bid, refusal in judged]
    contest = Contest(auction)
    settlement = contest.decide([bid for bid, refusal in judged if refusal is None])
    verdicts = {bid: _judge_bid(bid, refusal, settlement) for bid, refusal in judged}
    winners = tuple(_winners(auction, settlement, verdicts))
    return Result(
        request_id=request.id,
        currency=auction.currency,
        winners=winners,
        bidders=tuple(bidders),
        verdicts=tuple(verdicts.values()),
        pods=tuple(_pods(contest, settlement, winners)),
        nbr=None if winners else _nbr(rules, bidders),
        rules=rules,
        _contest=contest,
        _settlement=settlement,
    )


def _judge_reply(auction: AuctionTerms, reply: Reply, bids: int) -> BidderVerdict:
    """What a reply is as a whole: late before anything else, then how it failed, then its id."""
    nbr, response = None, reply.response
    standing, code = _FAILURES.get(reply.outcome, _USABLE)
    if _is_late(auction, reply):
        standing, code = Standing.LATE, 101
    elif standing is _BIDS and not bids:
        nbr = response.nbr if response is not None and response.HasField("nbr") else None
        standing, code = Standing.NO_BID, _no_bid_code(nbr)
    elif standing is _BIDS and response is not None and response.id != auction.request.id:
        standing, code = Standing.WRONG_REQUEST_ID, 102
    return BidderVerdict(
        reply.bidder, standing, _RULE_IDS[standing], code, nbr, reply.arrived_ms, bids, reply.detail
    )


def _is_late(auction: AuctionTerms, reply: Reply) -> bool:
    """Whether a reply came after the deadline; at the deadline it is in time."""
    if auction.deadline_ms is None or reply.arrived_ms is None:
        return False
    return reply.arrived_ms > auction.deadline_ms


def _no_bid_code(nbr: int | None) -> int:
    """The reason of a no-bid as seat-non-bid has it: AdCOM's 1 to 17, exchanges' own from 500."""
    return nbr if nbr is not None and (1 <= nbr <= 17 or nbr >= 500) else 0


def _refuse_late(auction: AuctionTerms, reply: Reply) -> Refusal:
    deadline = auction.deadline_ms
    evidence = Evidence("arrival", reply.arrived_ms, Relation.AT_MOST, "deadline", deadline)
    return Refusal(Rule("reply.late", Fate.LATE, 2), evidence)


def _refuse_request_id(auction: AuctionTerms, reply: Reply) -> Refusal:
    sent = reply.response.id if reply.response else None
    evidence = Evidence("id", sent, Relation.EQUAL, "id", auction.request.id)
    return Refusal(Rule("reply.wrong_request_id", Fate.WRONG_REQUEST_ID, 5), evidence)


_REPLY_REFUSALS: Mapping[Standing, Callable[[AuctionTerms, Reply], Refusal]] = MappingProxyType(
    {Standing.LATE: _refuse_late, Standing.WRONG_REQUEST_ID: _refuse_request_id}
)
"""What refuses every bid of a reply, by what the reply is."""


def _judge_bid(bid: Bid, refusal: Refusal | None, settlement: Settlement) -> BidVerdict:
    rule = CONTEST_RULES[settlement.fate(bid)] if refusal is None else refusal.rule
    return BidVerdict(
        bid.bidder,
        bid.seat,
        bid.id,
        bid.bid.impid,
        rule.fate,
        rule.id,
        rule.loss_code,
        rule.nonbid,
        refusal.evidence if refusal else None,
        bid,
    )


def _winners(
    auction: AuctionTerms, settlement: Settlement, verdicts: Mapping[Bid, BidVerdict]
) -> Iterable[Winner]:
    """The winners with their prices, in the order of imps and slots."""
    for imp_id in sorted(settlement.winners, key=auction.imp_index.__getitem__):
        in_play = settlement.in_play.get(imp_id)
        for slot, bid in enumerate(settlement.winners[imp_id], 1):
            if in_play is None:
                yield _winner(verdicts[bid], slot, price_in_pod(bid))
            else:
                increment = cast(Fraction, auction.rules.second_price_increment)  # Rules makes it
                yield _winner(verdicts[bid], None, price_winner(bid, in_play, increment))


def _winner(verdict: BidVerdict, slot: int | None, price: Price) -> Winner:
    bid = verdict.facts
    return Winner(
        imp=verdict.imp,
        bidder=verdict.bidder,
        seat=verdict.seat,
        bid=verdict.bid,
        deal=verdict.deal,
        slot=slot,
        clearing_price=price.amount,
        currency=bid.auction.currency,
        auction_price=bid.in_own_terms(price.amount),
        bid_currency=bid.currency,
        basis=price.basis,
        rival=f"{price.rival.bidder}/{price.rival.id}" if price.rival else None,
        message=bid.bid,
        verdict=verdict,
    )


def _pods(
    contest: Contest, settlement: Settlement, winners: Sequence[Winner]
) -> Iterable[PodVerdict]:
    for pod in contest.pods:
        filling = settlement.fillings.get(pod.id, PodFilling())
        won = [winner for winner in winners if winner.imp in pod.imps]
        yield PodVerdict(
            id=pod.id,
            imps=tuple(pod.imps),
            revenue=sum((winner.clearing_price for winner in won), Fraction(0)),
            ads=len(won),
            seconds=sum(winner.verdict.seconds or 0 for winner in won),
            exact=filling.exact,
            gap=filling.gap,
            conflicts=filling.conflicts,
        )


def _nbr(rules: Rules, bidders: Sequence[BidderVerdict]) -> int:
    """Why nothing was won, as the request's sender is told."""
    standings = {bidder.standing for bidder in bidders}
    if Standing.BIDS in standings:
        return rules.nbr_all_refused
    if Standing.NO_BID in standings or not standings:
        return rules.nbr_no_demand
    if standings <= {Standing.LATE, Standing.TIMEOUT}:
        return NBR_INSUFFICIENT_TIME
    return NBR_TECHNICAL_ERROR
