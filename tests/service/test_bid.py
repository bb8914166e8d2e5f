"""Bid and RunAuction end to end: bidders in process, over gRPC and over HTTP, real sockets."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from google.protobuf import json_format

from service.errors import details
from xsp.bid.v1.auction_report_pb2 import BidderOutcome, Fate
from xsp.bid.v1.bid_service_pb2 import RunAuctionRequest
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.openrtb import codec

BUF = Path(sys.executable).parent / "buf"


def simulated(name, price, **settings):
    return {
        "type": "simulated",
        "name": name,
        "seed": 7,
        "price": price,
        "latency_ms": 1,
        **settings,
    }


async def test_the_highest_bid_wins_and_pays_the_second_price(serve, dial, sample):
    server = await serve(simulated("high", 9.0), simulated("low", 6.5))
    response = await dial(server).Bid(sample)
    assert response.id == sample.id
    assert response.cur == "USD"
    [seat] = response.seatbid
    prices = {bid.impid: bid.price for bid in seat.bid}
    assert prices == {"pre-roll": 6.51, "home-banner": 6.51}


async def test_first_price_pays_the_bid(serve, dial, sample):
    sample.at = 1
    server = await serve(simulated("high", 9.0), simulated("low", 6.5))
    response = await dial(server).Bid(sample)
    assert {bid.price for seat in response.seatbid for bid in seat.bid} == {9.0}


async def test_bids_under_the_floor_do_not_win(serve, dial, sample):
    server = await serve(simulated("only", 4.49))
    response = await dial(server).Bid(sample)
    assert [bid.impid for seat in response.seatbid for bid in seat.bid] == ["home-banner"]


async def test_an_exchange_without_bidders_answers_with_a_reason(serve, dial, sample):
    response = await dial(await serve()).Bid(sample)
    assert not response.seatbid
    assert response.nbr == 500


async def test_the_reason_is_another_when_every_bid_is_refused(serve, dial, sample):
    response = await dial(await serve(simulated("poor", 0.01))).Bid(sample)
    assert not response.seatbid
    assert response.nbr == 501


async def test_a_bidder_that_hangs_does_not_cost_the_others_bids(serve, dial, sample):
    server = await serve(simulated("dead", 50.0, timeout_rate=1.0), simulated("alive", 9.0))
    loop = asyncio.get_running_loop()
    before = loop.time()
    answer = await dial(server).RunAuction(RunAuctionRequest(bid_request=sample))
    assert loop.time() - before < 2 * sample.tmax / 1000
    assert len(answer.bid_response.seatbid[0].bid) == 2
    outcomes = {b.bidder: BidderOutcome.Name(b.outcome) for b in answer.report.bidders}
    assert outcomes == {
        "dead": "BIDDER_OUTCOME_TIMEOUT",
        "alive": "BIDDER_OUTCOME_BIDS",
    }


async def test_a_deadline_inside_the_margin_is_told_at_once(serve, dial, sample):
    server = await serve(simulated("a", 9.0), auction={"margin_ms": 1000})
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await dial(server).Bid(sample, timeout=0.9)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert details(caught.value)["ErrorInfo"].reason == "DEADLINE_TOO_SHORT"


async def test_a_tmax_inside_the_margin_is_a_no_bid_for_lack_of_time(serve, dial, sample):
    sample.tmax = 10
    response = await dial(await serve(simulated("a", 9.0))).Bid(sample)
    assert not response.seatbid
    assert response.nbr == 15


async def test_bidders_see_what_is_left_of_tmax(serve, dial, sample):
    seen = []

    async def bid(request, context):  # noqa: ARG001
        seen.append(request)
        return BidRequest()  # empty bytes: a response without bids

    bidder = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(
        bid, BidRequest.FromString, BidRequest.SerializeToString
    )
    bidder.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("xsp.bid.v1.BidService", {"Bid": handler})]
    )
    port = bidder.add_insecure_port("127.0.0.1:0")
    await bidder.start()
    server = await serve({"type": "grpc", "name": "a", "endpoint": f"127.0.0.1:{port}"})
    await dial(server).Bid(sample)
    await bidder.stop(None)
    assert seen[0].tmax == 230  # 250 less the margin of 20
    seen[0].tmax = sample.tmax
    assert seen[0] == sample


async def test_an_exchange_can_be_the_bidder_of_another(serve, dial, sample):
    inner = await serve(simulated("a", 9.0))
    outer = await serve({"type": "grpc", "name": "inner", "endpoint": inner.address})
    response = await dial(outer).Bid(sample)
    assert {bid.impid for seat in response.seatbid for bid in seat.bid} == {
        "pre-roll",
        "home-banner",
    }


async def test_the_report_tells_the_fate_and_numbers_of_every_bid(serve, dial, sample):
    server = await serve(
        simulated("high", 9.0), simulated("low", 5.0), simulated("quiet", 1.0, no_bid_rate=1.0)
    )
    answer = await dial(server).RunAuction(RunAuctionRequest(bid_request=sample))
    report = answer.report
    fates = {
        (bidder.bidder, bid.imp_id): Fate.Name(bid.fate)
        for bidder in report.bidders
        for bid in bidder.bids
    }
    assert fates == {
        ("high", "pre-roll"): "FATE_WON",
        ("high", "home-banner"): "FATE_WON",
        ("low", "pre-roll"): "FATE_LOST_PRICE",
        ("low", "home-banner"): "FATE_LOST_PRICE",
    }
    assert report.openrtb_request_id == sample.id
    assert report.currency == "USD"
    assert report.totals.bidders_asked == 3
    assert report.totals.bids == 4
    assert report.totals.bids_won == 2
    assert report.totals.imps_filled == 2
    assert report.totals.revenue.micros == 10_020_000
    [imp, _] = report.imps
    assert imp.floor.micros == 4_500_000
    assert imp.winners[0].clearing_price.micros == 5_010_000
    assert answer.bid_response.seatbid[0].bid[0].price == 5.01


async def test_run_auction_without_a_request_is_told(serve, dial):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await dial(await serve()).RunAuction(RunAuctionRequest())
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_buf_curl_needs_no_schema(serve, sample):
    """Reflection tells buf the types; the request is an OpenRTB request as protobuf JSON."""
    server = await serve(simulated("a", 9.0))
    body = json_format.MessageToJson(sample, preserving_proto_field_name=True)
    output = await curl(server, body)
    assert output["id"] == sample.id
    assert output["seatbid"][0]["bid"][0]["impid"] == "pre-roll"


async def test_buf_curl_sends_iab_s_own_example(serve, openrtb_examples):
    server = await serve(simulated("a", 9.0))
    request = codec.parse_bid_request(
        (openrtb_examples / "request_banner_simple.json").read_bytes()
    ).message
    body = json_format.MessageToJson(request, preserving_proto_field_name=True)
    output = await curl(server, body)
    assert output["id"] == request.id
    assert output["seatbid"][0]["bid"][0]["impid"] == "1"


async def curl(server, body):
    url = f"http://{server.address}/xsp.bid.v1.BidService/Bid"
    process = await asyncio.create_subprocess_exec(
        BUF,
        "curl",
        "--http2-prior-knowledge",
        "--protocol",
        "grpc",
        "-d",
        "@-",
        url,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(body.encode()), 30)
    assert process.returncode == 0, errors.decode()
    return json.loads(output)


async def test_a_level_of_explanation_that_there_is_not_is_refused(serve, dial, sample):
    request = RunAuctionRequest(bid_request=sample, options={"explain": 99})
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await dial(await serve()).RunAuction(request)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "options.explain: got 99" in caught.value.details()
