"""Replay: the same answer again, and every difference named by its path."""

import asyncio

import pytest

from record.traffic import VERSION, bid, first_price, recorded, records, run, runs
from xsp.bid.v1.auction_record_pb2 import AuctionRecord
from xsp.bid.v1.auction_report_pb2 import Fate
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.auction import Rules
from xsp_server.config import AuctionSettings
from xsp_server.openrtb.reply import Outcome, Reply
from xsp_server.service.exchange import AnswerForm, Exchange
from xsp_server.service.planning import Planner
from xsp_server.service.rates import RuleBook
from xsp_server.service.replay import Difference, differences, run_again, same_answer
from xsp_server.simulator import SimulatedSettings, SimulatedTransport
from xsp_server.upstream import Bidder, FanOut


def replayed(record):
    return differences(record, run_again(record))


@pytest.fixture
def record():
    return recorded(first_price(1, 2, 1.5, rules=Rules(deadline_ms=100)))


def test_recorded_auctions_replay_to_the_same():
    for record in records(60, seed=2):
        assert replayed(AuctionRecord.FromString(record.SerializeToString())) == []


@pytest.mark.parametrize("seatnonbid", [False, True])
@pytest.mark.parametrize("fill_macros", [False, True])
def test_the_answer_is_written_as_it_was(seatnonbid, fill_macros):
    form = AnswerForm(fill_macros, seatnonbid)
    for auction in runs(30, seed=3, form=form):
        auction = run(  # noqa: PLW2901 - as the exchange has the replies, in the order of names
            auction.request,
            sorted(auction.replies, key=lambda reply: reply.bidder),
            auction.rules,
            form=form,
        )
        made = recorded(auction, version="1")
        assert replayed(made) == []
        assert same_answer(made, run_again(made))


async def test_an_auction_of_the_exchange_replays_to_the_same(sample):
    """Arrivals by the clock, bidders that were not asked, requests that privacy cut."""
    settings = [
        SimulatedSettings(name="high", price=9, latency_ms=1),
        SimulatedSettings(name="low", price=6.5, media_types=("video",)),
        SimulatedSettings(name="abroad", countries=("AUT",)),
        SimulatedSettings(name="dead", timeout_rate=1),
    ]
    transports = [SimulatedTransport(each) for each in settings]
    clock = asyncio.get_running_loop().time
    exchange = Exchange(
        AuctionSettings(),
        RuleBook(Rules()),
        Planner.from_settings({}, None, settings),
        FanOut([Bidder(transport, clock) for transport in transports]),
    )
    sample.device.lmt = True
    record = recorded(await exchange.run(sample, None))
    assert [reply.bidder for reply in record.replies] == ["abroad", "dead", "high", "low"]
    assert list(record.replies[3].imp_ids) == ["pre-roll"]
    assert record.bid_response.seatbid
    assert replayed(record) == []


def test_times_and_what_was_told_of_the_asking_are_not_compared(record):
    [first, *_] = record.report.bidders
    record.report.timings.total.FromMilliseconds(1234)
    first.latency.FromMilliseconds(99)
    first.http_status = 200
    first.privacy_changes.add(path="device.ip")
    record.report.bidders.add(bidder="was not asked")
    assert replayed(record) == []


@pytest.mark.parametrize(
    ("path", "change", "texts"),
    [
        ("report.nbr", {"nbr": 3}, ("3", "absent")),
        ("report.currency", {"currency": "EUR"}, ("'EUR'", "'USD'")),
        ("report.totals.bids_won", {"totals": {"bids_won": 7}}, ("7", "1")),
    ],
)
def test_a_difference_has_its_path_and_both_values(record, path, change, texts):
    record.report.MergeFrom(type(record.report)(**change))
    assert replayed(record) == [Difference(path, *texts)]


def test_bidders_imps_and_bids_are_named_in_paths(record):
    record.report.bidders[1].bids[0].fate = Fate.FATE_LATE
    record.report.imps[0].winners[0].clearing_price.micros = 5
    assert replayed(record) == [
        Difference("report.bidders[b].bids[0].fate", "FATE_LATE", "FATE_WON"),
        Difference("report.imps[1].winners[0].clearing_price.micros", "5", "2000000"),
    ]


def test_entries_that_only_one_side_has_are_told(record):
    del record.report.imps[0].winners[:]
    record.report.bidders[0].bids[0].adomain.append("acme.example")
    record.report.bidders[0].bids[0].violations.add(path="x" * 200)
    found = {each.path: each for each in replayed(record)}
    missing = found["report.imps[1].winners[0]"]
    assert missing.recorded == "absent"
    assert missing.replayed.startswith('imp_id: "1" bidder: "b"')
    assert found["report.bidders[a].bids[0].adomain[0]"].replayed == "absent"
    long = found["report.bidders[a].bids[0].violations[0]"].recorded
    assert long.endswith("…")
    assert len(long) == 121


def test_a_fate_of_a_later_version_is_told_by_its_number(record):
    record.report.bidders[1].bids[0].fate = 999
    assert replayed(record)[0].recorded == "999"


def test_the_response_is_compared_byte_for_byte(record):
    run = run_again(record)
    record.bid_response.seatbid[0].bid[0].price = 2.0000001
    assert not same_answer(record, run)
    [found] = replayed(record)
    assert found.path == "bid_response.seatbid[0].bid[0].price"
    assert (found.recorded, found.replayed) == ("2.0000001", "2.0")


def test_what_no_field_shows_is_a_difference_too(record):
    unknown = b"\xf8\xff\x3f\x01"
    record.bid_response.MergeFromString(unknown)
    [found] = replayed(record)
    size = record.bid_response.ByteSize()
    assert found == Difference(
        "bid_response", f"{size} bytes, equal field by field", f"{size - len(unknown)} bytes"
    )


def test_a_bidder_that_is_lost_is_a_difference(record):
    del record.replies[1]
    paths = {each.path for each in replayed(record)}
    assert "bid_response.seatbid[0].bid[0].price" in paths
    assert "report.bidders[b].bidder" in paths


def test_other_rules_give_another_auction():
    record = recorded(first_price(2, 1.9))
    cheaper = run_again(record, Rules.from_mapping({"bid_adjustments": {"a": "0.5"}}))
    [winner] = cheaper.result.winners
    assert winner.bidder == "b"
    assert not same_answer(record, cheaper)


def test_a_late_reply_is_late_again():
    rules = Rules(deadline_ms=20.5)
    request = BidRequest(id="req", at=1, imp=[{"id": "1", "banner": {}}], tmax=500)
    replies = [
        bid("late", 9, arrived_ms=20.501),
        bid("in_time", 1, arrived_ms=20.5),
        Reply("silent", Outcome.TIMEOUT, None),
    ]
    record = recorded(run(request, replies, rules), version=VERSION)
    assert replayed(record) == []
    assert [winner.bidder for winner in run_again(record).result.winners] == ["in_time"]
