"""StreamBids of a whole server: bidders, answers out of order, an exchange as another's bidder."""

from google.protobuf.duration_pb2 import Duration

from xsp.bid.v1.bid_service_pb2 import RunAuctionRequest, StreamBidsItem, StreamBidsRequest
from xsp.openrtb.v2.bid_request_pb2 import BidRequest


def simulated(name, price, **settings):
    return {"type": "simulated", "name": name, "price": price, **settings}


async def converse(stub, items, answers):
    """Sends items in one message and reads until each has its final answer."""
    call = stub.StreamBids()
    await call.write(StreamBidsRequest(items=items))
    results = []
    while sum(not result.HasField("partial") for result in results) < answers:
        results += (await call.read()).results
    await call.done_writing()
    return results


async def test_every_auction_of_a_stream_is_answered(serve, dial, sample):
    server = await serve(simulated("high", 9.0), simulated("low", 6.5))
    items = [StreamBidsItem(id=str(n), bid_request=sample) for n in range(50)]
    results = await converse(dial(server), items, 50)
    assert {result.id for result in results} == {str(n) for n in range(50)}
    prices = {
        bid.price for result in results for seat in result.bid_response.seatbid for bid in seat.bid
    }
    assert prices == {6.51}


async def test_an_item_that_is_wrong_fails_alone(serve, dial, sample):
    server = await serve(simulated("a", 9.0))
    items = [
        StreamBidsItem(id="good", bid_request=sample),
        StreamBidsItem(id="bad", bid_request=BidRequest(id="x")),
    ]
    results = {result.id: result for result in await converse(dial(server), items, 2)}
    assert results["good"].bid_response.seatbid
    assert results["bad"].status.code == 3  # INVALID_ARGUMENT
    assert "imp" in results["bad"].status.message


async def test_partial_results_come_before_the_final_answer(serve, dial, sample):
    server = await serve(simulated("a", 9.0), simulated("b", 6.0, latency_ms=20))
    item = StreamBidsItem(id="1", bid_request=sample, options={"partial_results": True})
    results = await converse(dial(server), [item], 1)
    assert [result.WhichOneof("answer") for result in results] == [
        "partial",
        "partial",
        "bid_response",
    ]
    assert [result.partial.bidder for result in results[:2]] == ["a", "b"]


async def test_run_auction_gives_partial_results_as_a_list(serve, dial, sample):
    server = await serve(simulated("a", 9.0), simulated("quiet", 1.0, no_bid_rate=1.0))
    answer = await dial(server).RunAuction(
        RunAuctionRequest(bid_request=sample, options={"partial_results": True})
    )
    [partial] = answer.partial_results
    assert partial.bidder == "a"
    assert len(partial.bid_response.seatbid[0].bid) == 2


async def test_an_exchange_is_the_bidder_of_another_over_a_stream(serve, dial, sample):
    inner = await serve(simulated("a", 9.0))
    outer = await serve({"type": "grpc-stream", "name": "inner", "endpoint": inner.address})
    for _ in range(3):
        response = await dial(outer).Bid(sample)
        assert {bid.impid for seat in response.seatbid for bid in seat.bid} == {
            "pre-roll",
            "home-banner",
        }


async def test_the_time_of_an_item_is_its_own(serve, dial, sample):
    sample.tmax = 5000
    server = await serve(simulated("slow", 9.0, latency_ms=2000))
    quick = StreamBidsItem(id="quick", bid_request=sample, timeout=Duration(nanos=100_000_000))
    [result] = await converse(dial(server), [quick], 1)
    assert result.bid_response.nbr == 15
