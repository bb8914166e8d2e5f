"""The answer to the request: what the auction came to, as an OpenRTB bid response."""

from collections import defaultdict

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.auction import macros
from xsp_server.auction.result import Result
from xsp_server.openrtb import money


def build_response(
    request: BidRequest, result: Result, *, seatnonbid: bool = False, fill_macros: bool = False
) -> BidResponse:
    """The bid response of the exchange.

    - It is in the auction currency, and the price of each bid is its clearing price: what the imp
      earns, after conversion, adjustment and the auction. `Bid.price` of a response has one
      currency, and whoever asked us sells at our price, so the bidder's own price would promise
      money that nobody pays. The price in the bidder's own terms is `Winner.auction_price`; that is
      what `${AUCTION_PRICE}` stands for, so its macros are filled with `macros`, not by whoever
      reads this response.
    - Seats are merged by bidder and seat, in the order of their first win; a seat without a name
      goes by its bidder's. Seats of the same name at two bidders stay two.
    - Everything else of a bid stays as it was sent, but for an id that bids of two bidders share:
      it becomes `bidder/id`, as ids are unique within a response.

    Args:
        request: what was for sale.
        result: what the auction of it came to.
        fill_macros: whether `${AUCTION_…}` is replaced in `adm`, `nurl`, `burl` and `lurl`.
        seatnonbid: whether `ext.seatnonbid` lists who did not bid and which bids were refused.

    Returns:
        The response; without bids and with `nbr` when nothing was won.
    """
    response = BidResponse(id=request.id, cur=result.currency)
    seats: dict[tuple[str, str | None], BidResponse.SeatBid] = {}
    ids = [winner.bid for winner in result.winners]
    for winner in result.winners:
        key = (winner.bidder, winner.seat)
        seatbid = seats.get(key)
        if seatbid is None:
            seatbid = seats[key] = response.seatbid.add(seat=_seat_name(*key))
        bid = seatbid.bid.add()
        bid.CopyFrom(winner.message)
        bid.price = money.from_micros(money.to_micros(winner.clearing_price))
        if fill_macros and (texts := macros.texts_of(bid)):
            macros.fill_bid(bid, macros.find_values(result, winner.verdict, texts=texts))
        if ids.count(winner.bid) > 1:
            bid.id = winner.verdict.key
    if result.nbr is not None:
        response.nbr = result.nbr
    if seatnonbid:
        _add_seatnonbid(request, response, result)
    return response


def _seat_name(bidder: str, seat: str | None) -> str:
    return bidder if seat is None else seat


def _add_seatnonbid(request: BidRequest, response: BidResponse, result: Result) -> None:
    """Entries by seat: a bidder without a usable answer for each imp, a refused bid for its own."""
    nonbids: dict[tuple[str, str | None], list[BidResponse.NonBid]] = defaultdict(list)
    for bidder in result.bidders:
        if bidder.nonbid is not None:
            nonbids[bidder.bidder, None] += [
                BidResponse.NonBid(impid=imp.id, statuscode=bidder.nonbid) for imp in request.imp
            ]
    for verdict in result.verdicts:
        if verdict.nonbid is not None:
            nonbids[verdict.bidder, verdict.seat].append(
                BidResponse.NonBid(impid=verdict.imp, statuscode=verdict.nonbid)
            )
    for key, entries in nonbids.items():
        response.ext.seatnonbid.add(seat=_seat_name(*key), nonbid=entries)
