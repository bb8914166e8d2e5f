"""For callers that have one response in hand."""

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.auction.engine import DEFAULT_RULES, run
from xsp_server.auction.result import Winner
from xsp_server.auction.rules import Rules
from xsp_server.openrtb.reply import Outcome, Reply


class WinnerDetermination:
    """Finds the winners among the bids of one response, by the rules of the exchange."""

    def __init__(self, rules: Rules = DEFAULT_RULES) -> None:
        """Takes the rules; the same object serves any number of responses."""
        self._rules = rules

    def determine_winner(self, response: BidResponse, request: BidRequest) -> Winner | None:
        """The winner of the first imp, in the order of the request, that one of the bids won.

        Args:
            response: one bidder's answer, in time.
            request: what it answers.

        Returns:
            The bid with its price; None where no bid may win.
        """
        winners = self.determine_winners(response, request)
        return winners[0] if winners else None

    def determine_winners(self, response: BidResponse, request: BidRequest) -> tuple[Winner, ...]:
        """The winners of all imps, in the order of the request, then slot.

        Args:
            response: one bidder's answer, in time. Its seats compete with each other; the bidder
                itself has no name here, so no adjustment is made for it.
            request: what it answers.
        """
        reply = Reply(bidder="", outcome=Outcome.BIDS, arrived_ms=0, response=response)
        return run(request, [reply], self._rules).winners
