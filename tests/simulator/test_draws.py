"""Chance that repeats."""

from statistics import fmean

from xsp_server.simulator.draws import Draws


def test_a_draw_is_the_same_in_every_process_and_release():
    draws = Draws("7", "seat", "auction")
    assert draws.name("bid") == "b7e02f19b2e85e2f"
    assert draws.unit("price") == 0.36848198493035367


def test_a_draw_depends_on_key_and_label_and_not_on_earlier_draws():
    draws = Draws("7", "a")
    first = draws.unit("price")
    draws.unit("latency")
    assert draws.unit("price") == first
    others = [
        Draws("8", "a").unit("price"),
        Draws("7", "b").unit("price"),
        Draws("7a").unit("price"),
        draws.unit("prices"),
    ]
    assert len({first, *others}) == 5


def test_draws_under_a_label_are_those_of_the_longer_key():
    assert Draws("7").under("imp", 1).unit("price") == Draws("7", "imp", 1).unit("price")


def test_units_are_spread_evenly_between_0_and_1():
    units = sorted(Draws(number).unit("x") for number in range(4000))
    assert units[0] > 0
    assert units[-1] < 1
    assert abs(fmean(units) - 0.5) < 0.02
    assert all(abs(units[n] - n / 4000) < 0.03 for n in range(0, 4000, 100))


def test_the_smallest_and_largest_hash_stay_inside_the_open_interval(monkeypatch):
    for number in (0, 2**64 - 1):
        monkeypatch.setattr(Draws, "_number", lambda _, __, number=number: number)
        assert 0 < Draws("7").unit("x") < 1
        assert Draws("7").pick("abc", "x") in "abc"


def test_every_option_is_picked_about_as_often():
    picks = [Draws(number).pick("abcd", "x") for number in range(4000)]
    assert all(900 < picks.count(option) < 1100 for option in "abcd")


def test_a_chance_comes_true_at_its_rate():
    hits = sum(Draws(number).chance(0.2, "x") for number in range(4000))
    assert 720 < hits < 880
    assert not Draws("7").chance(0, "x")
    assert Draws("7").chance(1, "x")
