"""Auctions of a running server tell their bidders, or hand the telling to the caller."""

import asyncio
import json
from contextlib import asynccontextmanager

import grpc
import pytest
from aiohttp import web

from service.errors import details
from xsp.bid.v1 import notice_pb2 as pb
from xsp.bid.v1.auction_options_pb2 import AuctionOptions, NoticeDelivery
from xsp.bid.v1.bid_service_pb2 import (
    NotifyRequest,
    RunAuctionRequest,
    StreamBidsItem,
    StreamBidsRequest,
)

LOOPBACK = {"allow_networks": ["127.0.0.1/32"], "ports": []}
CALLER = AuctionOptions(notice_delivery=NoticeDelivery.NOTICE_DELIVERY_CALLER)
SERVER = AuctionOptions(notice_delivery=NoticeDelivery.NOTICE_DELIVERY_SERVER)


class Listener:
    """What bidders' notice servers heard."""

    def __init__(self):
        self.address = ""
        self.heard: list[str] = []
        self.headers: dict[str, dict[str, str]] = {}
        self._news = asyncio.Condition()

    async def take(self, request):
        async with self._news:
            self.heard.append(request.path_qs)
            self.headers[request.path] = dict(request.headers)
            self._news.notify_all()
        return web.Response(status=204)

    async def wait_for(self, *expected: str):
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(lambda: sorted(self.heard) == sorted(expected))


@asynccontextmanager
async def listening():
    listener = Listener()
    app = web.Application()
    app.router.add_get("/{path:.*}", listener.take)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    listener.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield listener
    finally:
        await runner.cleanup()


@pytest.fixture
async def listener():
    async with listening() as each:
        yield each


@pytest.fixture
def bidders(tmp_path, listener):
    """Two bidders out of files; high wins at low's price and a cent."""
    sections = []
    for name, price in (("high", 9.0), ("low", 6.5)):
        bid = {"id": "1", "impid": "home-banner", "price": price, "w": 970, "h": 250}
        bid |= {"adm": "<b>ad</b>", "adomain": [f"{name}.example"]}
        for field, path in (("nurl", "win"), ("burl", "bill"), ("lurl", "loss")):
            query = "p=${AUCTION_PRICE}&l=${AUCTION_LOSS}"
            bid[field] = f"{listener.address}/{name}/{path}?{query}"
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps({"id": "{request_id}", "seatbid": [{"bid": [bid]}]}))
        sections.append({"type": "file", "name": name, "path": str(file)})
    return sections


WIN, BILL = "/high/win?p=6.51&l=0", "/high/bill?p=6.51&l=0"
LOSS = "/low/loss?p=&l=102"


def only_bid(response):
    (seat,) = response.seatbid
    (bid,) = seat.bid
    return bid


async def test_a_plain_auction_tells_winner_and_loser_and_billing_follows_the_caller_s_word(
    serve, dial, bidders, listener, sample
):
    stub = dial(await serve(*bidders, guard=LOOPBACK))
    answer = await stub.Bid(sample, timeout=10)
    bid = only_bid(answer)
    assert [bid.nurl, bid.burl, bid.lurl] == ["", "", ""]
    await listener.wait_for(WIN, LOSS)
    key = {"openrtb_request_id": sample.id, "seat": answer.seatbid[0].seat, "bid_id": bid.id}
    notice = {"notice_id": "n", "type": pb.NOTICE_TYPE_BILLING, "bid": key}
    for _ in range(2):
        (told,) = (await stub.Notify(NotifyRequest(request_id="r", notices=[notice]))).results
        assert told.action == pb.NOTICE_ACTION_QUEUED
    await listener.wait_for(WIN, LOSS, BILL)


async def test_notices_carry_the_trace_of_the_session(serve, dial, bidders, listener, sample):
    stub = dial(await serve(*bidders, guard=LOOPBACK))
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    metadata = [("traceparent", f"00-{trace_id}-00f067aa0ba902b7-01")]
    await stub.Bid(sample, timeout=10, metadata=metadata)
    await listener.wait_for(WIN, LOSS)
    assert trace_id in listener.headers["/high/win"]["traceparent"]


async def test_a_caller_that_sends_notices_itself_gets_them_ready(
    serve, dial, bidders, listener, sample
):
    server = await serve(*bidders, guard=LOOPBACK)
    stub = dial(server)
    answer = await stub.RunAuction(RunAuctionRequest(bid_request=sample, options=CALLER))
    urls = {notice.type: notice.url.removeprefix(listener.address) for notice in answer.notices}
    assert urls == {
        pb.NOTICE_TYPE_WIN: WIN,
        pb.NOTICE_TYPE_BILLING: BILL,
        pb.NOTICE_TYPE_LOSS: LOSS,
    }
    assert only_bid(answer.bid_response).burl == listener.address + BILL
    await server.stop(0)
    assert not listener.heard


async def test_who_sends_is_a_setting_and_an_item_of_a_stream_may_say_otherwise(
    serve, dial, bidders, listener, sample
):
    stub = dial(await serve(*bidders, guard=LOOPBACK, notices={"delivery": "caller"}))
    stream = stub.StreamBids()
    await stream.write(
        StreamBidsRequest(
            items=[
                StreamBidsItem(id="theirs", bid_request=sample),
                StreamBidsItem(id="ours", bid_request=sample, options=SERVER),
            ]
        )
    )
    found = {}
    while len(found) < 2:
        found |= {result.id: result for result in (await stream.read()).results}
    await stream.done_writing()
    assert len(found["theirs"].notices) == 3
    assert not found["ours"].notices
    await listener.wait_for(WIN, LOSS)


async def test_a_record_holds_the_answer_with_its_notice_urls(
    serve, dial, bidders, listener, sample
):
    stub = dial(await serve(*bidders, guard=LOOPBACK))
    options = AuctionOptions(record=True)
    answer = await stub.RunAuction(RunAuctionRequest(bid_request=sample, options=options))
    assert not only_bid(answer.bid_response).nurl
    assert only_bid(answer.record.bid_response).nurl == listener.address + WIN


async def test_an_address_inside_is_not_called_unless_the_settings_name_it(
    serve, dial, bidders, listener, sample
):
    server = await serve(*bidders)
    stub = dial(server)
    answer = await stub.Bid(sample, timeout=10)
    key = {"openrtb_request_id": sample.id, "bid_id": only_bid(answer).id, "bidder": "high"}
    notice = {"notice_id": "n", "type": pb.NOTICE_TYPE_BILLING, "bid": key}
    (told,) = (await stub.Notify(NotifyRequest(request_id="r", notices=[notice]))).results
    assert told.action == pb.NOTICE_ACTION_REFUSED
    await server.stop(0)
    assert not listener.heard


async def test_notices_go_out_before_the_server_has_stopped(serve, dial, bidders, listener, sample):
    server = await serve(*bidders, guard=LOOPBACK)
    await dial(server).Bid(sample, timeout=10)
    await server.stop(5)
    assert sorted(listener.heard) == [WIN, LOSS]


async def test_a_notice_for_a_bid_that_is_not_known_fails_alone(serve, dial):
    stub = dial(await serve())
    key = {"auction_id": "none", "bid_id": "1"}
    notice = {"notice_id": "n", "type": pb.NOTICE_TYPE_WIN, "bid": key}
    (told,) = (await stub.Notify(NotifyRequest(request_id="r", notices=[notice]))).results
    assert told.status.code == grpc.StatusCode.NOT_FOUND.value[0]


async def test_a_notify_call_without_an_id_is_refused(serve, dial):
    stub = dial(await serve())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Notify(NotifyRequest())
    assert details(caught.value)["ErrorInfo"].reason == "REQUEST_ID_INVALID"
