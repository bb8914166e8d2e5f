"""How a line of text says how values spread."""

import pytest

from xsp_server.simulator.distributions import Fixed, LogNormal, Uniform, parse

P99 = 0.99


@pytest.mark.parametrize("written", [2.5, "2.5", " 2.5 ", Fixed(2.5)])
def test_a_number_means_always_that(written):
    distribution = parse(written)
    assert distribution == Fixed(2.5)
    assert [distribution.at(share) for share in (0.01, 0.5, 0.99)] == [2.5, 2.5, 2.5]


def test_a_whole_number_will_do():
    assert parse(3) == Fixed(3.0)


def test_uniform_is_even_between_its_bounds():
    distribution = parse("uniform min=1 max=3")
    assert distribution == Uniform(1, 3)
    assert [distribution.at(share) for share in (0.0, 0.25, 1.0)] == [1, 1.5, 3]


def test_half_of_a_lognormal_lies_below_its_median():
    distribution = parse("lognormal median=2 sigma=0.5")
    assert distribution == LogNormal(2, 0.5)
    assert distribution.at(0.5) == pytest.approx(2)
    assert distribution.at(0.841345) == pytest.approx(2 * 2.718281828**0.5, rel=1e-5)


def test_one_in_a_hundred_of_a_lognormal_lies_above_its_p99():
    distribution = parse("lognormal median=20 p99=80")
    assert distribution.at(0.5) == pytest.approx(20)
    assert distribution.at(P99) == pytest.approx(80)


def test_the_order_of_the_parts_is_free():
    assert parse("uniform max=3 min=1") == parse("uniform min=1 max=3")


@pytest.mark.parametrize(
    "text", ["2.5", "0", "uniform min=0.5 max=4", "lognormal median=2 sigma=0.5"]
)
def test_a_distribution_reads_as_it_was_written(text):
    assert str(parse(text)) == text


@pytest.mark.parametrize(
    "written",
    [
        "",
        "much",
        "uniform",
        "uniform 1 3",
        "uniform min=1",
        "uniform min=1 max=3 sigma=1",
        "uniform min=1 max=three",
        "lognormal median=2",
        "lognormal median=2 sigma=1 p99=9",
        "normal median=2 sigma=1",
        None,
        True,
        [1],
    ],
)
def test_any_other_form_is_refused_with_the_forms_there_are(written):
    with pytest.raises(ValueError, match="expected a number, 'uniform min=A max=B'"):
        parse(written)


@pytest.mark.parametrize(
    ("written", "wrong"),
    [
        (-1, "value from 0 to 1e\\+09, got -1"),
        ("nan", "value from 0 to 1e\\+09, got nan"),
        ("inf", "value from 0 to 1e\\+09, got inf"),
        ("uniform min=-1 max=3", "min from 0 to 1e\\+09, got -1"),
        ("uniform min=3 max=1", "max from 3 to 1e\\+09, got 1"),
        ("lognormal median=-2 sigma=1", "median from 0 to 1e\\+09, got -2"),
        ("lognormal median=2 sigma=11", "sigma from 0 to 10, got 11"),
        ("lognormal median=0 p99=1", "median from 1e-09 to 1e\\+09, got 0"),
        ("lognormal median=20 p99=10", "p99 from 20 to 1e\\+09, got 10"),
    ],
)
def test_a_number_out_of_bounds_is_refused_with_the_bounds(written, wrong):
    with pytest.raises(ValueError, match=wrong):
        parse(written)
