"""What lies under what."""

import pytest

from xsp_server.openrtb import matching


@pytest.mark.parametrize(
    ("domain", "listed", "entry"),
    [
        ("example.com", ["example.com"], "example.com"),
        ("ads.example.com", ["example.com"], "example.com"),
        ("a.b.example.com", ["other.com", "b.example.com"], "b.example.com"),
        ("ADS.Example.com", ["eXample.COM"], "example.com"),
        ("ads.example.com.", ["example.com"], "example.com"),
        ("ads.example.com", ["example.com."], "example.com"),
        ("example.com", ["ads.example.com"], None),
        ("notexample.com", ["example.com"], None),
        ("com", ["example.com"], None),
        ("example.com", [], None),
        ("", ["example.com"], None),
        ("", [""], None),
    ],
)
def test_a_domain_is_in_the_list_with_all_that_is_below(domain, listed, entry):
    assert matching.domain_in(domain, matching.domain_set(listed)) == entry


def test_a_long_domain_is_read_and_not_remembered():
    """Whoever bids chooses it: a few thousand of any length would fill the memory."""
    before = matching._known_levels.cache_info().misses
    long = "a." * 100 + "example.com"
    assert matching.domain_in(long, {"example.com"}) == "example.com"
    assert matching.domain_in(f"{'a' * 10**6}.com", {"com"}) is None
    assert matching._known_levels.cache_info().misses == before


@pytest.mark.parametrize(
    ("category", "taxonomy", "entry"),
    [
        ("IAB25", 1, "IAB25"),
        ("IAB25-3", 1, "IAB25"),
        ("IAB7-39", 1, "IAB7-39"),
        ("IAB7", 1, None),
        ("IAB7-3", 1, None),
        ("IAB2", 1, None),
        ("IAB25-3", 2, None),
        ("IAB25", 2, "IAB25"),
    ],
)
def test_only_ids_of_taxonomy_1_show_what_they_belong_to(category, taxonomy, entry):
    assert matching.category_in(category, {"IAB25", "IAB7-39"}, taxonomy) == entry


@pytest.mark.parametrize(
    ("tag", "entry"), [("pt", "pt"), ("pt-BR", "pt"), ("PT", "pt"), ("p", None), ("ptx", None)]
)
def test_a_language_is_listed_by_its_primary_subtag(tag, entry):
    assert matching.primary_language_in(tag, matching.language_set(["PT", "en-GB"])) == entry


@pytest.mark.parametrize(
    ("tag", "entry"),
    [
        ("pt", "pt"),
        ("pt-BR", "pt"),
        ("en-GB", "en-gb"),
        ("en-gb-oed", "en-gb"),
        ("en", None),
        ("en-US", None),
        ("ptx", None),
        ("", None),
    ],
)
def test_a_range_covers_longer_tags_by_whole_subtags(tag, entry):
    assert matching.language_range_in(tag, matching.language_set(["pt", "en-GB"])) == entry


def test_texts_longer_than_any_name_are_compared_as_a_whole():
    """A megabyte of labels must not cost a million slices of a megabyte."""
    domain = "a." * 500_000 + "example.com"
    assert matching.domain_in(domain, {"example.com"}) is None
    assert matching.domain_in(domain, {domain}) == domain
    tag = "en" + "-a" * 500_000
    assert matching.language_range_in(tag, {"en"}) is None
    assert matching.language_range_in(tag, {tag}) == tag
