"""Exchange rates from a file: dated, read again when it changes, never guessed."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from xsp_server.auction import Rules
from xsp_server.errors import ConfigError
from xsp_server.service.rates import RuleBook

START = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now

    def advance(self, **kwargs):
        self.now += timedelta(**kwargs)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rates.toml"
    path.write_text('date = 2026-11-20\n[rates.USD]\nEUR = "0.92"\n', encoding="utf-8")
    return path


def rate(book, base="USD", quote="EUR"):
    return book.current().rates.get(base, {}).get(quote)


def test_without_a_file_the_rules_are_the_settings_own(clock):
    rules = Rules()
    assert RuleBook(rules, clock=clock).current() is rules


def test_rates_of_the_file_are_exact_and_come_on_top_of_the_settings(file, clock):
    own = Rules(rates={"USD": {"EUR": Fraction(1), "GBP": Fraction(4, 5)}})
    book = RuleBook(own, file, clock=clock)
    assert rate(book) == Fraction(92, 100)
    assert rate(book, quote="GBP") == Fraction(4, 5)


def test_a_changed_file_is_read_again_after_a_second(file, clock):
    book = RuleBook(Rules(), file, clock=clock)
    file.write_text('date = 2026-11-20\n[rates.USD]\nEUR = "0.9155"\n', encoding="utf-8")
    assert rate(book) == Fraction(92, 100)
    clock.advance(seconds=1)
    assert rate(book) == Fraction(9155, 10000)


def test_a_file_that_becomes_wrong_leaves_the_rates_as_they_were(file, clock, capsys):
    book = RuleBook(Rules(), file, clock=clock)
    file.write_text("not toml at all", encoding="utf-8")
    clock.advance(seconds=1)
    assert rate(book) == Fraction(92, 100)
    assert "rates kept as they were" in capsys.readouterr().out


def test_rates_that_are_too_old_are_dropped_and_a_fresh_file_brings_them_back(file, clock, capsys):
    book = RuleBook(Rules(), file, max_age_days=3, clock=clock)
    clock.advance(days=3)
    assert rate(book) == Fraction(92, 100)
    clock.advance(days=1)
    assert rate(book) is None
    assert "rates too old" in capsys.readouterr().out
    file.write_text('date = 2026-11-24\n[rates.USD]\nEUR = "0.9"\n', encoding="utf-8")
    clock.advance(seconds=1)
    assert rate(book) == Fraction(9, 10)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[rates.USD]\nEUR = "1"\n', r"date: got None; expected a day"),
        ('date = 2026-11-20T01:02:03\n[rates.USD]\nEUR = "1"\n', r"date: got .*expected a day"),
        ("date = 2026-11-20\n", r"rates: expected tables"),
        ('date = 2026-11-20\n[rates.USD]\nEUR = "0"\n', r"rates.USD.EUR: got 0; expected more"),
        ('date = 2026-11-20\n[rates.USD]\nEUR = "x"\n', r"rates: got .*expected a decimal"),
        ("date", r"not TOML"),
    ],
)
def test_a_wrong_file_is_told_at_the_start(tmp_path, text, message):
    file = tmp_path / "rates.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        RuleBook(Rules(), file)


def test_a_missing_file_is_told_at_the_start(tmp_path):
    with pytest.raises(ConfigError, match=r"gone.toml: No such file"):
        RuleBook(Rules(), tmp_path / "gone.toml")
