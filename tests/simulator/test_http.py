"""The simulated bidder over HTTP, on a real socket."""

import asyncio

import aiohttp
import pytest

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.errors import ConfigError
from xsp_server.openrtb import codec
from xsp_server.simulator import BidderModel, BidderSettings, HttpSimulator


def model(**settings) -> BidderModel:
    return BidderModel(BidderSettings(**settings))


@pytest.fixture
async def client():
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield session


async def post(client, simulator, request: BidRequest | bytes):
    """Status, content type and body."""
    body = request if isinstance(request, bytes) else codec.write(request)
    async with client.post(simulator.url, data=body) as response:
        return response.status, response.content_type, await response.read()


async def health(client, simulator):
    url = f"http://{simulator.host}:{simulator.port}/healthz"
    async with client.get(url) as response:
        return response.status, await response.text()


async def test_a_bid_is_200_with_the_response_of_the_model(client, banner_request):
    bidder = model(price="uniform min=1 max=9")
    async with HttpSimulator(bidder) as simulator:
        status, content_type, body = await post(client, simulator, banner_request)
    assert (status, content_type) == (200, "application/json")
    assert codec.parse_bid_response(body).message == bidder.plan(banner_request).response


async def test_a_no_bid_is_204_without_a_body(client, banner_request):
    async with HttpSimulator(model(no_bid_rate=1)) as simulator:
        assert (await post(client, simulator, banner_request))[::2] == (204, b"")


async def test_an_error_is_500(client, banner_request):
    async with HttpSimulator(model(error_rate=1)) as simulator:
        assert (await post(client, simulator, banner_request))[0] == 500


@pytest.mark.parametrize("body", [b"", b"not json", b'{"id": 5}'])
async def test_what_is_not_a_bid_request_is_400(client, body):
    async with HttpSimulator(model()) as simulator:
        status, _, text = await post(client, simulator, body)
    assert status == 400
    assert text


async def test_the_answer_comes_after_the_latency(client, banner_request, recorder):
    async with HttpSimulator(model(latency_ms=250), sleep=recorder) as simulator:
        await post(client, simulator, banner_request)
    assert recorder.slept == [0.25]


async def test_requests_at_once_do_not_wait_for_each_other(client, banner_request, steps):
    async with (
        HttpSimulator(model(latency_ms=1), sleep=steps) as simulator,
        asyncio.timeout(10),
        asyncio.TaskGroup() as group,
    ):
        posts = [group.create_task(post(client, simulator, banner_request)) for _ in range(5)]
        for _ in posts:
            await steps.begun.get()  # all five wait before the first is answered
        for _ in posts:
            steps.ends.put_nowait(None)
    assert {task.result()[0] for task in posts} == {200}


async def test_another_model_counts_from_the_next_request_on(client, banner_request):
    async with HttpSimulator(model()) as simulator:
        assert (await post(client, simulator, banner_request))[0] == 200
        simulator.model = model(no_bid_rate=1)
        assert (await post(client, simulator, banner_request))[0] == 204


async def test_a_connection_serves_many_requests(client, banner_request):
    async with HttpSimulator(model()) as simulator:
        for _ in range(3):
            await post(client, simulator, banner_request)
        assert simulator._runner.server.connections
        assert len(simulator._runner.server.connections) == 1


async def test_health_is_ok(client):
    async with HttpSimulator(model()) as simulator:
        assert await health(client, simulator) == (200, "ok")


async def test_a_timeout_is_never_answered_and_ends_with_the_simulator(
    client, banner_request, until
):
    async with HttpSimulator(model(timeout_rate=1)) as simulator:
        waiting = asyncio.create_task(post(client, simulator, banner_request))
        await until(lambda: simulator._at_work)
        assert await health(client, simulator) == (200, "ok")  # there was time to answer both
        assert not waiting.done()
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await waiting
    assert not simulator._at_work


async def test_a_client_that_goes_leaves_nothing_waiting(client, banner_request, until):
    async with HttpSimulator(model(timeout_rate=1)) as simulator:
        waiting = asyncio.create_task(post(client, simulator, banner_request))
        await until(lambda: simulator._at_work)
        waiting.cancel()
        await until(lambda: not simulator._at_work)


async def test_stopping_cuts_answers_that_are_still_delayed(client, banner_request, steps):
    async with HttpSimulator(model(latency_ms=1), sleep=steps) as simulator:
        waiting = asyncio.create_task(post(client, simulator, banner_request))
        await steps.begun.get()
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await waiting


async def test_a_stopped_simulator_refuses_connections(client, banner_request):
    async with HttpSimulator(model()) as simulator:
        pass
    with pytest.raises(aiohttp.ClientConnectorError):
        await post(client, simulator, banner_request)


async def test_a_stopped_simulator_comes_back_on_its_port(client, banner_request):
    simulator = HttpSimulator(model())
    async with simulator:
        port = simulator.port
    async with simulator:
        assert simulator.port == port
        assert (await post(client, simulator, banner_request))[0] == 200


async def test_a_port_that_is_taken_is_a_setting_to_change():
    async with HttpSimulator(model()) as first:
        second = HttpSimulator(model(), port=first.port)
        with pytest.raises(ConfigError, match=f"127.0.0.1:{first.port}; expected a free port"):
            async with second:
                pass


async def test_stopping_what_never_started_does_nothing():
    await HttpSimulator(model()).stop()
