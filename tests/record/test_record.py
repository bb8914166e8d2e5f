"""A record holds an auction exactly: what goes in comes back, or is refused."""

import hashlib
import math
import random
from dataclasses import replace
from datetime import UTC
from fractions import Fraction

import pytest

from record.traffic import FULL, RULES, START, VERSION, bid, first_price, recorded, run, runs
from xsp.bid.v1 import auction_record_pb2 as pb
from xsp.bid.v1.auction_options_pb2 import AuctionOptions, ExplainLevel
from xsp.bid.v1.auction_report_pb2 import BidderOutcome, SkipReason
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp.session.v1.session_context_pb2 import SessionContext
from xsp_server.auction import Rules
from xsp_server.errors import ConfigError
from xsp_server.openrtb.reply import Outcome, Reply
from xsp_server.service.exchange import AnswerForm
from xsp_server.service.record import (
    RecordError,
    answer_form_of,
    record,
    replies_of,
    rules_in_force,
    rules_of,
)
from xsp_server.service.report import report

REQUEST = first_price().request


def there_and_back(*replies, rules=RULES[0]):
    made = recorded(run(REQUEST, replies, rules))
    return pb.AuctionRecord.FromString(made.SerializeToString())


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_comes_back(outcome):
    reply = Reply("acme", outcome, 12.345, BidResponse(id="req"), "HTTP 500: “no”")
    assert replies_of(there_and_back(reply)) == [reply]


@pytest.mark.parametrize("response", [None, BidResponse()], ids=["no answer", "an empty answer"])
@pytest.mark.parametrize("arrived_ms", [None, 0.0], ids=["never", "at once"])
def test_absent_and_empty_differ(response, arrived_ms):
    reply = Reply("acme", Outcome.NO_BID, arrived_ms, response)
    assert replies_of(there_and_back(reply)) == [reply]


def test_a_time_in_whole_microseconds_comes_back_as_the_same_double():
    chance = random.Random(3)
    times = [round(chance.uniform(0, 10 ** chance.randint(0, 6)), 3) for _ in range(2000)]
    replies = [Reply(f"{n:04}", Outcome.ERROR, time) for n, time in enumerate(times)]
    assert [reply.arrived_ms for reply in replies_of(there_and_back(*replies))] == times


@pytest.mark.parametrize("arrived_ms", [0.0001, 1 / 3, math.nan, math.inf, 1e300])
def test_a_time_that_would_be_rounded_is_refused(arrived_ms):
    auction = run(REQUEST, [bid("a", 1)])
    auction.replies[0] = bid("a", 1, arrived_ms=arrived_ms)
    with pytest.raises(RecordError, match=r"arrival of a: got .* expected whole microseconds"):
        recorded(auction)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"deadline_ms": 0.001},
        {"deadline_ms": 0},
        {"second_price_increment": "1/3", "separation": ["cat", "adomain"]},
        {"rates": {"EUR": {"USD": "1.0834"}}, "bid_adjustments": {"änna": "0.85"}},
        {"deal_policy": "deals_first", "durfloors_overlap": "min", "require_adomain": True},
    ],
)
def test_rules_come_back_exactly(values):
    rules = Rules.from_mapping(values)
    assert rules_of(there_and_back(bid("a", 1), rules=rules)) == rules


@pytest.mark.parametrize("form", [AnswerForm(), AnswerForm(fill_macros=False, seatnonbid=True)])
def test_how_the_answer_was_written_comes_back(form):
    made = recorded(run(REQUEST, [bid("a", 1)], form=form), version="1.2.3")
    assert answer_form_of(made) == form


def test_rules_of_auctions_with_other_deadlines_are_one_text():
    texts = {
        rules_in_force(Rules(deadline_ms=deadline), AnswerForm()).text
        for deadline in (None, 1, 2.5)
    }
    assert len(texts) == 1


def test_the_order_in_which_tables_were_written_makes_no_difference():
    names = ["a", "b", "c"]
    one, other = (
        rules_in_force(Rules(bid_adjustments=dict.fromkeys(order, Fraction(1, 2))), AnswerForm())
        for order in (names, names[::-1])
    )
    assert one == other
    assert one.digest == hashlib.sha256(one.text.encode()).hexdigest()


def test_all_that_the_auction_was_is_in_the_record():
    auction = run(REQUEST, [bid("b", 2), bid("a", 1)], Rules(deadline_ms=100), skipped=["c"])
    session, options = SessionContext(user_id="u"), AuctionOptions(record=True)
    full = report(auction, "a-1", FULL)
    made = record(auction, full, "1.2.3", session=session, options=options)
    assert made.format_version == 1
    assert (made.auction_id, made.server_version) == ("a-1", "1.2.3")
    assert made.clock.ToDatetime(UTC) == START
    assert made.bid_request == auction.request
    assert made.bid_response == auction.response
    assert (made.session, made.options) == (session, options)
    assert made.deadline.ToMilliseconds() == 100
    assert made.report.rules_digest == made.rules.digest
    full.rules_digest = made.rules.digest
    assert made.report == full


def test_replies_are_in_the_order_of_names_with_those_that_were_not_asked():
    made = recorded(run(REQUEST, [bid("c", 2), bid("a", 1)], skipped=["b"]))
    assert [reply.bidder for reply in made.replies] == ["a", "b", "c"]
    assert [list(reply.imp_ids) for reply in made.replies] == [["1"], [], ["1"]]
    assert made.replies[1].skip_reason == SkipReason.SKIP_REASON_COUNTRY
    assert [reply.bidder for reply in replies_of(made)] == ["a", "c"]


def test_replies_of_random_auctions_come_back():
    for auction in runs(40, seed=5):
        made = pb.AuctionRecord.FromString(recorded(auction).SerializeToString())
        assert replies_of(made) == sorted(auction.replies, key=lambda reply: reply.bidder)
        assert rules_of(made) == auction.rules


def test_a_report_that_leaves_something_out_is_refused():
    auction = first_price(1)
    summary = report(auction, "a-1", ExplainLevel.EXPLAIN_LEVEL_SUMMARY)
    with pytest.raises(RecordError, match="got EXPLAIN_LEVEL_SUMMARY; expected EXPLAIN_LEVEL_FULL"):
        record(auction, summary, VERSION)


def test_a_report_of_another_auction_is_refused():
    other = report(first_price(1), "a-1", FULL)
    with pytest.raises(RecordError, match="lacks the bidders b, c"):
        record(first_price(1, 2, 3), other, VERSION)


@pytest.mark.parametrize(
    ("outcome", "told"), [(BidderOutcome.BIDDER_OUTCOME_LATE, "got 4"), (99, "got 99")]
)
def test_an_outcome_that_asking_cannot_have_is_refused(outcome, told):
    made = recorded(first_price(1, 2))
    made.replies[1].outcome = outcome
    with pytest.raises(
        RecordError, match=rf"replies\[1\]\.outcome: {told}; expected one of BIDDER"
    ):
        replies_of(made)


def in_force(text, text_format=pb.RULES_FORMAT_JSON, digest=None):
    digest = hashlib.sha256(text.encode()).hexdigest() if digest is None else digest
    rules = pb.RulesInForce(format=text_format, text=text, digest=digest)
    return pb.AuctionRecord(rules=rules)


def test_rules_as_toml_are_read():
    text = '[auction]\nseatnonbid = true\n[rules]\nsecond_price_increment = "0.05"\n'
    made = in_force(text, pb.RULES_FORMAT_TOML)
    assert rules_of(made) == Rules(second_price_increment=Fraction(5, 100))
    assert answer_form_of(made) == AnswerForm(seatnonbid=True)


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (in_force(""), "rules.text: empty"),
        (in_force('{"rules":{}}', digest="0"), 'rules.digest: got "0"; the text has "'),
        (in_force('{"rules":{}}', 0), "rules.format: got 0; expected JSON or TOML"),
        (in_force("{"), "rules.text: Expecting"),
        (in_force("[]"), "expected a section rules"),
        (in_force('{"auction":{}}'), "expected a section rules"),
        (in_force('{"rules":{},"auction":{"x":1}}'), "expected fill_macros and seatnonbid"),
    ],
)
def test_rules_that_cannot_be_read_are_told(made, told):
    with pytest.raises(RecordError) as error:
        rules_of(made)
    assert told in str(error.value)


def test_a_rule_that_this_version_does_not_know_is_told():
    with pytest.raises(ConfigError, match=r"rules\.later: no such setting"):
        rules_of(in_force('{"rules":{"later":1}}'))


def test_a_deadline_of_its_own_is_over_that_of_the_text():
    made = in_force('{"rules":{"deadline_ms":5}}')
    assert rules_of(made).deadline_ms == 5
    made.deadline.FromMicroseconds(7500)
    assert rules_of(made) == replace(Rules(), deadline_ms=7.5)
