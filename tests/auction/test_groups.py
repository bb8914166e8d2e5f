"""Groups of bids that win together: how many compete, and what deciding them may cost."""

import pytest

from auction.small import reply
from xsp_server.auction import Fate, contest


def group(bidder, price, *imps):
    made = reply(bidder, *({"price": price, "impid": imp, "id": imp} for imp in imps))
    made.response.seatbid[0].group = True
    return made


def many_groups(count):
    """One reply; the later groups are worth more."""
    made = group("many", 1, "1")
    del made.response.seatbid[:]
    for number in range(count):
        of_number = group("many", 1 + number / 100, "1").response.seatbid[0]
        of_number.seat, of_number.bid[0].id = f"s{number}", f"g{number}"
        made.response.seatbid.append(of_number)
    return made


def test_the_greatest_group_wins_among_a_thousand_and_no_single_bid_is_lost(auction, monkeypatch):
    settled = []
    settle = contest.Contest.settle

    def counted(self, bids):
        settled.append(bids)
        return settle(self, bids)

    monkeypatch.setattr(contest.Contest, "settle", counted)
    singles = reply("a", *({"price": 3, "id": str(number)} for number in range(500)))
    result = auction(many_groups(1000), singles)
    assert [winner.bid for winner in result.winners] == ["g999"]
    assert len(settled) <= 2 * contest.MOST_GROUPS + 2
    # But for the last time, what can't win is left out.
    assert max(map(len, settled[:-1])) <= contest.MOST_GROUPS + 1
    fates = [verdict.fate for verdict in result.verdicts]
    assert fates.count(Fate.LOST_GROUP) == 999


@pytest.mark.parametrize("seats", [1, 2])
def test_a_group_that_loses_leaves_the_auction_as_it_would_be_without_it(auction, seats):
    rules = [reply("a", {"price": 3}), reply("b", {"price": 2})][:seats]
    alone, beside = auction(*rules), auction(*rules, group("c", 1, "1"))
    assert [(w.bid, w.clearing_price) for w in beside.winners] == [
        (w.bid, w.clearing_price) for w in alone.winners
    ]
