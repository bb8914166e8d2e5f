"""StateService on a running server: three ads an hour, and money to the last cent."""

import grpc
import pytest

from service.errors import details
from xsp.state.v1 import state_service_pb2 as pb
from xsp.state.v1 import state_service_pb2_grpc
from xsp.state.v1.budget_pb2 import BudgetState, ReservationOutcome


@pytest.fixture
async def state(serve):
    channels = []

    async def start(**sections):
        server = await serve(**sections)
        channels.append(grpc.aio.insecure_channel(server.address))
        return state_service_pb2_grpc.StateServiceStub(channels[-1])

    yield start
    for channel in channels:
        await channel.close()


def usd(amount):
    return {"currency": "USD", "micros": round(amount * 1_000_000)}


CAMPAIGN = {
    "campaign_id": "c-1",
    "currency": "USD",
    "limits": {"total": usd(1000)},
    "caps": [{"cap_id": "three", "limit": 3}],
}


async def put(stub, campaign=CAMPAIGN):
    return await stub.PutCampaign(pb.PutCampaignRequest(request_id="put", campaign=campaign))


async def test_three_ads_an_hour_and_the_fourth_is_blocked(state):
    stub = await state()
    await put(stub)
    allowed = []
    for call in range(4):
        answer = await stub.CheckAndIncrementFrequency(
            pb.CheckAndIncrementFrequencyRequest(
                request_id=f"f-{call}",
                subject={"user_id": "u"},
                candidates=[{"candidate_id": "a", "campaign_id": "c-1"}],
            )
        )
        allowed.append(answer.results[0].allowed)
    assert allowed == [True, True, True, False]
    assert answer.results[0].denied_by.cap_id == "three"
    assert answer.results[0].denied_by.count == 3


async def test_a_thousand_less_two_fifty_leaves_the_rest(state):
    stub = await state()
    await put(stub)
    spend = pb.TrackSpendRequest(request_id="s", campaign_id="c-1", amount=usd(2.5))
    for replayed in (False, True):
        answer = await stub.TrackSpend(spend)
        assert answer.accepted
        assert answer.replayed is replayed
        assert answer.budget.remaining.micros == 997_500_000
    rest = pb.TrackSpendRequest(request_id="t", campaign_id="c-1", amount=usd(997.5))
    answer = await stub.TrackSpend(rest)
    assert answer.budget.remaining.micros == 0
    assert answer.budget.state == BudgetState.BUDGET_STATE_EXHAUSTED
    more = pb.TrackSpendRequest(request_id="m", campaign_id="c-1", amount=usd(0.01))
    assert not (await stub.TrackSpend(more)).accepted


async def test_what_is_held_is_spent_by_commit_or_given_back(state):
    stub = await state()
    await put(stub)
    specs = [
        {"reservation_id": name, "campaign_id": "c-1", "amount": usd(400)} for name in ("a", "b")
    ]
    held = await stub.ReserveBudget(
        pb.ReserveBudgetRequest(
            request_id="r", reservations=[*specs, {**specs[0], "reservation_id": "c"}]
        )
    )
    assert [each.outcome for each in held.results] == [
        ReservationOutcome.RESERVATION_OUTCOME_RESERVED,
        ReservationOutcome.RESERVATION_OUTCOME_RESERVED,
        ReservationOutcome.RESERVATION_OUTCOME_REFUSED_BUDGET,
    ]
    await stub.CommitReservation(
        pb.CommitReservationRequest(
            request_id="c", commits=[{"reservation_id": "a", "amount": usd(150)}]
        )
    )
    await stub.ReleaseReservation(
        pb.ReleaseReservationRequest(request_id="b", reservation_ids=["b"])
    )
    budget = (await stub.GetBudget(pb.GetBudgetRequest(campaign_id="c-1"))).budget
    assert (budget.spent.micros, budget.reserved.micros) == (150_000_000, 0)


async def test_a_watch_tells_what_changes(state):
    stub = await state()
    await put(stub)
    watch = stub.WatchBudgets(pb.WatchBudgetsRequest(campaign_ids=["c-1"], min_interval={}))
    first = await watch.read()
    assert first.snapshot_complete
    await stub.TrackSpend(pb.TrackSpendRequest(request_id="s", campaign_id="c-1", amount=usd(1000)))
    change = (await watch.read()).changes[0]
    assert change.budget.state == BudgetState.BUDGET_STATE_EXHAUSTED
    watch.cancel()


async def test_what_is_on_disk_outlives_the_server(state, tmp_path):
    section = {"url": f"sqlite:///{tmp_path}/state.db"}
    await put(await state(state=section))
    stub = await state(state=section)
    spend = pb.TrackSpendRequest(request_id="s", campaign_id="c-1", amount=usd(1))
    assert (await stub.TrackSpend(spend)).budget.remaining.micros == 999_000_000


async def test_a_call_that_can_t_be_is_refused_with_its_field(state):
    stub = await state()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetBudget(pb.GetBudgetRequest(campaign_id="none"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert details(caught.value)["ErrorInfo"].reason == "CAMPAIGN_NOT_FOUND"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await put(stub, {"campaign_id": "x", "currency": "dollars"})
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
