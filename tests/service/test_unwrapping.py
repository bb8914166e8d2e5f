"""Winners whose markup is VAST, followed within the auction."""

import asyncio
import json
from pathlib import Path

import pytest

from service.test_vast import GUARD, INLINE, serving, wrapper
from xsp.bid.v1 import bid_service_pb2_grpc
from xsp.bid.v1.auction_options_pb2 import AuctionOptions, ExplainLevel
from xsp.bid.v1.auction_report_pb2 import Fate
from xsp.bid.v1.bid_service_pb2 import RunAuctionRequest, StreamBidsItem, StreamBidsRequest
from xsp_server.service import replay


@pytest.fixture
async def ads():
    async with serving() as server:
        yield server


@pytest.fixture
def bidder(tmp_path):
    """A bidder whose one bid has this markup."""

    def build(name, price, markup):
        bid = {"id": "1", "impid": "pre-roll", "price": price, "adm": markup, "mtype": 2, "dur": 15}
        bid |= {"adomain": [f"{name}.example"], "protocol": 3}
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps({"id": "{request_id}", "seatbid": [{"bid": [bid]}]}))
        return {"type": "file", "name": name, "path": str(file)}

    return build


@pytest.fixture
def secure(sample):
    """The sample without `secure`, since the ad server of these tests speaks plain HTTP."""
    sample.tmax = 5000
    for imp in sample.imp:
        imp.ClearField("secure")
    return sample


async def run(stub: bid_service_pb2_grpc.BidServiceStub, request, **options):
    return await stub.RunAuction(
        RunAuctionRequest(bid_request=request, options=AuctionOptions(**options)), timeout=10
    )


def only(answer):
    ((bid,),) = (seat.bid for seat in answer.bid_response.seatbid)
    return bid


def told(answer, bidder):
    (found,) = (each for each in answer.report.bidders if each.bidder == bidder)
    return found.bids[0]


async def test_the_answer_carries_the_merged_document(serve, dial, ads, bidder, secure):
    high = bidder("high", 9.0, wrapper(f"{ads.address}/ad"))
    stub = dial(await serve(high, guard=GUARD))
    answer = await run(stub, secure, resolve_vast={})
    markup = only(answer).adm
    assert "<InLine>" in markup
    assert "https://t.example/w" in markup  # the wrapper's own impression
    assert "<Wrapper" not in markup
    vast = told(answer, "high").vast
    assert (vast.resolved, vast.hops, vast.error_code) == (True, 1, 0)
    assert vast.last_url == f"{ads.address}/ad"
    assert answer.report.timings.HasField("vast")


async def test_macros_of_the_auction_are_filled_before_the_chain_is_followed(
    serve, dial, ads, bidder, secure
):
    high = bidder("high", 9.0, wrapper(f"{ads.address}/ad?p=${{AUCTION_PRICE}}"))
    stub = dial(await serve(high, guard=GUARD))
    await run(stub, secure, resolve_vast={})
    assert ads.asked[0].query["p"] == "4.50"


@pytest.mark.parametrize(
    ("lmt", "address", "ifa"), [(False, "198.51.100.77", "4e2a"), (True, "198.51.100.0", "-2")]
)
async def test_the_chain_is_told_what_a_bidder_would_be(  # noqa: PLR0917 - fixtures
    serve, dial, ads, bidder, secure, lmt, address, ifa
):
    secure.device.ip, secure.device.ifa, secure.device.lmt = "198.51.100.77", "4e2a", lmt
    high = bidder("high", 9.0, wrapper(f"{ads.address}/ad?ip=[DEVICEIP]&amp;ifa=[IFA]"))
    stub = dial(await serve(high, guard=GUARD))
    await run(stub, secure, resolve_vast={})
    (asked,) = ads.asked
    assert dict(asked.query) == {"ip": address, "ifa": ifa}
    assert asked.headers["X-Device-IP"] == address


async def test_signals_that_only_the_request_has_count_for_the_chain(
    serve, dial, ads, bidder, secure
):
    secure.device.ip = "198.51.100.77"
    secure.regs.ext.raw_json = '{"gpc": "1"}'
    stub = dial(await serve(bidder("high", 9.0, wrapper(f"{ads.address}/ad")), guard=GUARD))
    await run(stub, secure, resolve_vast={})
    assert ads.asked[0].headers["X-Device-IP"] == "198.51.100.0"


async def test_without_the_option_markup_stays_as_it_is(serve, dial, ads, bidder, secure):
    stub = dial(await serve(bidder("high", 9.0, wrapper(f"{ads.address}/ad")), guard=GUARD))
    answer = await run(stub, secure)
    assert "<Wrapper" in only(answer).adm
    assert not told(answer, "high").HasField("vast")
    assert not ads.asked


async def test_a_winner_whose_chain_fails_keeps_its_wrapper_unless_an_ad_is_demanded(
    serve, dial, ads, bidder, secure
):
    stub = dial(await serve(bidder("high", 9.0, wrapper(f"{ads.address}/gone")), guard=GUARD))
    answer = await run(stub, secure, resolve_vast={})
    assert "<Wrapper" in only(answer).adm
    vast = told(answer, "high").vast
    assert (vast.resolved, vast.error_code) == (False, 301)


async def test_where_an_ad_is_demanded_the_next_best_gets_the_chance(
    serve, dial, ads, bidder, secure
):
    high = bidder("high", 9.0, wrapper(f"{ads.address}/gone"))
    low = bidder("low", 6.0, INLINE)
    stub = dial(await serve(high, low, guard=GUARD))
    answer = await run(stub, secure, resolve_vast={"require_ad": True})
    assert answer.bid_response.seatbid[0].seat == "low"
    lost = told(answer, "high")
    assert (lost.fate, lost.loss_reason, lost.nonbid_status) == (
        Fate.FATE_VAST_UNRESOLVED,
        504,
        350,
    )
    assert lost.vast.error_code == 301
    assert not lost.least_change.changes
    assert told(answer, "low").vast.resolved


async def test_where_nobody_has_an_ad_nobody_wins(serve, dial, ads, bidder, secure):
    high = bidder("high", 9.0, wrapper(f"{ads.address}/gone"))
    stub = dial(await serve(high, guard=GUARD))
    answer = await run(stub, secure, resolve_vast={"require_ad": True})
    assert not answer.bid_response.seatbid
    assert answer.bid_response.nbr


async def test_markup_that_is_no_vast_is_left_alone(serve, dial, bidder, secure):
    banner = {"id": "1", "impid": "home-banner", "price": 9.0, "w": 970, "h": 250}
    file = bidder("high", 9.0, "")
    bid = {**banner, "adm": "<b>ad</b>", "adomain": ["high.example"]}
    text = json.dumps({"id": "{request_id}", "seatbid": [{"bid": [bid]}]})
    await asyncio.to_thread(Path(file["path"]).write_text, text)
    stub = dial(await serve(file, guard=GUARD))
    answer = await run(stub, secure, resolve_vast={"require_ad": True})
    assert only(answer).adm == "<b>ad</b>"


async def test_a_slow_chain_costs_no_more_than_its_time(serve, dial, ads, bidder, secure):
    ads.hold.clear()
    stub = dial(await serve(bidder("high", 9.0, wrapper(f"{ads.address}/ad")), guard=GUARD))
    timeout = {"nanos": 50_000_000}
    answer = await run(stub, secure, resolve_vast={"timeout": timeout})
    assert "<Wrapper" in only(answer).adm
    assert told(answer, "high").vast.error_code == 301


async def test_a_stream_unwraps_likewise(serve, dial, ads, bidder, secure):
    stub = dial(await serve(bidder("high", 9.0, wrapper(f"{ads.address}/ad")), guard=GUARD))
    stream = stub.StreamBids()
    options = AuctionOptions(resolve_vast={})
    item = StreamBidsItem(id="a", bid_request=secure, options=options)
    await stream.write(StreamBidsRequest(items=[item]))
    (result,) = (await stream.read()).results
    await stream.done_writing()
    assert "<InLine>" in result.bid_response.seatbid[0].bid[0].adm


@pytest.mark.parametrize("wanted", [{"max_hops": -1}, {"timeout": {"seconds": -1}}])
async def test_what_can_t_be_wanted_is_refused(serve, dial, bidder, secure, wanted):
    stub = dial(await serve(bidder("high", 9.0, INLINE), guard=GUARD))
    with pytest.raises(Exception, match="resolve_vast"):
        await run(stub, secure, resolve_vast=wanted)


@pytest.mark.parametrize("require_ad", [False, True])
async def test_the_record_replays_without_asking_anybody(  # noqa: PLR0917 - fixtures
    serve, dial, ads, bidder, secure, require_ad
):
    high = bidder("high", 9.0, wrapper(f"{ads.address}/gone"))
    stub = dial(await serve(high, bidder("low", 6.0, INLINE), guard=GUARD))
    answer = await run(
        stub,
        secure,
        record=True,
        explain=ExplainLevel.EXPLAIN_LEVEL_FULL,
        resolve_vast={"require_ad": require_ad},
    )
    asked = len(ads.asked)
    again = replay.run_again(answer.record)
    assert replay.differences(answer.record, again) == []
    assert len(ads.asked) == asked
