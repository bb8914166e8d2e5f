"""Filling the macros of a URL."""

import re
from collections.abc import Collection, Mapping
from enum import Enum
from functools import cache
from typing import Final

from xsp_server.vast.macros.names import MACROS
from xsp_server.vast.macros.values import MacroValues, Value


class Spelling(Enum):
    """A spelling that VAST doesn't have and tags use, besides [NAME]."""

    PERCENT_SIGNS = "%%NAME%%"
    LOWER_CASE = "[name]"
    """[cachebuster], too, is CACHEBUSTING."""
    ENCODED_BRACKETS = "%5BNAME%5D"
    """The other spellings in brackets may be encoded, too."""
    RANDOM = "[RANDOM]"
    """[RANDOM] and [random] are CACHEBUSTING."""


def fill(
    url: str,
    values: MacroValues | Mapping[str, Value],
    *,
    spellings: Collection[Spelling] = (),
    only: Collection[str] | None = None,
) -> str:
    """A URL with its macros filled.

    The text stays as it is but for its macros, and what was filled in is not looked at again.

    Args:
        url: as it stands in the document, after XML was decoded.
        values: by name, not yet encoded. A name without one becomes -1; where VAST has no -1, or
            where only a player can know, it stays.
        spellings: to be filled besides [NAME].
        only: names to fill; the others stay. None: all that VAST lists.
    """
    if "[" not in url and (not spellings or "%" not in url):
        return url
    known = values if isinstance(values, MacroValues) else MacroValues(values)
    pattern, names = _reading(frozenset(spellings))

    def text(match: re.Match[str]) -> str:
        name = names.get(match[match.lastindex or 0])
        if name is None or (only is not None and name not in only):
            return match[0]
        filled = known.text(name)
        return match[0] if filled is None else filled

    return pattern.sub(text, url)


_OLD_NAMES: Final = {"cachebuster": "CACHEBUSTING"}
_RANDOM: Final = {"RANDOM": "CACHEBUSTING", "random": "CACHEBUSTING"}


@cache
def _reading(spellings: frozenset[Spelling]) -> tuple[re.Pattern[str], Mapping[str, str]]:
    """What a macro looks like, its last group the name; and which macro a name is.

    In percent signs the name is found with them, so that names of other spellings are none there.
    """
    names = {name: name for name in MACROS}
    if Spelling.LOWER_CASE in spellings:
        names |= {name.lower(): name for name in MACROS} | _OLD_NAMES
    if Spelling.RANDOM in spellings:
        names |= _RANDOM
    forms = [r"\[([A-Za-z]+)\]"]
    if Spelling.ENCODED_BRACKETS in spellings:
        forms.append("%5[Bb]([A-Za-z]+)%5[Dd]")
    if Spelling.PERCENT_SIGNS in spellings:
        forms.append("(%%[A-Z]+%%)")
        names |= {f"%%{name}%%": name for name in MACROS}
    return re.compile("|".join(forms)), names
