"""Calls that are made again at another server over the same store, or after a restart."""

import asyncio

import pytest

from state.clock import Clock, Leaving
from state.settings import campaign, candidate, cap, told, usd
from xsp.state.v1 import state_service_pb2 as pb
from xsp.state.v1.budget_pb2 import ReservationSpec
from xsp.state.v1.frequency_pb2 import CapScope, FrequencyCandidate, Subject
from xsp_server.errors import CampaignNotFound, RequestIdReused, XspError
from xsp_server.service.state import StateServicer
from xsp_server.state.accounts import Accounts
from xsp_server.state.backend import CONTENT_MAX, Kind, StateBackend, StoreAway
from xsp_server.state.faults import CampaignHasReservations, CampaignParentInvalid
from xsp_server.state.messages import HOUR_MS, packed

ALICE = Subject(user_id="alice", household_id="home")


def ad(id_: str, limit: int = 5) -> FrequencyCandidate:
    """A creative with a cap of its own."""
    return candidate(id_, cap(limit, scope=CapScope.CAP_SCOPE_CREATIVE), creative_id=id_)


class Server:
    """One of several servers over a store."""

    def __init__(self, backend: StateBackend, clock: Clock) -> None:
        self.servicer = StateServicer(Accounts.over(backend, clock))

    async def put(self, request_id: str, *arguments, **more) -> pb.PutCampaignResponse:
        request = pb.PutCampaignRequest(
            request_id=request_id, campaign=campaign(*arguments, **more)
        )
        return await self.servicer.PutCampaign(request, None)

    async def delete(self, request_id: str, id_: str = "c1", **more) -> pb.DeleteCampaignResponse:
        request = pb.DeleteCampaignRequest(request_id=request_id, campaign_id=id_, **more)
        return await self.servicer.DeleteCampaign(request, None)

    async def reset(self, request_id: str, subject: Subject = ALICE, **more) -> int:
        request = pb.ResetFrequencyRequest(request_id=request_id, subject=subject, **more)
        return (await self.servicer.ResetFrequency(request, None)).removed

    async def show(self, request_id: str, *candidates, limit: int = 3) -> bool:
        request = pb.CheckAndIncrementFrequencyRequest(
            request_id=request_id,
            subject=Subject(user_id="alice"),
            candidates=candidates or [ad("a", limit)],
        )
        answer = await self.servicer.CheckAndIncrementFrequency(request, None)
        return answer.results[0].allowed

    async def record(self, request_id: str, limit: int):
        request = pb.RecordFrequencyRequest(
            request_id=request_id, subject=ALICE, candidates=[ad("a", limit)]
        )
        return await self.servicer.RecordFrequency(request, None)

    async def commit(self, request_id: str, units: float):
        commit = pb.ReservationCommit(reservation_id="r", amount=usd(units))
        request = pb.CommitReservationRequest(request_id=request_id, commits=[commit])
        return await self.servicer.CommitReservation(request, None)

    async def release(self, request_id: str, id_: str):
        request = pb.ReleaseReservationRequest(request_id=request_id, reservation_ids=[id_])
        return await self.servicer.ReleaseReservation(request, None)

    async def reserve(self, request_id: str, id_: str, units: float = 1, by: str = "c1"):
        spec = ReservationSpec(reservation_id=id_, campaign_id=by, amount=usd(units))
        request = pb.ReserveBudgetRequest(request_id=request_id, reservations=[spec])
        return await self.servicer.ReserveBudget(request, None)

    async def spend(self, request_id: str, units: float):
        request = pb.TrackSpendRequest(request_id=request_id, campaign_id="c1", amount=usd(units))
        return await self.servicer.TrackSpend(request, None)

    async def total(self, id_: str = "c1") -> float:
        request = pb.GetCampaignRequest(campaign_id=id_)
        return told((await self.servicer.GetCampaign(request, None)).campaign.limits.total)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def one(backend: StateBackend, clock: Clock) -> Server:
    return Server(backend, clock)


@pytest.fixture
def other(backend: StateBackend, clock: Clock) -> Server:
    return Server(backend, clock)


async def test_a_reset_made_again_removes_nothing_that_was_counted_since(one, other):
    assert await one.show("1")
    assert await one.reset("R") == 1
    assert [await one.show(f"{number}") for number in range(2, 6)] == [True, True, True, False]
    assert await other.reset("R") == 1
    assert not await other.show("6")
    assert await other.reset("S") == 1
    assert await other.show("7")


async def test_a_reset_of_many_counters_is_done_once_for_each(one, other):
    many = [ad(f"{place}") for place in range(600)]
    await one.show("1", *many)
    assert await one.reset("R") == 600
    await one.show("2", *many)
    assert await other.reset("R") == 600
    assert await other.reset("S") == 600


async def test_a_reset_that_was_cut_off_is_completed(one, other, backend, monkeypatch):
    many = [ad(f"{place}") for place in range(600)]
    await one.show("1", *many)
    whole, removals = type(backend).apply, []

    async def cut_off(self, book, moves, now_ms):
        if moves and moves[0].kind is Kind.REMOVE:
            removals.append(moves[0])
            if len(removals) == 2:
                raise StoreAway("cut off", retry_after=1)
        return await whole(self, book, moves, now_ms)

    with monkeypatch.context() as patch:
        patch.setattr(type(backend), "apply", cut_off)
        with pytest.raises(StoreAway):
            await one.reset("R")
    assert await other.reset("R") == 600
    assert await other.reset("S") == 0


async def test_a_reset_with_other_content_is_refused_and_names_nobody(one, other):
    await one.reset("R")
    with pytest.raises(RequestIdReused) as refused:
        await other.reset("R", Subject(user_id="bob"))
    assert refused.value.metadata == {"subject": "differs"}
    with pytest.raises(RequestIdReused) as refused:
        await other.reset("R", custom_scope="s")
    assert refused.value.metadata == {"custom_scope": "first '', now 's'"}


async def test_a_request_id_may_be_used_anew_when_it_is_not_known_any_more(one, other, clock):
    await one.show("1")
    assert await one.reset("R") == 1
    clock.go(HOUR_MS)
    await one.show("2")
    assert await other.reset("R") == 1
    assert await one.reset("S") == 0


async def test_a_put_made_again_after_another_one_changes_nothing(one, other):
    first = await one.put("P1", total=50)
    await one.put("P2", total=10)
    assert await other.put("P1", total=50) == first
    assert await other.total() == 10


async def test_a_put_with_other_content_is_refused_with_the_difference(one, other):
    await one.put("P1", total=50)
    await one.put("P2", total=10)
    with pytest.raises(RequestIdReused) as refused:
        await other.put("P1", total=51)
    assert refused.value.metadata == {
        "campaign.limits.total.micros": "first '50000000', now '51000000'"
    }


async def test_a_put_that_was_refused_may_be_made_again(one, other):
    with pytest.raises(CampaignParentInvalid):
        await one.put("P1", parent_id="p")
    await other.put("P2", "p")
    assert (await other.put("P1", parent_id="p")).created


async def test_a_long_campaign_is_answered_whole(one, other):
    scope = {"scope": CapScope.CAP_SCOPE_CUSTOM, "custom_scope": "s" * 120}
    caps = [cap(1, cap_id=f"{place:0120}", **scope) for place in range(64)]
    first = await one.put("P1", total=1, caps=caps)
    assert len(packed(first)) > CONTENT_MAX
    await one.put("P2", total=2)
    with pytest.raises(RequestIdReused) as refused:
        await other.put("P1", total=3, caps=caps)
    assert not refused.value.metadata
    assert await other.put("P1", total=1, caps=caps) == first


async def test_a_deletion_made_again_gets_the_first_answer(one, other):
    await one.put("P", total=50)
    await one.reserve("b", "r")
    with pytest.raises(CampaignHasReservations):
        await one.delete("D")
    first = await one.delete("D", release_reservations=True)
    assert (told(first.campaign.limits.total), first.released_reservations) == (50, 1)
    assert await other.delete("D", release_reservations=True) == first
    await one.put("P2", total=60)
    assert await other.delete("D", release_reservations=True) == first
    assert await other.total() == 60
    with pytest.raises(RequestIdReused):
        await other.delete("D")
    await other.delete("E")
    with pytest.raises(CampaignNotFound):
        await other.delete("F")


async def test_a_deletion_that_was_cut_off_before_its_answer_was_kept_has_one(
    one, other, backend, monkeypatch
):
    await one.put("P", total=50)
    whole = type(backend).apply

    async def cut_off(self, book, moves, now_ms):
        if moves and moves[0].id == "answer/0":
            raise StoreAway("cut off", retry_after=1)
        return await whole(self, book, moves, now_ms)

    with monkeypatch.context() as patch:
        patch.setattr(type(backend), "apply", cut_off)
        with pytest.raises(StoreAway):
            await one.delete("D")
    assert told((await other.delete("D")).campaign.limits.total) == 50


async def test_the_same_call_at_two_servers_at_once_is_answered_alike(one, other):
    for round_ in range(5):
        puts = await asyncio.gather(*(each.put(f"P{round_}", total=5) for each in (one, other)))
        assert puts[0] == puts[1]
        await one.reserve(f"b{round_}", f"r{round_}")
        deletions = await asyncio.gather(
            *(each.delete(f"D{round_}", release_reservations=True) for each in (one, other))
        )
        assert deletions[0].campaign == deletions[1].campaign == puts[0].campaign
        await one.show(f"{round_}")
        resets = await asyncio.gather(*(each.reset(f"R{round_}") for each in (one, other)))
        assert resets[0] == resets[1] == 1


async def test_the_same_call_twice_at_once_in_one_server_is_one_run(one):
    puts = await asyncio.gather(*(one.put("P", total=5) for _ in range(3)))
    assert [each.created for each in puts] == [True] * 3
    deletions = await asyncio.gather(*(one.delete("D") for _ in range(3)))
    assert deletions[0] == deletions[1] == deletions[2]


async def caught(call) -> str:
    """How a call ends."""
    try:
        await call
    except XspError as error:
        return type(error).__name__
    return "OK"


@pytest.mark.parametrize(
    "make",
    [
        lambda one, content: one.show("X", limit=content),
        lambda one, content: one.record("X", content),
        lambda one, content: one.spend("X", content),
        lambda one, content: one.commit("X", content),
        lambda one, content: one.release("X", f"r{content}"),
        lambda one, content: one.reserve("X", f"r{content}"),
        lambda one, content: one.put("X", "c2", total=content),
        lambda one, content: one.reset("X", custom_scope=f"s{content}"),
        lambda one, content: one.delete("X", "c1" if content == 1 else "c3"),
    ],
    ids=[
        "check-and-increment",
        "record",
        "spend",
        "commit",
        "release",
        "reserve",
        "put",
        "reset",
        "delete",
    ],
)
async def test_one_id_with_two_contents_at_once_is_refused_once(one, make):
    await one.put("P", total=50)
    await one.put("Q", "c3")
    ends = await asyncio.gather(*(caught(make(one, content)) for content in (1, 2)))
    assert sorted(ends) == ["OK", "RequestIdReused"]


class Slow(Leaving):
    """A store whose moves wait until they are let go."""

    in_process = False

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.came = asyncio.Event()

    async def apply(self, book, moves, now_ms):
        self.came.set()
        await self.go.wait()
        return await super().apply(book, moves, now_ms)


async def test_an_id_is_under_way_until_its_last_call_has_ended():
    backend = Slow()
    one = Server(backend, Clock())
    calls = [asyncio.create_task(one.show("X"))]
    await backend.came.wait()
    backend.came.clear()
    calls.append(asyncio.create_task(one.show("X")))
    await backend.came.wait()
    calls[0].cancel()
    await asyncio.wait([calls[0]])
    with pytest.raises(RequestIdReused):
        await one.show("X", limit=4)
    calls[1].cancel()
    await asyncio.wait([calls[1]])
    backend.go.set()
    assert await one.show("X", limit=4)


async def test_what_is_kept_first_of_a_call_stands(one, other, monkeypatch):
    """One server keeps its answer while another is about to."""
    first = await one.put("P", total=5)
    await one.put("Q", total=6)
    answered = other.servicer._answered
    find, blind = answered.find, [True]

    async def look(*arguments):
        return None if blind.pop() else await find(*arguments)

    blind[:] = [False, True]
    monkeypatch.setattr(answered, "find", look)
    assert await other.put("P", total=5) == first


async def test_who_watches_hears_of_a_put_at_once():
    one = Server(Leaving(), Clock())
    request = pb.WatchBudgetsRequest(min_interval={"seconds": 0})
    watch = one.servicer.WatchBudgets(request, None)
    assert (await anext(watch)).snapshot_complete
    coming = asyncio.ensure_future(anext(watch))
    await one.put("P", total=5)
    assert [each.budget.campaign_id for each in (await coming).changes] == ["c1"]
    await watch.aclose()


async def test_a_call_without_what_it_is_about_is_refused():
    one = Server(Leaving(), Clock())
    assert await caught(one.delete("D", "")) == "MissingField"
    nothing = pb.PutCampaignRequest(request_id="P")
    assert await caught(one.servicer.PutCampaign(nothing, None)) == "MissingField"
    assert await caught(one.delete("", "c1")) == "RequestIdInvalid"
