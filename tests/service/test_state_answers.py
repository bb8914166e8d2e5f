"""What StateService answers, method by method, over a store in memory."""

import asyncio

import pytest

from xsp.money.v1.money_pb2 import Money
from xsp.state.v1 import state_service_pb2 as pb
from xsp.state.v1.budget_pb2 import ReservationSpec
from xsp.state.v1.campaign_pb2 import Campaign
from xsp.state.v1.frequency_pb2 import FrequencyCandidate, Subject
from xsp_server.errors import MissingField
from xsp_server.service.state import StateServicer
from xsp_server.state.accounts import Accounts
from xsp_server.state.faults import InvalidField
from xsp_server.state.memory import InMemoryBackend


@pytest.fixture
async def state() -> StateServicer:
    """A service with the campaigns a and b, which have a cap of one impression."""
    servicer = StateServicer(Accounts.over(InMemoryBackend()), poll_seconds=0.001, silence_ms=1)
    for name in ("b", "a"):
        campaign = Campaign(campaign_id=name, currency="USD", caps=[{"cap_id": "once", "limit": 1}])
        await servicer.PutCampaign(pb.PutCampaignRequest(request_id=name, campaign=campaign), None)
    return servicer


def asked(*campaign_ids: str) -> dict[str, object]:
    """A user, and a candidate of each campaign."""
    candidates = [FrequencyCandidate(candidate_id=each, campaign_id=each) for each in campaign_ids]
    return {"subject": Subject(user_id="u"), "candidates": candidates}


async def test_campaigns_are_listed_page_by_page(state):
    first = await state.ListCampaigns(pb.ListCampaignsRequest(page_size=1, seat=""), None)
    rest = await state.ListCampaigns(
        pb.ListCampaignsRequest(page_size=1, seat="", page_token=first.next_page_token), None
    )
    names = [each.campaign_id for page in (first, rest) for each in page.campaigns]
    assert (names, rest.next_page_token) == (["a", "b"], "")


async def test_a_candidate_of_no_campaign_fails_alone(state):
    answer = await state.CheckFrequency(pb.CheckFrequencyRequest(**asked("a", "none")), None)
    known, unknown = answer.results
    assert (known.allowed, known.HasField("status")) == (True, False)
    assert (unknown.candidate_id, unknown.status.code) == ("none", 5)


async def test_counts_of_a_subject_are_listed(state):
    count = pb.CheckAndIncrementFrequencyRequest(request_id="1", **asked("a"))
    await state.CheckAndIncrementFrequency(count, None)
    request = pb.ListFrequencyCountsRequest(subject=Subject(user_id="u"))
    [told] = (await state.ListFrequencyCounts(request, None)).counts
    assert (told.subject_id, told.scope_value, told.count) == ("u", "a", 1)


async def test_a_budget_is_of_some_campaign(state):
    with pytest.raises(MissingField, match="campaign_id"):
        await state.GetBudget(pb.GetBudgetRequest(), None)


async def test_a_reservation_of_no_campaign_fails_alone_and_a_repeated_one_says_so(state):
    specs = [
        ReservationSpec(
            reservation_id=each, campaign_id=each, amount=Money(currency="USD", micros=1)
        )
        for each in ("a", "none")
    ]
    request = pb.ReserveBudgetRequest(request_id="1", reservations=specs)
    first = await state.ReserveBudget(request, None)
    again = await state.ReserveBudget(request, None)
    assert [each.HasField("status") for each in first.results] == [False, True]
    assert [each.replayed for each in first.results] == [False, False]
    assert [each.replayed for each in again.results] == [True, False]


async def test_a_watch_tells_now_and_then_that_it_is_alive(state):
    watch = state.WatchBudgets(pb.WatchBudgetsRequest(campaign_ids=["a"]), None)
    snapshot = await anext(watch)
    assert [each.budget.campaign_id for each in snapshot.changes] == ["a"]
    async with asyncio.timeout(5):
        assert not (await anext(watch)).changes
    await watch.aclose()


async def test_an_interval_is_not_below_0(state):
    request = pb.WatchBudgetsRequest(min_interval={"seconds": -1})
    with pytest.raises(InvalidField, match="min_interval"):
        await anext(state.WatchBudgets(request, None))
