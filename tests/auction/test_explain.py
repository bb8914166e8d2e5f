"""What an auction can say about a bid: what decided, and what would have made it win."""

import random
from fractions import Fraction

import pytest

from auction import random_auctions
from auction.small import reply
from xsp_server.auction import Fate, Relation, Rules, contest, explain, run
from xsp_server.openrtb import money


def verdict_of(result, key):
    return next(verdict for verdict in result.verdicts if verdict.key == key)


def with_price(replies, verdict, micros):
    """The same replies with another price of one bid."""
    changed = []
    for one in replies:
        response = type(one.response)()
        response.CopyFrom(one.response)
        if one.bidder == verdict.bidder:
            for bid in (bid for seatbid in response.seatbid for bid in seatbid.bid):
                if bid.id == verdict.bid:
                    bid.price = money.from_micros(micros)
        changed.append(type(one)(one.bidder, one.outcome, one.arrived_ms, response))
    return changed


def check_least_price(chance, request, replies, verdict, result):
    """At the least price the bid wins; below it, and if there is none anywhere, it doesn't."""

    def wins(micros):
        again = run(request, with_price(replies, verdict, micros), result.rules)
        return verdict_of(again, verdict.key).fate is Fate.WON

    least = explain.would_win_at(result, verdict)
    if least is None:
        tried = [1, 10_000_000_000, *(chance.randrange(1, 30_000_000) for _ in range(3))]
        assert not any(map(wins, tried))
        return False
    assert wins(least)
    lower = {least - 1, *(chance.randrange(0, least) for _ in range(3))}
    assert not any(wins(micros) for micros in lower if micros > 0)
    return True


@pytest.mark.parametrize("groups", [False, True])
def test_the_least_price_outside_pods_is_the_least(groups):
    found = 0
    for seed in range(150):
        chance = random.Random(seed)
        rules = random_auctions.rules(chance)
        request = random_auctions.request(chance)
        replies = random_auctions.replies(chance, request, groups=groups)
        result = run(request, replies, rules)
        for verdict in result.verdicts:
            found += check_least_price(chance, request, replies, verdict, result)
    assert found > 100


def test_the_least_price_in_a_pod_is_the_least():
    found = 0
    for seed in range(120):
        chance = random.Random(seed)
        rules = random_auctions.rules(chance)
        request = random_auctions.pod_request(chance)
        replies = random_auctions.replies(chance, request)
        result = run(request, replies, rules)
        for verdict in result.verdicts:
            found += check_least_price(chance, request, replies, verdict, result)
    assert found > 100


def test_the_short_way_to_a_least_change_comes_to_the_same_as_the_long_one(monkeypatch):
    compared = 0
    for seed in range(300):
        chance = random.Random(seed)
        request = random_auctions.request(chance)
        rules = random_auctions.rules(chance)
        result = run(request, random_auctions.replies(chance, request), rules)
        short = [explain.least_change(result, verdict) for verdict in result.verdicts]
        with monkeypatch.context() as patch:
            patch.setattr(explain, "_is_alone", lambda *_: False)
            assert short == [explain.least_change(result, verdict) for verdict in result.verdicts]
        compared += len(short)
    assert compared > 900


def test_a_thousand_bids_on_an_imp_are_explained_without_deciding_the_auction_again(
    auction, monkeypatch
):
    many = reply("many", *({"price": 1 + n / 1000, "id": f"m{n}"} for n in range(1000)))
    result = auction(reply("a", {"price": 5}), many)
    monkeypatch.setattr(contest.Contest, "settle", None)
    lost = [verdict for verdict in result.verdicts if verdict.bidder == "many"]
    assert {explain.least_change(result, verdict).price_micros for verdict in lost} == {5_000_001}
    places = [explain.comparison(result, verdict).found for verdict in lost[:-1]]
    assert places == list(range(1000, 1, -1))


@pytest.mark.parametrize(("bids", "known"), [(explain.MOST_BESIDE_GROUPS, True), (13, False)])
def test_what_takes_too_much_beside_groups_is_not_worked_out(auction, bids, known):
    grouped = reply("a", {"price": 2, "id": "g"})
    grouped.response.seatbid[0].group = True
    singles = reply("b", *({"price": 1, "id": str(n)} for n in range(bids)))
    result = auction(grouped, singles)
    change = explain.least_change(result, verdict_of(result, "b/0"))
    assert change.known is known
    assert explain.would_win_at(result, verdict_of(result, "b/0")) == (2_000_001 if known else None)


def test_what_takes_too_much_in_a_pod_is_not_worked_out(video_pod, monkeypatch):
    bids = [{"price": 1 + n, "adomain": [f"{n}.example.com"]} for n in range(6)]
    result = video_pod(bids, Rules(), maxseq=2)
    lost = next(verdict for verdict in result.verdicts if verdict.fate is Fate.LOST_POD)
    assert explain.least_change(result, lost).known
    monkeypatch.setattr(explain, "MOST_IN_POD", 4)
    assert explain.least_change(result, lost) == explain.LeastChange(known=False)


def test_no_least_price_is_told_for_a_pod_with_groups_or_one_cut_short(video_pod):
    request = random_auctions.pod_request(random.Random(1))
    for seed in range(20):
        replies = random_auctions.replies(random.Random(seed), request, groups=True)
        result = run(request, replies)
        if any(verdict.facts.group for verdict in result.verdicts if verdict.evidence is None):
            assert {explain.would_win_at(result, v) for v in result.verdicts} == {None}
            break
    else:
        pytest.fail("no group among the replies")
    bids = [{"price": n % 3 + 1, "adomain": [f"{n % 4}.example.com"]} for n in range(8)]
    rules = Rules.from_mapping({"separation": ["adomain"], "pod_search_limit": 1})
    result = video_pod(bids, rules, maxseq=2, slotinpod=2)
    if not result.pods[0].exact:
        assert explain.would_win_at(result, result.verdicts[0]) is None


def test_an_invalid_price_would_win_at_what_beats_the_winner(auction):
    result = auction(reply("a", {"price": 2}), reply("b", {"price": 0}))
    assert explain.would_win_at(result, verdict_of(result, "b/0")) == 2_000_001


def test_no_price_saves_a_bid_that_is_refused_for_something_else(auction):
    result = auction(
        reply("a", {"price": 1}),
        reply("b", {"price": 2, "adomain": ["casino.example.com"]}),
        reply("c", {"price": 3}, id="other"),
        badv=["casino.example.com"],
    )
    assert explain.would_win_at(result, verdict_of(result, "b/0")) is None
    assert explain.would_win_at(result, verdict_of(result, "c/0")) is None
    assert not explain.least_change(result, verdict_of(result, "b/0")).possible


def test_the_least_change_of_a_winner_is_none_and_of_a_loser_a_price(auction):
    result = auction(reply("a", {"price": 2}), reply("b", {"price": 1}))
    assert explain.least_change(result, verdict_of(result, "a/0")) == explain.LeastChange()
    lost = explain.least_change(result, verdict_of(result, "b/0"))
    assert (lost.price_micros, lost.arrival_ms, lost.possible) == (2_000_001, None, True)


@pytest.mark.parametrize(("price", "needed"), [(3, None), (1, 2_000_001)])
def test_a_late_bid_needs_to_arrive_by_the_deadline_and_to_be_good_enough(auction, price, needed):
    result = auction(
        reply("a", {"price": 2}), reply("b", {"price": price}, arrived_ms=101), tmax=100
    )
    late = verdict_of(result, "b/0")
    assert explain.would_win_at(result, late) is None
    change = explain.least_change(result, late)
    assert (change.price_micros, change.arrival_ms) == (needed, 100)


# The worked examples of implementation.md 7.16: floor 0.85, bids of 1.00, 0.90, 0.80 and a bad one.
FIRST = {"a/0": "0.90", "b/0": "1.00", "c/0": "1.00", "d/0": None}
SECOND = {"a/0": "0.90", "b/0": "0.91", "c/0": "0.91", "d/0": None}


@pytest.mark.parametrize(("at", "expected"), [(1, FIRST), (2, SECOND)])
def test_min_to_win_is_that_of_the_specifications_examples(auction, at, expected):
    result = auction(
        reply("a", {"price": 1.00}),
        reply("b", {"price": 0.90}),
        reply("c", {"price": 0.80}),
        reply("d", {"price": 0.95, "adm": ""}),
        imp={"bidfloor": 0.85},
        at=at,
    )
    found = {verdict.key: explain.min_to_win(result, verdict) for verdict in result.verdicts}
    assert found == {key: text and Fraction(text) for key, text in expected.items()}


def test_min_to_win_is_in_the_bids_own_terms(auction):
    result = auction(
        reply("a", {"price": 4}),
        reply("b", {"price": 2}, cur="EUR"),
        cur=["USD", "EUR"],
        rules=Rules.from_mapping(
            {"rates": {"EUR": {"USD": "1.25"}}, "bid_adjustments": {"b": "0.8"}}
        ),
    )
    assert explain.min_to_win(result, verdict_of(result, "b/0")) == 4  # 4 USD / 1.25 / 0.8
    assert explain.min_to_win(result, verdict_of(result, "a/0")) == 2


def test_min_to_win_of_a_lone_winner_is_its_floor(auction):
    result = auction(reply("a", {"price": 2}), imp={"bidfloor": 0.5})
    assert explain.min_to_win(result, result.verdicts[0]) == Fraction(1, 2)


def test_min_to_win_where_nobody_won_is_the_own_floor(auction):
    result = auction(reply("a", {"price": 0.4}), imp={"bidfloor": 0.5})
    assert explain.min_to_win(result, result.verdicts[0]) == Fraction(1, 2)


DEALS = {"deals": [{"id": "g1", "guar": 1, "at": 1}, {"id": "f1", "at": 3, "bidfloor": 2}]}


def test_min_to_win_is_untold_where_price_did_not_decide(auction, video_pod):
    guaranteed = auction(
        reply("a", {"price": 1, "dealid": "g1"}), reply("b", {"price": 9}), imp={"pmp": DEALS}
    )
    assert explain.min_to_win(guaranteed, verdict_of(guaranteed, "b/0")) is None
    fixed = auction(
        reply("a", {"price": 3}), reply("b", {"price": 9, "dealid": "f1"}), imp={"pmp": DEALS}
    )
    assert explain.min_to_win(fixed, verdict_of(fixed, "b/0")) is None
    pod = video_pod([{"price": 2}], Rules())
    assert explain.min_to_win(pod, pod.verdicts[0]) is None


def test_min_to_win_of_a_bid_under_the_floor_beside_a_guaranteed_winner_is_untold(auction):
    result = auction(
        reply("a", {"price": 3, "dealid": "g1"}),
        reply("b", {"price": 0.5}),
        imp={"pmp": DEALS, "bidfloor": 1},
    )
    assert verdict_of(result, "b/0").fate is Fate.BELOW_FLOOR
    assert explain.min_to_win(result, verdict_of(result, "b/0")) is None


def test_min_to_win_of_a_fixed_price_winner_is_the_agreed_price(auction):
    result = auction(
        reply("a", {"price": 1}), reply("b", {"price": 9, "dealid": "f1"}), imp={"pmp": DEALS}
    )
    assert explain.min_to_win(result, verdict_of(result, "b/0")) == 2


def test_what_was_compared_is_told_for_every_way_to_lose(auction, video_pod):
    price = auction(reply("a", {"price": 2}), reply("b", {"price": 1}))
    lost = explain.comparison(price, verdict_of(price, "b/0"))
    assert (lost.name, lost.found, lost.relation, lost.required) == (
        "rank_value",
        1,
        Relation.ABOVE,
        2,
    )
    assert explain.comparison(price, verdict_of(price, "a/0")) is None
    tie = auction(reply("a", {}), reply("b", {}, seat="s1"))
    lost = explain.comparison(tie, verdict_of(tie, "b/0"))
    assert (lost.relation, lost.found) == (Relation.BEFORE, "5 ms, b, s1, 0")
    assert lost.required == "5 ms, a, no seat, 0"
    deal = auction(reply("a", {"dealid": "g1"}), reply("b", {"price": 9}), imp={"pmp": DEALS})
    lost = explain.comparison(deal, verdict_of(deal, "b/0"))
    assert (lost.name, lost.found, lost.required) == ("rank_class", 0, 2)
    limit = auction(reply("a", {"price": 2}, {"price": 1}))
    lost = explain.comparison(limit, verdict_of(limit, "a/1"))
    assert (lost.found, lost.relation, lost.required) == (2, Relation.AT_MOST, 1)
    pod = video_pod([{"price": 2}, {"price": 1}], Rules(), maxseq=1)
    lost = explain.comparison(pod, verdict_of(pod, "b/0"))
    assert (lost.found, lost.relation, lost.required) == ("b/0", Relation.IN, ("a/0",))


def test_a_lost_group_is_told_what_it_won(auction):
    request = [{"id": "1", "banner": {}}, {"id": "2", "banner": {}}]
    a = reply("a", {"impid": "1", "price": 3}, {"impid": "2", "price": 1})
    a.response.seatbid[0].group = True
    result = auction(a, reply("b", {"impid": "2", "price": 2}), imps=request)
    lost = explain.comparison(result, verdict_of(result, "a/0"))
    assert (lost.found, lost.relation, lost.required) == ((), Relation.EQUAL, ("1", "2"))


def test_a_refused_bid_shows_what_its_check_found(auction):
    result = auction(reply("a", {"price": 0.5}), imp={"bidfloor": 1})
    found = explain.comparison(result, result.verdicts[0])
    assert (found.name, found.found) == ("adjusted_price", Fraction(1, 2))
    assert (found.relation, found.against, found.required) == (
        Relation.AT_LEAST,
        "imp[0].bidfloor",
        1,
    )
