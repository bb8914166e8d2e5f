"""What reads as which type, and what to say when it doesn't."""

import re
from typing import Final

_TIME: Final = r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?|24:00:00(\.0+)?"

_PATTERNS: Final = {
    "integer": (r"[+-]?\d+", "an integer"),
    "boolean": (r"true|false|1|0", "true or false"),
    "decimal": (r"[+-]?(\d+(\.\d*)?|\.\d+)", "a decimal number"),
    "time": (_TIME, "HH:MM:SS or HH:MM:SS.mmm"),
    "offset": (
        r"\d{2}:[0-5]\d:[0-5]\d(\.\d{3})?|1?\d?\d(\.?\d)*%",
        "HH:MM:SS, HH:MM:SS.mmm or n%",
    ),
    "currency": (r"[a-zA-Z]{3}", "a currency of three letters"),
    "x position": (r"\d*|left|right", "pixels, left or right"),
    "y position": (r"\d*|top|bottom", "pixels, top or bottom"),
}
_COMPILED: Final = {
    name: (re.compile(pattern, re.ASCII), expected)
    for name, (pattern, expected) in _PATTERNS.items()
}


def expected_instead(type_: str, text: str) -> str:
    """What a type wants where a text doesn't read as it; empty where it does."""
    known = _COMPILED.get(type_)
    return known[1] if known and not known[0].fullmatch(text.strip()) else ""
