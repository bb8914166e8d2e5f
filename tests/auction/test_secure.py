"""What counts as insecure in markup: the fast search finds what the plain one does."""

import re

from hypothesis import given
from hypothesis import strategies as st

from xsp_server.auction import checks

PIECES = (
    *("xmlns", "XMLNS", ":a", "schemaLocation", "=", '"', "'", "\\", " ", ">", "<", "[", "]"),
    *("http://x", "HTTP://y", "http%3A%2f%2f", "ht", "tp://", "<!DOCTYPE", "<!doctype ", "z"),
    *("xmlns='http://n'", 'schemalocation = "http://s"', '<!DOCTYPE html PUBLIC "http://d">'),
    *("\u0130", "xmln\u017f='http://f'", "\u212a"),  # fold to two letters, to s and to k
)


def insecure_part(markup):
    """Every name cut out, then the first mark; where no mark is left uncut, there is nothing."""
    if not re.search("http://|http%3a%2f%2f", markup.lower()):
        return None
    rest = checks._NAMES_NOT_ADDRESSES.sub("", markup)
    found = re.search("http://|http%3a%2f%2f", rest.lower())
    return rest[found.start() : found.start() + 80] if found else None


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_the_insecure_part_is_what_a_search_at_every_character_finds(markup):
    assert checks._insecure_part(markup) == insecure_part(markup)
