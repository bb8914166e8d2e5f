"""What lies under what: domains, categories and languages, compared as block and allow lists mean.

A list is folded once (`domain_set`, `language_set`) and then asked about many times. Each `*_in`
function names the entry of the list that decides, so that a refusal can say it, or is None.
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from functools import lru_cache

HIERARCHICAL_TAXONOMY = 1
"""The one category taxonomy (IAB Content 1.0) whose ids show what they belong to: IAB25-3 is part
of IAB25. Ids of every later taxonomy are opaque."""

LONGEST_NAME = 253
"""Characters of the longest domain (RFC 1035). Longer texts, domains or language tags, are
compared as a whole: going through their parts would cost the square of their length."""

NO_LANGUAGE = "xx"
"""Bid.language of a creative without words."""


def domain_set(domains: Iterable[str]) -> frozenset[str]:
    """Domains ready for `domain_in`: lower case, without a closing dot."""
    return frozenset(domain.lower().rstrip(".") for domain in domains)


def domain_in(domain: str, listed: AbstractSet[str]) -> str | None:
    """The entry that equals the domain or has it below itself: ads.example.com is in example.com.

    Whole labels count, case doesn't: notexample.com is not below example.com.

    Args:
        domain: as it came.
        listed: made by `domain_set`.
    """
    for level in (_known_levels if len(domain) <= _LONGEST_REMEMBERED else _levels)(domain):
        if level in listed:
            return level
    return None


_LONGEST_REMEMBERED = 64
"""Characters of the longest domain that is remembered: whoever bids chooses what stands there."""


def _levels(domain: str) -> tuple[str, ...]:
    """A domain and those that it is below, without a closing dot."""
    levels = []
    rest = domain.lower().rstrip(".")
    while rest:
        levels.append(rest)
        rest = rest.partition(".")[2] if len(rest) <= LONGEST_NAME else ""
    return tuple(levels)


# The same advertisers come again and again; found here in a third of the time.
_known_levels = lru_cache(8192)(_levels)


def category_in(category: str, listed: AbstractSet[str], taxonomy: int) -> str | None:
    """The entry that equals the category or, in taxonomy 1, holds it: IAB25-3 is in IAB25.

    Args:
        category: an id, in the taxonomy of the list.
        listed: ids as they came.
        taxonomy: AdCOM list "Category Taxonomies".
    """
    if category in listed:
        return category
    if taxonomy == HIERARCHICAL_TAXONOMY:
        tier_1, dash, _ = category.partition("-")
        if dash and tier_1 in listed:
            return tier_1
    return None


def language_set(languages: Iterable[str]) -> frozenset[str]:
    """Languages ready for `primary_language_in` and `language_range_in`: lower case."""
    return frozenset(language.lower() for language in languages)


def primary_language_in(tag: str, listed: AbstractSet[str]) -> str | None:
    """The listed ISO 639-1 code that is the tag's primary subtag: pt-BR is in pt (`wlang`).

    Args:
        tag: ISO 639-1 code or BCP 47 tag, as it came.
        listed: made by `language_set`.
    """
    primary = tag.lower().partition("-")[0]
    return primary if primary in listed else None


def language_range_in(tag: str, listed: AbstractSet[str]) -> str | None:
    """The listed range that covers the tag, by whole subtags: pt covers pt-BR, en-GB not en-US.

    Basic filtering of RFC 4647, section 3.3.1 (`wlangb`).

    Args:
        tag: ISO 639-1 code or BCP 47 tag, as it came.
        listed: made by `language_set`.
    """
    rest = tag.lower()
    while rest:
        if rest in listed:
            return rest
        rest = rest.rpartition("-")[0] if len(rest) <= LONGEST_NAME else ""
    return None
