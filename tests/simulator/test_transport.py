"""The simulated bidder inside the exchange's process."""

import pytest

from xsp_server import registry
from xsp_server.errors import ConfigError
from xsp_server.openrtb.reply import Outcome
from xsp_server.simulator import BidderModel, BidderSettings, SimulatedSettings, SimulatedTransport
from xsp_server.upstream import Ask, TransportError


@pytest.fixture
def transport(recorder):
    def make(**settings) -> SimulatedTransport:
        return SimulatedTransport(SimulatedSettings(name="sim", **settings), sleep=recorder)

    return make


async def failure(transport, request, timeout) -> TransportError:
    with pytest.raises(TransportError) as caught:
        await transport.send(Ask(request), timeout)
    return caught.value


async def test_a_bid_is_the_response_of_the_model(transport, banner_request):
    spread = {"price": "uniform min=1 max=9"}
    expected = BidderModel(BidderSettings(**spread), seed=3).plan(banner_request).response
    assert await transport(seed=3, **spread).send(Ask(banner_request), 1) == expected


async def test_a_no_bid_is_no_response(transport, banner_request):
    assert await transport(no_bid_rate=1).send(Ask(banner_request), 1) is None


async def test_an_error_is_an_error(transport, banner_request):
    error = await failure(transport(error_rate=1), banner_request, 1)
    assert (error.outcome, error.detail) == (Outcome.ERROR, "simulated error")


@pytest.mark.parametrize("settings", [{"latency_ms": 200}, {"error_rate": 1, "latency_ms": 200}])
async def test_what_comes_in_time_is_waited_for(transport, banner_request, recorder, settings):
    sent = transport(**settings).send(Ask(banner_request), 0.2)
    if settings.get("error_rate"):
        with pytest.raises(TransportError, match="simulated error"):
            await sent
    else:
        assert await sent
    assert recorder.slept == [0.2]


@pytest.mark.parametrize("late", [{"latency_ms": 250}, {"timeout_rate": 1}])
async def test_what_comes_too_late_is_given_up_at_the_timeout(
    transport, banner_request, recorder, late
):
    error = await failure(transport(**late), banner_request, 0.2)
    assert (error.outcome, error.detail) == (Outcome.TIMEOUT, "no answer in 200 ms")
    assert recorder.slept == [0.2]


async def test_another_model_counts_from_the_next_request_on(transport, banner_request):
    sim = transport()
    assert await sim.send(Ask(banner_request), 1)
    sim.model = BidderModel(BidderSettings(no_bid_rate=1))
    assert await sim.send(Ask(banner_request), 1) is None


async def test_a_section_of_settings_builds_one_that_really_waits(banner_request):
    section = {"type": "simulated", "name": "sim", "latency_ms": 1, "price": 2.5, "seed": 4}
    built = registry.build("transport", section, "bidders[0]")
    response = await built.send(Ask(banner_request), 5)
    assert response.seatbid[0].bid[0].price == 2.5
    assert built.model.seed == 4
    await built.close()


def test_a_wrong_setting_is_named():
    section = {"type": "simulated", "name": "sim", "latency_ms": "slow"}
    with pytest.raises(ConfigError, match=r"^bidders\[0\].latency_ms: got 'slow'; expected a num"):
        registry.build("transport", section, "bidders[0]")
