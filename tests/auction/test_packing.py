"""The exact search, on its own: against every packing that there is, and on pods of full size."""

import itertools
import random

import pytest

from xsp_server.auction.packing import Ad, Break, pack, relaxation


def fits(ads, breaks, chosen):
    held = [ads[index].labels for index in chosen]
    if any(a & b for a, b in itertools.combinations(held, 2)):
        return False
    for place, room in enumerate(breaks):
        inside = [ads[index] for index in chosen if ads[index].room == place]
        if sum(ad.seconds for ad in inside) > room.seconds or len(inside) > room.ads:
            return False
        if sum(ad.end_slot for ad in inside) > 2:
            return False
    return True


def goodness(ads, chosen):
    values = [sum(ads[i].value for i in chosen if ads[i].rank_class == c) for c in (2, 1, 0)]
    return *values, sum(ads[i].seconds for i in chosen), [i in chosen for i in range(len(ads))]


def best_of_all(ads, breaks, forced=()):
    sets = (
        chosen
        for count in range(len(ads) + 1)
        for chosen in itertools.combinations(range(len(ads)), count)
        if set(forced) <= set(chosen) and fits(ads, breaks, chosen)
    )
    return max(sets, key=lambda chosen: goodness(ads, chosen), default=None)


def small_case(chance):
    breaks = [
        Break(chance.choice((15, 30, 45, 60, 5000)), chance.choice((1, 2, 3, 100)))
        for _ in range(chance.randrange(3))
    ]
    flat, classes = chance.random() < 0.4, chance.choice(((0,), (0,), (0, 1, 2), (0, 2)))
    ads = []
    for _ in range(chance.randrange(10)):
        labels = sum(1 << label for label in range(6) if chance.random() < 0.25)
        room = chance.randrange(len(breaks)) if breaks and chance.random() < 0.7 else None
        if room is None:
            labels |= 1 << chance.randrange(6, 9)
        value = chance.choice((10, 20)) if flat else chance.randrange(1, 50) * chance.choice((1, 7))
        end_slot = room is not None and chance.random() < 0.3
        seconds = chance.choice((0, 5, 10, 15, 15, 30))
        ads.append(Ad(chance.choice(classes), value, seconds, labels, room, end_slot))
    return ads, breaks


@pytest.mark.parametrize("start", range(0, 600, 100))
def test_packings_equal_the_best_of_all(start):
    for seed in range(start, start + 100):
        ads, breaks = small_case(random.Random(seed))
        packing = pack(ads, breaks, limit=100_000)
        assert packing.exact
        assert packing.gap == 0
        assert packing.chosen == best_of_all(ads, breaks), f"seed {seed}"


@pytest.mark.parametrize("start", range(0, 200, 100))
def test_forced_ads_are_in_the_best_packing_that_has_them(start):
    for seed in range(start, start + 100):
        chance = random.Random(seed)
        ads, breaks = small_case(chance)
        forced = chance.sample(range(len(ads)), min(len(ads), chance.choice((1, 1, 2))))
        packing = pack(ads, breaks, 100_000, forced)
        assert (packing and packing.chosen) == best_of_all(ads, breaks, forced), f"seed {seed}"


def test_prices_that_are_off_change_nothing_but_the_time(monkeypatch):
    """Prices only bound what packings are worth; here they come from two steps instead of all."""
    monkeypatch.setattr(relaxation, "_MOST_STEPS", 2)
    for seed in range(100):
        ads, breaks = small_case(random.Random(seed))
        assert pack(ads, breaks, limit=100_000).chosen == best_of_all(ads, breaks), f"seed {seed}"


def hard_case(chance):
    """Values tell ads hardly apart, each shares labels of one family, some are the same."""
    breaks = chance.choice(([], [Break(chance.choice((30, 45, 60)), chance.choice((2, 3, 9)))]))
    each, values = chance.choice((1, 2, 2, 3)), chance.choice(((10,), (10, 11, 12)))
    ads = []
    for _ in range(chance.randrange(5, 11)):
        labels = sum(1 << label for label in chance.sample(range(7), each))
        room = 0 if breaks and chance.random() < 0.8 else None
        if room is None:
            labels |= 1 << chance.randrange(7, 11)
        rank_class = chance.choice((0, 0, 0, 2))
        ads.append(Ad(rank_class, chance.choice(values), chance.choice((10, 15)), labels, room))
        if chance.random() < 0.2:
            ads.append(ads[-1])
    return ads[:10], breaks, [(1 << 7) - 1]


@pytest.mark.parametrize("start", range(0, 600, 100))
def test_hard_packings_equal_the_best_of_all(start):
    for seed in range(start, start + 100):
        ads, breaks, families = hard_case(random.Random(seed))
        packing = pack(ads, breaks, 100_000, families=families)
        assert packing.exact
        assert packing.chosen == best_of_all(ads, breaks), f"seed {seed}"


def large_case(chance, *, values):
    """60 ads of 20 advertisers for one break of 12."""
    ads = [
        Ad(
            0,
            values(chance),
            chance.choice((6, 10, 15, 20, 30, 45, 60)),
            1 << chance.randrange(20),
            0,
        )
        for _ in range(60)
    ]
    return ads, [Break(240, 12)]


def places_case(chance, *, values):
    """60 ads of 20 advertisers for 12 places."""
    labels = [1 << n % 12 | 1 << 12 + chance.randrange(20) for n in range(60)]
    return [Ad(0, values(chance), 15, held) for held in labels], []


def categories_case(chance, *, values, each, room):
    """60 ads, each of some of 19 categories, for 12 places or for a break."""
    ads = []
    for n in range(60):
        labels = sum(1 << label for label in chance.sample(range(19), each))
        if room is None:
            labels |= 1 << 19 + n % 12
        ads.append(Ad(0, values(chance), chance.choice((6, 10, 15, 20, 30)), labels, room))
    return ads, [] if room is None else [Break(180, 12)], [(1 << 19) - 1]


def any_value(chance):
    return chance.randrange(100, 3000)


def few_values(chance):
    return chance.choice((800, 1000, 1200))


@pytest.mark.parametrize("values", [any_value, few_values])
@pytest.mark.parametrize("case", [large_case, places_case])
def test_pods_of_60_bids_and_12_slots_are_searched_to_the_end(case, values):
    for seed in range(10):
        ads, breaks = case(random.Random(seed), values=values)
        packing = pack(ads, breaks, limit=20_000)
        assert packing.exact
        assert fits(ads, breaks, packing.chosen)


def one_value(_chance):
    return 10


@pytest.mark.parametrize("values", [few_values, one_value])
@pytest.mark.parametrize("each", [2, 3])
@pytest.mark.parametrize("room", [None, 0])
def test_hard_pods_of_60_bids_are_searched_to_the_end(values, each, room):
    for seed in range(10):
        ads, breaks, families = categories_case(
            random.Random(seed), values=values, each=each, room=room
        )
        packing = pack(ads, breaks, 20_000, families=families)
        assert packing.exact
        assert fits(ads, breaks, packing.chosen)


def test_families_change_the_time_and_nothing_else():
    """Within few steps the search ends only where the bundles of two categories are counted."""
    ads, breaks, families = categories_case(random.Random(0), values=few_values, each=2, room=None)
    known = pack(ads, breaks, 1000, families=families)
    assert known.exact
    assert not pack(ads, breaks, 1000).exact
    assert pack(ads, breaks, 1_000_000).chosen == known.chosen


def test_ads_that_are_the_same_are_taken_in_their_order():
    ads = [Ad(0, 10, 15, 0, 0)] * 400
    packing = pack(ads, [Break(600, 100)], limit=1000)
    assert packing.exact
    assert packing.chosen == tuple(range(40))


def test_an_ad_that_never_fits_is_left_out():
    ads = [Ad(0, 99, 60, 0, 0), Ad(0, 1, 30, 0, 0)]
    assert pack(ads, [Break(30, 2)], 100).chosen == (1,)
    assert pack(ads, [Break(30, 2)], 100, forced=[0]) is None


def test_a_search_cut_short_is_honest():
    """60 ads with three labels each of 15: the bound is off until the search ends."""
    chance = random.Random(3)
    ads = [
        Ad(0, few_values(chance), 15, sum(1 << n for n in chance.sample(range(15), 3)), 0)
        for _ in range(60)
    ]
    breaks = [Break(60, 12)]
    best = pack(ads, breaks, limit=1_000_000)
    assert best.exact
    assert not pack(ads, breaks, 1).exact
    for limit in (1, 10, 100):
        short = pack(ads, breaks, limit)
        lacking = sum(ads[i].value for i in best.chosen) - sum(ads[i].value for i in short.chosen)
        assert fits(ads, breaks, short.chosen)
        assert 0 <= lacking <= short.gap or short.exact


def test_a_very_long_break_is_searched_like_any_other():
    ads = [Ad(0, value, 1500, 0, 0) for value in (5, 4, 3, 2, 1)]
    assert pack(ads, [Break(5000, 100)], limit=1000).chosen == (0, 1, 2)


def test_nothing_to_pack():
    assert pack([], [Break(30, 2)], 100).chosen == ()
    assert pack([], [], 100).chosen == ()
