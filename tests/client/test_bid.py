"""client.bid and client.run_auction: what goes out, what comes back, and by when."""

import asyncio

import grpc
import pytest

from xsp.bid.v1.auction_options_pb2 import AuctionOptions, ExplainLevel
from xsp.bid.v1.bid_service_pb2 import RunAuctionRequest, RunAuctionResponse
from xsp.bid.v1.bid_service_pb2_grpc import BidServiceStub
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp.session.v1.session_context_pb2 import SessionContext
from xsp_client import (
    DeadlineExceededError,
    InvalidMessageError,
    InvalidRequestError,
    UnavailableError,
    XspClient,
    XspClientError,
    openrtb,
)

REQUEST = BidRequest(id="1", imp=[BidRequest.Imp(id="1", secure=True)])
AS_DICT: openrtb.BidRequest = {"id": "1", "imp": [{"id": "1", "secure": 1}]}


@pytest.fixture
async def client(bids):
    async with XspClient(bids.address, timeout=30.0) as client:
        yield client


async def test_a_message_gives_a_message(bids, client):
    won = BidResponse(id="1", seatbid=[BidResponse.SeatBid(seat="a")])
    bids.answers = [won]
    assert await client.bid(REQUEST) == won
    assert BidRequest.FromString(bids.calls[0].data) == REQUEST


async def test_a_dict_gives_a_dict_and_sends_the_same_message(bids, client):
    bids.answers = [BidResponse(id="1", seatbid=[BidResponse.SeatBid(seat="a", group=True)])]
    assert await client.bid(AS_DICT) == {"id": "1", "seatbid": [{"seat": "a", "group": 1}]}
    assert BidRequest.FromString(bids.calls[0].data) == REQUEST


async def test_a_wrong_dict_is_told_with_every_path_and_not_sent(bids, client):
    wrong = {"imp": [{"banner": {"w": "300", "foo": 1}}]}
    with pytest.raises(InvalidRequestError) as caught:
        await client.bid(wrong)
    assert [str(v) for v in caught.value.violations] == [
        "imp[0].banner.w: expected integer, got string",
        "imp[0].banner.foo: not a member of OpenRTB here; others go into ext",
    ]
    assert bids.calls == []


@pytest.mark.parametrize(("value", "got"), [([], "list"), (None, "NoneType"), ("{}", "str")])
async def test_what_is_neither_message_nor_dict_is_refused(client, value, got):
    with pytest.raises(InvalidRequestError, match=f"BidRequest message or a dict, got {got}"):
        await client.bid(value)


async def test_a_message_of_another_type_is_refused(client):
    with pytest.raises(InvalidRequestError, match="got BidResponse"):
        await client.bid(BidResponse())


async def test_run_auction_takes_session_and_options_and_gives_the_report(bids, client):
    answer = RunAuctionResponse(bid_response=BidResponse(id="1"))
    answer.report.auction_id = "a-1"
    bids.answers = [answer]
    session = SessionContext(user_id="u-1")
    options = AuctionOptions(explain=ExplainLevel.EXPLAIN_LEVEL_SUMMARY)
    got = await client.run_auction(AS_DICT, session=session, options=options, request_id="r-1")
    assert got == answer
    assert bids.calls[0].method == "RunAuction"
    assert RunAuctionRequest.FromString(bids.calls[0].data) == RunAuctionRequest(
        request_id="r-1", bid_request=REQUEST, session=session, options=options
    )


async def test_run_auction_makes_an_id_for_each_call_and_adds_nothing_else(bids, client):
    bids.answers = [RunAuctionResponse()]
    for _ in range(2):
        await client.run_auction(REQUEST)
    first, second = (RunAuctionRequest.FromString(call.data) for call in bids.calls)
    assert first.request_id != second.request_id
    assert first == RunAuctionRequest(request_id=first.request_id, bid_request=REQUEST)


@pytest.mark.parametrize(
    ("tmax", "timeout", "seconds"),
    [
        pytest.param(None, None, 30.0, id="the client's when nothing else says"),
        pytest.param(0, None, 30.0, id="the client's when tmax is 0"),
        pytest.param(20_000, None, 20.0, id="the request's tmax"),
        pytest.param(20_000, 10.0, 10.0, id="the call's before tmax"),
    ],
)
async def test_the_deadline_is(bids, client, tmax, timeout, seconds):
    bids.answers = [b""]
    request = BidRequest(id="1", tmax=tmax)
    call = {} if timeout is None else {"timeout": timeout}
    await client.bid(request, **call)
    await client.run_auction(request, **call)
    for seen in bids.calls:
        assert seconds - 5 < seen.time_remaining < seconds + 1  # gRPC rounds it up


async def test_a_late_answer_is_a_timeout_that_says_what_to_give_more_of(bids, client):
    bids.answers = [hang_until_cancelled]
    with pytest.raises(DeadlineExceededError, match=r"had 0\.05 s; give more by timeout= or"):
        await client.bid(REQUEST, timeout=0.05)
    with pytest.raises(TimeoutError):
        await client.bid({"id": "1", "tmax": 50})


async def hang_until_cancelled(_):
    await asyncio.Event().wait()


async def test_a_cancelled_call_is_cancelled_and_the_client_goes_on(bids, client):
    started, ended = asyncio.Event(), asyncio.Event()

    async def hang(_):
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    bids.answers = [hang, BidResponse(id="2")]
    call = asyncio.create_task(client.bid(REQUEST))
    await started.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await ended.wait()
    assert (await client.bid(REQUEST)).id == "2"


async def test_metadata_of_client_and_call_go_along_and_the_call_s_wins(bids):
    async with XspClient(bids.address, metadata={"X-Key": "client", "x-who": "me"}) as client:
        await client.bid(REQUEST, metadata={"x-KEY": "call", "x-raw-bin": b"\xff"})
    metadata = bids.calls[0].metadata
    assert (metadata["x-key"], metadata["x-who"]) == ("call", "me")
    assert metadata["x-raw-bin"] == b"\xff"


async def test_an_answer_that_is_no_message_is_told(bids, client):
    bids.answers = [b"\xff\xff"]
    with pytest.raises(InvalidMessageError, match="the bytes of a xsp"):
        await client.bid(REQUEST)


async def test_an_ext_that_is_no_json_harms_only_those_who_want_a_dict(bids, client):
    response = BidResponse(id="1", ext=BidResponse.Ext(raw_json="{"))
    bids.answers = [response]
    assert await client.bid(REQUEST) == response
    with pytest.raises(InvalidMessageError, match=r"BidResponse\.Ext\.raw_json: expected a JSON"):
        await client.bid(AS_DICT)


async def test_the_channel_serves_stubs_of_any_service(client):
    assert (await BidServiceStub(client.channel).Bid(REQUEST)).id == "1"


async def test_a_client_without_a_context_connects_at_the_first_call(bids):
    client = XspClient(bids.address)
    assert (await client.bid(REQUEST)).id == "1"
    await client.close()


async def test_entering_the_context_connects_before_any_call(client):
    async with asyncio.timeout(10):
        while (state := client.channel.get_state()) is not grpc.ChannelConnectivity.READY:
            await client.channel.wait_for_state_change(state)


async def test_a_closed_client_says_so_and_closes_twice(client):
    await client.close()
    await client.close()
    with pytest.raises(XspClientError, match="the client is closed; make another one"):
        await client.bid(REQUEST)


async def test_a_client_that_never_called_closes():
    await XspClient("127.0.0.1:1").close()


async def test_wait_for_ready_waits_until_the_deadline_where_others_fail_at_once(refused_address):
    async with XspClient(refused_address) as client:
        with pytest.raises(UnavailableError):
            await client.bid(REQUEST, timeout=30.0)
        with pytest.raises(DeadlineExceededError):
            await client.bid(REQUEST, timeout=0.2, wait_for_ready=True)
