"""client.session: one ad opportunity against a server that keeps caps and budgets as the contract
says."""

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from xsp.bid.v1.auction_options_pb2 import AuctionOptions
from xsp.bid.v1.bid_service_pb2 import RunAuctionResponse
from xsp.bid.v1.bid_service_pb2_grpc import BidServiceServicer, add_BidServiceServicer_to_server
from xsp.money.v1.money_pb2 import Money
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp.session.v1.session_context_pb2 import Consent, Cookie, Device, SessionContext
from xsp.state.v1 import budget_pb2, frequency_pb2, guarantee_pb2, state_service_pb2
from xsp.state.v1.state_service_pb2_grpc import (
    StateServiceServicer,
    add_StateServiceServicer_to_server,
)
from xsp_client import (
    Budget,
    InvalidMessageError,
    InvalidRequestError,
    Spend,
    UnavailableError,
    XspClient,
    XspClientError,
)
from xsp_server.openrtb.validation import BidRequestValidator
from xsp_server.service.session import open_session

REQUEST = BidRequest(id="1", imp=[BidRequest.Imp(id="1", banner={"w": 300, "h": 250})])
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def abort(context, code, message, reason="", **metadata):
    """Ends the call as the contract says: with an ErrorInfo."""
    packed = Any()
    packed.Pack(ErrorInfo(reason=reason, domain="xsp", metadata=metadata))
    status = rpc_status.to_status(Status(code=code.value[0], message=message, details=[packed]))
    await context.abort(status.code, status.details, status.trailing_metadata)


@dataclass
class Campaign:
    """A campaign's money in micros, and in which currency."""

    total: int | None
    currency: str = "USD"
    spent: int = 0

    def status(self, campaign_id):
        status = budget_pb2.BudgetStatus(
            campaign_id=campaign_id,
            state=budget_pb2.BUDGET_STATE_ACTIVE,
            spent=Money(currency=self.currency, micros=self.spent),
            reserved=Money(currency=self.currency),
        )
        if self.total is not None:
            left = self.total - self.spent
            status.remaining.CopyFrom(Money(currency=self.currency, micros=left))
            if not left:
                status.state = budget_pb2.BUDGET_STATE_EXHAUSTED
        return status


@dataclass
class Exchange(BidServiceServicer, StateServiceServicer):
    """RunAuction and the three methods of StateService, as their comments say."""

    campaigns: dict[str, Campaign] = field(default_factory=dict)
    store_away: bool = False
    asked: list[tuple[str, object, dict]] = field(default_factory=list)
    address: str = ""
    hosts: list[list[Cookie]] = field(default_factory=list)  # what each auction's hosts set
    gate: asyncio.Barrier | None = None
    counts: Counter = field(default_factory=Counter)
    answers: dict[str, object] = field(default_factory=dict)

    def see(self, request, context):
        metadata = dict(context.invocation_metadata())
        self.asked.append((type(request).__name__, request, metadata))

    def seen(self, name):
        return [request for kind, request, _ in self.asked if kind == name]

    async def RunAuction(self, request, context):  # noqa: N802
        self.see(request, context)
        number = len(self.seen("RunAuctionRequest"))
        session = open_session(request.session, context.invocation_metadata(), request.bid_request)
        if self.gate is not None:
            await self.gate.wait()
        told = session.to_message()
        if number <= len(self.hosts):
            kept = {c.name: c for c in told.cookies} | {c.name: c for c in self.hosts[number - 1]}
            del told.cookies[:]
            told.cookies.extend(c for c in kept.values() if c.value)
        return RunAuctionResponse(bid_response=BidResponse(id=request.bid_request.id), session=told)

    async def CheckAndIncrementFrequency(self, request, context):  # noqa: N802
        self.see(request, context)
        if before := self.answers.get(request.request_id):
            return before
        response = state_service_pb2.CheckAndIncrementFrequencyResponse()
        for candidate in request.candidates:
            result = response.results.add(candidate_id=candidate.candidate_id, allowed=True)
            for cap in candidate.caps:
                counter = (request.subject.user_id, cap.custom_scope, str(cap.window))
                if not request.subject.user_id or self.counts[counter] >= cap.limit:
                    result.allowed = False
                else:
                    self.counts[counter] += 1
        self.answers[request.request_id] = response
        return response

    async def campaign(self, campaign_id, context):
        if campaign_id not in self.campaigns:
            await abort(
                context,
                grpc.StatusCode.NOT_FOUND,
                "no such campaign",
                "CAMPAIGN_NOT_FOUND",
                campaign_id=campaign_id,
            )
        return self.campaigns[campaign_id]

    async def GetBudget(self, request, context):  # noqa: N802
        self.see(request, context)
        campaign = await self.campaign(request.campaign_id, context)
        response = state_service_pb2.GetBudgetResponse(budget=campaign.status(request.campaign_id))
        if self.store_away:
            response.budget.Clear()
            response.budget.campaign_id = request.campaign_id
            response.basis.CopyFrom(
                guarantee_pb2.DecisionBasis(
                    source=guarantee_pb2.DECISION_SOURCE_FAIL_CLOSED, failure="no route to it"
                )
            )
        return response

    async def TrackSpend(self, request, context):  # noqa: N802
        self.see(request, context)
        if before := self.answers.get(request.request_id):
            return before
        campaign = await self.campaign(request.campaign_id, context)
        if request.amount.currency != campaign.currency:
            await abort(
                context,
                grpc.StatusCode.INVALID_ARGUMENT,
                "another currency",
                "CURRENCY_MISMATCH",
                expected=campaign.currency,
                found=request.amount.currency,
            )
        response = state_service_pb2.TrackSpendResponse()
        if self.store_away:
            response.refusal.reason = budget_pb2.BUDGET_REFUSAL_REASON_STORE_AWAY
            return response
        left = None if campaign.total is None else campaign.total - campaign.spent
        if left is not None and request.amount.micros > left:
            response.refusal.reason = budget_pb2.BUDGET_REFUSAL_REASON_LIMIT
        else:
            campaign.spent += request.amount.micros
            response.accepted = True
            response.amount.CopyFrom(request.amount)
        response.budget.CopyFrom(campaign.status(request.campaign_id))
        self.answers[request.request_id] = response
        return response


@pytest.fixture
async def exchange():
    servicer = Exchange()
    server = grpc.aio.server()
    add_BidServiceServicer_to_server(servicer, server)
    add_StateServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    servicer.address = f"127.0.0.1:{port}"
    await server.start()
    yield servicer
    await server.stop(None)


@pytest.fixture
async def client(exchange):
    async with XspClient(exchange.address, timeout=30.0) as client:
        yield client


async def test_the_session_of_the_guide_works_as_it_is_written(exchange, client):
    exchange.campaigns["c-1"] = Campaign(1_000_000_000)
    context, user_id, campaign_id = SessionContext(), "u-1", "c-1"
    async with client.session(context) as session:
        if await session.check_frequency_cap(user_id, limit=3):
            ad = await session.request()
            await session.track_budget(campaign_id, Decimal("2.50"))
        assert isinstance(ad, RunAuctionResponse)
        assert str((await session.get_budget(campaign_id)).remaining) == "997.50"


async def test_three_ads_the_fourth_is_blocked(exchange, client):
    exchange.campaigns["c-1"] = Campaign(1_000_000_000)
    shown = 0
    for _ in range(4):
        async with client.session() as session:
            if await session.check_frequency_cap("u-1", limit=3):
                await session.request(REQUEST)
                await session.track_budget("c-1", Decimal("2.50"))
                shown += 1
    assert shown == 3
    assert exchange.campaigns["c-1"].spent == 7_500_000


async def test_all_calls_of_a_session_carry_the_same_values(exchange, client):
    exchange.campaigns["c-1"] = Campaign(None)
    context = SessionContext(traceparent=PARENT, tracestate="a=1")
    async with client.session(context) as session:
        first = session.context
        await session.check_frequency_cap("u-1")
        await session.request(REQUEST)
        await session.request(REQUEST)
        await session.track_budget("c-1", Decimal(1))
    for _, _, metadata in exchange.asked:
        assert metadata["x-request-id"] == first.request_id
        assert (metadata["traceparent"], metadata["tracestate"]) == (PARENT, "a=1")
    assert len(exchange.asked) == 5
    for request in exchange.seen("RunAuctionRequest"):
        for name in ("request_id", "correlator", "cachebusting", "timestamp"):
            assert getattr(request.session, name) == getattr(first, name)
    assert context == SessionContext(traceparent=PARENT, tracestate="a=1")  # it is the caller's


async def test_what_the_context_tells_is_kept(client):
    told = SessionContext(request_id="r-1", correlator="c", cachebusting="00000001")
    told.timestamp.FromSeconds(1)
    assert client.session(told).context == told


async def test_two_sessions_share_nothing_that_is_made(client):
    one, two = client.session().context, client.session().context
    assert len(one.cachebusting) == 8
    assert len(one.correlator) == 16
    for name in ("request_id", "correlator", "cachebusting"):
        assert getattr(one, name) != getattr(two, name)


async def test_a_session_shows_a_copy_of_its_context(client):
    session = client.session(SessionContext(request_id="r-1"))
    session.context.request_id = "r-2"
    assert session.context.request_id == "r-1"


async def test_metadata_of_a_call_wins_over_the_session_s(exchange, client):
    async with client.session(SessionContext(request_id="r-1", traceparent=PARENT)) as session:
        await session.request(REQUEST, metadata={"traceparent": "mine"})
    (_, _, metadata) = exchange.asked[0]
    assert (metadata["traceparent"], metadata["x-request-id"]) == ("mine", "r-1")


async def test_request_takes_messages_dicts_and_options(exchange, client):
    options = AuctionOptions(record=True)
    async with client.session() as session:
        await session.request(REQUEST, options=options)
        await session.request({"id": "2", "imp": [{"id": "1", "banner": {}}]})
        with pytest.raises(InvalidRequestError, match="imp: expected array, got string"):
            await session.request({"id": "3", "imp": "none"})
    first, second = exchange.seen("RunAuctionRequest")
    assert (first.bid_request, first.options) == (REQUEST, options)
    assert second.bid_request.id == "2"
    assert first.request_id != second.request_id


async def test_a_session_has_a_request_of_its_own(exchange, client):
    async with client.session(request={"id": "7", "imp": [{"id": "1"}]}) as session:
        await session.request()
        await session.request(REQUEST)
    assert [r.bid_request.id for r in exchange.seen("RunAuctionRequest")] == ["7", "1"]
    with pytest.raises(InvalidRequestError, match="imp: expected array"):
        client.session(request={"imp": "none"})


async def test_without_any_request_one_imp_is_asked_for_with_what_the_context_tells(
    exchange, client
):
    context = SessionContext(
        user_id="u-1",
        device=Device(ip="2001:db8::1", user_agent="TV/1.0", ifa="ifa-1"),
        referrer="https://news.example.com/",
        language="pt-BR",
        consent=Consent(
            gdpr_applies=True,
            tcf_consent="CP",
            us_privacy="1YNN",
            gpp="DBAA",
            gpp_sid=[2],
            coppa=False,
            lmt=True,
            dnt=False,
        ),
    )
    async with client.session(context) as session:
        await session.request()
        await session.request()
    one, two = (r.bid_request for r in exchange.seen("RunAuctionRequest"))
    assert one.id != two.id
    assert [(imp.id, imp.HasField("banner"), imp.HasField("video")) for imp in one.imp] == [
        ("1", True, True)
    ]
    assert one.user == BidRequest.User(id="u-1", consent="CP")
    assert one.device == BidRequest.Device(
        ipv6="2001:db8::1", ua="TV/1.0", ifa="ifa-1", langb="pt-BR", lmt=True, dnt=False
    )
    assert one.site == BidRequest.Site(page="https://news.example.com/")
    assert one.regs == BidRequest.Regs(
        gdpr=True, us_privacy="1YNN", gpp="DBAA", gpp_sid=[2], coppa=False
    )
    assert BidRequestValidator().validate(one).ok


async def test_an_ipv4_address_stands_in_its_own_place(exchange, client):
    async with client.session(SessionContext(device=Device(ip="192.0.2.1"))) as session:
        await session.request()
    (asked,) = exchange.seen("RunAuctionRequest")
    assert asked.bid_request.device == BidRequest.Device(ip="192.0.2.1")
    assert not asked.bid_request.HasField("site")
    assert not asked.bid_request.HasField("regs")
    assert BidRequestValidator().validate(asked.bid_request).ok


def cookie(name, value, **more):
    return Cookie(name=name, value=value, host="ads.example.com", **more)


async def test_what_the_server_filled_in_goes_along_from_then_on(exchange, client):
    request = BidRequest()
    request.CopyFrom(REQUEST)
    request.user.id = "u-2"
    async with client.session() as session:
        await session.request(request)
        await session.request(REQUEST)
    first, second = exchange.seen("RunAuctionRequest")
    assert not first.session.HasField("user_id")
    assert second.session.user_id == "u-2"
    assert second.session.traceparent
    assert second.session.request_id == first.session.request_id


async def test_cookies_that_hosts_set_change_and_drop_go_along(exchange, client):
    exchange.hosts = [[cookie("a", "1"), cookie("b", "1")], [cookie("a", "2"), cookie("b", "")]]
    async with client.session(SessionContext(cookies=[cookie("own", "0")])) as session:
        for _ in range(3):
            await session.request(REQUEST)
    sent = [
        {c.name: c.value for c in request.session.cookies}
        for request in exchange.seen("RunAuctionRequest")
    ]
    assert sent == [{"own": "0"}, {"own": "0", "a": "1", "b": "1"}, {"own": "0", "a": "2"}]


async def test_cookies_of_calls_at_once_add_up(exchange, client):
    exchange.gate = asyncio.Barrier(2)
    exchange.hosts = [[cookie("a", "1"), cookie("own", "")], [cookie("b", "1")]]
    async with client.session(SessionContext(cookies=[cookie("own", "0")])) as session:
        await asyncio.gather(session.request(REQUEST), session.request(REQUEST))
        names = {c.name for c in session.context.cookies}
    assert names == {"a", "b"}


async def test_the_same_name_of_another_path_or_domain_is_another_cookie(client):
    told = [cookie("a", "1"), cookie("a", "2", path="/x"), cookie("a", "3", domain="example.com")]
    async with client.session(SessionContext(cookies=told)) as session:
        await session.request(REQUEST)
        assert [c.value for c in session.context.cookies] == ["1", "2", "3"]


async def test_a_server_that_gives_no_session_back_changes_nothing(start):
    bids = await start(RunAuctionResponse(bid_response=BidResponse(id="1")))
    async with XspClient(bids.address, timeout=30.0) as client:
        session = client.session(SessionContext(cookies=[cookie("own", "0")]))
        before = session.context
        await session.request(REQUEST)
        assert session.context == before


async def test_the_cap_counts_all_ads_of_the_user_in_one_counter(exchange, client):
    context = SessionContext(request_id="r-1", household_id="h-1")
    async with client.session(context) as session:
        assert await session.check_frequency_cap("u-1")
    (asked,) = exchange.seen("CheckAndIncrementFrequencyRequest")
    assert asked.subject == frequency_pb2.Subject(
        user_id="u-1", household_id="h-1", session_id="r-1"
    )
    (candidate,) = asked.candidates
    assert candidate.caps == [
        frequency_pb2.FrequencyCap(
            scope=frequency_pb2.CAP_SCOPE_CUSTOM,
            custom_scope="ads",
            limit=3,
            window={"unit": frequency_pb2.WINDOW_UNIT_HOUR},
        )
    ]
    assert candidate.WhichOneof("campaign") is None


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ("hour", {"unit": frequency_pb2.WINDOW_UNIT_HOUR}),
        ("day", {"unit": frequency_pb2.WINDOW_UNIT_DAY}),
        ("week", {"unit": frequency_pb2.WINDOW_UNIT_WEEK}),
        ("lifetime", {"unit": frequency_pb2.WINDOW_UNIT_LIFETIME}),
        ("session", {"unit": frequency_pb2.WINDOW_UNIT_SESSION}),
        (timedelta(minutes=90), {"duration": Duration(seconds=5400)}),
    ],
)
async def test_windows_by_name_or_length(exchange, client, window, expected):
    async with client.session(SessionContext(visit_id="v-1")) as session:
        await session.check_frequency_cap("u-1", 5, window)
    (asked,) = exchange.seen("CheckAndIncrementFrequencyRequest")
    assert asked.candidates[0].caps[0].window == frequency_pb2.Window(**expected)
    assert asked.candidates[0].caps[0].limit == 5
    assert asked.subject.session_id == "v-1"


async def test_nobody_known_is_the_server_s_to_decide(client):
    async with client.session() as session:
        assert not await session.check_frequency_cap("")


@pytest.mark.parametrize(
    ("call", "violation"),
    [
        (lambda s: s.check_frequency_cap("u", -1), "limit: expected 0 or more, got -1"),
        (lambda s: s.check_frequency_cap("u", 2**63), "limit: expected 0 or more, got 92233"),
        (lambda s: s.check_frequency_cap("u", 1, "year"), 'window: expected "hour", "day", "we'),
        (lambda s: s.check_frequency_cap("u", 1, timedelta(0)), "window: expected whole ms from 1"),
        (
            lambda s: s.check_frequency_cap("u", 1, timedelta(seconds=1, microseconds=1)),
            "window: expected whole ms from 1 s up",
        ),
        (lambda s: s.track_budget("c", 0.1 + 0.2), "amount: expected at most 6 decimals"),
        (lambda s: s.track_budget("c", True), "amount: expected a number, such as"),
        (lambda s: s.track_budget("c", Decimal(-1)), "amount: expected 0 to 9223372036854.77"),
        (lambda s: s.track_budget("c", Decimal("1E13")), "amount: expected 0 to 9223372036854.77"),
        (lambda s: s.track_budget("c", Decimal("NaN")), "amount: expected 0 to 9223372036854.77"),
        (lambda s: s.track_budget("c", Decimal("1E-7")), "amount: expected at most 6 decimals"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_told_and_not_sent(exchange, client, call, violation):
    async with client.session() as session:
        with pytest.raises(InvalidRequestError) as caught:
            await call(session)
    (told,) = caught.value.violations
    assert str(told).startswith(violation)
    assert str(caught.value) == f"{told}; nothing was sent"
    assert exchange.asked == []


async def test_a_spend_says_what_is_left(exchange, client):
    exchange.campaigns["c-1"] = Campaign(5_000_000)
    async with client.session() as session:
        spend = await session.track_budget("c-1", Decimal("2.50"))
        left = Budget("c-1", "USD", Decimal("2.50"), Decimal(0), Decimal("2.50"), "active")
        assert spend == Spend(accepted=True, budget=left)
        spend = await session.track_budget("c-1", Decimal("2.50"))
        assert (str(spend.budget.remaining), spend.budget.state) == ("0.00", "exhausted")
        refused = await session.track_budget("c-1", Decimal("0.01"))
        assert refused == Spend(accepted=False, budget=spend.budget, refusal="limit")


async def test_a_campaign_without_a_limit_has_no_remaining(exchange, client):
    exchange.campaigns["c-1"] = Campaign(None)
    async with client.session() as session:
        assert (await session.get_budget("c-1")).remaining is None


async def test_the_currency_of_a_campaign_is_asked_for_once(exchange, client):
    exchange.campaigns["c-1"] = Campaign(None, "EUR")
    for _ in range(2):
        async with client.session() as session:
            await session.track_budget("c-1", Decimal("2.50"))
    assert len(exchange.seen("GetBudgetRequest")) == 1
    assert [r.amount for r in exchange.seen("TrackSpendRequest")] == [
        Money(currency="EUR", micros=2_500_000)
    ] * 2


async def test_a_currency_that_is_told_is_not_asked_for(exchange, client):
    exchange.campaigns["c-1"] = Campaign(None, "EUR")
    async with client.session() as session:
        await session.track_budget("c-1", Decimal("2.50"), currency="EUR")
        with pytest.raises(InvalidRequestError, match="another currency") as caught:
            await session.track_budget("c-1", Decimal("2.50"), currency="USD")
    assert caught.value.reason == "CURRENCY_MISMATCH"
    assert caught.value.metadata == {"expected": "EUR", "found": "USD"}
    assert exchange.seen("GetBudgetRequest") == []


async def test_a_currency_that_changed_is_asked_for_again(exchange, client):
    exchange.campaigns["c-1"] = Campaign(None, "EUR")
    async with client.session() as session:
        await session.get_budget("c-1")
        exchange.campaigns["c-1"].currency = "USD"
        with pytest.raises(InvalidRequestError):
            await session.track_budget("c-1", Decimal(1))
        assert (await session.track_budget("c-1", Decimal(1))).budget.currency == "USD"


async def test_currencies_are_remembered_of_a_bounded_number(exchange, client, monkeypatch):
    monkeypatch.setattr("xsp_client._session.MOST_CURRENCIES", 3)
    async with client.session() as session:
        for n in range(5):
            exchange.campaigns[f"c-{n}"] = Campaign(None)
            await session.get_budget(f"c-{n}")
    assert list(client._currencies) == ["c-3", "c-4"]


async def test_a_retry_by_its_own_id_spends_and_counts_once(exchange, client):
    exchange.campaigns["c-1"] = Campaign(None)
    async with client.session() as session:
        for _ in range(2):
            await session.track_budget("c-1", Decimal(1), request_id="s-1")
            assert await session.check_frequency_cap("u-1", 1, request_id="f-1")
        await session.track_budget("c-1", Decimal(1))
        await session.track_budget("c-1", Decimal(1))
    assert exchange.campaigns["c-1"].spent == 3_000_000
    ids = [r.request_id for r in exchange.seen("TrackSpendRequest")]
    assert len(set(ids)) == 3


async def test_an_unknown_campaign_is_not_found(client):
    async with client.session() as session:
        for call in (
            session.get_budget("c-9"),
            session.track_budget("c-9", Decimal(1)),
            session.track_budget("c-9", Decimal(1), currency="USD"),
        ):
            with pytest.raises(XspClientError, match="NOT_FOUND: no such campaign") as caught:
                await call
            assert caught.value.reason == "CAMPAIGN_NOT_FOUND"
            assert caught.value.metadata == {"campaign_id": "c-9"}


async def test_while_the_store_is_away_a_spend_follows_its_policy_and_no_figure_is_told(
    exchange, client
):
    exchange.campaigns["c-1"] = Campaign(None)
    exchange.store_away = True
    async with client.session() as session:
        spend = await session.track_budget("c-1", Decimal(1), currency="USD")
        assert spend == Spend(accepted=False, budget=None, refusal="store_away")
        with pytest.raises(UnavailableError, match="store of budgets is away: no route to it"):
            await session.get_budget("c-1")


def candidate_failed() -> state_service_pb2.CheckAndIncrementFrequencyResponse:
    response = state_service_pb2.CheckAndIncrementFrequencyResponse()
    response.results.add(candidate_id="1").status.code = 9
    response.results[0].status.message = "caps are off"
    return response


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (candidate_failed(), XspClientError, "FAILED_PRECONDITION: caps are off"),
        (
            state_service_pb2.CheckAndIncrementFrequencyResponse(),
            InvalidMessageError,
            "expected a result for the one candidate, got 0",
        ),
    ],
)
async def test_an_answer_that_decides_nothing_is_an_error(exchange, client, answer, kind, message):
    exchange.answers["f-1"] = answer
    async with client.session() as session:
        with pytest.raises(kind, match=message):
            await session.check_frequency_cap("u-1", request_id="f-1")


async def test_caps_and_budgets_of_a_real_server(serve):
    server = await serve({"type": "simulated", "name": "house"})
    async with XspClient(server.address, timeout=30.0) as client, client.session() as session:
        told = [await session.check_frequency_cap("u-1", limit=3) for _ in range(4)]
        assert [bool(each) for each in told] == [True, True, True, False]
        for call in (
            session.track_budget("c-1", Decimal(1), currency="USD"),
            session.get_budget("c-1"),
        ):
            with pytest.raises(XspClientError) as caught:
                await call
            assert caught.value.reason == "CAMPAIGN_NOT_FOUND"


async def test_a_session_runs_auctions_on_a_real_server(serve):
    server = await serve({"type": "simulated", "name": "house"})
    async with XspClient(server.address, timeout=30.0) as client, client.session() as session:
        answer = await session.request()
        assert answer.bid_response.seatbid
        assert answer.session.request_id == session.context.request_id


CALLS = {
    "request": lambda session: session.request(),
    "check_frequency_cap": lambda session: session.check_frequency_cap("u-1"),
    "track_budget": lambda session: session.track_budget("c-1", Decimal(1)),
    "get_budget": lambda session: session.get_budget("c-1"),
    "async with": lambda session: session.__aenter__(),
}


@pytest.mark.parametrize("called", CALLS)
async def test_a_closed_session_refuses_everything_and_the_client_goes_on(client, called):
    async with client.session(SessionContext(request_id="r-1")) as session:
        pass
    await session.close()  # does no harm twice
    with pytest.raises(XspClientError, match=f"^{called}: session r-1 is closed; open another one"):
        await CALLS[called](session)
    async with client.session() as other:
        await other.request(REQUEST)


async def test_sessions_at_once_never_see_each_others_data(exchange, client):
    exchange.campaigns = {f"c-{n}": Campaign(None) for n in range(5)}
    owners = defaultdict(set)

    async def visit(number):
        own = f"r-{number}"
        context = SessionContext(
            request_id=own, user_id=own, cookies=[cookie("own", own)], referrer=f"http://{own}/"
        )
        async with client.session(context) as session:
            assert await session.check_frequency_cap(own, limit=1)
            for _ in range(3):
                answer = await session.request(REQUEST)
                assert answer.session.request_id == own
                assert [c.value for c in answer.session.cookies] == [own]
                assert answer.session.referrer == f"http://{own}/"
                owners[own].add(answer.session.cachebusting)
            await session.track_budget(f"c-{number % 5}", Decimal("2.50"))

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for number in range(200):
            group.create_task(visit(number))
    assert [len(values) for values in owners.values()] == [1] * 200
    assert [campaign.spent for campaign in exchange.campaigns.values()] == [100_000_000] * 5


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE])
async def test_an_auction_that_fails_leaves_the_session_as_it_was(start, code):
    bids = await start(Status(code=code.value[0], message="later"))
    async with XspClient(bids.address, timeout=30.0) as client, client.session() as session:
        before = session.context
        with pytest.raises(UnavailableError):
            await session.request(REQUEST)
        assert session.context == before


async def test_a_session_of_another_call_is_not_taken_for_ours(start):
    foreign = RunAuctionResponse(session=SessionContext(request_id="r-9", user_id="u-9"))
    bids = await start(foreign)
    async with XspClient(bids.address, timeout=30.0) as client, client.session() as session:
        before = session.context
        await session.request(REQUEST)
        assert session.context == before
